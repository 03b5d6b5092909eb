//! Tokens that are none, and those who have none.

use http::Request;
use serde_json::{Value, json};

use super::{World, bearer, claims, now, refusal, with};
use crate::support::{
    acme::request,
    client::RawClient,
    h2::H2Client,
    signer::{Signer, unsigned},
};

#[tokio::test]
async fn a_token_that_is_none_is_refused_and_reaches_nobody() {
    let (signer, stranger) = (Signer::new("RS256", "a"), Signer::new("ES256", "a"));
    let ec = Signer::new("ES256", "ec");
    let world = World::new(&[&signer, &ec], json!({"max_failures_per_minute": 10_000})).await;
    let before = world.reached();
    let good = signer.token(&claims("acme"));
    let (message, signature) = good.rsplit_once('.').expect("parts");
    let alg_none = unsigned(&json!({"alg": "none"}), &claims("acme"));
    let hmac = unsigned(&json!({"alg": "HS256", "kid": "a"}), &claims("acme"));
    for (name, token) in [
        ("no signature", format!("{message}.")),
        ("alg none", format!("{alg_none}.")),
        (
            "alg none with the signature",
            format!("{alg_none}.{signature}"),
        ),
        ("key confusion", format!("{hmac}.{signature}")),
        ("somebody else's key", stranger.token(&claims("acme"))),
        (
            "the key of another",
            ec.token_with(&json!({"alg": "ES256", "kid": "a"}), &claims("acme")),
        ),
        (
            "a key that is unknown",
            signer.token_with(&json!({"alg": "RS256", "kid": "b"}), &claims("acme")),
        ),
        ("expired", signer.token(&with("exp", now() - 31))),
        ("no end", signer.token(&with("exp", Value::Null))),
        ("not yet valid", signer.token(&with("nbf", now() + 90))),
        (
            "another issuer",
            signer.token(&with("iss", "https://evil.example.com")),
        ),
        ("another audience", signer.token(&with("aud", "mirador2"))),
        ("huge", format!("{good}{}", "A".repeat(20 << 10))),
        ("garbage", "abc".into()),
    ] {
        let reply = world.ask(&bearer(&token)).await;
        assert_eq!(refusal(&reply), (401, "invalid_token".into()), "{name}");
        let challenge = reply.head.get("www-authenticate");
        let expected = "Bearer realm=\"mirador\", error=\"invalid_token\"";
        assert_eq!(challenge, Some(expected), "{name}");
        // A name beside it does not help.
        let beside = format!("{}X-Tenant-ID: acme\r\n", bearer(&token));
        assert_eq!(world.ask(&beside).await.status(), 401, "{name}");
    }
    // A clock that is a little late or early is forgiven.
    for claims in [with("exp", now() - 10), with("nbf", now() + 10)] {
        assert_eq!(
            world.ask(&bearer(&signer.token(&claims))).await.status(),
            200
        );
    }
    let (acme, globex) = world.reached();
    assert_eq!((acme - before.0, globex), (2, 0), "only the two good ones");
}

#[tokio::test]
async fn without_a_credential_everybody_is_told_so_in_their_own_format() {
    let signer = Signer::new("EdDSA", "a");
    let world = World::new(&[&signer], json!({})).await;
    let before = world.reached();
    for headers in ["", "X-Tenant-ID: acme\r\n", "Authorization: Basic YTpi\r\n"] {
        let reply = world.ask(headers).await;
        assert_eq!(
            refusal(&reply),
            (401, "unauthenticated".into()),
            "{headers:?}"
        );
        assert_eq!(
            reply.head.get("www-authenticate"),
            Some("Bearer realm=\"mirador\""),
        );
        let body: Value = serde_json::from_slice(&reply.body.kept).expect("JSON");
        assert_eq!(body["errorType"], "unauthorized", "{body}");
    }
    for method in ["OPTIONS", "POST", "DELETE"] {
        let reply = world.send(&format!("{method} /api/v1/query"), "").await;
        assert_eq!(reply.status(), 401, "{method}");
    }
    let reply = world.send("GET /select/logsql/query?query=*", "").await;
    assert_eq!(reply.status(), 401);
    assert!(
        reply.body.text().starts_with("a credential is required"),
        "{reply:?}"
    );
    let reply = world.send("GET /select/jaeger/api/services", "").await;
    let body: Value = serde_json::from_slice(&reply.body.kept).expect("JSON");
    assert_eq!(body["errors"][0]["code"], 401, "{body}");
    let reply = world
        .send("POST /insert/jsonline", "Content-Length: 0\r\n")
        .await;
    assert_eq!(reply.status(), 401, "ingestion, too");
    let client = H2Client::connect(&world.mirador).await;
    let grpc = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    let export = Request::post(format!("http://mirador.test{grpc}"))
        .header("content-type", "application/grpc")
        .body(())
        .expect("a request");
    let (head, _) = client.send(export, &[]).await;
    assert_eq!(head.status(), 200);
    assert_eq!(head.headers()["grpc-status"], "16");
    // The router's own health is no tenant's.
    assert_eq!(world.send("GET /health", "").await.status(), 200);
    let named = world.send("GET /health", "X-Tenant-ID: acme\r\n").await;
    assert_eq!(
        named.status(),
        401,
        "whether acme is well is not for everybody"
    );
    assert_eq!(world.reached(), before);
}

#[tokio::test]
async fn guessing_has_an_end_and_those_who_are_known_do_not_suffer() {
    const MOST: usize = 20;
    let signer = Signer::new("EdDSA", "a");
    let world = World::new(&[&signer], json!({"max_failures_per_minute": MOST})).await;
    let known = bearer(&signer.token(&claims("acme")));
    // Each worker has to meet it once.
    let (mut guesser, address) = (
        RawClient::connect(world.mirador.address()).await,
        world.mirador.address(),
    );
    let mut send = async |headers: &str| {
        guesser
            .send(request("GET /api/v1/query?query=up", headers, ""))
            .await;
        guesser.reply().await.expect("a reply")
    };
    assert_eq!(send(&known).await.status(), 200);
    let mut statuses = Vec::new();
    for guess in 0..3 * MOST {
        let stranger = Signer::new("EdDSA", &format!("guess-{guess}"));
        statuses.push(
            send(&bearer(&stranger.token(&claims("acme"))))
                .await
                .status(),
        );
    }
    let refused = statuses.iter().filter(|status| **status == 401).count();
    assert!((MOST..=MOST + 5).contains(&refused), "{statuses:?}");
    assert_eq!(statuses.last(), Some(&429));
    let limited = send(&bearer("another.guess.x")).await;
    assert_eq!(refusal(&limited), (429, "too_many_failures".into()));
    let wait: u64 = limited
        .head
        .get("retry-after")
        .and_then(|wait| wait.parse().ok())
        .expect("a time to wait");
    assert!((1..=10).contains(&wait), "{wait}");
    let body: Value = serde_json::from_slice(&limited.body.kept).expect("JSON");
    assert_eq!(body["errorType"], "too_many_requests");
    // Even a right guess has to wait, but for whom the worker knows already.
    let fresh = bearer(&signer.token(&with("sub", "somebody new")));
    assert_eq!(send(&fresh).await.status(), 429);
    assert_eq!(send(&known).await.status(), 200);
    // A sender is told so that it keeps its data.
    let mut sender = RawClient::connect(address).await;
    let headers = format!("{fresh}Content-Length: 0\r\n");
    sender
        .send(request("POST /api/v1/write", &headers, ""))
        .await;
    assert_eq!(sender.reply().await.expect("a reply").status(), 503);
    // Everybody else goes on.
    let elsewhere = [127, 0, 0, 2].into();
    let mut other = RawClient::connect_from(elsewhere, address).await;
    other
        .send(request("GET /api/v1/query?query=up", &fresh, ""))
        .await;
    assert_eq!(other.reply().await.expect("a reply").status(), 200);
}
