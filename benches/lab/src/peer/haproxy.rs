//! `HAProxy`: a map from the header to the name of a backend, and a backend for each tenant. In
//! `mode tcp` it is also the bound for what a proxy in user space can cost.

use std::{fmt::Write as _, path::PathBuf};

use tokio::process::Command;

use super::{
    Control, Kind, Peer, Setup,
    program::Program,
    setup::{CHECK_SECONDS, TlsFiles},
};
use crate::{
    error::BenchError,
    lab::{FILES, Lab, START_LIMIT, tenant_id, write},
    port::Port,
    process::Process,
};

/// What it has read and reads again.
#[derive(Debug)]
pub(super) struct Files {
    port: u16,
    folder: PathBuf,
}

/// One backend per tenant.
pub(super) async fn start(lab: &Lab, setup: &Setup) -> Result<Peer, BenchError> {
    run(lab, Kind::Haproxy, setup).await
}

/// Bytes to the first tenant's endpoint.
pub(super) async fn forward(lab: &Lab, setup: &Setup) -> Result<Peer, BenchError> {
    run(lab, Kind::TcpForward, setup).await
}

async fn run(lab: &Lab, kind: Kind, setup: &Setup) -> Result<Peer, BenchError> {
    let program = Program::Haproxy.find()?;
    let port = Port::take()?;
    let files = Files {
        port: port.address().port(),
        folder: lab.room("haproxy")?,
    };
    files.write(kind, setup)?;
    let mut command = Command::new(program);
    // As its service unit does: a master that can be told to read everything again.
    command
        .arg("-W")
        .arg("-db")
        .arg("-f")
        .arg(files.folder.join("haproxy.cfg"))
        .current_dir(&files.folder);
    let process = Process::start("haproxy", command, lab.cpus.proxy, &files.folder)?;
    let mut peer = Peer {
        kind,
        address: port.address(),
        setup: setup.clone(),
        process: Some(process),
        control: Control::Haproxy(files),
        _ports: vec![port],
    };
    peer.wait_until_listening(START_LIMIT).await?;
    Ok(peer)
}

impl Files {
    pub(super) fn prepare(&self, setup: &Setup) -> Result<(), BenchError> {
        self.write(Kind::Haproxy, setup)
    }

    fn write(&self, kind: Kind, setup: &Setup) -> Result<(), BenchError> {
        let listener = self.listener(setup)?;
        let global = global(setup.workers);
        let text = if kind == Kind::TcpForward {
            let home = setup.first_endpoint();
            format!(
                "{global}defaults\n  mode tcp\n{TIMEOUTS}listen forward\n  {listener}\n  server only \
                 {home}\n"
            )
        } else {
            let map = self.folder.join("tenants.map");
            write(&map, &map_of(setup))?;
            let map = map.display();
            format!(
                "{global}defaults\n  mode http\n  http-reuse always\n{TIMEOUTS}frontend public\n  \
                 {listener}\n  use_backend %[req.hdr(x-tenant-id),map_str({map},unknown)]\nbackend \
                 unknown\n  http-request return status 400\n{}",
                backends(setup)
            )
        };
        write(&self.folder.join("haproxy.cfg"), &text)
    }

    fn listener(&self, setup: &Setup) -> Result<String, BenchError> {
        let bind = format!("bind 127.0.0.1:{}", self.port);
        let Some(tls) = &setup.tls else {
            return Ok(bind);
        };
        let pem = self.folder.join("public.pem");
        write(&pem, &chain_and_key(tls)?)?;
        Ok(format!("{bind} ssl crt {} alpn h2,http/1.1", pem.display()))
    }
}

const TIMEOUTS: &str = "  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n";

/// Connections are limited by open files, as they are by default, but not by more than all have. By
/// default a quarter of these may be idle connections to servers, which would close those of most
/// tenants after each request. Without `log`, there is none.
fn global(workers: u32) -> String {
    format!(
        "global\n  nbthread {workers}\n  fd-hard-limit {FILES}\n  tune.pool-high-fd-ratio 90\n  \
         tune.pool-low-fd-ratio 80\n"
    )
}

fn map_of(setup: &Setup) -> String {
    let mut map = String::new();
    for (tenant, _) in setup.tenants() {
        let id = tenant_id(tenant);
        // Writing into a `String` does not fail.
        let _ = writeln!(map, "{id} {id}");
    }
    map
}

fn backends(setup: &Setup) -> String {
    let mut text = String::new();
    for (tenant, endpoints) in setup.tenants() {
        let _ = writeln!(text, "backend {}", tenant_id(tenant));
        // Health checks make sense where there is a choice.
        let several = endpoints.len() > 1;
        if several {
            text.push_str(
                "  balance roundrobin\n  option httpchk GET /health\n  option redispatch 1\n  \
                 retry-on all-retryable-errors\n",
            );
        }
        let check = if several {
            format!(" check inter {CHECK_SECONDS}s")
        } else {
            String::new()
        };
        for (number, endpoint) in endpoints.iter().enumerate() {
            let _ = writeln!(text, "  server s{number} {endpoint}{check}");
        }
    }
    text
}

/// It wants both in one file.
fn chain_and_key(tls: &TlsFiles) -> Result<String, BenchError> {
    let read = |file: &PathBuf| {
        std::fs::read_to_string(file)
            .map_err(|error| BenchError::io(format!("read {}", file.display()), error))
    };
    Ok(read(&tls.cert)? + &read(&tls.key)?)
}
