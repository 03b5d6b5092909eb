//! Clients that leave before they have their answer.

use serde_json::json;

use super::{READ, WRITE, health, of_five_bytes, serving, unprobed};
use crate::support::{
    acme::{of_acme, request},
    client::RawClient,
    mirador::Mirador,
    upstream::{Step, Upstream, send},
};

/// More in a row than it takes to eject an endpoint.
const MANY: usize = 6;

#[tokio::test]
async fn who_leaves_is_not_waited_for_and_nobody_else_is_blamed() {
    let upstream = Upstream::start(|_| vec![Step::Hang]);
    let other = Upstream::saying("other");
    let mirador = serving(&unprobed(&[&upstream, &other]), json!({})).await;
    let mut asked = 0;
    for line in [READ, WRITE] {
        for _ in 0..MANY {
            let mut client = RawClient::connect(mirador.address()).await;
            client.send(of_five_bytes(line)).await;
            asked += 1;
            upstream.until_asked(asked).await;
            drop(client);
            upstream.until_abandoned(asked).await;
        }
    }
    check_nobody_is_blamed(&mirador, asked).await;
    assert_eq!((upstream.asked().len(), other.asked().len()), (asked, 0));
}

#[tokio::test]
async fn who_leaves_in_the_middle_of_an_answer_ends_it_at_the_backend() {
    let upstream = Upstream::start(|_| {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n";
        vec![send(head), Step::Hang]
    });
    let mirador = serving(&unprobed(&[&upstream]), json!({})).await;
    for nth in 1..=MANY {
        let mut client = RawClient::connect(mirador.address()).await;
        client.send(of_acme("GET /api/v1/export", "")).await;
        assert_eq!(client.head().await.expect("a head").status(), 200);
        drop(client);
        upstream.until_abandoned(nth).await;
    }
    check_nobody_is_blamed(&mirador, MANY).await;
}

#[tokio::test]
async fn who_breaks_off_an_upload_breaks_it_off_at_the_backend() {
    let upstream = Upstream::start(|_| vec![Step::ReadBody]);
    let other = Upstream::saying("other");
    let mirador = serving(&unprobed(&[&upstream, &other]), json!({})).await;
    let mut nth = 0;
    for (line, framing, begin) in [
        (WRITE, "Content-Length: 100\r\n", "half"),
        (WRITE, "Transfer-Encoding: chunked\r\n", "4\r\nhalf\r\n"),
        (
            "POST /api/v1/import",
            "Transfer-Encoding: chunked\r\n",
            "4\r\nhalf\r\n",
        ),
    ] {
        for _ in 0..MANY {
            let mut client = RawClient::connect(mirador.address()).await;
            let headers = format!("X-Tenant-ID: acme\r\n{framing}");
            client.send(request(line, &headers, begin)).await;
            nth += 1;
            upstream.until_asked(nth).await;
            drop(client);
            upstream.until_abandoned(nth).await;
        }
    }
    check_nobody_is_blamed(&mirador, nth).await;
    assert_eq!((upstream.asked().len(), other.asked().len()), (nth, 0));
}

async fn check_nobody_is_blamed(mirador: &Mirador, left: usize) {
    let labels = [("tenant", "acme"), ("reason", "client_canceled")];
    let all = f64::from(u32::try_from(left).expect("a few"));
    mirador
        .until_metric("mirador_request_errors_total", &labels, |count| {
            count >= all
        })
        .await;
    let metrics = mirador.metrics().await;
    let errors = metrics.sum("mirador_request_errors_total", &[("tenant", "acme")]);
    assert!(errors < all + 0.5, "others than those that left failed");
    let snapshot = health(mirador, 0).await;
    assert_eq!(snapshot["state"], "up", "{snapshot}");
    assert_eq!(snapshot["consecutive_request_failures"], 0, "{snapshot}");
}
