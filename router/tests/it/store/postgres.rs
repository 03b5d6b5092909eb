//! Two routers on one `PostgreSQL`: what one changes takes effect at the other, soon, and after an
//! outage too, in which no known tenant notices anything.

#[path = "../../../../tenant-store/tests/support/postgres.rs"]
mod server;

use std::{
    env, fs,
    sync::Arc,
    time::{Duration, Instant},
};

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::spawn_blocking;

use self::server::PostgresServer;
use super::{READ, WRITE, asked, spread::keys_and_tiers_hold};
use crate::support::{
    acme::of_acme, eventually, load::Load, mirador::Mirador, tenant::Tenant, upstream::Upstream,
};

/// Within this, a change takes effect everywhere.
const BOUND: Duration = Duration::from_secs(1);

const ACME: &str = "/api/v1/tenants/acme";

/// A server, and where its URL is written down.
struct Database {
    server: Arc<PostgresServer>,
    folder: TempDir,
}

impl Database {
    async fn start() -> Self {
        let server = spawn_blocking(PostgresServer::start).await;
        let server = Arc::new(server.expect("a server"));
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("url"), server.url("postgres")).expect("the URL's file");
        let secret = "a-secret-of-the-tests-that-is-long-enough";
        fs::write(folder.path().join("secret"), secret).expect("the secret's file");
        Self { server, folder }
    }

    /// A router that waits for the database as long as it takes on a busy machine.
    async fn router(&self) -> Mirador {
        self.router_that_waits("10s").await
    }

    async fn router_that_waits(&self, timeout: &str) -> Mirador {
        Mirador::with(json!({
            "store": {
                "kind": "postgres",
                "path": null,
                "url_file": self.folder.path().join("url"),
                "tls": "off",
                "timeout": timeout,
            },
            "cache": {"soft_ttl": "1s", "load_timeout": timeout, "negative_ttl": "100ms"},
            "identify": {"sources": ["header", "api_key"]},
            "keys": {"secret_file": self.folder.path().join("secret")},
        }))
        .await
    }

    async fn stop(&self) {
        let server = self.server.clone();
        let stopping = spawn_blocking(move || server.stop());
        stopping.await.expect("a stopped server");
    }

    async fn run_again(&self) {
        let server = self.server.clone();
        let starting = spawn_blocking(move || server.run_again());
        starting.await.expect("a server");
    }
}

/// Waits until a read of acme's gets this status.
async fn until_status(mirador: &Mirador, status: u16) {
    let what = format!("acme to get {status}");
    let fits = async || (asked(mirador, "acme", READ).await.status() == status).then_some(());
    eventually(&what, fits).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_at_one_router_takes_effect_at_the_other_in_time() {
    const CHANGES: usize = 200;
    let upstream = Upstream::saying("fine");
    let database = Database::start().await;
    let routers = [database.router().await, database.router().await];
    let acme = Tenant::new("acme").metrics(&[upstream.url()]);
    routers[0].apply(&acme).await;
    until_status(&routers[1], 200).await;
    let mut delays = Vec::with_capacity(CHANGES);
    for nth in 0..CHANGES {
        // Each of them in turn is the one that changes.
        let (here, there) = (&routers[nth % 2], &routers[(nth + 1) % 2]);
        let (status, expected) = match nth % 2 {
            0 => ("suspended", 403),
            _ => ("active", 200),
        };
        here.apply(&acme.clone().set("/status", status)).await;
        let answered = Instant::now();
        while asked(there, "acme", READ).await.status() != expected {
            let waited = answered.elapsed();
            assert!(waited < BOUND, "change {nth} has no effect yet");
        }
        delays.push(answered.elapsed());
    }
    delays.sort();
    let (median, worst) = (delays[CHANGES / 2], delays[CHANGES - 1]);
    println!(
        "{CHANGES} changes took effect at the other router: median {median:?}, worst {worst:?}"
    );
    assert!(worst < BOUND, "{worst:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_tiers_of_one_router_hold_at_the_other() {
    let database = Database::start().await;
    let (here, there) = (database.router().await, database.router().await);
    keys_and_tiers_hold(&here, &there, BOUND).await;
}

/// How long the database is gone: long enough for entries to be past their soft expiry several
/// times over. `MIRADOR_TEST_OUTAGE` says otherwise, in seconds.
fn outage() -> Duration {
    let seconds = env::var("MIRADOR_TEST_OUTAGE").ok();
    let seconds = seconds.map(|text| text.parse().expect("a number of seconds"));
    Duration::from_secs(seconds.unwrap_or(10))
}

async fn suspend(router: &Mirador, tenant: &Tenant) -> reqwest::Result<Response> {
    let suspended = tenant.clone().set("/status", "suspended");
    let put = router.admin(Method::PUT, ACME).json(suspended.document());
    put.header("If-Match", "*").send().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_the_database_fails_no_known_tenant() {
    let upstream = Upstream::saying("fine");
    let database = Database::start().await;
    let (first, second) = (
        database.router_that_waits("500ms").await,
        database.router_that_waits("500ms").await,
    );
    let acme = Tenant::new("acme").metrics(&[upstream.url()]);
    first.apply(&acme).await;
    until_status(&second, 200).await;
    let loads =
        [&first, &second].map(|router| Load::start(router.address(), 2, 1, &of_acme(READ, "")));

    database.stop().await;
    let stopped = Instant::now();
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
        let reply = suspend(router, &acme).await.expect("an answer");
        assert_eq!(reply.status(), StatusCode::SERVICE_UNAVAILABLE);
        let told: Value = reply.json().await.expect("JSON");
        assert!(!told.to_string().contains("p@ss"), "{told}");
    }
    // The time itself is what is tried here.
    tokio::time::sleep(outage().saturating_sub(stopped.elapsed())).await;
    database.run_again().await;
    for load in loads {
        load.until_answered(100).await;
        let tally = load.stop().await;
        assert_eq!(tally.lost, Vec::<String>::new(), "of {}", tally.answered);
        println!(
            "{} requests while the database was gone for {:?}: none failed",
            tally.answered,
            outage()
        );
    }

    let written = async || {
        let reply = suspend(&first, &acme).await.ok()?;
        reply.status().is_success().then_some(())
    };
    eventually("the store to be written again", written).await;
    until_status(&first, 403).await;
    until_status(&second, 403).await;
    for router in [&first, &second] {
        let log = router.process.log();
        assert!(!log.contains("p@ss") && !log.contains("p%40ss"), "{log}");
    }
}
