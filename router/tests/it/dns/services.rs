//! Services by their SRV records.

use reqwest::Method;
use serde_json::{Value, json};

use super::{assert_shared, each, shares, until};
use crate::support::{
    dns::Dns,
    mirador::Mirador,
    tenant::Tenant,
    tls::{Authority, TlsFront},
    upstream::Upstream,
};

const SERVICE: &str = "_http._tcp.vm.test";

fn port(backend: &Upstream) -> u16 {
    let authority = backend.authority();
    let (_, port) = authority.rsplit_once(':').expect("an authority");
    port.parse().expect("a port")
}

fn acme(scheme: &str) -> Tenant {
    Tenant::new("acme")
        .metrics(&[format!("{scheme}://srv+{SERVICE}/")])
        .set("/deployments/metrics/policy", "round_robin")
}

/// Hosts and ports come from the records, and so do the order in which they are preferred and
/// their shares.
#[tokio::test]
async fn a_service_is_where_its_records_say() {
    let (one, two) = (Upstream::saying("one"), Upstream::saying("two"));
    let mut spare = Upstream::saying("spare");
    let mut dns = Dns::stopped();
    dns.knows(&[("a.test", &["127.0.0.1"]), ("b.test", &["127.0.0.1"])]);
    dns.serves(
        SERVICE,
        &[
            ("a.test", port(&spare), 0, 0),
            ("a.test", port(&one), 10, 10),
            ("b.test", port(&two), 10, 30),
        ],
    );
    let mirador = Mirador::with(dns.config()).await;
    mirador.apply(&acme("http")).await;
    // Until its records are known there is nobody to ask, and that is said.
    let told = until(&mirador, "acme", "a failed probe", |m| {
        each(m, "condition") == ["unhealthy"]
    })
    .await;
    assert_eq!(
        each(&told, "endpoint"),
        [format!("srv+{SERVICE}")],
        "{told}"
    );
    let error = told["endpoints"][0]["last_probe"]["error"].as_str();
    assert!(
        error.is_some_and(|error| error.contains("not known yet")),
        "{told}"
    );
    let refused = mirador.get("acme", "/api/v1/query?query=1").await;
    assert_eq!(refused.status(), 503);

    dns.serve().await;
    let names = [
        format!("a.test:{}", port(&spare)),
        format!("a.test:{}", port(&one)),
        format!("b.test:{}", port(&two)),
    ];
    let told = until(&mirador, "acme", "three endpoints", |m| {
        each(m, "endpoint") == names && each(m, "condition").iter().all(|c| *c == "healthy")
    })
    .await;
    let service = format!("srv+{SERVICE}");
    assert_eq!(each(&told, "from"), [&*service; 3], "{told}");
    let priorities: Vec<_> = (0..3).map(|n| &told["endpoints"][n]["priority"]).collect();
    assert_eq!(priorities, [&json!(0), &json!(10), &json!(10)], "{told}");

    let path = "/api/v1/tenants/acme/deployments/validate";
    let reply = mirador
        .admin(Method::POST, path)
        .send()
        .await
        .expect("an answer");
    let validated: Value = reply.json().await.expect("JSON");
    let asked = &validated["deployments"]["metrics"]["endpoints"][0];
    assert_eq!(asked["reachable"], true, "{validated}");
    assert_eq!(asked["health_status"], 200, "{validated}");
    let before = spare.asked().len();

    // The preferred one has all of it, and when it is gone the others share by weight.
    assert_eq!(
        shares(&mirador, "acme", [&spare, &one, &two], 8).await,
        [8, 0, 0]
    );
    assert_eq!(spare.asked()[before].head.get("host"), Some(&*names[0]));
    spare.stop().await;
    let [light, heavy] = shares(&mirador, "acme", [&one, &two], 40).await;
    assert!(
        (8..=12).contains(&light) && light + heavy == 40,
        "{light} and {heavy}"
    );
    let host = two.asked()[0].head.get("host").map(str::to_owned);
    assert_eq!(host.as_deref(), Some(&*names[2]));
}

/// A host of a service that has several addresses is an endpoint at each, called by it.
#[tokio::test]
async fn a_host_of_a_service_may_have_several_addresses() {
    let [one, two] = super::beside();
    let mut dns = Dns::stopped();
    dns.knows(&[("a.test", &["127.0.0.1", "127.0.0.2"])]);
    dns.serves(SERVICE, &[("a.test", port(&one), 0, 0)]);
    dns.serve().await;
    let mirador = Mirador::with(dns.config()).await;
    mirador.apply(&acme("http")).await;
    let names = [one.authority(), two.authority()];
    until(&mirador, "acme", "two endpoints", |m| {
        each(m, "endpoint") == names
    })
    .await;
    assert_shared(shares(&mirador, "acme", [&one, &two], 10).await);
    assert_eq!(
        two.asked()[0].head.get("host"),
        Some(&*format!("a.test:{}", port(&one)))
    );
}

/// Over TLS each host of a service is verified by its own name.
#[tokio::test]
async fn a_service_is_verified_by_the_names_of_its_hosts() {
    let authority = Authority::new();
    let (one, two) = (Upstream::saying("one"), Upstream::saying("two"));
    let right = TlsFront::start(&one, &authority.issue("a.test"), None).await;
    let wrong = TlsFront::start(&two, &authority.issue("a.test"), None).await;
    let mut dns = Dns::stopped();
    dns.knows(&[("a.test", &["127.0.0.1"]), ("b.test", &["127.0.0.1"])]);
    let targets = [
        ("a.test", right.port(), 0, 0),
        ("b.test", wrong.port(), 0, 0),
    ];
    dns.serves(SERVICE, &targets);
    dns.serve().await;
    let mirador = Mirador::with(dns.config()).await;
    let tls = json!({"ca_file": authority.ca_file()});
    mirador
        .apply(&acme("https").set("/deployments/metrics/tls", tls))
        .await;
    let told = until(&mirador, "acme", "both to be judged", |m| {
        each(m, "condition") == ["healthy", "unhealthy"]
    })
    .await;
    assert_eq!(told["endpoints"][1]["cause"], "probe_tls", "{told}");
    assert_eq!(mirador.text("acme", "/api/v1/query?query=1").await, "one");
    let names = right
        .greetings()
        .into_iter()
        .map(|greeting| greeting.server_name);
    assert!(names.flatten().all(|name| name == "a.test"));
}

#[tokio::test]
async fn a_service_that_can_be_none_is_refused() {
    let mirador = Mirador::start().await;
    for (url, fault) in [
        ("http://srv+/", "expected the name of an SRV record"),
        ("http://srv+_http._tcp.vm:8428/", "leave :8428 out"),
    ] {
        let tenant = Tenant::new("acme").metrics(&[url.into()]);
        let put = mirador
            .admin(Method::PUT, "/api/v1/tenants/acme")
            .header("If-None-Match", "*")
            .json(tenant.document());
        let reply = put.send().await.expect("an answer");
        assert_eq!(reply.status(), 400);
        let told = reply.text().await.expect("a body");
        assert!(
            told.contains(fault) && told.contains("endpoints[0]"),
            "{told}"
        );
    }
}
