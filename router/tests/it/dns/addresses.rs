//! Which endpoints a name stands for, and what they are called, asked and verified as.

use reqwest::Method;
use serde_json::{Value, json};

use super::{are_up, assert_shared, authority, beside, each, shares, tenant, until};
use crate::support::{
    dns::Dns,
    mirador::Mirador,
    tenant::Tenant,
    tls::{Authority, TlsFront},
    upstream::Upstream,
};

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
