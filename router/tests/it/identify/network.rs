//! Where a request comes from, and what is believed because of it.

use std::net::IpAddr;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{
    acme::{acme, request},
    client::RawClient,
    eventually,
    mirador::Mirador,
    tenant::Tenant,
    tls::{Authority, handshake},
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

/// A router that hears proxies at 127.0.0.3, with acme on it for clients of 192.0.2.0/24.
async fn behind_a_proxy(upstream: &Upstream, tls: Value) -> Mirador {
    let mut mirador = Mirador::with(json!({"trusted_proxies": ["127.0.0.3"]})).await;
    let mut public = json!({
        "address": mirador.address().to_string(), "proxy_protocol": true,
    });
    if !tls.is_null() {
        public["tls"] = tls;
    }
    mirador.rewrite_config(json!({
        "listen": {"public": public},
        "identify": {"trusted_networks": ["192.0.2.0/24"]},
    }));
    mirador.restart().await;
    let tenant = Tenant::new("acme").metrics(&[upstream.url()]);
    mirador.apply(&tenant).await;
    mirador
}

/// A header of version 1.
fn line(client: &str) -> Vec<u8> {
    format!("PROXY TCP4 {client} 198.51.100.1 1 2\r\n").into_bytes()
}

/// A header of version 2, or what looks like one.
fn block(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).expect("short").to_be_bytes();
    let signature = b"\r\n\r\n\0\r\nQUIT\n".as_slice();
    [signature, &[command, family], &length, rest].concat()
}

/// From 192.0.2.7 to 198.51.100.1.
const ADDRESSES: [u8; 12] = [192, 0, 2, 7, 198, 51, 100, 1, 1, 2, 3, 4];

#[tokio::test]
async fn a_proxys_word_is_taken_before_anything_else() {
    let upstream = Upstream::saying("acme");
    let mirador = behind_a_proxy(&upstream, Value::Null).await;
    for (first, status) in [
        (line("192.0.2.7"), 200),
        (block(0x21, 0x11, &ADDRESSES), 200),
        (line("203.0.113.9"), 403),
        (b"PROXY UNKNOWN\r\n".to_vec(), 403),
        (block(0x20, 0, b""), 403),
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
}

#[tokio::test]
async fn whoever_is_no_proxy_or_does_not_speak_as_one_is_not_talked_to() {
    let upstream = Upstream::saying("acme");
    let mirador = behind_a_proxy(&upstream, Value::Null).await;
    let (untrusted, missing, garbled) = (
        "proxy_not_trusted",
        "proxy_header_missing",
        "proxy_header_garbled",
    );
    for (from, first, cause) in [
        ("127.0.0.1", line("192.0.2.7"), untrusted),
        ("127.0.0.1", block(0x21, 0x11, &ADDRESSES), untrusted),
        ("127.0.0.3", Vec::new(), missing),
        ("127.0.0.3", b"PROXY TCP4 192.0.2.7\r\n".to_vec(), garbled),
        // A port that is none, and a line without end.
        (
            "127.0.0.3",
            b"PROXY TCP4 192.0.2.7 198.51.100.1 1 99999\r\n".to_vec(),
            garbled,
        ),
        (
            "127.0.0.3",
            [b"PROXY TCP4 ", [b'1'; 200].as_slice()].concat(),
            garbled,
        ),
        // Another version, a command that is none, a block that is short of its addresses, and one
        // longer than is read.
        ("127.0.0.3", block(0x11, 0x11, &ADDRESSES), garbled),
        ("127.0.0.3", block(0x22, 0x11, &ADDRESSES), garbled),
        ("127.0.0.3", block(0x21, 0x11, &ADDRESSES[..11]), garbled),
        ("127.0.0.3", block(0x21, 0x21, &[1; 35]), garbled),
        ("127.0.0.3", block(0x21, 0x11, &[0; 5000]), garbled),
    ] {
        let told = String::from_utf8_lossy(&first).into_owned();
        let counted = async || {
            let labels = [("cause", cause)];
            let metrics = mirador.metrics().await;
            metrics.sum("mirador_client_connections_refused_total", &labels)
        };
        let before = counted().await;
        let found = ask(&mirador, from, &first, NAMED).await;
        let refused = matches!(found, Err(End::Fin | End::Reset));
        assert!(refused, "{from} {told:?}: {found:?}");
        assert!(counted().await > before, "{from} {told:?} is no {cause}");
    }
    // Two proxies' words on one connection: the second is no request.
    let twice = [line("192.0.2.7"), line("192.0.2.7")].concat();
    let found = ask(&mirador, "127.0.0.3", &twice, NAMED).await;
    assert!(
        matches!(found, Err(End::Fin | End::Reset) | Ok(400)),
        "{found:?}"
    );
    assert!(upstream.asked().is_empty());
}

#[tokio::test]
async fn a_proxys_word_comes_before_tls() {
    let (upstream, authority) = (Upstream::saying("acme"), Authority::new());
    let server = authority.issue("mirador.test");
    let tls = json!({"cert_file": server.cert_file, "key_file": server.key_file});
    let mirador = behind_a_proxy(&upstream, tls).await;
    let status = async |first: &[u8]| {
        let from = [127, 0, 0, 3].into();
        let mut proxy = RawClient::connect_from(from, mirador.address()).await;
        proxy.send(first).await;
        let io = handshake(proxy.into_io(), "mirador.test", &authority, None).await?;
        let mut client = RawClient::over(io);
        let query = request("GET /api/v1/query?query=up", NAMED, "");
        client.send(query).await;
        client.reply().await.ok().map(|reply| reply.status())
    };
    assert_eq!(status(&line("192.0.2.7")).await, Some(200));
    assert_eq!(status(&block(0x21, 0x11, &ADDRESSES)).await, Some(200));
    assert_eq!(status(&line("203.0.113.9")).await, Some(403));
    assert_eq!(status(b"").await, None, "nothing but a client's hello");
    assert_eq!(upstream.asked().len(), 2);
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
