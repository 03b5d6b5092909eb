use std::time::Duration;

use super::*;
use crate::demo::wait::until;

fn sleeper() -> Command {
    let mut command = Command::new("sleep");
    command.arg("3600");
    command
}

async fn until_gone(folder: &Path, pid: u32) {
    let process = PathBuf::from(format!("/proc/{pid}/cwd"));
    until(
        "the process and the folder to be gone",
        Duration::from_secs(20),
        async || {
            // A zombie that nobody has waited for yet has no working directory any more.
            let dead = process.read_link().is_err();
            Ok((dead && !folder.exists()).then_some(()))
        },
    )
    .await
    .expect("gone");
}

#[tokio::test]
async fn clearing_leaves_neither_process_nor_folder() {
    let mut sandbox = Sandbox::new().expect("a sandbox");
    let id = sandbox.start("sleeper", &mut sleeper()).expect("started");
    let (folder, pid) = (sandbox.folder().to_owned(), sandbox.pid(id));
    sandbox.clear().await.expect("cleared");
    until_gone(&folder, pid).await;
}

/// What is left of a demo that was killed is the closed pipe.
#[tokio::test]
async fn the_reaper_does_what_a_killed_demo_can_not() {
    let folder = tempfile::tempdir().expect("a folder").keep();
    std::fs::write(folder.join("data"), "data").expect("a file");
    let start = || sleeper().kill_on_drop(true).spawn().expect("started");
    let (mut noted, mut forgotten) = (start(), start());
    let mut reaper = Reaper::start(&folder).expect("a reaper");
    reaper.note(forgotten.id().expect("running"));
    reaper.note(noted.id().expect("running"));
    reaper.forget(forgotten.id().expect("running"));
    drop(reaper);
    let status = noted.wait().await.expect("its end");
    assert!(!status.success(), "it was killed: {status}");
    until_gone(&folder, u32::MAX).await;
    assert_eq!(forgotten.try_wait().expect("its state"), None, "it goes on");
}

#[tokio::test]
async fn a_process_that_ends_by_itself_is_told_with_its_last_words() {
    let mut sandbox = Sandbox::new().expect("a sandbox");
    let mut command = Command::new("sh");
    command.args(["-c", "echo starting; echo 'no such disk' >&2; exit 3"]);
    let id = sandbox.start("fragile", &mut command).expect("started");
    until("its end", Duration::from_secs(20), async || {
        Ok(sandbox.has_ended(id)?.then_some(()))
    })
    .await
    .expect("ended");
    let told = sandbox.expect_running(id).expect_err("ended").to_string();
    assert_eq!(
        told,
        "fragile has ended (exit status: 3)\n  | starting\n  | no such disk"
    );
    sandbox.clear().await.expect("cleared");
}
