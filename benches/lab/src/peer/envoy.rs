//! Envoy: a route whose cluster is named by the header, and a cluster for each tenant, read from a
//! file that it watches.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use tokio::process::Command;

use super::{Control, Kind, Peer, Setup, program::Program, setup::CHECK_SECONDS};
use crate::{
    error::BenchError,
    lab::{Lab, START_LIMIT, tenant_id, write},
    port::Port,
    process::Process,
};

/// Connections, requests and retries at one time to one cluster, which nothing here should meet: by
/// default, three retries.
const UNLIMITED: u32 = 1_000_000;

/// What it has read and watches.
#[derive(Debug)]
pub(super) struct Files {
    clusters: PathBuf,
}

pub(super) async fn start(lab: &Lab, setup: &Setup) -> Result<Peer, BenchError> {
    let program = Program::Envoy.find()?;
    let port = Port::take()?;
    let folder = lab.room("envoy")?;
    let files = Files {
        clusters: folder.join("clusters.json"),
    };
    write(&files.clusters, &clusters(setup).to_string())?;
    // JSON is YAML.
    let bootstrap = folder.join("envoy.json");
    let text = bootstrap_of(port.address(), setup, &files.clusters).to_string();
    write(&bootstrap, &text)?;
    let mut command = Command::new(program);
    command
        .arg("--config-path")
        .arg(&bootstrap)
        .arg("--concurrency")
        .arg(setup.workers.to_string())
        .args(["--disable-hot-restart", "--log-level", "error"])
        .current_dir(&folder);
    let process = Process::start("envoy", command, lab.cpus.proxy, &folder)?;
    let mut peer = Peer {
        kind: Kind::Envoy,
        address: port.address(),
        setup: setup.clone(),
        process: Some(process),
        control: Control::Envoy(files),
        _ports: vec![port],
    };
    // It listens once all clusters are warm.
    peer.wait_until_listening(START_LIMIT).await?;
    Ok(peer)
}

impl Files {
    pub(super) fn prepare(&self, setup: &Setup) -> Result<(), BenchError> {
        write(&self.prepared(), &clusters(setup).to_string())
    }

    /// It acts when a file is moved over the one it watches.
    pub(super) fn publish(&self) -> Result<(), BenchError> {
        std::fs::rename(self.prepared(), &self.clusters)
            .map_err(|error| BenchError::io(format!("replace {}", self.clusters.display()), error))
    }

    fn prepared(&self) -> PathBuf {
        self.clusters.with_extension("new")
    }
}

fn bootstrap_of(listener: SocketAddr, setup: &Setup, clusters: &Path) -> Value {
    // No deadline for the whole answer, as exports and tails have none.
    let mut route = json!({ "cluster_header": "x-tenant-id", "timeout": "0s" });
    // Another attempt makes sense where there is a choice.
    if setup.tenants().any(|(_, endpoints)| endpoints.len() > 1) {
        route["retry_policy"] = json!({
            "retry_on": "connect-failure,refused-stream,reset,gateway-error",
            "num_retries": 2,
            "retry_host_predicate": [{
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
                },
            }],
            "host_selection_retry_max_attempts": 3,
        });
    }
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "public",
        "codec_type": "AUTO",
        "route_config": {
            "virtual_hosts": [{
                "name": "all",
                "domains": ["*"],
                "routes": [{
                    "match": { "prefix": "/" },
                    "route": route,
                }],
            }],
        },
        "http_filters": [{
            "name": "envoy.filters.http.router",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
            },
        }],
    });
    let mut chain = json!({
        "filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": manager,
        }],
    });
    if let Some(tls) = &setup.tls {
        chain["transport_socket"] = json!({
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
                "common_tls_context": {
                    "alpn_protocols": ["h2", "http/1.1"],
                    "tls_certificates": [{
                        "certificate_chain": { "filename": tls.cert },
                        "private_key": { "filename": tls.key },
                    }],
                },
            },
        });
    }
    json!({
        "node": { "id": "lab", "cluster": "lab" },
        "dynamic_resources": {
            "cds_config": { "path_config_source": { "path": clusters }, "resource_api_version": "V3" },
        },
        "static_resources": {
            "listeners": [{
                "name": "public",
                "address": socket_address(listener),
                "filter_chains": [chain],
            }],
        },
    })
}

fn clusters(setup: &Setup) -> Value {
    let one = |(tenant, endpoints): (u32, &[SocketAddr])| cluster(tenant, endpoints);
    json!({
        // It must differ for the file to be looked into.
        "version_info": format!("{:?}", std::time::SystemTime::now()),
        "resources": setup.tenants().map(one).collect::<Vec<_>>(),
    })
}

fn cluster(tenant: u32, endpoints: &[SocketAddr]) -> Value {
    let id = tenant_id(tenant);
    let one =
        |endpoint: &SocketAddr| json!({ "endpoint": { "address": socket_address(*endpoint) } });
    let lb_endpoints: Vec<Value> = endpoints.iter().map(one).collect();
    let limit = json!({
        "max_connections": UNLIMITED,
        "max_pending_requests": UNLIMITED,
        "max_requests": UNLIMITED,
        "max_retries": UNLIMITED,
    });
    let mut cluster = json!({
        "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
        "name": id,
        "type": "STATIC",
        "connect_timeout": "5s",
        "circuit_breakers": { "thresholds": [limit] },
        "load_assignment": { "cluster_name": id, "endpoints": [{ "lb_endpoints": lb_endpoints }] },
    });
    // Health checks make sense where there is a choice.
    if endpoints.len() > 1 {
        cluster["health_checks"] = json!([{
            "timeout": format!("{CHECK_SECONDS}s"),
            "interval": format!("{CHECK_SECONDS}s"),
            "unhealthy_threshold": 3,
            "healthy_threshold": 2,
            "http_health_check": { "path": "/health" },
        }]);
    }
    cluster
}

fn socket_address(address: SocketAddr) -> Value {
    json!({
        "socket_address": { "address": address.ip(), "port_value": address.port() },
    })
}
