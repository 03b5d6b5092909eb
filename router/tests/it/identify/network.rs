//! Where a request comes from, and what is believed because of it.

use std::net::IpAddr;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{
    acme::{acme, request},
    client::RawClient,
    eventually,
    mirador::Mirador,
    upstream::Upstream,
    wire::End,
};

const NAMED: &str = "X-Tenant-ID: acme\r\n";

/// Sends a query from an address of this machine, after `first`.
async fn ask(mirador: &Mirador, from: &str, first: &[u8], headers: &str) -> Result<u16, End> {
    let from: IpAddr = from.parse().expect("an address");
    let mut client = RawClient::connect_from(from, mirador.address()).await;
    let query = request("GET /api/v1/query?query=up", headers, "");
    client.send([first, query.as_bytes()].concat()).await;
    let reply = client.reply().await?;
    if reply.status() == 403 {
        let body: Value = serde_json::from_slice(&reply.body.kept).expect("JSON");
        assert_eq!(body["reason"], "untrusted_network", "{body}");
    }
    Ok(reply.status())
}

#[tokio::test]
async fn a_name_is_believed_from_trusted_networks_only() {
    let upstream = Upstream::saying("acme");
    let config = json!({
        "identify": {"trusted_networks": ["127.0.0.2", "192.0.2.0/24"]},
        "trusted_proxies": ["127.0.0.3"],
    });
    let mirador = acme(&upstream, config).await;
    let from = async |address: &str, told: &str| {
        let headers = if told.is_empty() {
            NAMED.to_owned()
        } else {
            format!("{NAMED}X-Forwarded-For: {told}\r\n")
        };
        ask(&mirador, address, b"", &headers)
            .await
            .expect("a reply")
    };
    for (address, told, status) in [
        ("127.0.0.2", "", 200),
        ("127.0.0.1", "", 403),
        // What somebody says of themselves changes nothing.
        ("127.0.0.1", "192.0.2.7", 403),
        ("127.0.0.2", "203.0.113.9", 200),
        // What a trusted proxy says does.
        ("127.0.0.3", "192.0.2.7", 200),
        ("127.0.0.3", "203.0.113.9", 403),
        ("127.0.0.3", "192.0.2.7, 203.0.113.9", 403),
        ("127.0.0.3", "192.0.2.7, unknown", 403),
        ("127.0.0.3", "203.0.113.9, 192.0.2.7, 127.0.0.3", 200),
        ("127.0.0.3", "", 403),
    ] {
        assert_eq!(from(address, told).await, status, "{address} {told:?}");
    }
    assert_eq!(upstream.asked().len(), 4);
}

#[tokio::test]
async fn a_proxys_word_is_taken_before_anything_else_and_only_from_a_proxy() {
    let upstream = Upstream::saying("acme");
    let mut mirador = Mirador::with(json!({"trusted_proxies": ["127.0.0.3"]})).await;
    let address = mirador.address().to_string();
    mirador.rewrite_config(json!({
        "listen": {"public": {"address": address, "proxy_protocol": true}},
        "identify": {"trusted_networks": ["192.0.2.0/24"]},
    }));
    mirador.restart().await;
    mirador
        .apply(&crate::support::tenant::Tenant::new("acme").metrics(&[upstream.url()]))
        .await;
    let signature = b"\r\n\r\n\0\r\nQUIT\n".as_slice();
    let v2 = [
        signature,
        b"\x21\x11\0\x0c",
        &[192, 0, 2, 7, 198, 51, 100, 1, 1, 2, 3, 4],
    ]
    .concat();
    let local = [signature, b"\x20\0\0\0"].concat();
    let line = |client: &str| format!("PROXY TCP4 {client} 198.51.100.1 1 2\r\n").into_bytes();
    for (first, status) in [
        (line("192.0.2.7"), 200),
        (v2.clone(), 200),
        (line("203.0.113.9"), 403),
        (b"PROXY UNKNOWN\r\n".to_vec(), 403),
        (local, 403),
    ] {
        let told = String::from_utf8_lossy(&first).into_owned();
        let found = ask(&mirador, "127.0.0.3", &first, NAMED).await;
        assert_eq!(found.expect("a reply"), status, "{told:?}");
    }
    // The client's own header is no proxy's, whoever the client is.
    let claimed = format!("{NAMED}X-Forwarded-For: 192.0.2.9\r\n");
    for first in [line("203.0.113.9"), b"PROXY UNKNOWN\r\n".to_vec()] {
        let found = ask(&mirador, "127.0.0.3", &first, &claimed).await;
        assert_eq!(found.expect("a reply"), 403);
    }
    for asked in upstream.asked() {
        assert_eq!(asked.head.get("x-forwarded-for"), Some("192.0.2.7"));
    }
    assert_eq!(upstream.asked().len(), 2);

    // Whoever is no proxy, or says something else first, is not talked to.
    for (from, first) in [
        ("127.0.0.1", line("192.0.2.7")),
        ("127.0.0.1", v2.clone()),
        ("127.0.0.3", Vec::new()),
        ("127.0.0.3", b"PROXY TCP4 192.0.2.7\r\n".to_vec()),
        ("127.0.0.3", [line("192.0.2.7"), line("192.0.2.7")].concat()),
    ] {
        let told = String::from_utf8_lossy(&first).into_owned();
        let found = ask(&mirador, from, &first, NAMED).await;
        let refused = matches!(found, Err(End::Fin | End::Reset) | Ok(400));
        assert!(refused, "{from} {told:?}: {found:?}");
    }
    assert_eq!(upstream.asked().len(), 2);
    let refused = mirador.metrics().await;
    let counted = |cause| {
        let labels = [("cause", cause)];
        refused.sum("mirador_client_connections_refused_total", &labels)
    };
    assert_eq!(
        counted("proxy_not_trusted").total_cmp(&2.0),
        std::cmp::Ordering::Equal
    );
    assert_eq!(
        counted("proxy_header_missing").total_cmp(&1.0),
        std::cmp::Ordering::Equal
    );
    assert_eq!(
        counted("proxy_header_garbled").total_cmp(&1.0),
        std::cmp::Ordering::Equal
    );
}

#[tokio::test]
async fn who_is_trusted_changes_with_a_reload() {
    let upstream = Upstream::saying("acme");
    let mut mirador = acme(&upstream, json!({})).await;
    let status = async |mirador: &Mirador| ask(mirador, "127.0.0.1", b"", NAMED).await;
    assert_eq!(status(&mirador).await.expect("a reply"), 200);
    mirador.rewrite_config(json!({"identify": {"trusted_networks": ["192.0.2.0/24"]}}));
    mirador.process.signal(Signal::HUP);
    eventually("the change", async || {
        (status(&mirador).await == Ok(403)).then_some(())
    })
    .await;
}
