//! A shell that outlives the demo by a moment, to leave nothing behind should it be killed
//! outright.
//!
//! The kernel could send children a signal when their parent dies, but asking for that takes
//! unsafe code and knows nothing of folders. A pipe does as well: it closes with its writer,
//! whatever the writer dies of.

use std::{
    io::Write as _,
    path::Path,
    process::{ChildStdin, Stdio},
};

use tokio::process::{Child, Command};

use crate::demo::DemoError;

const SCRIPT: &str = include_str!("reaper.sh");

/// Kills what it was told of and removes the folder, as soon as it hears nothing any more.
#[derive(Debug)]
pub(super) struct Reaper {
    pipe: ChildStdin,
    shell: Child,
}

impl Reaper {
    pub(super) fn start(folder: &Path) -> Result<Self, DemoError> {
        Self::spawn(folder).map_err(|error| DemoError::io("start sh", error))
    }

    /// Makes it responsible for a process.
    pub(super) fn note(&mut self, pid: u32) {
        self.tell('+', pid);
    }

    /// Takes a process off it, before its id goes to another.
    pub(super) fn forget(&mut self, pid: u32) {
        self.tell('-', pid);
    }

    /// Lets it end, now that there is nothing left to do.
    pub(super) async fn dismiss(self) -> Result<(), DemoError> {
        let Self { pipe, mut shell } = self;
        drop(pipe);
        let ended = shell
            .wait()
            .await
            .map_err(|error| DemoError::io("wait for sh", error))?;
        if ended.success() {
            Ok(())
        } else {
            Err(DemoError::Unexpected(
                "the temporary folder can't be removed".into(),
            ))
        }
    }

    fn spawn(folder: &Path) -> std::io::Result<Self> {
        // A process group of its own: Ctrl-C in the terminal is not for it.
        let mut shell = Command::new("sh")
            .args(["-c", SCRIPT, "mirador-demo-reaper"])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let no_pipe = || std::io::Error::other("it has no standard input");
        // Written to from where nothing can be awaited; a few bytes never fill a pipe.
        let pipe = shell.stdin.take().ok_or_else(no_pipe)?.into_owned_fd()?;
        Ok(Self {
            pipe: pipe.into(),
            shell,
        })
    }

    /// A shell that is gone can't be told anything, and need not be: the demo still clears up
    /// after itself in every case but its own death.
    fn tell(&mut self, sign: char, pid: u32) {
        let _ = writeln!(self.pipe, "{sign} {pid}");
    }
}
