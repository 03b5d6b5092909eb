//! Who is told of tenants that are not well: a real Alertmanager, and webhooks that do as they like.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    alertmanager::Alertmanager,
    eventually,
    mirador::Mirador,
    tenant::Tenant,
    upstream::{Asked, Upstream, ok, reply},
};

/// A router that tells these receivers, without delay.
async fn telling(receivers: Value) -> Mirador {
    Mirador::with(notify(&receivers)).await
}

fn notify(receivers: &Value) -> Value {
    json!({"notify": {
        "receivers": receivers, "wait": 0, "interval": "1s", "instance": "r1",
        "labels": {"cluster": "eu-1"}, "page_url": "https://mirador.example/x/",
    }})
}

/// A tenant whose metrics are at these backends.
fn tenant(id: &str, backends: &[&Upstream]) -> Tenant {
    let urls: Vec<String> = backends.iter().map(|backend| backend.url()).collect();
    Tenant::new(id).metrics(&urls)
}

/// The messages a webhook was posted, in order.
fn messages(hook: &Upstream) -> Vec<Value> {
    let asked = hook.asked();
    asked.iter().filter_map(message).collect()
}

fn message(asked: &Asked) -> Option<Value> {
    let body = asked.body.as_ref()?;
    serde_json::from_str(&body.text()).ok()
}

/// Waits for a message about a tenant with this status whose alerts are these, and answers it.
async fn until_told(hook: &Upstream, tenant: &str, status: &str, alerts: &[&str]) -> Value {
    eventually(
        &format!("{tenant} to be {status}: {alerts:?}"),
        async || {
            messages(hook).into_iter().find(|message| {
                let names = message["alerts"].as_array().into_iter().flatten();
                let names = names.map(|alert| alert["labels"]["alertname"].as_str().unwrap_or(""));
                message["groupLabels"]["tenant"] == tenant
                    && message["status"] == status
                    && names.eq(alerts.iter().copied())
            })
        },
    )
    .await
}

const DEGRADED: &str = "MiradorTenantDegraded";
const UNHEALTHY: &str = "MiradorTenantUnhealthy";

#[tokio::test]
async fn alertmanager_is_told_what_is_ill_and_that_it_is_over() {
    let (manager, hook) = (Alertmanager::start().await, Upstream::saying("thanks"));
    let (mut first, mut second) = (Upstream::saying("a"), Upstream::saying("b"));
    let mirador = telling(json!([
        {"kind": "alertmanager", "url": manager.url()},
        {"kind": "webhook", "url": hook.url() + "/hook?id=1"},
    ]))
    .await;
    mirador
        .apply(&tenant("acme", &[&first, &second]).set("/display_name", "ACME Corp"))
        .await;
    first.until_probed(1).await;

    first.stop().await;
    let degraded = manager.until(&[("metrics", DEGRADED)]).await.remove(0);
    for (label, value) in [
        ("tenant", "acme"),
        ("severity", "warning"),
        ("tier", "free"),
        ("instance", "r1"),
        ("cluster", "eu-1"),
    ] {
        assert_eq!(degraded.labels[label], value, "{degraded:?}");
    }
    let summary = &degraded.annotations["summary"];
    assert!(
        summary.starts_with("ACME Corp: metrics degraded") && summary.contains(&first.authority()),
        "{summary}"
    );
    assert_eq!(degraded.annotations["served_by"], second.authority());
    assert_eq!(
        degraded.generator_url,
        "https://mirador.example/x/health/tenants/acme"
    );
    // Both tell alerts apart in the same way.
    let told = until_told(&hook, "acme", "firing", &[DEGRADED]).await;
    assert_eq!(
        told["alerts"][0]["fingerprint"],
        degraded.fingerprint.as_str()
    );
    assert_eq!(hook.asked()[0].target(), "/hook?id=1");

    second.stop().await;
    let unhealthy = manager.until(&[("metrics", UNHEALTHY)]).await.remove(0);
    assert_eq!(unhealthy.labels["severity"], "critical");
    let told = until_told(&hook, "acme", "firing", &[UNHEALTHY, DEGRADED]).await;
    assert_eq!(told["alerts"][1]["status"], "resolved");

    first.listen(|_| ok("a"));
    second.listen(|_| ok("b"));
    manager.until(&[]).await;
    let told = messages(&hook);
    eventually("the webhook to be told that it is over", async || {
        messages(&hook)
            .last()
            .is_some_and(|last| last["status"] == "resolved")
            .then_some(())
    })
    .await;
    assert!(told.len() <= 5, "no more than changes: {told:?}");
    mirador
        .until_metric("mirador_notifications_total", &[("result", "sent")], |n| {
            n >= 5.0
        })
        .await;
    let metrics = mirador.metrics().await;
    for result in ["failed", "dropped"] {
        let count = metrics.sum("mirador_notifications_total", &[("result", result)]);
        assert!(count < 0.5, "{count} {result}");
    }
}

/// A receiver that fails is told again, one that refuses is not; neither keeps the other waiting.
#[tokio::test]
async fn messages_are_repeated_until_they_are_taken_or_refused() {
    let failing = Upstream::start(|asked| match asked.nth {
        0 | 1 => reply(503, "", "not yet"),
        _ => ok("thanks"),
    });
    let refusing = Upstream::start(|_| reply(400, "", "what is this?"));
    let mirador = telling(json!([
        {"kind": "webhook", "url": failing.url()},
        {"kind": "webhook", "url": refusing.url()},
    ]))
    .await;
    let mut backend = Upstream::saying("a");
    mirador.apply(&tenant("acme", &[&backend])).await;
    backend.until_probed(1).await;
    backend.stop().await;

    failing.until_asked(3).await;
    let told = messages(&failing);
    let fingerprint = |n: usize| told[n]["alerts"][0]["fingerprint"].as_str();
    assert!(fingerprint(0).is_some() && fingerprint(0) == fingerprint(2));
    mirador
        .until_metric("mirador_notifications_total", &[("result", "sent")], |n| {
            (n - 1.0).abs() < 0.5
        })
        .await;
    let metrics = mirador.metrics().await;
    for (result, count) in [("failed", 2.0), ("dropped", 1.0)] {
        let counted = metrics.sum("mirador_notifications_total", &[("result", result)]);
        assert!((counted - count).abs() < 0.5, "{counted} {result}");
    }
    assert_eq!(refusing.asked().len(), 1, "a refusal is final");
    assert!(
        mirador
            .process
            .log()
            .contains("a notification was not taken"),
        "{}",
        mirador.process.log()
    );
}

/// Maintenance begins: what was firing is over. It ends: it fires anew.
#[tokio::test]
async fn maintenance_is_quiet() {
    let hook = Upstream::saying("thanks");
    let mirador = telling(json!([{"kind": "webhook", "url": hook.url()}])).await;
    let mut backend = Upstream::saying("a");
    mirador.apply(&tenant("acme", &[&backend])).await;
    backend.until_probed(1).await;
    backend.stop().await;
    until_told(&hook, "acme", "firing", &[UNHEALTHY]).await;

    let path = "/api/v1/tenants/acme/maintenance";
    let begin = mirador.admin(Method::PUT, path).header("If-Match", "*");
    let maintained = begin.json(&json!({"reason": "disks"})).send().await;
    assert!(maintained.expect("an answer").status().is_success());
    until_told(&hook, "acme", "resolved", &[UNHEALTHY]).await;
    let before = messages(&hook).len();

    let end = mirador.admin(Method::DELETE, path).header("If-Match", "*");
    assert!(end.send().await.expect("an answer").status().is_success());
    eventually("acme to be told of again", async || {
        let told = messages(&hook);
        let last = told.last()?;
        (told.len() > before && last["status"] == "firing").then_some(())
    })
    .await;
}

/// Nobody is called for a tenant that is switched off: what was firing is over, what happens then is
/// not told, and what is ill still when it is switched on fires anew.
#[tokio::test]
async fn a_suspended_tenant_is_quiet() {
    let hook = Upstream::saying("thanks");
    let mirador = telling(json!([{"kind": "webhook", "url": hook.url()}])).await;
    let (mut first, mut second) = (Upstream::saying("a"), Upstream::saying("b"));
    mirador.apply(&tenant("acme", &[&first, &second])).await;
    first.until_probed(1).await;
    first.stop().await;
    until_told(&hook, "acme", "firing", &[DEGRADED]).await;

    let change = async |verb: &str| {
        let path = format!("/api/v1/tenants/acme/{verb}");
        let request = mirador.admin(Method::POST, &path).header("If-Match", "*");
        assert!(
            request
                .send()
                .await
                .expect("an answer")
                .status()
                .is_success()
        );
    };
    change("suspend").await;
    until_told(&hook, "acme", "resolved", &[DEGRADED]).await;
    let before = messages(&hook).len();
    let down = [("tenant", "acme"), ("condition", "unhealthy")];
    second.stop().await;
    mirador
        .until_metric("mirador_endpoint_condition", &down, |n| n > 1.5)
        .await;
    // Another tenant that falls ill later is told of: this one was passed over.
    mirador.apply(&tenant("globex", &[&first])).await;
    until_told(&hook, "globex", "firing", &[UNHEALTHY]).await;
    let of_acme = |messages: &[Value]| {
        let ours = messages.iter();
        ours.filter(|message| message["groupLabels"]["tenant"] == "acme")
            .count()
    };
    assert_eq!(of_acme(&messages(&hook)), before, "nobody was called");

    change("activate").await;
    until_told(&hook, "acme", "firing", &[UNHEALTHY]).await;
}

/// Whoever drains an endpoint knows it. What then fails is told.
#[tokio::test]
async fn a_drain_is_no_news() {
    let hook = Upstream::saying("thanks");
    let mirador = telling(json!([{"kind": "webhook", "url": hook.url()}])).await;
    let (first, mut second) = (Upstream::saying("a"), Upstream::saying("b"));
    mirador.apply(&tenant("acme", &[&first, &second])).await;
    second.until_probed(1).await;
    let path = "/api/v1/tenants/acme/deployments/metrics/endpoints/drain";
    let drain = mirador.admin(Method::POST, path).header("If-Match", "*");
    let drained = drain.json(&json!({"endpoint": first.authority()})).send();
    assert!(drained.await.expect("an answer").status().is_success());
    let draining = [("tenant", "acme"), ("condition", "draining")];
    mirador
        .until_metric("mirador_endpoint_condition", &draining, |n| n > 0.0)
        .await;
    second.stop().await;
    until_told(&hook, "acme", "firing", &[UNHEALTHY]).await;
    assert_eq!(messages(&hook).len(), 1, "nothing was told before");
}

/// Receivers come by a reload, with their tokens, and know at once what is firing.
#[tokio::test]
async fn a_reload_brings_receivers_and_takes_them_away() {
    let (first, second) = (Upstream::saying("thanks"), Upstream::saying("thanks"));
    let mut mirador = Mirador::with(json!({})).await;
    std::fs::write(mirador.folder().join("hook.token"), "s3cret\n").expect("written");
    let mut backend = Upstream::saying("a");
    mirador.apply(&tenant("acme", &[&backend])).await;
    backend.until_probed(1).await;
    backend.stop().await;
    mirador
        .until_metric("mirador_endpoint_up", &[("tenant", "acme")], |up| up == 0.0)
        .await;

    let one = json!({"kind": "webhook", "url": first.url(), "token_file": "hook.token"});
    mirador.rewrite_config(notify(&json!([one])));
    reload(&mirador).await;
    until_told(&first, "acme", "firing", &[UNHEALTHY]).await;
    let asked = first.only();
    assert_eq!(asked.head.get("authorization"), Some("Bearer s3cret"));
    assert_eq!(asked.head.get("content-type"), Some("application/json"));

    // The one that stays is not told again.
    mirador.rewrite_config(notify(
        &json!([one, {"kind": "webhook", "url": second.url()}]),
    ));
    reload(&mirador).await;
    until_told(&second, "acme", "firing", &[UNHEALTHY]).await;
    assert_eq!(first.asked().len(), 1);

    mirador.rewrite_config(notify(&json!([])));
    reload(&mirador).await;
    backend.listen(|_| ok("a"));
    mirador
        .until_metric("mirador_endpoint_up", &[("tenant", "acme")], |up| up > 0.0)
        .await;
    assert_eq!(first.asked().len(), 1);
}

async fn reload(mirador: &Mirador) {
    let answer = mirador.admin(Method::POST, "/-/reload").send().await;
    assert!(answer.expect("an answer").status().is_success());
}
