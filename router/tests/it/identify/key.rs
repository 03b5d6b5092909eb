//! Tenants named by API keys, from the admin API to the request and back.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    acme::request,
    client::{RawClient, RawReply},
    eventually,
    mirador::Mirador,
    signer::{Signer, jwks},
    tenant::Tenant,
    upstream::Upstream,
};

const QUERY: &str = "GET /api/v1/query?query=up";

/// A router that takes API keys, and serves acme and globex.
struct World {
    mirador: Mirador,
    config: Value,
    acme: Upstream,
    globex: Upstream,
    /// The server's secret is there.
    _folder: TempDir,
}

/// A key as it was made.
#[derive(Debug)]
struct Key {
    id: String,
    token: String,
    tenant: &'static str,
}

impl World {
    async fn new(identify: Value) -> Self {
        let mut config = json!({
            "identify": {
                "sources": ["header", "path", "api_key"], "authentication": "required",
            },
            "log": {"level": "debug", "access": {"success": 1}},
        });
        for (name, value) in identify.as_object().into_iter().flatten() {
            config["identify"][name] = value.clone();
        }
        let folder = tempfile::tempdir().expect("a folder");
        let secret = folder.path().join("keys.secret");
        std::fs::write(&secret, "a-secret-of-the-tests-that-is-long-enough").expect("a file");
        config["keys"] = json!({"secret_file": secret});
        let mirador = Mirador::with(config.clone()).await;
        let (acme, globex) = (Upstream::saying("acme"), Upstream::saying("globex"));
        for (id, backend) in [("acme", &acme), ("globex", &globex)] {
            let tenant = Tenant::new(id).everything(&[backend.url()]);
            mirador.apply(&tenant).await;
        }
        Self {
            mirador,
            config,
            acme,
            globex,
            _folder: folder,
        }
    }

    /// Another router on the same store.
    async fn another(&self) -> Mirador {
        let mut config = self.config.clone();
        let path = self.mirador.folder().join("mirador.db");
        config["store"] = json!({"path": path});
        Mirador::with(config).await
    }

    async fn key(&self, tenant: &'static str, more: Value) -> Key {
        let mut body = json!({"name": "agents", "scopes": ["metrics:read"]});
        for (name, value) in more.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        let path = format!("/api/v1/tenants/{tenant}/keys");
        let made = self.mirador.admin(Method::POST, &path).json(&body);
        let made = made.send().await.expect("an answer");
        assert_eq!(made.status(), 201, "{body}");
        let made: Value = made.json().await.expect("JSON");
        let text = |name: &str| made[name].as_str().expect("a text").to_owned();
        Key {
            id: text("id"),
            token: text("token"),
            tenant,
        }
    }

    async fn change(&self, method: Method, key: &Key, what: &str) -> Value {
        let path = format!("/api/v1/tenants/{}/keys/{}{what}", key.tenant, key.id);
        let changed = self.mirador.admin(method, &path).header("If-Match", "*");
        let changed = changed.send().await.expect("an answer");
        assert!(changed.status().is_success(), "{what}");
        changed.json().await.unwrap_or_default()
    }

    async fn ask(&self, headers: &str) -> RawReply {
        self.send(QUERY, headers).await
    }

    async fn send(&self, line: &str, headers: &str) -> RawReply {
        let mut client = RawClient::connect(self.mirador.address()).await;
        client.send(request(line, headers, "")).await;
        client.reply().await.expect("a reply")
    }

    fn reached(&self) -> (usize, usize) {
        (self.acme.asked().len(), self.globex.asked().len())
    }
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

fn basic(name: &str, password: &str) -> String {
    let encoded = STANDARD.encode(format!("{name}:{password}"));
    format!("Authorization: Basic {encoded}\r\n")
}

fn own_header(token: &str) -> String {
    format!("X-API-Key: {token}\r\n")
}

fn refusal(reply: &RawReply) -> (u16, String) {
    let body: Value = serde_json::from_slice(&reply.body.kept).expect("JSON");
    let reason = body["reason"].as_str().expect("a reason");
    (reply.status(), reason.to_owned())
}

#[tokio::test]
async fn a_key_names_its_tenant_wherever_it_stands_and_goes_no_further() {
    let world = World::new(json!({})).await;
    let key = world.key("globex", json!({})).await;
    for headers in [
        bearer(&key.token),
        basic("", &key.token),
        basic("whoever", &key.token),
        own_header(&key.token),
        own_header(&key.token) + &bearer(&key.token),
        bearer(&key.token) + "X-Tenant-ID: globex\r\n",
    ] {
        let reply = world.ask(&headers).await;
        let told = (reply.status(), reply.body.text());
        assert_eq!(told, (200, "globex".into()), "{headers}");
    }
    let reply = world
        .send("GET /t/globex/vmui/", &basic("me", &key.token))
        .await;
    assert_eq!(reply.status(), 200, "as a browser has it");
    let secret = &key.token[17..];
    for asked in world.globex.asked() {
        assert!(!asked.head.0.contains(secret), "{}", asked.head.0);
        assert_eq!(asked.head.get("x-api-key"), None);
    }
    world.ask(&bearer(&format!("{}x", key.token))).await;
    let log = world.mirador.process.log();
    assert!(!log.contains(secret), "{log}");
    let line = eventually("a line of the access log", async || {
        let log = world.mirador.process.log();
        log.lines()
            .find(|line| line.contains("\"credential\":\"api_key\""))
            .map(str::to_owned)
    })
    .await;
    assert!(line.contains(&key.id), "{line}");
}

#[tokio::test]
async fn what_is_no_key_is_refused_at_once_and_reaches_nobody() {
    let world = World::new(json!({"max_failures_per_minute": 10_000})).await;
    let key = world.key("acme", json!({})).await;
    let mut guess = key.token.clone();
    let last = guess.pop().expect("a character");
    guess.push(if last == 'A' { 'B' } else { 'A' });
    let unknown = key.token.replace(&key.id, "aaaaaaaaaaaa");
    for headers in [
        bearer(&guess),
        bearer(&unknown),
        bearer(""),
        bearer("mir_"),
        bearer("eyJhbGciOiJub25lIn0.e30."),
        bearer(&key.token[..59]),
        basic("", &guess),
        basic(&key.token, ""),
        basic(&key.token, "x"),
        "Authorization: Basic ???\r\n".into(),
        "Authorization: Basic\r\n".into(),
        format!("Authorization: Basic {}\r\n", "A".repeat(4000)),
        own_header(&guess),
        own_header(""),
        own_header(&key.token) + &bearer(&guess),
        bearer(&guess) + "X-Tenant-ID: acme\r\n",
    ] {
        let reply = world.ask(&headers).await;
        assert_eq!(refusal(&reply), (401, "invalid_key".into()), "{headers}");
        let challenge = reply.head.get("www-authenticate").unwrap_or_default();
        assert!(
            challenge.starts_with("Basic realm=\"mirador\""),
            "{challenge}"
        );
    }
    for (headers, status) in [
        (own_header(&key.token) + &own_header(&key.token), 400),
        (bearer(&key.token) + &bearer(&key.token), 400),
        (format!("Authorization: Digest {}\r\n", key.token), 401),
        (
            format!("X-Tenant-ID: acme\r\nCookie: key={}\r\n", key.token),
            401,
        ),
    ] {
        assert_eq!(world.ask(&headers).await.status(), status, "{headers}");
    }
    let text = world
        .send("GET /select/logsql/query", &bearer(&guess))
        .await;
    assert_eq!(text.status(), 401);
    assert!(
        text.body
            .text()
            .starts_with("this API key is not known here")
    );
    assert_eq!(world.reached(), (0, 0));
}

#[tokio::test]
async fn a_key_opens_its_tenants_and_does_what_its_scopes_say() {
    let world = World::new(json!({})).await;
    let own = world
        .key(
            "acme",
            json!({"scopes": ["metrics:read", "logs:write", "traces:admin"]}),
        )
        .await;
    let everything = json!(["metrics:read", "metrics:write", "metrics:admin"]);
    let all = world
        .key("acme", json!({"allowed": "all", "scopes": everything}))
        .await;
    let listed = world.key("acme", json!({"allowed": ["globex"]})).await;
    let both = world
        .key("acme", json!({"allowed": ["acme", "globex"]}))
        .await;
    let (acme, globex) = ("X-Tenant-ID: acme\r\n", "X-Tenant-ID: globex\r\n");
    for (key, headers, line, status) in [
        (&own, "", QUERY, 200),
        (&own, "", "POST /api/v1/write", 403),
        (&own, "", "POST /insert/jsonline", 200),
        (&own, "", "GET /select/logsql/query", 403),
        (&own, "", "GET /vt/an/unknown/path", 200),
        (&own, "", "GET /an/unknown/path", 403),
        (&own, globex, QUERY, 403),
        (&all, "", QUERY, 400),
        (&all, globex, QUERY, 200),
        (&all, globex, "POST /api/v1/write", 200),
        (&all, acme, "GET /an/unknown/path", 200),
        // What is neither reading nor writing, only where the key belongs.
        (&all, globex, "GET /an/unknown/path", 403),
        (&all, "X-Tenant-ID: initech\r\n", QUERY, 403),
        (&listed, "", QUERY, 200),
        (&listed, acme, QUERY, 403),
        (&both, "", QUERY, 400),
        (&both, acme, QUERY, 200),
        (&both, globex, QUERY, 200),
    ] {
        let headers = format!("{}{headers}Content-Length: 0\r\n", bearer(&key.token));
        let reply = world.send(line, &headers).await;
        assert_eq!(
            reply.status(),
            status,
            "{line}: {headers} {}",
            reply.body.text()
        );
    }
    let (at_acme, at_globex) = world.reached();
    assert_eq!((at_acme, at_globex), (5, 4));
    // Two keys have to be good both, and do what both may.
    let headers = bearer(&own.token) + &own_header(&both.token);
    assert_eq!(world.ask(&headers).await.body.text(), "acme");
    let headers = bearer(&own.token) + &own_header(&listed.token);
    assert_eq!(world.ask(&headers).await.status(), 403);
}

#[tokio::test]
async fn a_key_that_ends_opens_nothing_from_then_on() {
    let world = World::new(json!({})).await;
    let (revoked, deleted) = (
        world.key("acme", json!({})).await,
        world.key("acme", json!({})).await,
    );
    let soon = jiff::Timestamp::now() + std::time::Duration::from_secs(2);
    let expiring = world
        .key("acme", json!({"expires_at": soon.to_string()}))
        .await;
    let rotated = world.key("acme", json!({})).await;
    // Each has been used on every connection there is.
    for key in [&revoked, &deleted, &expiring, &rotated] {
        assert_eq!(world.ask(&bearer(&key.token)).await.status(), 200);
    }
    world.change(Method::POST, &revoked, "/revoke").await;
    assert_eq!(world.ask(&bearer(&revoked.token)).await.status(), 401);
    world.change(Method::DELETE, &deleted, "").await;
    assert_eq!(world.ask(&bearer(&deleted.token)).await.status(), 401);
    let successor = world
        .change(Method::POST, &rotated, "/rotate?overlap=1h")
        .await;
    let successor = successor["token"].as_str().expect("a token");
    assert_eq!(world.ask(&bearer(successor)).await.status(), 200);
    assert_eq!(world.ask(&bearer(&rotated.token)).await.status(), 200);
    eventually("the key's end", async || {
        let status = world.ask(&bearer(&expiring.token)).await.status();
        assert!(status == 200 || jiff::Timestamp::now() >= soon, "too early");
        (status == 401).then_some(())
    })
    .await;
    let late = jiff::Timestamp::now().duration_since(soon);
    assert!(late.as_secs() < 5, "{late}");
    // With the tenant, its keys end.
    let path = "/api/v1/tenants/acme";
    let gone = world
        .mirador
        .admin(Method::DELETE, path)
        .header("If-Match", "*");
    assert!(gone.send().await.expect("an answer").status().is_success());
    assert_ne!(world.ask(&bearer(&rotated.token)).await.status(), 200);
}

/// Another router on the same store learns of it within the bound that is stated for tenants.
#[tokio::test]
async fn a_key_that_is_revoked_elsewhere_opens_nothing_within_the_bound_of_suspensions() {
    let mut world = World::new(json!({})).await;
    let key = world.key("acme", json!({})).await;
    let other = world.another().await;
    let ask = async |mirador: &Mirador| {
        let mut client = RawClient::connect(mirador.address()).await;
        client.send(request(QUERY, &bearer(&key.token), "")).await;
        client.reply().await.expect("a reply").status()
    };
    eventually("the other router to know the key", async || {
        (ask(&other).await == 200).then_some(())
    })
    .await;
    world.change(Method::POST, &key, "/revoke").await;
    let revoked = std::time::Instant::now();
    eventually("the other router to refuse it", async || {
        (ask(&other).await == 401).then_some(())
    })
    .await;
    let took = revoked.elapsed();
    eprintln!("a revocation took {took:?} to reach the other router");
    assert!(took < std::time::Duration::from_secs(5), "{took:?}");
    // Keys survive a restart.
    let still = world.key("acme", json!({})).await;
    world.mirador.restart().await;
    assert_eq!(world.ask(&bearer(&still.token)).await.status(), 200);
    assert_eq!(world.ask(&bearer(&key.token)).await.status(), 401);
}

#[tokio::test]
async fn guessing_keys_has_an_end_and_those_who_have_one_do_not_suffer() {
    const MOST: usize = 20;
    let world = World::new(json!({"max_failures_per_minute": MOST})).await;
    let key = world.key("acme", json!({})).await;
    let fresh = world.key("acme", json!({})).await;
    let mut client = RawClient::connect(world.mirador.address()).await;
    let mut send = async |headers: &str| {
        client.send(request(QUERY, headers, "")).await;
        client.reply().await.expect("a reply")
    };
    assert_eq!(send(&bearer(&key.token)).await.status(), 200);
    let mut statuses = Vec::new();
    let began = std::time::Instant::now();
    for guess in 0..500 {
        let token = format!("{}{guess:043}", &key.token[..17]);
        statuses.push(send(&bearer(&token)).await.status());
    }
    let took = began.elapsed();
    let refused = statuses.iter().filter(|status| **status == 401).count();
    // Some are forgiven meanwhile: the limit's worth in a minute.
    let forgiven = usize::try_from(took.as_secs()).expect("few") * MOST / 60 + 1;
    assert!(
        (MOST..=MOST + forgiven).contains(&refused),
        "{refused} in {took:?}"
    );
    let others = statuses.iter().filter(|status| **status == 429).count();
    assert_eq!(refused + others, statuses.len());
    let limited = send(&bearer(&fresh.token)).await;
    let retry = limited.head.get("retry-after").is_some();
    assert!(retry || limited.status() == 200, "{limited:?}");
    assert_eq!(
        send(&bearer(&key.token)).await.status(),
        200,
        "the known key"
    );
    let elsewhere = [127, 0, 0, 2].into();
    let mut other = RawClient::connect_from(elsewhere, world.mirador.address()).await;
    other.send(request(QUERY, &bearer(&fresh.token), "")).await;
    assert_eq!(other.reply().await.expect("a reply").status(), 200);
}

#[tokio::test]
async fn keys_and_tokens_stand_beside_each_other() {
    let signer = Signer::new("EdDSA", "a");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("keys.json");
    std::fs::write(&file, jwks(&[&signer]).to_string()).expect("a file");
    let issuer = "https://login.example.com";
    let world = World::new(json!({
        "sources": ["header", "jwt", "api_key"],
        "jwt": {"issuer": issuer, "audiences": ["mirador"], "jwks_file": file},
    }))
    .await;
    let key = world.key("acme", json!({})).await;
    let now = jiff::Timestamp::now().as_second();
    let token = |tenant: &str| {
        signer.token(&json!({
            "iss": issuer, "aud": "mirador", "exp": now + 600, "tenant": tenant,
        }))
    };
    assert_eq!(world.ask(&bearer(&key.token)).await.body.text(), "acme");
    eventually("the issuer's keys", async || {
        let reply = world.ask(&bearer(&token("globex"))).await;
        (reply.body.text() == "globex").then_some(())
    })
    .await;
    let both = bearer(&token("acme")) + &own_header(&key.token);
    assert_eq!(world.ask(&both).await.body.text(), "acme");
    let contradicting = bearer(&token("globex")) + &own_header(&key.token);
    let reply = world.ask(&contradicting).await;
    assert_eq!(refusal(&reply), (403, "tenant_not_allowed".into()));
    let forged = bearer("eyJhbGciOiJub25lIn0.e30.") + &own_header(&key.token);
    assert_eq!(
        world.ask(&forged).await.status(),
        401,
        "one that is bad is bad"
    );
}
