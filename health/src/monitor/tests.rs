//! The monitor against real servers, and its timing under a paused clock where no socket is
//! involved.

mod looking;
mod probing;
mod requests;
mod server;
mod shares;
mod sharing;
mod storm;

use std::net::SocketAddr;

use reqwest::{
    Certificate, Client, ClientBuilder, Method,
    header::{HeaderName, HeaderValue},
    redirect,
};
use tokio::{runtime::Handle, task::JoinHandle};

use self::server::{Conduct, Server, refusing};
use super::*;
use crate::{
    deep::DeepCheck,
    finding::{Finding, Findings},
    probe::{ProbeFailure, client_builder},
    product::Product,
    terms::ProbeTerms,
    transition::{Availability, Failure, Reason},
};

/// Quick enough for a test, slow enough for a busy machine.
const QUICK: ProbeSpec = ProbeSpec {
    interval: Duration::from_millis(20),
    timeout: Duration::from_secs(5),
    healthy_after: 2,
    unhealthy_after: 3,
};
/// Probes once when watched, and then only when asked.
const RARE: ProbeSpec = ProbeSpec {
    interval: Duration::from_hours(1),
    ..QUICK
};

fn config() -> MonitorConfig {
    let ejection = EjectionPolicy {
        base: Duration::from_millis(50),
        ..EjectionPolicy::default()
    };
    MonitorConfig {
        ejection,
        jitter: 0.0,
        ..MonitorConfig::default()
    }
}

/// Once down, an endpoint isn't asked again within any test.
fn config_without_retries() -> MonitorConfig {
    let ejection = EjectionPolicy {
        base: Duration::from_hours(1),
        ..EjectionPolicy::default()
    };
    MonitorConfig {
        ejection,
        ..config()
    }
}

fn start(config: MonitorConfig) -> (Arc<Monitor>, JoinHandle<()>) {
    let monitor = Monitor::new(config);
    let task = tokio::spawn(Arc::clone(&monitor).run());
    (monitor, task)
}

fn target(address: SocketAddr, probe: Option<ProbeSpec>) -> Target {
    Target {
        url: format!("http://{address}/health").parse().unwrap(),
        address: None,
        of: None,
        name: address.to_string().into(),
        probe,
        terms: None,
        deep: None,
        client: client(),
        authorization: None,
        identity: 0,
    }
}

fn client() -> Client {
    builder().build().unwrap()
}

fn builder() -> ClientBuilder {
    // Every test tries; whichever comes first in this process succeeds.
    let _ = rustls::crypto::ring::default_provider().install_default();
    client_builder()
}

async fn next(transitions: &mut broadcast::Receiver<Transition>) -> Transition {
    time::timeout(DEADLINE, transitions.recv())
        .await
        .expect("a transition in time")
        .unwrap()
}

async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let holds = async {
        while !condition() {
            time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(
        time::timeout(DEADLINE, holds).await.is_ok(),
        "not in time: {what}"
    );
}

const DEADLINE: Duration = Duration::from_secs(20);
