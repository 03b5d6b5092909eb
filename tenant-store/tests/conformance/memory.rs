//! Ten thousand tenants are listed: each once, in order, in memory that is bounded by the page and not
//! by their number. Each store in a process of its own, as memory is counted by process.

use std::{env, fs, process::Command, sync::Arc};

use serde_json::json;
use tenant_store::{
    model::{Tenant, TenantId},
    repository::{Expect, ListQuery, Repository, TenantRepository},
};
use tokio::task::JoinSet;

use crate::{
    Store, files, postgres,
    samples::{id, put, tenant},
    sqlite, weaviate,
};

const TENANTS: usize = 10_000;

/// Bytes of each tenant, about: 80 MB in all.
const SIZE: usize = 8 * 1024;

/// What listing may take beyond what was there before: a few pages, in a few forms.
const BOUND: usize = 24 * 1024 * 1024;

/// Says that this process is there for one test only.
const ALONE: &str = "MIRADOR_TEST_ALONE";

/// Runs the test of this name in a process of its own, unless this is it.
async fn alone(name: &str, test: impl Future<Output = ()>) {
    if env::var_os(ALONE).is_some() {
        return test.await;
    }
    let run = Command::new(env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&run.stdout);
    print!("{told}");
    let complaint = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{told}{complaint}");
    assert!(told.contains("listed in"), "it did not run: {told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_sqlite() {
    alone("memory::of_sqlite", listed(sqlite::SqliteFile::new())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_postgres() {
    let test = async { listed(postgres::Database::new().await).await };
    alone("memory::of_postgres", test).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_weaviate() {
    let test = async { listed(weaviate::Classes::new()).await };
    alone("memory::of_weaviate", test).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_files() {
    alone("memory::of_files", listed(files::Edited::new())).await;
}

async fn listed(store: impl Store) {
    fill(&store.open().await).await;
    let store = store.open().await;
    // Whatever is made once is made.
    list(&store, 1).await;
    // Forgets the peak of what came before.
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = memory("VmRSS");
    let listed = list(&store, usize::MAX).await;
    let grown = memory("VmHWM").saturating_sub(before);
    let expected: Vec<_> = (0..TENANTS).map(|n| id(&format!("t-{n:05}"))).collect();
    assert_eq!(listed, expected);
    println!(
        "{TENANTS} tenants of {SIZE} bytes listed in {} KiB beyond {} KiB",
        grown / 1024,
        before / 1024
    );
    assert!(grown < BOUND, "{grown} bytes");
}

async fn fill(store: &Arc<Repository>) {
    /// So that it does not take for ever where a write has to wait.
    const WRITERS: usize = 20;
    let mut writing = JoinSet::new();
    for writer in 0..WRITERS {
        let store = store.clone();
        writing.spawn(async move {
            for number in (writer..TENANTS).step_by(WRITERS) {
                let tenant = large(&format!("t-{:05}", (number * 7919) % TENANTS));
                put(&*store, tenant, Expect::Absent).await.unwrap();
            }
        });
    }
    while let Some(written) = writing.join_next().await {
        written.unwrap();
    }
}

/// A tenant whose secret is in a folder with a long name.
fn large(id: &str) -> Tenant {
    let file = format!("/{}", "x".repeat(SIZE));
    let mut document = serde_json::to_value(tenant(id)).unwrap();
    document["deployments"]["metrics"]["auth"] = json!({"bearer": {"token": {"file": file}}});
    serde_json::from_value(document).unwrap()
}

/// The tenants on so many pages, the last of which is just full.
async fn list(store: &Repository, pages: usize) -> Vec<TenantId> {
    let mut query = ListQuery {
        limit: 100,
        ..ListQuery::default()
    };
    let mut ids = Vec::new();
    for _ in 0..pages {
        let page = store.list(&query).await.unwrap();
        assert_eq!(page.records.len(), 100);
        ids.extend(page.records.into_iter().map(|record| record.tenant.id));
        query.after = page.next;
        if query.after.is_none() {
            break;
        }
    }
    ids
}

/// What the kernel says of this process's memory, in bytes.
fn memory(what: &str) -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(what)).unwrap();
    let kib: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib * 1024
}
