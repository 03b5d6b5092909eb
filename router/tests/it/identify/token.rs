//! Tenants named by signed tokens: of issuers whose keys are in a file, at a URL, or where their
//! `OpenID` configuration says.

mod keys;
mod refused;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::support::{
    acme::request,
    client::{RawReply, ask},
    eventually,
    mirador::Mirador,
    signer::{Signer, jwks},
    tenant::Tenant,
    upstream::Upstream,
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
