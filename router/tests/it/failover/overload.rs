//! What backends answer of their own state: passed on as it is; and what it takes to be left out,
//! and to come back.

use serde_json::{Value, json};

use super::{READ, WRITE, asked, health, probed, reason, serving, unprobed};
use crate::support::{
    acme::of_acme,
    client::ask,
    eventually,
    mirador::Mirador,
    tenant::Tenant,
    upstream::{Step, Upstream, ok, reply},
};

/// Out for longer than any test takes.
fn for_good() -> Value {
    json!({"health": {"ejection": {"base": "10m", "max": "10m"}}})
}

/// A backend that answers the first `count` requests with `status`, and the others with 200.
fn failing_at_first(count: usize, status: u16) -> Upstream {
    Upstream::start(move |asked| {
        if asked.nth < count {
            reply(status, "", "failing")
        } else {
            ok("recovered")
        }
    })
}

#[tokio::test]
async fn the_answers_of_a_busy_backend_pass_untouched_and_move_nobody() {
    for status in [429, 503, 500] {
        let headers = "Retry-After: 7\r\nContent-Type: text/x-own\r\n";
        let busy = Upstream::start(move |_| reply(status, headers, "too many \u{1f980}"));
        let other = Upstream::saying("other");
        let mirador = serving(&probed(&[&busy, &other]), json!({})).await;
        for nth in 1..=8 {
            for line in [READ, WRITE] {
                let reply = asked(&mirador, line).await;
                assert_eq!(reply.status(), status, "{line}");
                assert_eq!(reply.body.text(), "too many \u{1f980}", "{line}");
                assert_eq!(reply.head.get("retry-after"), Some("7"), "{line}");
                assert_eq!(reply.head.get("content-type"), Some("text/x-own"), "{line}");
            }
            assert_eq!(
                busy.asked().len(),
                2 * nth,
                "{status}: each was sent there, once"
            );
        }
        assert_eq!(other.asked().len(), 0, "{status}");
        assert_eq!(health(&mirador, 0).await["state"], "up", "{status}");
    }
}

#[tokio::test]
async fn a_row_of_bad_gateways_ejects() {
    for status in [502, 504] {
        let failing = failing_at_first(usize::MAX, status);
        let other = Upstream::saying("other");
        let mirador = serving(&unprobed(&[&failing, &other]), for_good()).await;
        for line in [READ, WRITE, READ, WRITE, READ] {
            let reply = asked(&mirador, line).await;
            assert_eq!(
                (reply.status(), reply.body.text()),
                (status, "failing".into())
            );
        }
        for line in [READ, WRITE] {
            let reply = asked(&mirador, line).await;
            assert_eq!(
                (reply.status(), reply.body.text()),
                (200, "other".into()),
                "{status}"
            );
        }
        assert_eq!(failing.asked().len(), 5, "{status}");
        assert_eq!(health(&mirador, 0).await["state"], "ejected", "{status}");
    }
}

#[tokio::test]
async fn what_was_ejected_comes_back_after_its_back_off() {
    let brief = json!({"health": {"ejection": {"base": "50ms", "max": "100ms"}}});
    for tenant in [unprobed, probed] {
        let failing = failing_at_first(5, 502);
        let other = Upstream::saying("other");
        let mirador = serving(&tenant(&[&failing, &other]), brief.clone()).await;
        for _ in 0..5 {
            assert_eq!(asked(&mirador, READ).await.status(), 502);
        }
        // By one good probe, or where there are none by one request that tries it.
        let back = async || {
            let reply = asked(&mirador, READ).await;
            assert_eq!(reply.status(), 200);
            (reply.body.text() == "recovered").then_some(())
        };
        eventually("the endpoint to be used again", back).await;
        assert_eq!(health(&mirador, 0).await["state"], "up");
    }
}

/// An endpoint of each signal, all down, each in its own way of telling so.
async fn refused_at_once(mirador: &Mirador) {
    for (line, status, expected) in [
        (READ, 503, r#""reason":"no_endpoint""#),
        (WRITE, 503, r#""reason":"no_endpoint""#),
        (
            "GET /select/logsql/query?query=*",
            503,
            "no endpoint of the tenant's logs deployment",
        ),
        (
            "POST /insert/jsonline",
            503,
            "no endpoint of the tenant's logs deployment",
        ),
        (
            "GET /select/jaeger/api/services",
            503,
            r#"{"data":null,"errors":[{"code":503,"msg":"#,
        ),
    ] {
        let reply = ask(mirador.address(), of_acme(line, ""))
            .await
            .expect("a reply");
        assert_eq!(reply.status(), status, "{line}");
        assert_eq!(reply.head.get("retry-after"), Some("1"), "{line}");
        let text = reply.body.text();
        assert!(text.contains(expected), "{line}: {text}");
        assert!(text.contains("tenant acme: "), "{line}: {text}");
    }
}

#[tokio::test]
async fn where_all_endpoints_are_down_requests_are_refused_without_a_try() {
    let (mut one, mut other) = (Upstream::saying("one"), Upstream::saying("other"));
    one.stop().await;
    other.stop().await;
    let disabled = json!({"enabled": false});
    let tenant = Tenant::new("acme")
        .everything(&[one.url(), other.url()])
        .set("/deployments/metrics/health_check", disabled.clone())
        .set("/deployments/logs/health_check", disabled.clone())
        .set("/deployments/traces/health_check", disabled);
    let mirador = serving(&tenant, for_good()).await;
    let first = asked(&mirador, READ).await;
    assert_eq!(
        (first.status(), reason(&first)),
        (503, "unreachable".into())
    );
    assert_eq!(first.head.get("retry-after"), Some("1"));
    // From here on a connection would be made, and counted.
    one.listen(|_| ok("one"));
    other.listen(|_| ok("other"));
    refused_at_once(&mirador).await;
    refused_at_once(&mirador).await;
    assert_eq!((one.connections(), other.connections()), (0, 0));
}

#[tokio::test]
async fn where_all_endpoints_were_down_they_are_used_as_soon_as_they_are_back() {
    let (one, other) = (Upstream::saying("one"), Upstream::saying("other"));
    one.set_health(500);
    other.set_health(500);
    let mirador = serving(&probed(&[&one, &other]), json!({})).await;
    let refused = async || (asked(&mirador, READ).await.status() == 503).then_some(());
    eventually("the probes to find out", refused).await;
    let before = (one.asked().len(), other.asked().len());
    for line in [READ, WRITE, READ, WRITE] {
        let reply = asked(&mirador, line).await;
        assert_eq!(
            (reply.status(), reason(&reply)),
            (503, "no_endpoint".into()),
            "{line}"
        );
    }
    assert_eq!(
        (one.asked().len(), other.asked().len()),
        before,
        "no try was made"
    );
    other.set_health(200);
    let served = async || (asked(&mirador, WRITE).await.status() == 200).then_some(());
    eventually("one endpoint to be back", served).await;
    assert_eq!(one.asked().len(), before.0, "the other one is still down");
}

#[tokio::test]
async fn a_lone_endpoint_that_is_ejected_is_still_better_than_none() {
    // Twice as many resets in a row as it takes to eject it, and some before and after.
    let resets = |nth: usize| (5..15).contains(&nth) || nth.is_multiple_of(3);
    let lone = Upstream::start(move |asked| match asked.nth {
        nth if nth < 30 && resets(nth) => vec![Step::ReadBody, Step::Reset],
        _ => ok("fine"),
    });
    let mirador = serving(&unprobed(&[&lone]), for_good()).await;
    for nth in 0..30 {
        let expected = if resets(nth) { 502 } else { 200 };
        assert_eq!(
            asked(&mirador, WRITE).await.status(),
            expected,
            "request {nth}"
        );
    }
    assert_eq!(lone.asked().len(), 30, "each was sent once");
    assert_eq!(asked(&mirador, READ).await.status(), 200);
    assert_eq!(health(&mirador, 0).await["state"], "ejected");
}

#[tokio::test]
async fn an_outage_makes_no_more_requests_than_the_budget_allows() {
    const BURST: usize = 3;
    let breaking = Upstream::start(|_| vec![Step::ReadBody, Step::Reset]);
    let other = Upstream::saying("other");
    let config = json!({
        "upstream": {"retry": {"budget_ratio": 0.0, "budget_burst": BURST}},
        "health": {"ejection": {"consecutive_failures": 1000}},
    });
    let mirador = serving(&unprobed(&[&breaking, &other]), config).await;
    let mut statuses = Vec::new();
    for _ in 0..10 {
        statuses.push(asked(&mirador, READ).await.status());
    }
    assert_eq!(statuses, [[200; BURST].as_slice(), &[502; 7]].concat());
    assert_eq!((breaking.asked().len(), other.asked().len()), (10, BURST));
    let denied = mirador.metrics().await;
    let denied = denied.sum("mirador_retries_denied_total", &[]);
    assert!((6.5..7.5).contains(&denied), "{denied} denied");
}
