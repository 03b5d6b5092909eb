//! TLS on either side: what the router shows to clients, and whom it believes to be a backend.

use std::{fs, path::Path};

use http::Request;
use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{
    acme::of_acme,
    client::{RawClient, ask},
    eventually,
    h2::H2Client,
    mirador::Mirador,
    port::Port,
    tenant::Tenant,
    tls::{Authority, Identity, TlsFront, connect, shown},
    upstream::Upstream,
};

/// A router that serves acme in clear and, on the port it answers with, by TLS.
async fn listening(upstream: &Upstream, files: &Value) -> (Mirador, Port) {
    let secure = Port::take();
    let listen = json!({"listen": {"metrics": {
        "address": secure.address().to_string(), "tls": files,
    }}});
    let mirador = Mirador::with(listen).await;
    mirador
        .apply(&Tenant::new("acme").metrics(&[upstream.url()]))
        .await;
    (mirador, secure)
}

fn install(identity: &Identity, folder: &Path) {
    fs::copy(&identity.cert_file, folder.join("cert.pem")).expect("a certificate");
    fs::copy(&identity.key_file, folder.join("key.pem")).expect("a key");
}

/// Acme with its metrics at a TLS port, and what the deployment says of TLS.
fn acme_at(host: &str, front: &TlsFront, tls: Value) -> Tenant {
    let url = format!("https://{host}:{}", front.port());
    Tenant::new("acme")
        .metrics(&[url])
        .set("/deployments/metrics/tls", tls)
}

/// Sends a query of acme's, and answers the reply's status.
async fn status(mirador: &Mirador) -> u16 {
    let reply = ask(mirador.address(), of_acme("GET /api/v1/query", "")).await;
    reply.expect("a reply").status()
}

/// Whether acme's one endpoint takes requests, as the admin API tells.
async fn is_up(mirador: &Mirador) -> bool {
    let reply = mirador
        .admin(Method::GET, "/api/v1/tenants/acme/health")
        .send()
        .await;
    let page: Value = reply.expect("an answer").json().await.expect("JSON");
    page["deployments"]["metrics"]["endpoints"][0]["state"] == "up"
}

#[tokio::test]
async fn a_listener_shows_its_certificate_and_speaks_what_the_client_chose() {
    let upstream = Upstream::saying("hello");
    let authority = Authority::new();
    let identity = authority.issue("mirador.test");
    let files = json!({"cert_file": identity.cert_file, "key_file": identity.key_file});
    let (_mirador, secure) = listening(&upstream, &files).await;

    let io = connect(secure.address(), "mirador.test", &authority, &[b"http/1.1"]).await;
    let io = io.expect("a session");
    assert_eq!(io.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let mut client = RawClient::over(io);
    client.send(of_acme("GET /api/v1/query", "")).await;
    assert_eq!(client.reply().await.expect("a reply").body.text(), "hello");

    let offered: [&[u8]; 2] = [b"h2", b"http/1.1"];
    let io = connect(secure.address(), "mirador.test", &authority, &offered).await;
    let io = io.expect("a session");
    assert_eq!(io.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let request = Request::get("https://mirador.test/api/v1/query")
        .header("x-tenant-id", "acme")
        .body(())
        .expect("a request");
    let (head, body) = H2Client::over(io).await.send(request, &[]).await;
    assert_eq!((head.status().as_u16(), &*body.data), (200, &b"hello"[..]));

    let io = connect(secure.address(), "mirador.test", &authority, &[]).await;
    let mut client = RawClient::over(io.expect("a session without ALPN"));
    client.send(of_acme("GET /api/v1/query", "")).await;
    assert_eq!(client.reply().await.expect("a reply").status(), 200);

    for asked in upstream.asked() {
        assert_eq!(asked.head.get("x-forwarded-proto"), Some("https"));
    }
    assert_eq!(upstream.asked().len(), 3);
    let stranger = connect(secure.address(), "mirador.test", &Authority::new(), &[]).await;
    assert!(
        stranger.is_none(),
        "somebody else's authority vouches for it"
    );
    let odd = connect(secure.address(), "mirador.test", &authority, &[b"spdy/3"]).await;
    assert!(odd.is_none(), "a protocol nobody speaks was agreed on");
}

#[tokio::test]
async fn a_renewed_certificate_is_taken_in_without_dropping_anybody() {
    let upstream = Upstream::saying("hello");
    let authority = Authority::new();
    let (old, new) = (
        authority.issue("mirador.test"),
        authority.issue("mirador2.test"),
    );
    let folder = tempfile::tempdir().expect("a folder");
    install(&old, folder.path());
    let files = json!({
        "cert_file": folder.path().join("cert.pem"), "key_file": folder.path().join("key.pem"),
    });
    let (mirador, secure) = listening(&upstream, &files).await;
    let io = connect(secure.address(), "mirador.test", &authority, &[])
        .await
        .expect("a session");
    assert_eq!(shown(&io), old.certificate);
    let mut before = RawClient::over(io);
    before.send(of_acme("GET /api/v1/query", "")).await;
    assert_eq!(before.reply().await.expect("a reply").status(), 200);

    install(&new, folder.path());
    mirador.process.signal(Signal::HUP);
    eventually("the new certificate", async || {
        let io = connect(secure.address(), "mirador2.test", &authority, &[]).await?;
        (shown(&io) == new.certificate).then_some(())
    })
    .await;
    before.send(of_acme("GET /api/v1/query", "")).await;
    assert_eq!(
        before.reply().await.expect("the same session").status(),
        200
    );

    fs::write(folder.path().join("cert.pem"), "not a certificate").expect("a file");
    let reply = mirador.admin(Method::POST, "/-/reload").send().await;
    let reply = reply.expect("an answer");
    assert_eq!(reply.status(), 400);
    let told = reply.text().await.expect("a body");
    assert!(told.contains("certificate"), "{told}");
    let io = connect(secure.address(), "mirador2.test", &authority, &[]).await;
    assert_eq!(
        shown(&io.expect("a session")),
        new.certificate,
        "the last good one stays"
    );
}

#[tokio::test]
async fn a_backend_with_a_trusted_certificate_is_asked_and_probed() {
    let upstream = Upstream::saying("hello");
    let authority = Authority::new();
    let front = TlsFront::start(&upstream, &authority.issue("127.0.0.1"), None).await;
    let mirador = Mirador::start().await;
    let trust = json!({"ca_file": authority.ca_file()});
    mirador.apply(&acme_at("127.0.0.1", &front, trust)).await;
    assert_eq!(status(&mirador).await, 200);
    upstream.until_probed(2).await;
    assert!(is_up(&mirador).await);
    let host = format!("127.0.0.1:{}", front.port());
    assert_eq!(upstream.only().head.get("host"), Some(&*host));
    let alpn = front
        .greetings()
        .iter()
        .any(|one| one.alpn == Some(b"http/1.1".to_vec()));
    assert!(alpn, "{:?}", front.greetings());
}

#[tokio::test]
async fn a_backend_that_can_not_prove_who_it_is_gets_nothing() {
    let upstream = Upstream::saying("hello");
    let (authority, stranger) = (Authority::new(), Authority::new());
    let named = TlsFront::start(&upstream, &authority.issue("127.0.0.1"), None).await;
    let misnamed = TlsFront::start(&upstream, &authority.issue("other.test"), None).await;
    let mirador = Mirador::start().await;
    let cases = [
        (
            "an unknown authority",
            &named,
            json!({"ca_file": stranger.ca_file()}),
        ),
        ("the system's authorities", &named, json!({})),
        (
            "another name",
            &misnamed,
            json!({"ca_file": authority.ca_file()}),
        ),
        (
            "a name it was not asked for",
            &named,
            json!({"ca_file": authority.ca_file(), "server_name": "other.test"}),
        ),
    ];
    for (name, front, tls) in cases {
        mirador.apply(&acme_at("127.0.0.1", front, tls)).await;
        assert_eq!(status(&mirador).await, 503, "{name}");
        eventually("the endpoint to be found down", async || {
            (!is_up(&mirador).await).then_some(())
        })
        .await;
        assert_eq!(status(&mirador).await, 503, "{name}");
    }
    assert!(upstream.asked().is_empty(), "{:?}", upstream.asked());
}

#[tokio::test]
async fn requests_and_probes_verify_the_configured_name() {
    let upstream = Upstream::saying("hello");
    let authority = Authority::new();
    let front = TlsFront::start(&upstream, &authority.issue("victoria.test"), None).await;
    let mirador = Mirador::start().await;
    let tls = json!({"ca_file": authority.ca_file(), "server_name": "victoria.test"});
    mirador.apply(&acme_at("127.0.0.1", &front, tls)).await;
    assert_eq!(status(&mirador).await, 200);
    upstream.until_probed(2).await;
    assert!(is_up(&mirador).await);
    for greeting in front.greetings() {
        assert_eq!(greeting.server_name.as_deref(), Some("victoria.test"));
    }
    let connections = upstream.connections();
    assert!(
        connections >= 2,
        "a request's and a probe's, not {connections}"
    );
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_those_who_ask() {
    let upstream = Upstream::saying("hello");
    let authority = Authority::new();
    let identity = authority.issue("127.0.0.1");
    let front = TlsFront::start(&upstream, &identity, Some(&authority)).await;
    let mirador = Mirador::start().await;
    let anonymous = json!({"ca_file": authority.ca_file()});
    mirador
        .apply(&acme_at("127.0.0.1", &front, anonymous))
        .await;
    assert!(
        matches!(status(&mirador).await, 502 | 503),
        "nobody was let in without one"
    );

    let ours = authority.issue("router.test");
    let with_ours = json!({
        "ca_file": authority.ca_file(), "cert_file": ours.cert_file, "key_file": ours.key_file,
    });
    mirador
        .apply(&acme_at("127.0.0.1", &front, with_ours))
        .await;
    eventually("acme to be served", async || {
        (status(&mirador).await == 200).then_some(())
    })
    .await;
    upstream.until_probed(2).await;
    for greeting in front.greetings() {
        assert_eq!(greeting.certificate.as_ref(), Some(&ours.certificate));
    }
}
