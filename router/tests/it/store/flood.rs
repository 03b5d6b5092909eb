//! Ids that nobody has ever heard of, in great numbers.

use std::net::SocketAddr;

use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{
    acme::{acme, of_acme, request},
    client::RawClient,
    load::Load,
    upstream::Upstream,
};

/// Distinct ids, and the requests that name them.
const IDS: u32 = 100_000;
const CLIENTS: u32 = 16;
/// Requests that a client has under way at one time.
const BATCH: u32 = 25;
/// Unknown ids that the router may remember.
const REMEMBERED: u32 = 10_000;

/// Asks once as each of these ids, and answers how many were refused as unknown.
async fn refused(address: SocketAddr, ids: Vec<u32>) -> u32 {
    let mut client = RawClient::connect(address).await;
    let mut refused = 0;
    for batch in ids.chunks(BATCH as usize) {
        let mut bytes = String::new();
        for id in batch {
            let headers = format!("X-Tenant-ID: nobody-{id}\r\n");
            bytes += &request("GET /api/v1/query?query=1", &headers, "");
        }
        client.send(bytes).await;
        for id in batch {
            let reply = client.reply().await.expect("a reply");
            assert_eq!(reply.status(), 403, "nobody-{id}: {reply:?}");
            refused += 1;
        }
    }
    refused
}

async fn flood(address: SocketAddr, from: u32, to: u32) -> u32 {
    let mut clients = JoinSet::new();
    for nth in 0..CLIENTS {
        let ids = (from..to).filter(|id| id % CLIENTS == nth).collect();
        clients.spawn(refused(address, ids));
    }
    clients.join_all().await.into_iter().sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_unknown_ids_costs_bounded_memory_and_nobody_else_anything() {
    let upstream = Upstream::saying("fine");
    let cache = json!({"cache": {"negative_capacity": REMEMBERED}});
    let mirador = acme(&upstream, cache).await;
    let load = Load::start(mirador.address(), 1, 1, &of_acme("GET /api/v1/labels", ""));
    // What every id costs at first: buffers, threads of the store, a page or two.
    let warm_up = IDS / 50;
    assert_eq!(flood(mirador.address(), 0, warm_up).await, warm_up);
    let before = mirador.process.memory().resident_kib;
    mirador.process.forget_peak();
    let all = flood(mirador.address(), warm_up, warm_up + IDS).await;
    assert_eq!(all, IDS);
    let grown = mirador.process.memory().peak_kib.saturating_sub(before);
    assert!(grown < 32 * 1024, "memory grew by {grown} KiB");
    let tally = load.stop().await;
    assert_eq!(tally.lost, Vec::<String>::new(), "of {}", tally.answered);
    assert!(tally.answered > 100, "{tally:?}");
    let metrics = mirador.metrics().await;
    let entries = |kind| metrics.sum("mirador_tenant_cache_entries", &[("kind", kind)]);
    assert!(entries("unknown_id") <= f64::from(REMEMBERED));
    assert!((0.5..1.5).contains(&entries("tenant")), "acme is known");
    // Names of strangers are no labels.
    assert!(!metrics.text.contains("nobody-"), "{}", metrics.text);
    let unknown = [("tenant", "__unknown__"), ("code", "403")];
    let counted = metrics.sum("mirador_requests_total", &unknown);
    assert!(
        (counted - f64::from(IDS + warm_up)).abs() < 0.5,
        "{counted}"
    );
    let misses = metrics.sum("mirador_tenant_cache_misses_total", &[]);
    assert!(
        (misses - counted).abs() < 0.5,
        "{misses} look-ups had to ask the store, for {counted} requests"
    );
}
