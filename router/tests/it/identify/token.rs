//! Tenants named by signed tokens: of issuers whose keys are in a file, at a URL, or where their
//! `OpenID` configuration says.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use http::Request;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::support::{
    acme::request,
    client::{RawClient, RawReply, ask},
    eventually,
    h2::H2Client,
    mirador::Mirador,
    signer::{Signer, jwks, unsigned},
    tenant::Tenant,
    upstream::{Upstream, reply},
};

const ISSUER: &str = "https://login.example.com";

/// A router that believes tokens, and serves acme and globex to whom they show.
struct World {
    mirador: Mirador,
    acme: Upstream,
    globex: Upstream,
}

impl World {
    /// One that knows these signers' keys by a file, with `identify` as it says beside that.
    async fn new(signers: &[&Signer], identify: Value) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("keys.json");
        std::fs::write(&file, jwks(signers).to_string()).expect("a file");
        let issuer = json!({"issuer": ISSUER, "audiences": ["mirador"], "jwks_file": file});
        let world = Self::with(issuer, identify).await;
        // Read by now: the file is one that is there.
        let token = signers[0].token(&claims("acme"));
        eventually("the keys to be read", async || {
            (world.ask(&bearer(&token)).await.status() == 200).then_some(())
        })
        .await;
        world
    }

    async fn with(mut issuer: Value, identify: Value) -> Self {
        for (name, value) in identify["jwt"].as_object().into_iter().flatten() {
            issuer[name] = value.clone();
        }
        let mut config = json!({"sources": ["header", "jwt"], "authentication": "required"});
        for (name, value) in identify.as_object().into_iter().flatten() {
            config[name] = value.clone();
        }
        config["jwt"] = issuer;
        let mirador = Mirador::with(json!({"identify": config, "log": {"level": "debug"}})).await;
        let (acme, globex) = (Upstream::saying("acme"), Upstream::saying("globex"));
        for (id, backend) in [("acme", &acme), ("globex", &globex)] {
            let tenant = Tenant::new(id).everything(&[backend.url()]);
            mirador.apply(&tenant).await;
        }
        Self {
            mirador,
            acme,
            globex,
        }
    }

    /// Sends a query with these header lines.
    async fn ask(&self, headers: &str) -> RawReply {
        self.send("GET /api/v1/query?query=up", headers).await
    }

    async fn send(&self, line: &str, headers: &str) -> RawReply {
        let reply = ask(self.mirador.address(), request(line, headers, "")).await;
        reply.unwrap_or_else(|end| panic!("{line} ended with {end:?}"))
    }

    fn reached(&self) -> (usize, usize) {
        (self.acme.asked().len(), self.globex.asked().len())
    }
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("a time").as_secs()
}

fn claims(tenant: impl Into<Value>) -> Value {
    json!({
        "iss": ISSUER, "aud": "mirador", "sub": "alice", "exp": now() + 600,
        "tenant": tenant.into(),
    })
}

/// Claims of acme's with one of them changed.
fn with(name: &str, value: impl Into<Value>) -> Value {
    let mut claims = claims("acme");
    claims[name] = value.into();
    claims
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

/// Status and reason of a refusal in Prometheus' form.
fn refusal(reply: &RawReply) -> (u16, String) {
    let body: Value = serde_json::from_slice(&reply.body.kept).expect("JSON");
    let reason = body["reason"].as_str().expect("a reason");
    (reply.status(), reason.to_owned())
}

#[tokio::test]
async fn a_token_reaches_its_tenant_and_the_backend_never_sees_it() {
    let signer = Signer::new("ES256", "a");
    let world = World::new(&[&signer], json!({})).await;
    let reply = world.ask(&bearer(&signer.token(&claims("globex")))).await;
    assert_eq!((reply.status(), reply.body.text()), (200, "globex".into()));
    let asked = world.globex.only();
    assert_eq!(asked.head.get("authorization"), None);
    assert!(!asked.head.0.contains("eyJ"), "{}", asked.head.0);
    let reply = world
        .ask(&format!(
            "{}X-Tenant-ID: globex\r\n",
            bearer(&signer.token(&claims("globex")))
        ))
        .await;
    assert_eq!(reply.body.text(), "globex", "the header agrees");

    // Nothing of a token is ever logged, whoever it was and whatever came of it.
    let token = signer.token(&with("sub", "mallory"));
    world.ask(&bearer(&format!("{token}x"))).await;
    let log = world.mirador.process.log();
    for part in token.split('.') {
        assert!(!log.contains(part), "{log}");
    }
}

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
async fn a_claim_is_compared_whole() {
    let signer = Signer::new("EdDSA", "a");
    let world = World::new(&[&signer], json!({"max_failures_per_minute": 10_000})).await;
    let before = world.reached();
    for tenant in [
        json!("acme.*"),
        json!("^acme"),
        json!("acme|globex"),
        json!("*"),
        json!(""),
        json!([]),
        json!(["acme", "gl*"]),
        json!({"id": "acme"}),
        json!(1),
        Value::Null,
    ] {
        let reply = world
            .ask(&bearer(&signer.token(&claims(tenant.clone()))))
            .await;
        assert_eq!(
            refusal(&reply),
            (403, "tenant_not_allowed".into()),
            "{tenant}"
        );
    }
    let longer = bearer(&signer.token(&claims("acme2"))) + "X-Tenant-ID: acme\r\n";
    assert_eq!(
        refusal(&world.ask(&longer).await),
        (403, "tenant_not_allowed".into())
    );
    assert_eq!(world.reached(), before);
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
async fn a_name_chooses_among_the_tenants_of_a_token_and_no_others() {
    let signer = Signer::new("EdDSA", "a");
    let world = World::new(&[&signer], json!({"jwt": {"all_tenants": "everything"}})).await;
    let both = bearer(&signer.token(&claims(json!(["acme", "globex"]))));
    let one = bearer(&signer.token(&claims("acme")));
    let all = bearer(&signer.token(&claims("everything")));
    let named = |credential: &str, tenant: &str| format!("{credential}X-Tenant-ID: {tenant}\r\n");
    for (headers, tenant) in [
        (named(&both, "acme"), "acme"),
        (named(&both, "globex"), "globex"),
        (named(&one, "acme"), "acme"),
        (one.clone(), "acme"),
        (named(&all, "globex"), "globex"),
    ] {
        assert_eq!(world.ask(&headers).await.body.text(), tenant, "{headers}");
    }
    let before = world.reached();
    for (headers, status, reason) in [
        (both.clone(), 400, "tenant_not_chosen"),
        (all.clone(), 400, "tenant_not_chosen"),
        (named(&both, "initech"), 403, "tenant_not_allowed"),
        (named(&one, "globex"), 403, "tenant_not_allowed"),
        (named(&all, "initech"), 403, "unknown_tenant"),
        (named(&all, "*"), 400, "malformed_tenant"),
        (format!("{one}{one}"), 400, "malformed_tenant"),
        (format!("{one}{both}"), 400, "malformed_tenant"),
        (
            named(&named(&both, "acme"), "globex"),
            400,
            "malformed_tenant",
        ),
        (
            format!("{}X-Scope-OrgID: globex\r\n", named(&both, "acme")),
            400,
            "malformed_tenant",
        ),
    ] {
        let reply = world.ask(&headers).await;
        assert_eq!(refusal(&reply), (status, reason.into()), "{headers}");
    }
    assert_eq!(world.reached(), before);
}

#[tokio::test]
async fn a_token_does_what_its_scopes_say() {
    let signer = Signer::new("EdDSA", "a");
    let scoped = json!({"jwt": {
        "scope_claim": "scope",
        "scopes": {"view": ["read"], "push": ["metrics:write"], "own": ["metrics:admin"]},
    }});
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("keys.json");
    std::fs::write(&file, jwks(&[&signer]).to_string()).expect("a file");
    let issuer = json!({"issuer": ISSUER, "audiences": ["mirador"], "jwks_file": file});
    let world = World::with(issuer, scoped).await;
    for (scope, line, status) in [
        ("openid view", "GET /api/v1/query", 200),
        ("view", "GET /select/logsql/query", 200),
        ("view", "POST /api/v1/write", 403),
        ("view", "POST /insert/jsonline", 403),
        ("view", "GET /api/v1/export", 200),
        ("view", "POST /api/v1/import", 403),
        ("view", "GET /an/unknown/path", 403),
        ("push", "POST /api/v1/write", 200),
        ("push", "POST /insert/jsonline", 403),
        ("push", "GET /api/v1/query", 403),
        ("push view", "GET /an/unknown/path", 403),
        ("own", "GET /an/unknown/path", 200),
        ("own", "GET /api/v1/query", 403),
        ("read", "GET /api/v1/query", 403),
        ("", "GET /api/v1/query", 403),
    ] {
        let token = signer.token(&with("scope", scope));
        let headers = bearer(&token) + "Content-Length: 0\r\n";
        // Keys may be on their way still.
        let reply = eventually("keys", async || {
            let reply = world.send(line, &headers).await;
            (reply.status() != 503).then_some(reply)
        })
        .await;
        assert_eq!(reply.status(), status, "{scope:?}: {line}");
        if status == 403 {
            let challenge = reply.head.get("www-authenticate").unwrap_or_default();
            assert!(challenge.contains("insufficient_scope"), "{scope}: {line}");
        }
    }
}

/// Somebody who publishes keys over HTTP, which may change.
fn publisher(keys: &Arc<Mutex<Value>>) -> Upstream {
    let keys = keys.clone();
    Upstream::start(move |asked| {
        let base = format!("http://{}", asked.head.get("host").unwrap_or_default());
        let body = match asked.target() {
            "/keys" => keys.lock().clone(),
            "/.well-known/openid-configuration" => {
                json!({"issuer": base, "jwks_uri": format!("{base}/keys")})
            }
            _ => return reply(404, "", ""),
        };
        reply(200, "Content-Type: application/json\r\n", &body.to_string())
    })
}

#[tokio::test]
async fn keys_are_found_by_discovery_and_followed_as_they_change() {
    let (old, new) = (Signer::new("ES384", "old"), Signer::new("PS256", "new"));
    let keys = Arc::new(Mutex::new(jwks(&[&old])));
    let mut login = publisher(&keys);
    let issuer = json!({
        "issuer": login.url(), "audiences": ["mirador"], "refresh_interval": "1h",
        "refresh_cooldown": "100ms",
    });
    let world = World::with(issuer, json!({})).await;
    let issuer = login.url();
    let of = |signer: &Signer| {
        let mut claims = claims("acme");
        claims["iss"] = issuer.clone().into();
        bearer(&signer.token(&claims))
    };
    let (by_old, by_new) = (of(&old), of(&new));
    assert_eq!(world.ask(&by_old).await.status(), 200);
    assert_eq!(world.ask(&by_new).await.status(), 401, "nobody's key yet");
    let discovered = login.asked();
    assert!(discovered.iter().any(|asked| asked.target() == "/keys"));

    // A key that is not known makes the router look again, long before the interval.
    *keys.lock() = jwks(&[&old, &new]);
    eventually("the new key to be found", async || {
        (world.ask(&by_new).await.status() == 200).then_some(())
    })
    .await;
    assert_eq!(world.ask(&by_old).await.status(), 200);

    // A key that was taken back is believed no longer, whatever was verified by it before.
    *keys.lock() = jwks(&[&new]);
    let unknown = of(&Signer::new("EdDSA", "unknown"));
    eventually("the old key to be forgotten", async || {
        assert_eq!(world.ask(&unknown).await.status(), 401);
        (world.ask(&by_old).await.status() == 401).then_some(())
    })
    .await;

    // Without its issuer, what is known goes on.
    login.stop().await;
    assert_eq!(world.ask(&by_new).await.status(), 200);
    let again = of(&new);
    assert_eq!(
        world.ask(&again).await.status(),
        200,
        "one never seen before"
    );
}

#[tokio::test]
async fn until_keys_are_known_a_token_is_neither_good_nor_bad() {
    let signer = Signer::new("EdDSA", "a");
    let keys = Arc::new(Mutex::new(json!({"keys": []})));
    let login = publisher(&keys);
    let issuer = json!({
        "issuer": ISSUER, "audiences": ["mirador"], "jwks_url": format!("{}/keys", login.url()),
        "refresh_interval": "1s", "refresh_cooldown": "100ms",
    });
    let world = World::with(issuer, json!({})).await;
    let token = bearer(&signer.token(&claims("acme")));
    let reply = world.ask(&token).await;
    assert_eq!(refusal(&reply), (503, "keys_unavailable".into()));
    assert_eq!(reply.head.get("retry-after"), Some("1"));
    *keys.lock() = jwks(&[&signer]);
    eventually("the keys to be read", async || {
        (world.ask(&token).await.status() == 200).then_some(())
    })
    .await;
    assert_eq!(world.reached(), (1, 0));
}

#[tokio::test]
async fn a_token_that_was_verified_ends_when_it_says() {
    let signer = Signer::new("EdDSA", "a");
    let world = World::new(&[&signer], json!({"jwt": {"leeway": "0s"}})).await;
    let end = now() + 3;
    let token = bearer(&signer.token(&with("exp", end)));
    assert_eq!(world.ask(&token).await.status(), 200);
    eventually("the token's end", async || {
        let status = world.ask(&token).await.status();
        let late = SystemTime::now() >= UNIX_EPOCH + Duration::from_secs(end);
        assert!(status == 200 || late, "refused before its end");
        (status == 401).then_some(())
    })
    .await;
    assert!(now() <= end + 1, "it was believed for too long");
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

#[tokio::test]
async fn a_key_set_that_is_not_the_issuers_own_is_not_taken() {
    let signer = Signer::new("EdDSA", "a");
    let keys = jwks(&[&signer]);
    // It answers for another issuer, and redirects elsewhere.
    let login = Upstream::start(move |asked| {
        let base = format!("http://{}", asked.head.get("host").unwrap_or_default());
        match asked.target() {
            "/keys" => reply(200, "", &keys.to_string()),
            "/moved" => reply(302, &format!("Location: {base}/keys\r\n"), ""),
            _ => {
                let told = json!({"issuer": ISSUER, "jwks_uri": format!("{base}/keys")});
                reply(200, "", &told.to_string())
            }
        }
    });
    for issuer in [
        json!({"issuer": login.url(), "audiences": ["mirador"]}),
        json!({
            "issuer": login.url(), "audiences": ["mirador"],
            "jwks_url": format!("{}/moved", login.url()),
        }),
    ] {
        let world = World::with(issuer.clone(), json!({})).await;
        let mut claims = claims("acme");
        claims["iss"] = login.url().into();
        let reply = world.ask(&bearer(&signer.token(&claims))).await;
        assert_eq!(
            refusal(&reply),
            (503, "keys_unavailable".into()),
            "{issuer}"
        );
    }
}
