//! Callgrind over the router: nothing is counted before it is asked to, and then from one moment
//! to another, by way of valgrind's own command line, `vgdb`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::process::Command;

use crate::{dump::Dump, error::CountError};

/// Has glibc copy by vector instructions however much it is. Beyond 2 KiB it would use `rep movsb`,
/// of which callgrind counts one for each byte: thirty times what it costs.
const COPYING: (&str, &str) = (
    "GLIBC_TUNABLES",
    "glibc.cpu.x86_rep_movsb_threshold=0x10000000",
);

/// Has jemalloc look through what a thread keeps to itself after so many bytes, not every 10 ms: under
/// callgrind that is with each second request, or more often where the machine is slower.
const GIVING_BACK: (&str, &str) = ("_RJEM_MALLOC_CONF", "experimental_tcache_gc:false");

/// Callgrind over one process.
#[derive(Debug)]
pub(crate) struct Callgrind {
    valgrind: PathBuf,
    vgdb: PathBuf,
    folder: PathBuf,
    name: String,
    pid: u32,
    /// The thread that serves requests.
    worker: Option<u32>,
    dumps: u32,
}

impl Callgrind {
    /// Callgrind with its files in `folder`, under `name`.
    pub(crate) fn find(folder: &Path, name: &str) -> Result<Self, CountError> {
        Ok(Self {
            valgrind: on_path("valgrind")?,
            vgdb: on_path("vgdb")?,
            folder: folder.into(),
            name: name.into(),
            pid: 0,
            worker: None,
            dumps: 0,
        })
    }

    /// The command that runs a program under it.
    pub(crate) fn over(self, program: &Path) -> (Command, Self) {
        let mut command = Command::new(&self.valgrind);
        command
            .args(["--tool=callgrind", "--instr-atstart=no"])
            .args(["--separate-threads=yes", "--collect-systime=yes"])
            // Otherwise recursion makes several functions of one.
            .arg("--separate-recs=1")
            // Threads run in turn, not as they are woken, which differs from machine to machine.
            .arg("--fair-sched=try")
            .arg(format!("--callgrind-out-file={}", self.out().display()))
            .arg(self.prefix())
            .arg(program)
            .env(COPYING.0, COPYING.1)
            .env(GIVING_BACK.0, GIVING_BACK.1);
        (command, self)
    }

    /// It runs over this process.
    pub(crate) fn of(mut self, pid: u32) -> Self {
        self.pid = pid;
        self
    }

    /// Begins to count; slows the router down.
    pub(crate) async fn begin(&self) -> Result<(), CountError> {
        self.command(&["instrumentation", "on"]).await
    }

    /// Forgets what was counted.
    pub(crate) async fn zero(&self) -> Result<(), CountError> {
        self.command(&["zero"]).await
    }

    /// What was counted since, on the thread that serves requests: the one that asked the kernel most
    /// the first time. The file it is from is copied to `keep`.
    pub(crate) async fn dump(&mut self, keep: Option<PathBuf>) -> Result<Dump, CountError> {
        self.command(&["dump"]).await?;
        self.dumps += 1;
        let mut threads = self.read_dumps()?;
        let worker = *self.worker.get_or_insert_with(|| serving(&threads));
        let position = threads.iter().position(|(_, dump)| dump.thread == worker);
        let position = position.ok_or_else(|| CountError::Unexpected {
            what: "callgrind's dump",
            text: format!("nothing of thread {worker} among {} threads", threads.len()),
        })?;
        let (file, dump) = threads.swap_remove(position);
        if let Some(keep) = keep {
            let made = keep.parent().map_or(Ok(()), fs::create_dir_all);
            let copied = made.and_then(|()| fs::copy(file, &keep));
            copied.map_err(|error| CountError::io(format!("write {}", keep.display()), error))?;
        }
        Ok(dump)
    }

    fn out(&self) -> PathBuf {
        self.folder.join(format!("{}.callgrind", self.name))
    }

    /// Of the pipes to valgrind: in our folder, so that they go with it.
    fn prefix(&self) -> String {
        format!("--vgdb-prefix={}", self.folder.join("vgdb").display())
    }

    async fn command(&self, words: &[&str]) -> Result<(), CountError> {
        let output = Command::new(&self.vgdb)
            .arg(format!("--pid={}", self.pid))
            .arg(self.prefix())
            .args(words)
            .stdin(Stdio::null())
            .output()
            .await
            .map_err(|error| CountError::io("run vgdb", error))?;
        if output.status.success() {
            return Ok(());
        }
        Err(CountError::Ended {
            name: "vgdb",
            status: output.status,
            log: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// The files of the last dump, one for each thread: `<out>.<dump>-<thread>`.
    fn read_dumps(&self) -> Result<Vec<(PathBuf, Dump)>, CountError> {
        let start = format!("{}.callgrind.{}-", self.name, self.dumps);
        let doing = |error| CountError::io("read callgrind's dumps", error);
        let mut dumps = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(doing)? {
            let entry = entry.map_err(doing)?;
            if !entry.file_name().to_string_lossy().starts_with(&start) {
                continue;
            }
            let file = entry.path();
            let text = fs::read(&file).map_err(doing)?;
            let dump = Dump::parse(&String::from_utf8_lossy(&text));
            let dump = dump.ok_or_else(|| CountError::Unexpected {
                what: "callgrind's dump",
                text: file.display().to_string(),
            })?;
            dumps.push((file, dump));
        }
        Ok(dumps)
    }
}

/// By system calls: on a busy machine, what a start leaves to be done takes as many instructions as the
/// first requests.
fn serving(threads: &[(PathBuf, Dump)]) -> u32 {
    let dumps = threads.iter().map(|(_, dump)| dump);
    let serving = dumps.max_by_key(|dump| dump.system_calls());
    serving.map_or(0, |dump| dump.thread)
}

fn on_path(program: &str) -> Result<PathBuf, CountError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|directory| directory.join(program))
        .find(|file| file.is_file());
    found.ok_or_else(|| CountError::MissingTool {
        program: program.into(),
        remedy: "install valgrind (Debian package valgrind), or run `make bench-check`",
    })
}
