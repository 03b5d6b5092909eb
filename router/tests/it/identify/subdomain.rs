//! A tenant named by the host, and the hosts that only look like one.

use http::Request;
use serde_json::{Value, json};

use crate::support::{
    client::{RawReply, ask},
    h2::H2Client,
    mirador::Mirador,
    tenant::Tenant,
    upstream::Upstream,
};

/// A router that serves acme and globex by their subdomains, and their backends.
async fn two_tenants() -> (Mirador, [Upstream; 2]) {
    let backends = [Upstream::saying("acme"), Upstream::saying("globex")];
    let config = json!({"identify": {
        "sources": ["subdomain", "header"], "subdomains": ["obs.example.com"],
    }});
    let mirador = Mirador::with(config).await;
    for (id, backend) in ["acme", "globex"].into_iter().zip(&backends) {
        mirador
            .apply(&Tenant::new(id).everything(&[backend.url()]))
            .await;
    }
    (mirador, backends)
}

async fn query(mirador: &Mirador, target: &str, headers: &str) -> RawReply {
    let head = format!("GET {target} HTTP/1.1\r\n{headers}\r\n");
    let reply = ask(mirador.address(), head).await;
    reply.unwrap_or_else(|end| panic!("{headers:?} ended with {end:?}"))
}

#[tokio::test]
async fn a_tenant_is_reached_by_its_own_host() {
    let (mirador, [acme, globex]) = two_tenants().await;
    let port = mirador.address().port();
    for (headers, tenant) in [
        ("Host: acme.obs.example.com\r\n".into(), "acme"),
        ("Host: globex.obs.example.com\r\n".into(), "globex"),
        (format!("Host: acme.obs.example.com:{port}\r\n"), "acme"),
        (
            "Host: acme.obs.example.com\r\nX-Tenant-ID: acme\r\n".into(),
            "acme",
        ),
        (
            "Host: obs.example.com\r\nX-Tenant-ID: acme\r\n".into(),
            "acme",
        ),
        (
            "Host: elsewhere.test\r\nX-Tenant-ID: globex\r\n".into(),
            "globex",
        ),
    ] {
        let reply = query(&mirador, "/api/v1/query", &headers).await;
        let told = (reply.status(), reply.body.text());
        assert_eq!(told, (200, tenant.into()), "{headers:?}");
    }
    let absolute = "http://globex.obs.example.com/api/v1/query";
    let reply = query(&mirador, absolute, "Host: globex.obs.example.com\r\n").await;
    assert_eq!(reply.body.text(), "globex");
    assert_eq!((acme.asked().len(), globex.asked().len()), (4, 3));
}

#[tokio::test]
async fn a_host_in_another_form_or_beside_another_reaches_nobody() {
    let (mirador, [acme, globex]) = two_tenants().await;
    for (target, headers) in [
        ("/api/v1/query", "Host: ACME.obs.example.com\r\n"),
        ("/api/v1/query", "Host: acme.OBS.example.com\r\n"),
        ("/api/v1/query", "Host: acme.obs.example.com.\r\n"),
        ("/api/v1/query", "Host: xn--acm-zma.obs.example.com\r\n"),
        ("/api/v1/query", "Host: acm\u{e9}.obs.example.com\r\n"),
        ("/api/v1/query", "Host: globex.acme.obs.example.com\r\n"),
        ("/api/v1/query", "Host: user@acme.obs.example.com\r\n"),
        ("/api/v1/query", "Host: acme.obs.example.com:80:80\r\n"),
        (
            "/api/v1/query",
            "Host: acme.obs.example.com\r\nHost: globex.obs.example.com\r\n",
        ),
        (
            "/api/v1/query",
            "Host: acme.obs.example.com\r\nHost: acme.obs.example.com\r\n",
        ),
        (
            "/api/v1/query",
            "Host: acme.obs.example.com\r\nX-Tenant-ID: globex\r\n",
        ),
        (
            "http://acme.obs.example.com/api/v1/query",
            "Host: globex.obs.example.com\r\n",
        ),
        ("/api/v1/query", "Host: obs.example.com\r\n"),
        (
            "/api/v1/query",
            "Host: elsewhere.test\r\nX-Forwarded-Host: acme.obs.example.com\r\n",
        ),
    ] {
        let reply = query(&mirador, target, headers).await;
        assert_eq!(reply.status(), 400, "{target} {headers:?}");
        // What the parser refuses has no body.
        if !reply.body.kept.is_empty() {
            let body: Value = serde_json::from_slice(&reply.body.kept).expect("JSON");
            let reason = body["reason"].as_str().expect("a reason");
            assert!(reason.ends_with("_tenant"), "{headers:?}: {body}");
        }
    }
    assert!(acme.asked().is_empty() && globex.asked().is_empty());
}

#[tokio::test]
async fn http2_names_its_tenant_by_the_authority() {
    let (mirador, [acme, globex]) = two_tenants().await;
    let send = async |authority: &str, host: Option<&str>| {
        let mut request = Request::get(format!("http://{authority}/api/v1/query"));
        if let Some(host) = host {
            request = request.header("host", host);
        }
        let client = H2Client::connect(&mirador).await;
        let request = request.body(()).expect("a request");
        let (head, body) = client.send(request, &[]).await;
        (
            head.status().as_u16(),
            String::from_utf8_lossy(&body.data).into_owned(),
        )
    };
    let (status, text) = send("acme.obs.example.com", None).await;
    assert_eq!((status, &*text), (200, "acme"));
    let differing = send("acme.obs.example.com", Some("globex.obs.example.com")).await;
    assert_eq!(differing.0, 400, "{differing:?}");
    assert_eq!(send("ACME.obs.example.com", None).await.0, 400);
    assert_eq!((acme.asked().len(), globex.asked().len()), (1, 0));
}
