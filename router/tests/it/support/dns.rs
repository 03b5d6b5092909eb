//! A real name server, dnsmasq, that knows what a test tells it.

use std::{fmt::Write as _, fs, net::SocketAddr, process::Command};

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;

use super::{eventually, port::Port, process::Process, tools::tool};

/// The server. It knows names below `test` alone, and gives answers that nobody may keep.
#[derive(Debug)]
pub(crate) struct Dns {
    port: Port,
    folder: TempDir,
    process: Option<Process>,
}

impl Dns {
    /// Starts one that knows nothing.
    pub(crate) async fn start() -> Self {
        let mut dns = Self::stopped();
        dns.serve().await;
        dns
    }

    /// One that is yet to be started: nobody answers at its address.
    pub(crate) fn stopped() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("hosts"), "").expect("its hosts");
        fs::write(folder.path().join("services"), "").expect("its services");
        let (port, process) = (Port::take(), None);
        Self {
            port,
            folder,
            process,
        }
    }

    /// Starts it, or starts it again.
    pub(crate) async fn serve(&mut self) {
        self.process = None;
        let file = |name: &str| self.folder.path().join(name);
        let mut command = Command::new(tool(&["dnsmasq"]));
        command
            .args(["--keep-in-foreground", "--bind-interfaces", "--no-resolv"])
            .args([
                "--no-hosts",
                "--local=/test/",
                "--log-facility=-",
                "--log-queries",
            ])
            .args(["--pid-file=", "--user=", "--listen-address=127.0.0.1"])
            .arg(format!("--port={}", self.port.address().port()))
            .arg(format!("--addn-hosts={}", file("hosts").display()))
            .arg(format!("--conf-file={}", file("services").display()));
        self.process = Some(Process::spawn("dnsmasq", &mut command, self.folder.path()));
        let address = self.port.address();
        let process = self.process.as_mut().expect("just started");
        eventually("the name server", async || {
            if let Some(status) = process.ended() {
                panic!("dnsmasq has ended: {status}\n{}", process.log());
            }
            TcpStream::connect(address).await.ok().map(drop)
        })
        .await;
    }

    /// Ends it: nobody answers at its address any more.
    pub(crate) fn stop(&mut self) {
        self.process = None;
    }

    /// From now on it knows these hosts and no others.
    pub(crate) fn knows(&self, hosts: &[(&str, &[&str])]) {
        let mut text = String::new();
        for (name, addresses) in hosts {
            for address in *addresses {
                writeln!(text, "{address} {name}").expect("a text takes text");
            }
        }
        fs::write(self.folder.path().join("hosts"), text).expect("its hosts");
        if let Some(process) = &self.process {
            process.signal(Signal::HUP);
        }
    }

    /// It knows these records of a service as well, once it is started again.
    pub(crate) fn serves(&self, service: &str, targets: &[(&str, u16, u16, u16)]) {
        let mut text = String::new();
        for (target, port, priority, weight) in targets {
            let line = format!("srv-host={service},{target},{port},{priority},{weight}");
            writeln!(text, "{line}").expect("a text takes text");
        }
        fs::write(self.folder.path().join("services"), text).expect("its services");
    }

    /// How often it was asked for the addresses or records of a name.
    pub(crate) fn asked(&self, name: &str) -> usize {
        let log = self.process.as_ref().map(Process::log).unwrap_or_default();
        let asked = format!(" {name} from ");
        log.lines()
            .filter(|line| line.contains("query[") && line.contains(&asked))
            .count()
    }

    /// Where it is.
    pub(crate) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// What has a router ask it, every second.
    pub(crate) fn config(&self) -> Value {
        json!({"dns": {"servers": [self.address().to_string()], "refresh": "1s", "timeout": "1s"}})
    }
}
