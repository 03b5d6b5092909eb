//! vmauth, the `VictoriaMetrics` project's own proxy: as its documentation recommends it for
//! tenants, with a bearer token for each; and with routes by header.

use std::{fmt::Write as _, net::SocketAddr, path::PathBuf};

use tokio::process::Command;

use super::{Control, Kind, Peer, Setup, program::Program};
use crate::{
    error::BenchError,
    lab::{Lab, START_LIMIT, bearer_of, tenant_id, write},
    port::Port,
    process::Process,
};

/// What it has read and reads again.
#[derive(Debug)]
pub(super) struct Files {
    kind: Kind,
    config: PathBuf,
}

pub(super) async fn start(lab: &Lab, kind: Kind, setup: &Setup) -> Result<Peer, BenchError> {
    let program = Program::Vmauth.find()?;
    let port = Port::take()?;
    let folder = lab.room("vmauth")?;
    let files = Files {
        kind,
        config: folder.join("vmauth.yaml"),
    };
    files.prepare(setup)?;
    let mut command = Command::new(program);
    command
        .env("GOMAXPROCS", setup.workers.to_string())
        .arg(format!("-auth.config={}", files.config.display()))
        .arg(format!("-httpListenAddr={}", port.address()))
        // Nothing of a tenant's is to wait for another's.
        .arg("-maxConcurrentRequests=100000")
        .arg("-maxConcurrentPerUserRequests=100000");
    if let Some(tls) = &setup.tls {
        command
            .arg("-tls")
            .arg(format!("-tlsCertFile={}", tls.cert.display()))
            .arg(format!("-tlsKeyFile={}", tls.key.display()));
    }
    let process = Process::start("vmauth", command, lab.cpus.proxy, &folder)?;
    let mut peer = Peer {
        kind,
        address: port.address(),
        setup: setup.clone(),
        process: Some(process),
        control: Control::Vmauth(files),
        _ports: vec![port],
    };
    peer.wait_until_listening(START_LIMIT).await?;
    Ok(peer)
}

impl Files {
    pub(super) fn prepare(&self, setup: &Setup) -> Result<(), BenchError> {
        let by_header = self.kind == Kind::VmauthByHeader;
        let text = if by_header {
            routes(setup)
        } else {
            users(setup)
        };
        write(&self.config, &text)
    }
}

fn users(setup: &Setup) -> String {
    let mut config = String::from("users:\n");
    for (tenant, endpoints) in setup.tenants() {
        let (token, prefixes) = (bearer_of(tenant), prefixes(endpoints));
        // Writing into a `String` does not fail.
        let _ = writeln!(config, "- bearer_token: {token}\n  url_prefix: {prefixes}");
    }
    config
}

fn routes(setup: &Setup) -> String {
    let mut config = String::from("unauthorized_user:\n  url_map:\n");
    for (tenant, endpoints) in setup.tenants() {
        let (id, prefixes) = (tenant_id(tenant), prefixes(endpoints));
        let _ = writeln!(
            config,
            "  - src_headers: [\"X-Tenant-ID: {id}\"]\n    url_prefix: {prefixes}"
        );
    }
    config
}

fn prefixes(endpoints: &[SocketAddr]) -> String {
    let list: Vec<String> = endpoints
        .iter()
        .map(|endpoint| format!("\"http://{endpoint}/\""))
        .collect();
    format!("[{}]", list.join(", "))
}
