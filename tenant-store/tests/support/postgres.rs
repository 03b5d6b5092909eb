//! A `PostgreSQL` of the tests' own: on a free port, with its own data, gone when they are.
//!
//! The server refuses to run as root, so that root's tests run it as `nobody`. It ends with the
//! thread that started it, whatever becomes of the test.

use std::{
    env,
    fs::{self, File, Permissions},
    net::TcpListener,
    os::unix::{
        fs::{PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// Longer than a start should ever take, on whatever machine.
const PATIENCE: Duration = Duration::from_mins(1);

const USER: &str = "mirador";

/// One that means something in URLs, in the form URLs have it, and as it is.
const PASSWORD: (&str, &str) = ("p%40ss%2Fw%3Ard", "p@ss/w:rd");

/// `nobody`, on every Debian.
const NOBODY: u32 = 65_534;

/// A server, perhaps stopped just now. Its data is gone when it is dropped.
#[derive(Debug)]
pub(crate) struct PostgresServer {
    folder: TempDir,
    settings: Vec<String>,
    port: u16,
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    process: u32,
    stop: mpsc::Sender<()>,
    keeper: JoinHandle<()>,
}

impl PostgresServer {
    /// Starts one, with no databases but its own.
    pub(crate) fn start() -> Self {
        Self::start_with(&[], &[])
    }

    /// Starts one that shows this certificate, and has this key for it, both PEM.
    #[allow(dead_code, reason = "not for every test program")]
    pub(crate) fn start_with_tls(certificate: &str, key: &str) -> Self {
        let settings = [
            "ssl=on",
            "ssl_cert_file=../server.crt",
            "ssl_key_file=../server.key",
        ];
        Self::start_with(
            &settings,
            &[("server.crt", certificate), ("server.key", key)],
        )
    }

    fn start_with(settings: &[&str], files: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().expect("a folder");
        let password = folder.path().join("password");
        fs::write(&password, PASSWORD.1).expect("a file for the password");
        let mut own = vec![folder.path().to_owned(), password.clone()];
        for (name, text) in files {
            let file = folder.path().join(name);
            fs::write(&file, text).expect("a file for the server");
            fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("its mode");
            own.push(file);
        }
        if is_root() {
            for path in own {
                chown(path, Some(NOBODY), Some(NOBODY)).expect("root may do this");
            }
        }
        let data = folder.path().join("data");
        let made = program("initdb")
            .arg("--pgdata")
            .arg(&data)
            .args(["--username", USER, "--auth", "scram-sha-256"])
            .arg("--pwfile")
            .arg(&password)
            .args(["--encoding", "UTF8", "--locale", "C", "--no-sync"])
            .current_dir("/")
            .output()
            .expect("initdb can be run");
        assert!(made.status.success(), "initdb: {made:?}");
        let mut server = Self {
            folder,
            settings: settings.iter().map(|&setting| setting.into()).collect(),
            port: 0,
            running: Mutex::new(None),
        };
        // A port that was free a moment ago may be taken by now.
        for _ in 0..10 {
            server.port = free_port();
            if server.try_run() {
                return server;
            }
        }
        panic!("PostgreSQL does not start:\n{}", server.log());
    }

    /// The one that the tests of this process share, started by the first that asks for it. It ends
    /// with the process, and its data soon after.
    #[allow(dead_code, reason = "not for every test program")]
    pub(crate) fn shared() -> Arc<Self> {
        static SHARED: LazyLock<(Arc<PostgresServer>, Child)> = LazyLock::new(|| {
            let server = PostgresServer::start();
            let clearer = server.cleared_after_us();
            (Arc::new(server), clearer)
        });
        SHARED.0.clone()
    }

    /// A process that removes the data once we are gone and the server is, too: what a process holds
    /// for as long as it lives is never dropped.
    fn cleared_after_us(&self) -> Child {
        const CLEAR: &str = "read -r _; tries=100; \
            while [ $tries -gt 0 ] && kill -0 \"$1\"; do sleep 0.1; tries=$((tries - 1)); done; \
            rm -rf \"$2\"";
        let process = self.running().as_ref().map(|running| running.process);
        Command::new("sh")
            .args(["-c", CLEAR, "clear"])
            .arg(process.expect("a server that runs").to_string())
            .arg(self.folder.path())
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("sh can be run")
    }

    /// Where a database of it is, with user and password.
    pub(crate) fn url(&self, database: &str) -> String {
        let password = PASSWORD.0;
        format!(
            "postgres://{USER}:{password}@127.0.0.1:{}/{database}",
            self.port
        )
    }

    /// Breaks off all connections and accepts no more, as when its machine is gone.
    #[allow(dead_code, reason = "not for every test program")]
    pub(crate) fn stop(&self) {
        let running = self.running().take();
        if let Some(Running { stop, keeper, .. }) = running {
            drop(stop);
            keeper.join().expect("the server's keeper");
        }
    }

    /// Runs it again where it was, with what is in it.
    #[allow(dead_code, reason = "not for every test program")]
    pub(crate) fn run_again(&self) {
        assert!(self.try_run(), "PostgreSQL does not start:\n{}", self.log());
    }

    /// Runs it until it accepts connections. False if it ends before that.
    fn try_run(&self) -> bool {
        let (told, hear) = mpsc::channel();
        let (stop, stopped) = mpsc::channel();
        let (data, log) = (self.data(), self.log_file());
        let mut settings = vec![format!("port={}", self.port)];
        settings.extend(self.settings.clone());
        let keeper = thread::spawn(move || keep(&data, &log, &settings, &told, &stopped));
        let process = hear.recv_timeout(PATIENCE).ok().flatten();
        let running = |process| Running {
            process,
            stop,
            keeper,
        };
        *self.running() = process.map(running);
        process.is_some()
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        let running = self.running().take();
        if let Some(Running { stop, keeper, .. }) = running {
            drop(stop);
            let _ = keeper.join();
        }
    }
}

/// Starts the server, tells its process when it is ready, or that it has ended, and ends it when told. The server's life
/// hangs on this thread's.
fn keep(
    data: &Path,
    log: &Path,
    settings: &[String],
    told: &mpsc::Sender<Option<u32>>,
    stopped: &mpsc::Receiver<()>,
) {
    let file = File::create(log).expect("a file for its log");
    let mut server = program("postgres")
        .arg("-D")
        .arg(data)
        .args(settings.iter().flat_map(|setting| ["-c", setting]))
        .args(["-c", "listen_addresses=127.0.0.1"])
        .args(["-c", "unix_socket_directories="])
        .args(["-c", "max_connections=400", "-c", "fsync=off"])
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(file)
        .spawn()
        .expect("postgres can be run");
    let ready = until_ready(&mut server, log);
    let _ = told.send(ready.then(|| server.id()));
    if ready {
        // An error too, as it comes from the server being dropped.
        let _ = stopped.recv();
    }
    end(&mut server);
}

#[expect(
    clippy::disallowed_methods,
    reason = "on a thread of its own, which waits for nothing else"
)]
fn until_ready(server: &mut Child, log: &Path) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let said = fs::read_to_string(log).unwrap_or_default();
        if said.contains("ready to accept connections") {
            return true;
        }
        if server.try_wait().expect("the state of a child").is_some() {
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
    false
}

/// Ends it at once, its children and shared memory included.
fn end(server: &mut Child) {
    if server.try_wait().expect("the state of a child").is_some() {
        return;
    }
    let id = server.id().to_string();
    let _ = Command::new("kill").args(["-QUIT", &id]).status();
    let _ = server.wait();
}

/// A program of `PostgreSQL`'s, to be run by somebody who is not root, and no longer than we are.
fn program(name: &str) -> Command {
    let path = find(name);
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "QUIT"]);
    if is_root() {
        let nobody = NOBODY.to_string();
        command.args(["--reuid", &nobody, "--regid", &nobody, "--clear-groups"]);
        // The programs may lie in a folder that only root may look into.
        command.args([
            "--inh-caps",
            "+dac_override",
            "--ambient-caps",
            "+dac_override",
        ]);
    }
    command.arg("--").arg(path);
    command.process_group(0);
    command
}

/// In `MIRADOR_TOOLS_BIN`, on the `PATH`, or where Debian keeps it off the `PATH`.
fn find(name: &str) -> PathBuf {
    let own = env::var_os("MIRADOR_TOOLS_BIN").map(PathBuf::from);
    let path = env::var_os("PATH").unwrap_or_default();
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    own.into_iter()
        .chain(env::split_paths(&path))
        .chain(debian.filter_map(|version| Some(version.ok()?.path().join("bin"))))
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file())
        // It looks for its other files from where it really is.
        .and_then(|found| found.canonicalize().ok())
        .unwrap_or_else(|| {
            panic!(
                "{name} is neither in MIRADOR_TOOLS_BIN nor on the PATH; \
                 run the tests with `make test`, which installs PostgreSQL"
            )
        })
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}
