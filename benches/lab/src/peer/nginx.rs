//! nginx: a map from the header to the name of an upstream, and an upstream with idle connections
//! for each tenant.

use std::{fmt::Write as _, path::PathBuf};

use tokio::process::Command;

use super::{Control, Kind, Peer, Setup, program::Program};
use crate::{
    error::BenchError,
    lab::{Lab, START_LIMIT, tenant_id, write},
    port::Port,
    process::Process,
};

/// Connections of one worker, to clients and upstreams together.
const CONNECTIONS: u32 = 15_000;
/// Idle connections that a worker keeps for each upstream.
const KEEPALIVE: u32 = 64;

/// What it has read and reads again.
#[derive(Debug)]
pub(super) struct Files {
    port: u16,
    folder: PathBuf,
}

pub(super) async fn start(lab: &Lab, setup: &Setup) -> Result<Peer, BenchError> {
    let program = Program::Nginx.find()?;
    let port = Port::take()?;
    let files = Files {
        port: port.address().port(),
        folder: lab.room("nginx")?,
    };
    files.prepare(setup)?;
    let mut command = Command::new(program);
    command
        .arg("-p")
        .arg(&files.folder)
        .arg("-e")
        .arg("stderr")
        .arg("-c")
        .arg(files.folder.join("nginx.conf"));
    let process = Process::start("nginx", command, lab.cpus.proxy, &files.folder)?;
    let mut peer = Peer {
        kind: Kind::Nginx,
        address: port.address(),
        setup: setup.clone(),
        process: Some(process),
        control: Control::Nginx(files),
        _ports: vec![port],
    };
    peer.wait_until_listening(START_LIMIT).await?;
    Ok(peer)
}

impl Files {
    pub(super) fn prepare(&self, setup: &Setup) -> Result<(), BenchError> {
        let workers = setup.workers;
        let (mut map, mut upstreams) = (String::new(), String::new());
        for (tenant, endpoints) in setup.tenants() {
            let id = tenant_id(tenant);
            // Writing into a `String` does not fail.
            let _ = writeln!(map, "    {id} {id};");
            let _ = writeln!(upstreams, "  upstream {id} {{");
            for endpoint in endpoints {
                let _ = writeln!(upstreams, "    server {endpoint};");
            }
            let _ = writeln!(upstreams, "    keepalive {KEEPALIVE};\n  }}");
        }
        let folder = self.folder.display();
        let listener = self.listener(setup);
        let text = format!(
            "daemon off;\npid {folder}/nginx.pid;\nworker_processes {workers};\n\
             error_log stderr error;\n\
             events {{\n  worker_connections {CONNECTIONS};\n}}\n\
             http {{\n  access_log off;\n  client_body_temp_path {folder}/body;\n  \
             proxy_temp_path {folder}/proxy;\n  fastcgi_temp_path {folder}/fastcgi;\n  \
             uwsgi_temp_path {folder}/uwsgi;\n  scgi_temp_path {folder}/scgi;\n  \
             tcp_nodelay on;\n  keepalive_requests 100000000;\n  \
             map_hash_bucket_size 128;\n  map_hash_max_size 65536;\n  \
             map $http_x_tenant_id $backend {{\n    default \"\";\n{map}  }}\n{upstreams}  \
             server {{\n{listener}    client_max_body_size 0;\n    \
             proxy_request_buffering off;\n    proxy_buffers 16 64k;\n    \
             proxy_busy_buffers_size 128k;\n    proxy_max_temp_file_size 0;\n    location / {{\n      \
             if ($backend = \"\") {{ return 400; }}\n      proxy_pass http://$backend;\n      \
             proxy_http_version 1.1;\n      proxy_set_header Connection \"\";\n      \
             proxy_set_header Host $http_host;\n    }}\n  }}\n}}\n",
        );
        write(&self.folder.join("nginx.conf"), &text)
    }

    fn listener(&self, setup: &Setup) -> String {
        let port = self.port;
        match &setup.tls {
            // HTTP/2 for those that begin with it, as the others take it too.
            None => format!("    listen 127.0.0.1:{port} backlog=4096;\n    http2 on;\n"),
            Some(tls) => format!(
                "    listen 127.0.0.1:{port} ssl backlog=4096;\n    http2 on;\n    \
                 ssl_certificate {};\n    ssl_certificate_key {};\n    \
                 ssl_session_cache shared:tls:10m;\n    ssl_session_tickets on;\n",
                tls.cert.display(),
                tls.key.display()
            ),
        }
    }
}
