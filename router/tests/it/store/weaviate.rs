//! Two routers on one Weaviate, here a strict double of it: what one changes takes effect at the other
//! within a poll, keys and tiers as well as tenants, and after an outage too.

#[path = "../../../../tenant-store/tests/support/weaviate/double.rs"]
mod double;

use std::{
    fs,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::spawn_blocking;

use self::double::{Manners, Weaviate};
use super::{READ, WRITE, asked, spread::keys_and_tiers_hold};
use crate::support::{
    acme::of_acme, eventually, load::Load, mirador::Mirador, tenant::Tenant, upstream::Upstream,
};

const ACME: &str = "/api/v1/tenants/acme";

const POLL: Duration = Duration::from_millis(500);

/// How far behind the replica is that answers listings.
const LAG: Duration = Duration::from_millis(200);

/// Within this a change takes effect everywhere: the documentation's bound at this interval.
const BOUND: Duration = Duration::from_secs(2);

const API_KEY: &str = "a-key-of-the-tests";

/// A server that asks for a key, and where that is written down.
struct Database {
    server: Arc<Weaviate>,
    folder: TempDir,
}

impl Database {
    fn start() -> Self {
        let server = Arc::new(Weaviate::start(Manners {
            lag: LAG,
            api_key: Some(API_KEY.into()),
            ..Manners::default()
        }));
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in [
            ("key", API_KEY),
            ("other", "another-key"),
            ("secret", "a-secret-of-the-tests-that-is-long-enough"),
        ] {
            fs::write(folder.path().join(name), text).expect("a file");
        }
        Self { server, folder }
    }

    fn config(&self, key: &str) -> Value {
        json!({
            "store": {
                "kind": "weaviate",
                "path": null,
                "url": self.server.url(),
                "api_key_file": self.folder.path().join(key),
                "timeout": "500ms",
                "poll_interval": format!("{}ms", POLL.as_millis()),
                "settling": "10ms",
            },
            "cache": {"soft_ttl": "1s", "load_timeout": "500ms", "negative_ttl": "100ms"},
            "identify": {"sources": ["header", "api_key"]},
            "keys": {"secret_file": self.folder.path().join("secret")},
        })
    }

    async fn router(&self) -> Mirador {
        Mirador::with(self.config("key")).await
    }

    async fn stop(&self) {
        let server = self.server.clone();
        let stopping = spawn_blocking(move || server.stop());
        stopping.await.expect("a stopped server");
    }
}

/// Waits until a read of acme's gets this status, and answers how long that took.
async fn until_status(mirador: &Mirador, status: u16) -> Duration {
    let began = Instant::now();
    let what = format!("acme to get {status}");
    let fits = async || (asked(mirador, "acme", READ).await.status() == status).then_some(());
    eventually(&what, fits).await;
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_at_one_router_takes_effect_at_the_other_within_a_poll() {
    const CHANGES: usize = 20;
    let upstream = Upstream::saying("fine");
    let database = Database::start();
    let routers = [database.router().await, database.router().await];
    let acme = Tenant::new("acme").metrics(&[upstream.url()]);
    routers[0].apply(&acme).await;
    until_status(&routers[1], 200).await;
    let mut delays = Vec::new();
    for nth in 0..CHANGES {
        let (here, there) = (&routers[nth % 2], &routers[(nth + 1) % 2]);
        let (status, expected) = match nth % 2 {
            0 => ("suspended", 403),
            _ => ("active", 200),
        };
        here.apply(&acme.clone().set("/status", status)).await;
        assert_eq!(asked(here, "acme", READ).await.status(), expected);
        delays.push(until_status(there, expected).await);
    }
    delays.sort();
    let (median, worst) = (delays[CHANGES / 2], delays[CHANGES - 1]);
    println!("{CHANGES} changes, polling each {POLL:?}: median {median:?}, worst {worst:?}");
    assert!(worst < BOUND, "{worst:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_tiers_of_one_router_hold_at_the_other() {
    let database = Database::start();
    let (here, there) = (database.router().await, database.router().await);
    keys_and_tiers_hold(&here, &there, BOUND).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_weaviate_fails_no_known_tenant() {
    let upstream = Upstream::saying("fine");
    let database = Database::start();
    let (first, second) = (database.router().await, database.router().await);
    let acme = Tenant::new("acme").metrics(&[upstream.url()]);
    first.apply(&acme).await;
    until_status(&second, 200).await;
    let loads =
        [&first, &second].map(|router| Load::start(router.address(), 2, 1, &of_acme(READ, "")));

    database.stop().await;
    let suspended = acme.clone().set("/status", "suspended");
    let suspend = async |router: &Mirador| {
        let put = router.admin(Method::PUT, ACME).json(suspended.document());
        put.header("If-Match", "*").send().await.expect("an answer")
    };
    for (router, load) in [&first, &second].into_iter().zip(&loads) {
        let failed = [("op", "get"), ("result", "error")];
        let metric = "mirador_repository_requests_total";
        router
            .until_metric(metric, &failed, |count| count > 2.0)
            .await;
        load.until_answered(100).await;
        for line in [READ, WRITE] {
            let reply = asked(router, "nobody", line).await;
            assert_eq!(reply.status(), 503, "{line}");
        }
        let refused = suspend(router).await;
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        let told: Value = refused.json().await.expect("JSON");
        assert_eq!(told["type"], "/problems/unavailable", "{told}");
    }
    let again = database.server.clone();
    let starting = spawn_blocking(move || again.run_again());
    starting.await.expect("a server");
    for load in loads {
        load.until_answered(100).await;
        let tally = load.stop().await;
        assert_eq!(tally.lost, Vec::<String>::new(), "of {}", tally.answered);
    }
    let written = async || suspend(&first).await.status().is_success().then_some(());
    eventually("the store to be written again", written).await;
    until_status(&first, 403).await;
    until_status(&second, 403).await;
    for router in [&first, &second] {
        let log = router.process.log();
        assert!(!log.contains(API_KEY), "{log}");
    }
}

/// Nobody serves without having read who the tenants are.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_stops_the_start_and_is_not_shown() {
    let database = Database::start();
    let mut config = database.config("other");
    config["listen"] = json!({"public": "127.0.0.1:0"});
    config["store"]
        .as_object_mut()
        .expect("a map")
        .remove("path");
    let file = database.folder.path().join("mirador.yaml");
    fs::write(&file, config.to_string()).expect("the configuration's file");
    let serve = spawn_blocking(move || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mirador"));
        command.arg("serve").arg("--config").arg(file).output()
    });
    let ended = serve.await.expect("an end").expect("a process");
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    let told = String::from_utf8_lossy(&ended.stderr);
    assert!(told.contains("store.api_key_file"), "{told}");
    assert!(told.contains("401"), "{told}");
    assert!(!told.contains("another-key"), "{told}");
}
