//! A store that is locked, or gone: known tenants notice nothing.

use std::{fs, path::Path, process::Command};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{READ, WRITE, asked};
use crate::support::{
    acme::of_acme, eventually, load::Load, mirador::Mirador, process::Process, tenant::Tenant,
    tools::tool, upstream::Upstream,
};

/// Takes every lock there is on a database: the writers' and, in the index of its journal, that of
/// whoever repairs it, which keeps readers out as well. Holds them until killed.
const LOCKER: &str = r#"
import fcntl, sqlite3, sys, time
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("BEGIN EXCLUSIVE")
index = open(sys.argv[1] + "-shm", "r+b")
fcntl.lockf(index, fcntl.LOCK_EX, 8, 120)
print("locked", flush=True)
time.sleep(3600)
"#;

/// What knows acme, and finds out soon that its store fails.
async fn impatient(upstream: &Upstream) -> Mirador {
    let config = json!({
        "cache": {"soft_ttl": "1s", "load_timeout": "500ms", "negative_ttl": "100ms"},
        "store": {"busy_timeout": "100ms"},
    });
    let mirador = Mirador::with(config).await;
    mirador
        .apply(&Tenant::new("acme").metrics(&[upstream.url()]))
        .await;
    mirador
}

/// Checks what everybody gets while the store fails: `nobody` is an id that was never asked for.
async fn check_outage(mirador: &Mirador, nobody: &str) {
    let load = Load::start(mirador.address(), 4, 2, &of_acme(READ, ""));
    load.until_answered(300).await;
    // Not until the router has tried to read acme again, and failed.
    let failed = [("op", "get"), ("result", "error")];
    mirador
        .until_metric("mirador_repository_requests_total", &failed, |count| {
            count > 0.0
        })
        .await;
    for line in [READ, WRITE] {
        let reply = asked(mirador, nobody, line).await;
        let text = reply.body.text();
        assert_eq!(reply.status(), 503, "{line}: {text}");
        assert_eq!(reply.head.get("retry-after"), Some("1"), "{line}");
        assert!(text.contains(r#""reason":"lookup_unavailable""#), "{text}");
    }
    check_admin(mirador).await;
    load.until_answered(300).await;
    let tally = load.stop().await;
    assert_eq!(tally.lost, Vec::<String>::new(), "of {}", tally.answered);
}

/// Checks that nothing is said to be written, and nothing is, and that the router stays ready.
async fn check_admin(mirador: &Mirador) {
    let path = "/api/v1/tenants/acme";
    let suspended = Tenant::new("acme").set("/status", "suspended");
    for request in [
        mirador.admin(Method::PUT, path).json(suspended.document()),
        mirador.admin(Method::DELETE, path),
    ] {
        let reply = request.header("If-Match", "*").send().await;
        let reply = reply.expect("an answer");
        assert_eq!(reply.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(reply.headers()["retry-after"], "1");
        let told: Value = reply.json().await.expect("JSON");
        assert_eq!(told["type"], "/problems/unavailable", "{told}");
    }
    let ready = mirador.admin(Method::GET, "/readyz").send().await;
    assert_eq!(ready.expect("an answer").status(), StatusCode::OK);
}

/// Waits until all is as if nothing had happened.
async fn until_over(mirador: &Mirador, nobody: &str) {
    let settled = async || {
        let refused = asked(mirador, nobody, READ).await.status() == 403;
        let path = "/api/v1/tenants/acme";
        let record = mirador.admin(Method::GET, path).send().await.ok()?;
        (refused && record.status().is_success()).then_some(())
    };
    eventually("the store to answer again", settled).await;
    assert_eq!(asked(mirador, "acme", READ).await.status(), 200);
    let suspended = Tenant::new("acme").set("/status", "suspended");
    mirador.apply(&suspended).await;
    assert_eq!(asked(mirador, "acme", READ).await.status(), 403);
}

pub(crate) async fn lock(database: &Path, folder: &Path) -> Process {
    let mut command = Command::new(tool(&["python3"]));
    command.arg("-c").arg(LOCKER).arg(database);
    let locker = Process::spawn("locker", &mut command, folder);
    let holds = async || locker.output().contains("locked").then_some(());
    eventually("the database to be locked", holds).await;
    locker
}

#[tokio::test]
async fn a_locked_store_fails_no_known_tenant() {
    let upstream = Upstream::saying("fine");
    let mirador = impatient(&upstream).await;
    let folder = tempfile::tempdir().expect("a folder");
    let locker = lock(&mirador.folder().join("mirador.db"), folder.path()).await;
    check_outage(&mirador, "nobody").await;
    drop(locker);
    until_over(&mirador, "nobody-either").await;
}

#[tokio::test]
async fn a_store_that_is_gone_fails_no_known_tenant() {
    let upstream = Upstream::saying("fine");
    let mirador = impatient(&upstream).await;
    let away: TempDir = tempfile::tempdir_in(mirador.folder()).expect("a folder");
    let files = ["mirador.db", "mirador.db-wal", "mirador.db-shm"];
    for file in files {
        fs::rename(mirador.folder().join(file), away.path().join(file)).expect("a file to move");
    }
    check_outage(&mirador, "nobody").await;
    assert!(
        !mirador.folder().join("mirador.db").exists(),
        "nobody makes a new one"
    );
    for file in files {
        fs::rename(away.path().join(file), mirador.folder().join(file)).expect("a file to move");
    }
    until_over(&mirador, "nobody-either").await;
}
