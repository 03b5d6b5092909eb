//! Tenants named by API keys, from the admin API to the request and back.

mod ends;

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

/// Each scope is good for what it says, and for nothing of the other eight.
#[tokio::test]
async fn each_scope_opens_one_kind_of_operation_of_one_signal() {
    let world = World::new(json!({})).await;
    let operations = [
        ("metrics:read", "GET /api/v1/query_range?query=up"),
        ("metrics:write", "POST /api/v1/import/prometheus"),
        ("metrics:admin", "GET /an/unknown/path"),
        ("logs:read", "GET /select/logsql/tail?query=*"),
        ("logs:write", "POST /insert/elasticsearch/_bulk"),
        ("logs:admin", "GET /vl/an/unknown/path"),
        ("traces:read", "GET /select/jaeger/api/services"),
        ("traces:write", "POST /insert/opentelemetry/v1/traces"),
        ("traces:admin", "GET /vt/an/unknown/path"),
    ];
    for (scope, _) in operations {
        let key = world.key("acme", json!({"scopes": [scope]})).await;
        for (needed, line) in operations {
            let headers = format!("{}Content-Length: 0\r\n", bearer(&key.token));
            let reply = world.send(line, &headers).await;
            let expected = if scope == needed { 200 } else { 403 };
            assert_eq!(reply.status(), expected, "{scope}: {line}");
            if expected == 403 {
                let challenge = reply.head.get("www-authenticate").unwrap_or_default();
                assert!(challenge.contains("insufficient_scope"), "{challenge}");
            }
        }
    }
    assert_eq!(world.reached(), (operations.len(), 0));
}

#[tokio::test]
async fn no_path_takes_a_key_to_another_tenant() {
    let world = World::new(json!({})).await;
    let scopes = json!(["metrics:read", "metrics:write", "metrics:admin"]);
    let key = world.key("acme", json!({"scopes": scopes})).await;
    for (target, status) in [
        ("/t/globex/api/v1/query", 403),
        ("/t/acme/../globex/api/v1/query", 400),
        ("/t/acme/%2e%2e/globex/api/v1/query", 400),
        ("/t/acme%2f..%2fglobex/api/v1/query", 400),
        ("/t/acme/..%5cglobex/api/v1/query", 200),
        ("/%74/globex/api/v1/query", 400),
        ("//t/globex/api/v1/query", 400),
        ("/t/acme/t/globex/api/v1/query", 200),
        ("/t/GLOBEX/api/v1/query", 400),
        ("/t/acme;globex/api/v1/query", 400),
        ("/t/acme/api/v1/query?tenant=globex&X-Tenant-ID=globex", 200),
    ] {
        let line = format!("GET {target}");
        let reply = world.send(&line, &bearer(&key.token)).await;
        assert_eq!(reply.status(), status, "{target}: {}", reply.body.text());
    }
    assert_eq!(world.reached(), (3, 0), "whatever it was, it was acme's");
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
    let limited = send(&bearer(&format!("{}{:043}", &key.token[..17], 500))).await;
    assert_eq!(refusal(&limited), (429, "too_many_failures".into()));
    assert!(limited.head.get("retry-after").is_some(), "{limited:?}");
    // Who has a key is not kept out by others at their address, known to the worker or not.
    assert_eq!(send(&bearer(&key.token)).await.status(), 200);
    assert_eq!(send(&bearer(&fresh.token)).await.status(), 200);
    let elsewhere = [127, 0, 0, 2].into();
    let mut other = RawClient::connect_from(elsewhere, world.mirador.address()).await;
    let guess = format!("{}{:043}", &key.token[..17], 501);
    other.send(request(QUERY, &bearer(&guess), "")).await;
    let reply = other.reply().await.expect("a reply");
    assert_eq!(reply.status(), 401, "addresses are counted apart");
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
