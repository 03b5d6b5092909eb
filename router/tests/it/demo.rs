//! `mirador demo`: what it promises to show is there, and it leaves nothing behind.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
    time::Duration,
};

use rustix::process::Signal;
use tempfile::TempDir;

use super::support::{eventually, process::Process, tools::tool, within_time};

/// How long the whole tour may take on a busy machine.
const TOUR: Duration = Duration::from_mins(5);

#[tokio::test]
async fn the_tour_goes_as_promised_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = demo(&folder);
    command.arg("--check");
    let tour = tokio::task::spawn_blocking(move || command.output());
    let tour = within_time(TOUR, "the tour", tour)
        .await
        .expect("it ran")
        .expect("its output");
    let Output {
        status,
        stdout,
        stderr,
    } = tour;
    let (page, errors) = (
        String::from_utf8_lossy(&stdout),
        String::from_utf8_lossy(&stderr),
    );
    assert!(status.success(), "{status}\n{page}\n{errors}");
    assert_eq!(
        page.lines().filter(|line| line.contains("  ok  ")).count(),
        7,
        "{page}"
    );
    assert_eq!(remains(folder.path()), Vec::<String>::new());
}

#[tokio::test]
async fn told_to_stop_it_ends_well() {
    let (folder, outputs) = (
        tempfile::tempdir().expect("a folder"),
        tempfile::tempdir().expect("another"),
    );
    let mut process = staying(&folder, &outputs).await;
    process.signal(Signal::INT);
    let status = process.exit().await;
    assert!(status.success(), "{status}");
    assert_eq!(remains(folder.path()), Vec::<String>::new());
}

#[tokio::test]
async fn killed_outright_it_leaves_nothing_behind_either() {
    let (folder, outputs) = (
        tempfile::tempdir().expect("a folder"),
        tempfile::tempdir().expect("another"),
    );
    let mut process = staying(&folder, &outputs).await;
    assert!(remains(folder.path()).len() > 1, "a folder and processes");
    process.kill();
    eventually("everything to be gone", async || {
        remains(folder.path()).is_empty().then_some(())
    })
    .await;
}

#[test]
fn what_is_missing_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_mirador"));
    let output = command
        .arg("demo")
        .env("PATH", folder.path())
        .output()
        .expect("its output");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    for part in [
        "no victoria-metrics",
        "no victoria-logs",
        "make demo",
        "--tools",
    ] {
        assert!(errors.contains(part), "{part:?} is not in {errors}");
    }
}

/// A demo that has told what there is to see.
async fn staying(folder: &TempDir, outputs: &TempDir) -> Process {
    let process = Process::spawn("demo", &mut demo(folder), outputs.path());
    let told = async {
        while !process.output().contains("Ctrl-C ends the demo") {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    within_time(TOUR, "the demo to tell what there is to see", told).await;
    process
}

/// The command, with all that it makes going into `folder`.
fn demo(folder: &TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mirador"));
    let tools = tool(&["victoria-metrics", "victoria-metrics-prod"]);
    command
        .arg("demo")
        .arg("--tools")
        .arg(tools.parent().expect("its directory"));
    command.env("TMPDIR", folder.path());
    command
}

/// The files in a folder, and the processes that were told of it.
fn remains(folder: &Path) -> Vec<String> {
    let files = entries(folder);
    let name = folder.to_string_lossy().into_owned();
    let processes = entries(Path::new("/proc"))
        .into_iter()
        .filter(move |process| {
            let command = fs::read(Path::new(process).join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&command).contains(&name)
        });
    files.into_iter().chain(processes).collect()
}

fn entries(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a readable folder");
    entries
        .flatten()
        .map(|entry| entry.path().to_string_lossy().into_owned())
        .collect()
}
