//! Child processes that never outlive their test.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
};

use reqwest::Client;
use rustix::process::{Pid, Signal, kill_process};

use super::eventually;

/// How much of a child's log a failed test shows.
const SHOWN_BYTES: usize = 8 * 1024;

/// A running child. Killed, by its id, when dropped; its log is shown if the test failed.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    output: PathBuf,
    log: PathBuf,
}

/// Resident memory of a process, in KiB.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    /// What is resident now.
    pub(crate) resident_kib: u64,
    /// The most that ever was.
    pub(crate) peak_kib: u64,
}

impl Process {
    /// Starts `command`, with its outputs going to two files in `folder` that bear its name.
    pub(crate) fn spawn(name: &str, command: &mut Command, folder: &Path) -> Self {
        let output = folder.join(format!("{name}.out"));
        let log = folder.join(format!("{name}.log"));
        let child = command
            .stdin(Stdio::null())
            .stdout(File::create(&output).expect("a file for its output"))
            .stderr(File::create(&log).expect("a file for its log"))
            .spawn()
            .unwrap_or_else(|error| panic!("can't start {name} ({command:?}): {error}"));
        Self {
            name: name.into(),
            child,
            output,
            log,
        }
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal)
            .unwrap_or_else(|error| panic!("can't signal {}: {error}", self.name));
    }

    /// Kills it and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        // Both fail only if it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Whether it has ended, and how.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the state of a child")
    }

    /// Waits until it answers `url` with success, which it has to do before it ends.
    pub(crate) async fn until_ready(&mut self, http: &Client, url: &str) {
        let what = format!("{} to be ready", self.name);
        eventually(&what, async || {
            if let Some(status) = self.ended() {
                panic!("{} has ended: {status}\n{}", self.name, self.log());
            }
            let answer = http.get(url).send().await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
    }

    /// Waits for it to end by itself.
    pub(crate) async fn exit(&mut self) -> ExitStatus {
        let what = format!("{} to end", self.name);
        eventually(&what, async || self.ended()).await
    }

    /// All it has written to its standard error so far.
    pub(crate) fn log(&self) -> String {
        read(&self.log)
    }

    /// All it has written to its standard output so far.
    pub(crate) fn output(&self) -> String {
        read(&self.output)
    }

    /// Its resident memory.
    pub(crate) fn memory(&self) -> Memory {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).expect("a running process");
        let field = |name: &str| {
            status
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_suffix("kB"))
                .and_then(|value| value.trim().parse().ok())
                .unwrap_or_else(|| panic!("no {name} in {status}"))
        };
        Memory {
            resident_kib: field("VmRSS:"),
            peak_kib: field("VmHWM:"),
        }
    }

    /// Makes the peak start anew from what is resident now.
    pub(crate) fn forget_peak(&self) {
        let path = format!("/proc/{}/clear_refs", self.child.id());
        std::fs::write(path, "5").expect("a process of ours");
    }

    fn pid(&self) -> Pid {
        let id = i32::try_from(self.child.id()).expect("a process id");
        Pid::from_raw(id).expect("a process id above 0")
    }
}

fn read(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            let log = self.log();
            let mut from = log.len().saturating_sub(SHOWN_BYTES);
            while !log.is_char_boundary(from) {
                from += 1;
            }
            eprintln!("--- {} wrote ---\n{}", self.name, &log[from..]);
        }
    }
}
