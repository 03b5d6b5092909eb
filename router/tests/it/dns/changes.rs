//! What becomes of endpoints when a name has other addresses.

use std::sync::Arc;

use serde_json::json;
use tokio::sync::Notify;

use super::{are_up, assert_shared, authority, beside, each, shares, tenant, until};
use crate::support::{
    dns::Dns,
    mirador::Mirador,
    port::Port,
    upstream::{Step, Upstream, ok, send},
    within,
};

/// A new address takes its share without a restart, and one that has left gets nothing more, though
/// what it had begun is answered to the end.
#[tokio::test]
async fn endpoints_follow_their_name() {
    let gate = Arc::new(Notify::new());
    let held = Arc::clone(&gate);
    let [first, second] = Port::take_beside();
    let one = Upstream::start_on(first, move |asked| match asked.target() {
        "/api/v1/export" => {
            let begun = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nbegun";
            vec![send(begun), Step::Await(Arc::clone(&held)), send("ended")]
        }
        _ => ok("one"),
    });
    let two = Upstream::start_on(second, |_| ok("two"));
    let dns = Dns::start().await;
    dns.knows(&[("vm.test", &["127.0.0.1"])]);
    let mirador = Mirador::with(dns.config()).await;
    mirador.apply(&tenant("acme", "vm.test", &one)).await;

    // With one address it keeps its name.
    let called = format!("vm.test:{}", authority(&one).1);
    let told = until(&mirador, "acme", "one endpoint", |m| {
        are_up(m, std::slice::from_ref(&called)) && each(m, "address") == [one.authority()]
    })
    .await;
    assert_eq!(each(&told, "from"), ["-"], "{told}");
    assert_eq!(shares(&mirador, "acme", [&one, &two], 4).await, [4, 0]);

    dns.knows(&[("vm.test", &["127.0.0.1", "127.0.0.2"])]);
    let names = [one.authority(), two.authority()];
    until(&mirador, "acme", "two endpoints", |m| are_up(m, &names)).await;
    assert_shared(shares(&mirador, "acme", [&one, &two], 10).await);

    let mut slow = loop {
        let reply = mirador.get("acme", "/api/v1/export").await;
        if one
            .asked()
            .iter()
            .any(|asked| asked.target() == "/api/v1/export")
        {
            break reply;
        }
    };
    let begun = within("the beginning", slow.chunk())
        .await
        .expect("a chunk");
    assert_eq!(begun.as_deref(), Some(&b"begun"[..]));
    dns.knows(&[("vm.test", &["127.0.0.2"])]);
    until(&mirador, "acme", "the other endpoint", |m| {
        are_up(m, std::slice::from_ref(&called)) && each(m, "address") == [two.authority()]
    })
    .await;
    assert_eq!(shares(&mirador, "acme", [&one, &two], 10).await, [0, 10]);
    gate.notify_one();
    let ended = within("the end", slow.chunk()).await.expect("a chunk");
    assert_eq!(ended.as_deref(), Some(&b"ended"[..]));
    assert_eq!(
        within("no more", slow.chunk()).await.expect("the end"),
        None
    );
    // It was no failover that one left and another came.
    let failovers = mirador
        .metrics()
        .await
        .sum("mirador_deployment_failovers_total", &[]);
    assert!(failovers < 1.0, "{failovers}");
}

/// What is known of an address outlives the answer it came with.
#[tokio::test]
async fn an_address_that_stays_keeps_its_health() {
    let [one, two, three] = beside();
    let dns = Dns::start().await;
    dns.knows(&[("vm.test", &["127.0.0.1", "127.0.0.2"])]);
    let mirador = Mirador::with(dns.config()).await;
    one.set_health(500);
    mirador.apply(&tenant("acme", "vm.test", &one)).await;
    let before = until(&mirador, "acme", "one to be ill", |m| {
        each(m, "condition") == ["unhealthy", "healthy"]
    })
    .await;
    dns.knows(&[("vm.test", &["127.0.0.1", "127.0.0.2", "127.0.0.3"])]);
    let all = until(&mirador, "acme", "the third to be known", |m| {
        each(m, "condition") == ["unhealthy", "healthy", "healthy"]
    })
    .await;
    for kept in 0..2 {
        let (before, after) = (&before["endpoints"][kept], &all["endpoints"][kept]);
        for field in ["endpoint", "since", "reason", "cause"] {
            assert_eq!(before[field], after[field], "{field} of {after}");
        }
    }
    let [ill, well @ ..] = shares(&mirador, "acme", [&one, &two, &three], 10).await;
    assert_eq!(ill, 0);
    assert_shared(well);
    // Connections survive, too: those that were there are used again.
    let opened = two.connections();
    dns.knows(&[("vm.test", &["127.0.0.1", "127.0.0.2"])]);
    let names = [one.authority(), two.authority()];
    until(&mirador, "acme", "two endpoints", |m| {
        each(m, "endpoint") == names
    })
    .await;
    let before = two.asked().len();
    mirador.text("acme", "/api/v1/query?query=1").await;
    assert_eq!(two.asked().len(), before + 1);
    let last = two.asked().pop().expect("a request");
    assert!(
        last.connection < opened,
        "{last:?} is on a connection from before"
    );
}

/// Tenants that share a name share its lookups, and both follow it.
#[tokio::test]
async fn tenants_share_a_name() {
    let [one, two] = beside();
    let dns = Dns::start().await;
    dns.knows(&[("vm.test", &["127.0.0.1"])]);
    let mirador = Mirador::with(dns.config()).await;
    for id in ["acme", "globex"] {
        mirador.apply(&tenant(id, "vm.test", &one)).await;
        let at = one.authority();
        until(&mirador, id, "an address", |m| each(m, "address") == [&*at]).await;
        assert_eq!(shares(&mirador, id, [&one], 1).await, [1]);
    }
    dns.knows(&[("vm.test", &["127.0.0.2"])]);
    for id in ["acme", "globex"] {
        let at = two.authority();
        until(&mirador, id, "the other address", |m| {
            each(m, "address") == [&*at]
        })
        .await;
        assert_eq!(shares(&mirador, id, [&one, &two], 2).await, [0, 2]);
    }
    let states = mirador.metrics().await;
    let names = states.sum("mirador_dns_names", &[]);
    assert!((0.5..1.5).contains(&names), "{names}");
    let changes = states.sum("mirador_dns_changes_total", &[]);
    assert!((1.5..2.5).contains(&changes), "{changes}");
}

/// An endpoint that fails has its name looked up at once, not when that is due.
#[tokio::test]
async fn a_failure_has_the_name_looked_up() {
    let [mut one, two] = beside();
    let dns = Dns::start().await;
    dns.knows(&[("vm.test", &["127.0.0.1"])]);
    let mut config = dns.config();
    config["dns"]["refresh"] = json!("1h");
    let mirador = Mirador::with(config).await;
    mirador.apply(&tenant("acme", "vm.test", &one)).await;
    let at = one.authority();
    until(&mirador, "acme", "an address", |m| {
        each(m, "address") == [&*at]
    })
    .await;
    let asked = dns.asked("vm.test");
    dns.knows(&[("vm.test", &["127.0.0.2"])]);
    one.stop().await;
    let at = two.authority();
    until(&mirador, "acme", "the new address", |m| {
        each(m, "address") == [&*at]
    })
    .await;
    assert!(dns.asked("vm.test") > asked);
    assert_eq!(shares(&mirador, "acme", [&two], 2).await, [2]);
}
