//! The processes of a measurement: each on its processor, with its output in a file, and gone when
//! the measurement is.

use std::{
    fs::File,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use rustix::process::{Pid, kill_process, set_parent_process_death_signal};
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

use crate::{error::BenchError, procfs};

pub(crate) use rustix::process::Signal;

/// How often a condition is looked at.
const PAUSE: Duration = Duration::from_millis(5);
/// How long a process may take to end when asked, before it is made to.
const STOP_LIMIT: Duration = Duration::from_secs(2);
/// How long one may take to be gone once it has been killed.
const END_LIMIT: Duration = Duration::from_secs(10);
/// How much of a log an error shows, in lines.
const LAST_LINES: usize = 8;

/// A process of ours, killed when dropped with all that it started.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    pid: u32,
    log: PathBuf,
}

impl Process {
    /// Starts `command` on `cpu`, with its log in `folder`. Standard output goes there too unless
    /// the command wants it elsewhere.
    pub(crate) fn start(
        name: &str,
        command: Command,
        cpu: Option<u32>,
        folder: &Path,
    ) -> Result<Self, BenchError> {
        let mut command = bound(command, cpu);
        let (log, out, err) = log(folder, name)?;
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        Self::spawn(name, command, log)
    }

    /// As [`Process::start`], with standard input and output as pipes to us.
    pub(crate) fn start_piped(
        name: &str,
        command: Command,
        cpu: Option<u32>,
        folder: &Path,
    ) -> Result<Self, BenchError> {
        let mut command = bound(command, cpu);
        let (log, _, err) = log(folder, name)?;
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(err);
        Self::spawn(name, command, log)
    }

    fn spawn(name: &str, mut command: Command, log: PathBuf) -> Result<Self, BenchError> {
        let child = command
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| BenchError::io(format!("start {name}"), error))?;
        let pid = child.id().unwrap_or_default();
        Ok(Self {
            name: name.into(),
            child,
            pid,
            log,
        })
    }

    /// The operating system's id. `taskset` and launchers keep it, as they become what they start.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    pub(crate) fn child_mut(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Fails with its last words if it has ended.
    pub(crate) fn expect_running(&mut self) -> Result<(), BenchError> {
        let doing = |error| BenchError::io(format!("watch {}", self.name), error);
        match self.child.try_wait().map_err(doing)? {
            None => Ok(()),
            Some(status) => Err(BenchError::Ended {
                name: self.name.clone(),
                status,
                log: last_lines(&self.log),
            }),
        }
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) -> Result<(), BenchError> {
        kill(self.pid, signal)
            .map_err(|error| BenchError::io(format!("signal {}", self.name), error))
    }

    /// Stops it until the guard is dropped, whatever that comes from.
    pub(crate) fn freeze(&self) -> Result<Frozen<'_>, BenchError> {
        // Made first: a process that was not stopped takes no harm from being continued.
        let frozen = Frozen { process: self };
        self.signal(Signal::STOP)?;
        Ok(frozen)
    }

    /// Waits for its end and fails with its last words.
    pub(crate) async fn expect_end(&mut self) -> Result<(), BenchError> {
        let what = || format!("{} to end", self.name);
        let limit = END_LIMIT;
        match timeout(limit, self.child.wait()).await {
            Ok(_) => self.expect_running(),
            Err(_) => Err(BenchError::TooLate {
                what: what(),
                limit,
            }),
        }
    }

    /// Asks it to end, which it must do by itself and well: one that is killed writes nothing more.
    pub(crate) async fn end(mut self) -> Result<(), BenchError> {
        self.signal(Signal::TERM)?;
        let Ok(ended) = timeout(END_LIMIT, self.child.wait()).await else {
            return Err(BenchError::TooLate {
                what: format!("{} to end by itself", self.name),
                limit: END_LIMIT,
            });
        };
        let status =
            ended.map_err(|error| BenchError::io(format!("watch {}", self.name), error))?;
        if status.success() {
            return Ok(());
        }
        Err(BenchError::Ended {
            name: self.name.clone(),
            status,
            log: last_lines(&self.log),
        })
    }

    /// Asks it to end, and makes it and all that it started when it does not in time.
    pub(crate) async fn stop(mut self) -> Result<(), BenchError> {
        let tree = procfs::tree(self.pid);
        self.signal(Signal::TERM)?;
        // In vain or not: what is left is killed below.
        let _ = timeout(STOP_LIMIT, self.child.wait()).await;
        // Master processes are gone by now, and what they have left behind is no child of theirs.
        kill_all(tree.into_iter().filter(|pid| *pid != self.pid));
        match timeout(END_LIMIT, self.child.kill()).await {
            Ok(killed) => {
                killed.map_err(|error| BenchError::io(format!("stop {}", self.name), error))
            }
            Err(_) => Err(BenchError::TooLate {
                what: format!("{} to end", self.name),
                limit: END_LIMIT,
            }),
        }
    }
}

/// A process that is stopped, and goes on when this is dropped.
#[derive(Debug)]
pub(crate) struct Frozen<'a> {
    process: &'a Process,
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        // One that has ended has nothing to go on with.
        let _ = self.process.signal(Signal::CONT);
    }
}

/// Has this process killed when the one that started it ends, even if it is stopped then.
pub(crate) fn end_with_parent() -> Result<(), BenchError> {
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| BenchError::io("ask to end with the director", error.into()))
}

impl Drop for Process {
    fn drop(&mut self) {
        // Without an id it has been waited for, and its number may be another's.
        if self.child.id().is_some() {
            kill_all(procfs::tree(self.pid));
        }
    }
}

fn kill_all(pids: impl IntoIterator<Item = u32>) {
    for pid in pids {
        // Whatever has ended already needs no killing.
        let _ = kill(pid, Signal::KILL);
    }
}

fn kill(pid: u32, signal: Signal) -> std::io::Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| std::io::Error::other("it has no id"))?;
    Ok(kill_process(pid, signal)?)
}

/// Asks `probe` until it says yes, for as long as `limit`.
pub(crate) async fn until(
    what: &str,
    limit: Duration,
    mut probe: impl AsyncFnMut() -> Result<bool, BenchError>,
) -> Result<(), BenchError> {
    let deadline = Instant::now() + limit;
    while !probe().await? {
        if Instant::now() >= deadline {
            return Err(BenchError::TooLate {
                what: what.into(),
                limit,
            });
        }
        sleep(PAUSE).await;
    }
    Ok(())
}

/// The program of that name in a directory of `PATH`.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|directory| directory.join(program))
        .find(|file| is_executable(file))
}

pub(crate) fn is_executable(file: &Path) -> bool {
    file.metadata()
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// The same command, by way of `taskset`.
fn bound(command: Command, cpu: Option<u32>) -> Command {
    let Some(cpu) = cpu else {
        return command;
    };
    let inner = command.as_std();
    let mut outer = Command::new("taskset");
    outer
        .arg("--cpu-list")
        .arg(cpu.to_string())
        .arg(inner.get_program())
        .args(inner.get_args());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    if let Some(folder) = inner.get_current_dir() {
        outer.current_dir(folder);
    }
    outer
}

fn log(folder: &Path, name: &str) -> Result<(PathBuf, File, File), BenchError> {
    let path = folder.join(format!("{name}.log"));
    let files = File::options().create(true).append(true).open(&path);
    let files = files.and_then(|file| Ok((file.try_clone()?, file)));
    let (out, err) =
        files.map_err(|error| BenchError::io(format!("write {}", path.display()), error))?;
    Ok((path, out, err))
}

fn last_lines(log: &Path) -> String {
    let text = String::from_utf8_lossy(&std::fs::read(log).unwrap_or_default()).into_owned();
    let from = text.lines().count().saturating_sub(LAST_LINES);
    text.lines().skip(from).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_words_of_a_process_that_ended_are_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new("sh");
        command.args(["-c", "echo out of luck >&2; exit 3"]);
        let mut process = Process::start("unlucky", command, None, folder.path()).expect("started");
        let limit = Duration::from_secs(30);
        let waiting = until("its end", limit, async || {
            process.expect_running().map(|()| false)
        });
        let told = waiting.await.expect_err("ended").to_string();
        assert!(
            told.contains("unlucky") && told.contains("out of luck"),
            "{told}"
        );
    }

    #[tokio::test]
    async fn a_stopped_process_goes_on_whatever_becomes_of_the_guard() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new("sleep");
        command.arg("60");
        let process = Process::start("sleeper", command, None, folder.path()).expect("started");
        let state = || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.pid()));
            let stat = stat.expect("it runs");
            let (_, rest) = stat.rsplit_once(") ").expect("a state");
            rest.chars().next()
        };
        let limit = Duration::from_secs(30);
        let frozen = process.freeze().expect("stopped");
        let stopped = until("its stop", limit, async || Ok(state() == Some('T')));
        stopped.await.expect("stopped in time");
        drop(frozen);
        let going = until("its going on", limit, async || Ok(state() != Some('T')));
        going.await.expect("continued in time");
        process.stop().await.expect("ended");
    }

    #[tokio::test]
    async fn what_is_to_end_by_itself_ends_well_or_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let ready = folder.path().join("ready");
        let ended = async |code: u8| {
            let mut command = Command::new("sh");
            let script =
                format!("trap 'exit {code}' TERM; touch ready; while :; do sleep 0.01; done");
            command.args(["-c", &script]).current_dir(folder.path());
            let process = Process::start("tidy", command, None, folder.path()).expect("started");
            let limit = Duration::from_secs(30);
            let waiting = until("its readiness", limit, async || Ok(ready.exists()));
            waiting.await.expect("ready in time");
            std::fs::remove_file(&ready).expect("removed");
            process.end().await
        };
        ended(0).await.expect("ended well");
        let told = ended(3).await.expect_err("ended badly").to_string();
        assert!(told.contains("tidy"), "{told}");
    }

    #[tokio::test]
    async fn a_command_bound_to_a_processor_keeps_arguments_and_environment() {
        if on_path("taskset").is_none() {
            return;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new("sh");
        command
            .args(["-c", "echo $0 $SAID", "was"])
            .env("SAID", "kept");
        let cpu = crate::cpus::Cpus::share().proxy;
        let mut process = Process::start("bound", command, cpu, folder.path()).expect("started");
        process.child_mut().wait().await.expect("ended");
        assert_eq!(last_lines(&folder.path().join("bound.log")), "was kept");
    }
}
