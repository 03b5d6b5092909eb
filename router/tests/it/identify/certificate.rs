//! Tenants named by client certificates.

use std::path::Path;

use rcgen::{DnType, SanType};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{
    acme::request,
    client::{RawClient, RawReply},
    eventually,
    mirador::Mirador,
    port::Port,
    tenant::Tenant,
    tls::{Authority, Identity, connect_as},
    upstream::Upstream,
};

const QUERY: &str = "GET /api/v1/query?query=up";

/// A router that takes client certificates of an authority.
struct World {
    mirador: Mirador,
    secure: Port,
    authority: Authority,
    backends: [Upstream; 2],
}

impl World {
    async fn new(rule: Value, certificates: &str, sources: Value) -> Self {
        let authority = Authority::new();
        let server = authority.issue("mirador.test");
        let secure = Port::take();
        let config = json!({
            "listen": {"public": [
                {"address": "127.0.0.1:0"},
                {
                    "address": secure.address().to_string(),
                    "tls": {
                        "cert_file": server.cert_file, "key_file": server.key_file,
                        "client_ca_file": authority.ca_file(),
                        "client_certificates": certificates,
                    },
                },
            ]},
            "identify": {
                "sources": sources, "authentication": "required", "certificate": rule,
            },
        });
        let mirador = Mirador::with(config).await;
        let backends = [Upstream::saying("acme"), Upstream::saying("globex")];
        for (id, backend) in ["acme", "globex"].into_iter().zip(&backends) {
            let tenant = Tenant::new(id).everything(&[backend.url()]);
            mirador.apply(&tenant).await;
        }
        Self {
            mirador,
            secure,
            authority,
            backends,
        }
    }

    /// Sends a query by TLS as somebody. `None` if they are not let in.
    async fn ask(&self, client: Option<&Identity>, headers: &str) -> Option<RawReply> {
        let address = self.secure.address();
        let io = connect_as(address, "mirador.test", &self.authority, client).await?;
        let mut client = RawClient::over(io);
        client.send(request(QUERY, headers, "")).await;
        // With TLS 1.3 a client learns that it is refused only when it reads.
        client.reply().await.ok()
    }

    async fn told(&self, client: &Identity, headers: &str) -> (u16, String) {
        let reply = self.ask(Some(client), headers).await.expect("let in");
        (reply.status(), reply.body.text())
    }
}

/// A certificate with a URI and a common name.
fn spiffe(authority: &Authority, uri: &str) -> Identity {
    authority.issue_with("client", |params| {
        let uri = uri.try_into().expect("a URI");
        params.subject_alt_names = vec![SanType::URI(uri)];
    })
}

fn common_name(authority: &Authority, name: &str) -> Identity {
    authority.issue_with("client", |params| {
        params.distinguished_name.push(DnType::CommonName, name);
    })
}

#[tokio::test]
async fn a_certificate_names_its_tenant_by_the_whole_of_a_name() {
    let rule = json!({
        "field": "san_uri", "pattern": "spiffe://example.com/tenant/{tenant}",
        "all_tenants": ["spiffe://example.com/observers"],
    });
    let world = World::new(rule, "optional", json!(["header", "certificate"])).await;
    let issue = |uri: &str| spiffe(&world.authority, uri);
    let acme = issue("spiffe://example.com/tenant/acme");
    assert_eq!(world.told(&acme, "").await, (200, "acme".into()));
    let named = world.told(&acme, "X-Tenant-ID: acme\r\n").await;
    assert_eq!(named, (200, "acme".into()));
    let observer = issue("spiffe://example.com/observers");
    let named = world.told(&observer, "X-Tenant-ID: globex\r\n").await;
    assert_eq!(named, (200, "globex".into()));
    assert_eq!(world.told(&observer, "").await.0, 400, "for whom?");

    let (status, text) = world.told(&acme, "X-Tenant-ID: globex\r\n").await;
    assert_eq!(status, 403, "{text}");
    assert!(text.contains("\"tenant_not_allowed\""), "{text}");
    for uri in [
        "spiffe://example.com/tenant/acme/x",
        "spiffe://example.com/tenant/",
        "spiffe://example.com/tenant/ACME",
        "spiffe://example.com/tenant/acme%00",
        "spiffe://example.com.evil.test/tenant/acme",
        "spiffe://evil.test/spiffe://example.com/tenant/acme",
        "spiffe://example.com/observers/x",
    ] {
        let (status, text) = world.told(&issue(uri), "X-Tenant-ID: acme\r\n").await;
        assert_eq!(status, 403, "{uri}: {text}");
    }
    // The right words in another kind of name.
    let elsewhere = common_name(&world.authority, "spiffe://example.com/tenant/acme");
    assert_eq!(world.told(&elsewhere, "").await.0, 403);
    let nobody = world.ask(None, "X-Tenant-ID: acme\r\n").await;
    assert_eq!(nobody.expect("let in").status(), 401, "without one");
    let asked = world
        .backends
        .each_ref()
        .map(|backend| backend.asked().len());
    assert_eq!(asked, [2, 1]);
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_nobodys() {
    let rule = json!({"field": "subject_cn", "pattern": "{tenant}"});
    let world = World::new(rule, "required", json!(["certificate"])).await;
    let acme = common_name(&world.authority, "acme");
    assert_eq!(world.told(&acme, "").await, (200, "acme".into()));
    let forged = common_name(&Authority::new(), "acme");
    assert!(
        world.ask(Some(&forged), "").await.is_none(),
        "it was let in"
    );
    assert!(world.ask(None, "").await.is_none(), "one is required");
    let expired = world.authority.issue_with("client", |params| {
        params.distinguished_name.push(DnType::CommonName, "acme");
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    });
    assert!(world.ask(Some(&expired), "").await.is_none(), "it is old");
    assert_eq!(world.backends[0].asked().len(), 1);
    let refused = world.mirador.metrics().await;
    assert!(refused.sum("mirador_request_errors_total", &[]) == 0.0);
}

#[tokio::test]
async fn an_authority_that_is_replaced_is_believed_no_longer() {
    let rule = json!({"field": "subject_cn", "pattern": "{tenant}"});
    let world = World::new(rule, "required", json!(["certificate"])).await;
    let before = common_name(&world.authority, "acme");
    assert_eq!(world.told(&before, "").await.0, 200);
    let successor = Authority::new();
    let after = common_name(&successor, "acme");
    replace(&successor.ca_file(), &world.authority.ca_file());
    world.mirador.process.signal(Signal::HUP);
    eventually("the new authority", async || {
        let reply = world.ask(Some(&after), "").await?;
        (reply.status() == 200).then_some(())
    })
    .await;
    assert!(world.ask(Some(&before), "").await.is_none());
}

fn replace(with: &Path, file: &Path) {
    std::fs::copy(with, file).expect("a file");
}
