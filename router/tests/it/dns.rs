//! Names of endpoints, with a real name server: each address is an endpoint, and what becomes of them
//! when the answers change.

mod services;

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support::{
    dns::Dns,
    eventually,
    mirador::Mirador,
    port::Port,
    tenant::Tenant,
    tls::{Authority, TlsFront},
    upstream::{Step, Upstream, ok, send},
    within,
};

/// What the router says of a tenant's metrics.
async fn metrics(mirador: &Mirador, tenant: &str) -> Value {
    let path = format!("/api/v1/tenants/{tenant}/health");
    let reply = mirador.admin(Method::GET, &path).send().await;
    let health: Value = reply.expect("an answer").json().await.expect("JSON");
    health["deployments"]["metrics"].clone()
}

/// Waits until what the router says of a tenant's metrics fits, and answers that.
async fn until(
    mirador: &Mirador,
    tenant: &str,
    what: &str,
    fits: impl Fn(&Value) -> bool,
) -> Value {
    eventually(what, async || {
        let metrics = metrics(mirador, tenant).await;
        fits(&metrics).then_some(metrics)
    })
    .await
}

/// One field of each endpoint.
fn each<'m>(metrics: &'m Value, field: &str) -> Vec<&'m str> {
    let endpoints = metrics["endpoints"].as_array().expect("endpoints");
    let text = |endpoint: &'m Value| endpoint[field].as_str().unwrap_or("-");
    endpoints.iter().map(text).collect()
}

fn are_up(metrics: &Value, names: &[String]) -> bool {
    each(metrics, "endpoint") == *names
        && each(metrics, "condition").iter().all(|c| *c == "healthy")
}

/// A tenant whose metrics are at a name, on the port of these backends, by turns.
fn tenant(id: &str, host: &str, backend: &Upstream) -> Tenant {
    let (_, port) = authority(backend);
    Tenant::new(id)
        .metrics(&[format!("http://{host}:{port}")])
        .set("/deployments/metrics/policy", "round_robin")
}

fn authority(backend: &Upstream) -> (String, String) {
    let authority = backend.authority();
    let (host, port) = authority.rsplit_once(':').expect("an authority");
    (host.to_owned(), port.to_owned())
}

/// As many backends on the same port of different addresses, each saying who it is.
fn beside<const N: usize>() -> [Upstream; N] {
    let names = ["one", "two", "three"];
    let mut number = 0;
    Port::take_beside::<N>().map(|port| {
        let name = names[number];
        number += 1;
        Upstream::start_on(port, move |_| ok(name))
    })
}

/// Asks so often, and answers how often each backend answered; every answer must be good.
async fn shares<const N: usize>(
    mirador: &Mirador,
    tenant: &str,
    backends: [&Upstream; N],
    requests: usize,
) -> [usize; N] {
    let before = backends.map(|backend| backend.asked().len());
    for _ in 0..requests {
        mirador.text(tenant, "/api/v1/query?query=1").await;
    }
    let mut counts = backends.map(|backend| backend.asked().len());
    for (count, before) in counts.iter_mut().zip(before) {
        *count -= before;
    }
    counts
}

/// Each got its part, give or take what a turn more or less makes.
fn assert_shared<const N: usize>(counts: [usize; N]) {
    let all: usize = counts.iter().sum();
    let fair = |count: &usize| (count * N).abs_diff(all) <= N;
    assert!(counts.iter().all(fair), "{counts:?}");
}

/// Two addresses are two endpoints that share what comes, under the document's name. One that dies
/// costs nobody an answer. Who has an IPv6 address as well is there once.
#[tokio::test]
async fn each_address_of_a_name_is_an_endpoint() {
    let [one, mut two] = beside();
    let dns = Dns::start().await;
    dns.knows(&[("vm.test", &["127.0.0.2", "127.0.0.1", "::1"])]);
    let mirador = Mirador::with(dns.config()).await;
    mirador.apply(&tenant("acme", "vm.test", &one)).await;
    let names = [one.authority(), two.authority()];
    let told = until(&mirador, "acme", "two endpoints", |m| are_up(m, &names)).await;
    let called = format!("vm.test:{}", authority(&one).1);
    assert_eq!(each(&told, "from"), [&called, &called], "{told}");
    assert_eq!(each(&told, "address"), names, "{told}");
    assert_eq!(told["names"][0]["name"], "vm.test", "{told}");
    assert_eq!(told["names"][0]["addresses"], 2, "{told}");

    assert_shared(shares(&mirador, "acme", [&one, &two], 20).await);
    assert_eq!(one.asked()[0].head.get("host"), Some(&*called));
    let labels = [("tenant", "acme"), ("endpoint", &*called)];
    mirador
        .until_metric("mirador_endpoint_requests_total", &labels, |n| n >= 20.0)
        .await;
    for name in &names {
        mirador
            .until_metric("mirador_endpoint_up", &[("endpoint", name)], |n| n >= 1.0)
            .await;
    }

    two.stop().await;
    assert_eq!(shares(&mirador, "acme", [&one], 20).await, [20]);
    let told = until(&mirador, "acme", "one to be down", |m| {
        each(m, "condition") == ["healthy", "unhealthy"]
    })
    .await;
    let sentence = told["sentence"].as_str().expect("a sentence");
    assert!(sentence.contains(&names[1]), "{told}");
}

/// A new address takes its share without a restart, and one that has left gets nothing more, though
/// what it had begun is answered to the end.
#[tokio::test]
async fn endpoints_follow_their_name() {
    let gate = Arc::new(Notify::new());
    let held = Arc::clone(&gate);
    let [first, second] = Port::take_beside();
    let one = Upstream::start_on(first, move |asked| match asked.target() {
        "/api/v1/export" => {
            let head = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nbegun";
            vec![send(head), Step::Await(Arc::clone(&held)), send("ended")]
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

/// An answer with nothing in it and a server that is gone leave everything as it was, and are told.
#[tokio::test]
async fn without_an_answer_the_addresses_stay() {
    let [one, two] = beside();
    let mut dns = Dns::start().await;
    let both: &[(&str, &[&str])] = &[("vm.test", &["127.0.0.1", "127.0.0.2"])];
    dns.knows(both);
    let mirador = Mirador::with(dns.config()).await;
    mirador.apply(&tenant("acme", "vm.test", &one)).await;
    let names = [one.authority(), two.authority()];
    until(&mirador, "acme", "two endpoints", |m| are_up(m, &names)).await;

    dns.knows(&[]);
    let fails = |m: &Value| m["names"][0]["error"].is_string();
    let told = until(&mirador, "acme", "it to be told", fails).await;
    let error = told["names"][0]["error"].as_str().expect("an error");
    assert!(error.contains("no such name"), "{told}");
    assert!(are_up(&told, &names), "{told}");
    assert_shared(shares(&mirador, "acme", [&one, &two], 10).await);
    mirador
        .until_metric("mirador_dns_names", &[("state", "kept")], |n| n >= 1.0)
        .await;

    dns.stop();
    let is_gone = |m: &Value| {
        let error = m["names"][0]["error"].as_str();
        error.is_some_and(|error| !error.contains("no such name"))
    };
    let told = until(&mirador, "acme", "that to be told", is_gone).await;
    assert!(are_up(&told, &names), "{told}");
    let sentence = told["names"][0]["sentence"].as_str().expect("a sentence");
    assert!(
        sentence.contains("vm.test can't be resolved since"),
        "{told}"
    );
    assert!(
        sentence.ends_with("the 2 addresses it had are used"),
        "{told}"
    );
    assert_shared(shares(&mirador, "acme", [&one, &two], 10).await);

    dns.knows(both);
    dns.serve().await;
    until(&mirador, "acme", "an answer", |m| !fails(m)).await;
    mirador
        .until_metric("mirador_dns_names", &[("state", "resolved")], |n| n >= 1.0)
        .await;
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

/// Nothing waits for a name server: not the start, not tenants that need none.
#[tokio::test]
async fn a_dead_name_server_holds_nobody_up() {
    let [one, two] = beside();
    let mut dns = Dns::stopped();
    let mirador = Mirador::with(dns.config()).await;
    let other = Tenant::new("other").metrics(&[one.url()]);
    mirador.apply(&other).await;
    mirador.apply(&tenant("acme", "vm.test", &one)).await;
    assert_eq!(mirador.text("other", "/api/v1/query?query=1").await, "one");
    let told = until(&mirador, "acme", "it to be told", |m| {
        m["names"][0]["error"].is_string()
    })
    .await;
    let called = format!("vm.test:{}", authority(&one).1);
    assert_eq!(each(&told, "endpoint"), [&called], "{told}");
    assert_eq!(told["names"][0]["addresses"], 0, "{told}");
    mirador
        .until_metric("mirador_dns_names", &[("state", "unresolved")], |n| {
            n >= 1.0
        })
        .await;

    dns.knows(&[("vm.test", &["127.0.0.1", "127.0.0.2"])]);
    dns.serve().await;
    let names = [one.authority(), two.authority()];
    until(&mirador, "acme", "two endpoints", |m| are_up(m, &names)).await;
    assert_shared(shares(&mirador, "acme", [&one, &two], 10).await);
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

/// A drained endpoint is drained at all of its addresses, also at those that come later.
#[tokio::test]
async fn draining_goes_for_every_address() {
    let [one, two, three] = beside();
    let dns = Dns::start().await;
    dns.knows(&[("vm.test", &["127.0.0.1", "127.0.0.2"])]);
    let mirador = Mirador::with(dns.config()).await;
    let document = tenant("acme", "vm.test", &one).set(
        "/deployments/metrics/endpoints",
        json!([{"url": format!("http://vm.test:{}", authority(&one).1)}, three.url()]),
    );
    mirador.apply(&document).await;
    let names = [one.authority(), two.authority(), three.authority()];
    until(&mirador, "acme", "three endpoints", |m| are_up(m, &names)).await;
    let path = "/api/v1/tenants/acme/deployments/metrics/endpoints/drain";
    let called = format!("vm.test:{}", authority(&one).1);
    let drain = mirador.admin(Method::POST, path).header("If-Match", "*");
    let reply = drain
        .json(&json!({"endpoint": called}))
        .send()
        .await
        .expect("an answer");
    assert!(reply.status().is_success(), "{:?}", reply.text().await);
    let drained = |count: usize| {
        move |m: &Value| {
            let conditions = each(m, "condition");
            conditions.iter().filter(|c| **c == "draining").count() == count
        }
    };
    until(&mirador, "acme", "both to drain", drained(2)).await;
    assert_eq!(
        shares(&mirador, "acme", [&one, &two, &three], 4).await,
        [0, 0, 4]
    );
    dns.knows(&[("vm.test", &["127.0.0.1", "127.0.0.2", "127.0.0.4"])]);
    until(&mirador, "acme", "the new one to drain", drained(3)).await;
}

/// Over TLS an address is verified, and asked, as the name of the document.
#[tokio::test]
async fn tls_goes_by_the_name() {
    let authority = Authority::new();
    let upstream = Upstream::saying("hello");
    let front = TlsFront::start(&upstream, &authority.issue("vm.test"), None).await;
    let dns = Dns::start().await;
    dns.knows(&[("vm.test", &["127.0.0.1", "127.0.0.9"])]);
    let mirador = Mirador::with(dns.config()).await;
    let acme = Tenant::new("acme")
        .metrics(&[format!("https://vm.test:{}", front.port())])
        .set(
            "/deployments/metrics/tls",
            json!({"ca_file": authority.ca_file()}),
        );
    mirador.apply(&acme).await;
    // Nobody is at the other address, and only probes that go to each can tell the two apart.
    until(&mirador, "acme", "probes of both", |m| {
        each(m, "condition") == ["healthy", "unhealthy"]
    })
    .await;
    assert_eq!(mirador.text("acme", "/api/v1/query?query=1").await, "hello");
    let names = front
        .greetings()
        .into_iter()
        .map(|greeting| greeting.server_name);
    assert!(names.flatten().all(|name| name == "vm.test"));
    let called = format!("vm.test:{}", front.port());
    assert_eq!(upstream.only().head.get("host"), Some(&*called));
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

/// A name with more addresses than a request can tell apart: as many as fit are used, the rest is
/// told. Such an answer comes in pieces too large for one packet.
#[tokio::test]
async fn no_more_addresses_are_used_than_fit() {
    let backend = Upstream::saying("one");
    let spare = Upstream::saying("spare");
    let dns = Dns::start().await;
    let all: Vec<String> = (1..=80).map(|last| format!("127.0.0.{last}")).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    dns.knows(&[("vm.test", &all)]);
    let mirador = Mirador::with(dns.config()).await;
    let document = tenant("acme", "vm.test", &backend).set(
        "/deployments/metrics/endpoints",
        json!([
            format!("http://vm.test:{}", authority(&backend).1),
            spare.url()
        ]),
    );
    mirador.apply(&document).await;
    let told = until(&mirador, "acme", "as many endpoints as fit", |m| {
        let down = each(m, "condition")
            .iter()
            .filter(|c| **c == "unhealthy")
            .count();
        each(m, "endpoint").len() == 64 && down == 62
    })
    .await;
    assert_eq!(each(&told, "endpoint")[63], spare.authority(), "{told}");
    assert_eq!(told["names"][0]["left_out"], 17, "{told}");
    let sentence = told["names"][0]["sentence"].as_str().expect("a sentence");
    assert!(sentence.contains("17 are left out"), "{told}");
    assert_shared(shares(&mirador, "acme", [&backend, &spare], 6).await);
}
