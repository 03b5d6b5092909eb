//! Pages and JSON in fewer bytes for those who can read them, and nothing else.

use std::io::Read as _;

use flate2::read::GzDecoder;
use reqwest::{Method, RequestBuilder, header::HeaderMap};
use serde_json::{Value, json};

use super::many;
use crate::support::{
    eventually,
    mirador::Mirador,
    tenant::Tenant,
    upstream::{Upstream, reply},
};

struct Got {
    headers: HeaderMap,
    bytes: Vec<u8>,
}

impl Got {
    async fn of(request: RequestBuilder) -> Self {
        let answer = request.send().await.expect("an answer");
        Self {
            headers: answer.headers().clone(),
            bytes: answer.bytes().await.expect("a body").to_vec(),
        }
    }

    fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().expect("ASCII"))
    }

    fn text(&self) -> String {
        let mut text = String::new();
        match self.header("content-encoding") {
            "gzip" => GzDecoder::new(&*self.bytes).read_to_string(&mut text),
            "" => (&*self.bytes).read_to_string(&mut text),
            other => panic!("coded as {other}"),
        }
        .expect("a text");
        text
    }
}

/// The same asked for twice: by who can't read `gzip`, and by who can.
async fn both(request: impl Fn() -> RequestBuilder) -> (Got, Got) {
    let plain = Got::of(request()).await;
    assert_eq!(plain.header("content-encoding"), "");
    let coded = Got::of(request().header("Accept-Encoding", "gzip, deflate, br")).await;
    (plain, coded)
}

#[tokio::test]
async fn pages_and_json_are_sent_in_fewer_bytes() {
    let upstream = Upstream::saying("fine");
    let folder = tempfile::tempdir().expect("a folder");
    let file = many(folder.path(), 300, &upstream.url());
    let config = json!({"tenants": [file], "health": {"public_page": true}});
    let mirador = Mirador::with(config).await;
    eventually("all tenants to be healthy", async || {
        let health = mirador.admin(Method::GET, "/api/v1/health?limit=1").send();
        let health: Value = health.await.expect("an answer").json().await.expect("JSON");
        (health["counts"]["healthy"] == 300).then_some(())
    })
    .await;
    for path in [
        "/health/tenants",
        "/api/v1/health?limit=1000",
        "/api/v1/openapi.json",
    ] {
        let (plain, coded) = both(|| mirador.admin(Method::GET, path)).await;
        assert_eq!(coded.header("content-encoding"), "gzip", "{path}");
        for got in [&plain, &coded] {
            assert_eq!(got.header("vary"), "accept-encoding", "{path}");
        }
        eprintln!(
            "{path}: {} bytes, coded {}",
            plain.bytes.len(),
            coded.bytes.len()
        );
        assert!(coded.bytes.len() * 4 < plain.bytes.len(), "{path}");
        assert_eq!(
            coded.header("content-length"),
            coded.bytes.len().to_string()
        );
        let (plain, coded) = (plain.text(), coded.text());
        if path.starts_with("/api/") {
            assert_eq!(plain, coded, "{path}");
        } else {
            let rows = coded.matches("<tr class=\"quiet").count();
            assert_eq!(rows, 200);
            assert!(coded.ends_with("</html>"));
        }
    }
    // The page for everybody, and what pages are made of.
    let anybody = || mirador.http.get(mirador.url("/health/tenants"));
    let (plain, coded) = both(anybody).await;
    assert_eq!(coded.header("content-encoding"), "gzip");
    assert_eq!(coded.header("vary"), "accept-encoding");
    assert!(coded.bytes.len() * 4 < plain.bytes.len());
    assert!(coded.text().contains("tenant-0000"));
    let page = plain.text();
    let (_, sheet) = page
        .split_once("rel=\"stylesheet\" href=\"")
        .expect("a sheet");
    let (sheet, _) = sheet.split_once('"').expect("its path");
    let public = || mirador.http.get(mirador.url(sheet));
    let admin = || mirador.http.get(mirador.admin_url(sheet));
    let requests: [&dyn Fn() -> RequestBuilder; 2] = [&public, &admin];
    for request in requests {
        let (plain, coded) = both(request).await;
        assert_eq!(coded.header("content-encoding"), "gzip");
        assert_eq!(plain.text(), coded.text());
    }
}

/// What has no end, what changes something, what may have a secret, what others have a browser ask
/// for, what is read by neighbours, and what is a backend's own.
#[tokio::test]
async fn all_else_is_sent_as_it_is() {
    let upstream = Upstream::start(|asked| {
        let coded = asked.head.get("accept-encoding").unwrap_or_default();
        reply(
            200,
            "Content-Type: application/json\r\n",
            &format!("[\"{coded}\", \"{}\"]", "x".repeat(4_000)),
        )
    });
    let mirador = Mirador::start().await;
    let acme = Tenant::new("acme").metrics(&[upstream.url()]);
    mirador.apply(&acme).await;
    let gzip = |request: RequestBuilder| request.header("Accept-Encoding", "gzip");
    let get = |path: &str| gzip(mirador.admin(Method::GET, path));

    let events = get("/api/v1/events").send().await.expect("a stream");
    assert!(!events.headers().contains_key("content-encoding"));
    drop(events);
    let metrics = Got::of(get("/metrics")).await;
    assert!(metrics.bytes.len() > 4_000, "{}", metrics.text());
    assert_eq!(metrics.header("content-encoding"), "");
    let put = gzip(mirador.admin(Method::PUT, "/api/v1/tenants/acme"));
    let labels: serde_json::Map<String, Value> = (0..60)
        .map(|n| (format!("label-{n}"), json!("the same value")))
        .collect();
    let labelled = acme.set("/labels", labels);
    let put = put.header("If-Match", "*").json(labelled.document());
    let put = Got::of(put).await;
    assert!(put.bytes.len() > 1_024, "{}", put.text());
    assert_eq!(put.header("content-encoding"), "");
    let elsewhere = get("/health/router").header("Sec-Fetch-Site", "cross-site");
    let elsewhere = Got::of(elsewhere).await;
    assert!(elsewhere.bytes.len() > 1_024 && elsewhere.header("content-encoding").is_empty());
    let here = Got::of(get("/health/router").header("Sec-Fetch-Site", "same-origin")).await;
    assert_eq!(here.header("content-encoding"), "gzip");
    let short = Got::of(get("/api/v1/tenants?tier=gold")).await;
    assert!(short.bytes.len() < 1_024 && short.header("content-encoding").is_empty());

    let proxied = gzip(mirador.request(Method::GET, "acme", "/api/v1/query?query=up"));
    let proxied = Got::of(proxied).await;
    assert_eq!(proxied.header("content-encoding"), "");
    assert_eq!(proxied.header("vary"), "");
    let text = proxied.text();
    assert!(
        text.starts_with("[\"gzip\"") && text.len() > 4_000,
        "the backend is asked as ever"
    );
}
