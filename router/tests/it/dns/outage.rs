//! Names without an answer: nothing waits for one, and nothing is taken away for want of one.

use serde_json::Value;

use super::{are_up, assert_shared, authority, beside, each, page, shares, status, tenant, until};
use crate::support::{dns::Dns, mirador::Mirador, tenant::Tenant};

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

    // People are told in the terminal and on the tenant's page.
    let shown = [status(&mirador, "acme").await, page(&mirador, "acme").await];
    let called = format!("vm.test:{}", authority(&one).1);
    for text in shown {
        let expected = [
            "resolved since",
            "the 2 addresses it had are used",
            &*called,
            &*names[0],
            &*names[1],
        ];
        assert!(expected.iter().all(|part| text.contains(part)), "{text}");
    }

    dns.knows(both);
    dns.serve().await;
    until(&mirador, "acme", "an answer", |m| !fails(m)).await;
    mirador
        .until_metric("mirador_dns_names", &[("state", "resolved")], |n| n >= 1.0)
        .await;
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
