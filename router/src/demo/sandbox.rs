//! The demo's folder and processes, which are gone when the demo is, however it ends.
//!
//! Each process gets a process group of its own, so that Ctrl-C in the terminal reaches only the
//! demo, which then stops the others. Should the demo itself be killed outright, a [`Reaper`] does.

mod reaper;

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
};

use tempfile::TempDir;
use tokio::process::{Child, Command};

use self::reaper::Reaper;
use super::DemoError;

/// How much of a log an error shows, in lines.
const LAST_LINES: usize = 8;

/// A folder, and the processes whose data is in it.
#[derive(Debug)]
pub(super) struct Sandbox {
    // Dropped in this order: nobody writes any more when the folder goes.
    processes: Vec<Process>,
    reaper: Reaper,
    folder: TempDir,
}

/// Names a process of the sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ProcessId(usize);

#[derive(Debug)]
struct Process {
    name: String,
    child: Child,
    /// The operating system's id.
    pid: u32,
    log: PathBuf,
    ended: Option<ExitStatus>,
}

impl Sandbox {
    pub(super) fn new() -> Result<Self, DemoError> {
        let folder = tempfile::Builder::new().prefix("mirador-demo-").tempdir();
        let folder = folder.map_err(|error| DemoError::io("make a temporary folder", error))?;
        let reaper = Reaper::start(folder.path())?;
        Ok(Self {
            processes: Vec::new(),
            reaper,
            folder,
        })
    }

    /// The folder, with an absolute path.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file into the folder, and tells where it is.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<PathBuf, DemoError> {
        let file = self.folder().join(name);
        let written = file.parent().map_or(Ok(()), std::fs::create_dir_all);
        written
            .and_then(|()| std::fs::write(&file, text))
            .map_err(|error| DemoError::io(format!("write {}", file.display()), error))?;
        Ok(file)
    }

    /// Starts a process whose output goes to `<name>.log` in the folder.
    pub(super) fn start(
        &mut self,
        name: &str,
        command: &mut Command,
    ) -> Result<ProcessId, DemoError> {
        let log = self.folder().join(format!("{name}.log"));
        let process = Process::start(name, command, log)?;
        self.reaper.note(process.pid);
        self.processes.push(process);
        Ok(ProcessId(self.processes.len() - 1))
    }

    /// Starts a process again that has ended, under its old name.
    pub(super) fn start_again(
        &mut self,
        id: ProcessId,
        command: &mut Command,
    ) -> Result<(), DemoError> {
        let process = &mut self.processes[id.0];
        *process = Process::start(&process.name, command, process.log.clone())?;
        self.reaper.note(process.pid);
        Ok(())
    }

    /// The operating system's id of a process.
    pub(super) fn pid(&self, id: ProcessId) -> u32 {
        self.processes[id.0].pid
    }

    /// Kills a process with SIGKILL and waits until it is gone.
    pub(super) async fn kill(&mut self, id: ProcessId) -> Result<(), DemoError> {
        let process = &mut self.processes[id.0];
        if process.ended.is_some() {
            return Ok(());
        }
        let status = process.kill().await?;
        process.ended = Some(status);
        self.reaper.forget(process.pid);
        Ok(())
    }

    /// Whether a process has ended, by itself or by us.
    pub(super) fn has_ended(&mut self, id: ProcessId) -> Result<bool, DemoError> {
        let process = &mut self.processes[id.0];
        if process.ended.is_none() {
            let doing = || format!("watch {}", process.name);
            process.ended = process
                .child
                .try_wait()
                .map_err(|error| DemoError::io(doing(), error))?;
            if process.ended.is_some() {
                self.reaper.forget(process.pid);
            }
        }
        Ok(process.ended.is_some())
    }

    /// Fails with its last words if a process has ended.
    pub(super) fn expect_running(&mut self, id: ProcessId) -> Result<(), DemoError> {
        self.has_ended(id)?;
        let process = &self.processes[id.0];
        match process.ended {
            None => Ok(()),
            Some(status) => Err(DemoError::Ended {
                name: process.name.clone(),
                status,
                log: last_lines(&process.log),
            }),
        }
    }

    /// Kills all processes, the youngest first, and removes the folder.
    pub(super) async fn clear(mut self) -> Result<(), DemoError> {
        for id in (0..self.processes.len()).rev() {
            self.kill(ProcessId(id)).await?;
        }
        let Self { folder, reaper, .. } = self;
        folder
            .close()
            .map_err(|error| DemoError::io("remove the temporary folder", error))?;
        reaper.dismiss().await
    }
}

impl Process {
    fn start(name: &str, command: &mut Command, log: PathBuf) -> Result<Self, DemoError> {
        let child = open_twice(&log).and_then(|(out, err)| {
            let command = command.stdin(Stdio::null()).stdout(out).stderr(err);
            command.process_group(0).kill_on_drop(true).spawn()
        });
        let child = child.map_err(|error| DemoError::io(format!("start {name}"), error))?;
        let pid = child.id().unwrap_or_default();
        Ok(Self {
            name: name.into(),
            child,
            pid,
            log,
            ended: None,
        })
    }

    async fn kill(&mut self) -> Result<ExitStatus, DemoError> {
        // Fails only if it has ended already, which waiting finds out.
        let _ = self.child.start_kill();
        let status = self.child.wait().await;
        status.map_err(|error| DemoError::io(format!("stop {}", self.name), error))
    }
}

/// Appends, as a process may be started again.
fn open_twice(log: &Path) -> std::io::Result<(File, File)> {
    let file = File::options().create(true).append(true).open(log)?;
    Ok((file.try_clone()?, file))
}

fn last_lines(log: &Path) -> String {
    let text = String::from_utf8_lossy(&std::fs::read(log).unwrap_or_default()).into_owned();
    let mut lines: Vec<_> = text.lines().rev().take(LAST_LINES).collect();
    lines.reverse();
    lines.join("\n")
}

#[cfg(test)]
mod tests;
