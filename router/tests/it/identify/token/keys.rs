//! Where the keys of issuers come from, and how they are followed.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::json;

use super::{ISSUER, World, bearer, claims, refusal};
use crate::support::{
    eventually,
    login::{publisher, publishing},
    signer::{Signer, jwks},
    upstream::{Upstream, reply},
};

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
async fn an_issuer_that_is_down_when_the_router_starts_is_found_when_it_is_back() {
    let signer = Signer::new("ES256", "a");
    let keys = Arc::new(Mutex::new(jwks(&[&signer])));
    let mut login = publisher(&keys);
    login.stop().await;
    let issuer = json!({
        "issuer": login.url(), "audiences": ["mirador"], "refresh_interval": "1h",
        "refresh_cooldown": "100ms",
    });
    let world = World::with(issuer, json!({})).await;
    let mut claims = claims("acme");
    claims["iss"] = login.url().into();
    let token = bearer(&signer.token(&claims));
    let reply = world.ask(&token).await;
    assert_eq!(refusal(&reply), (503, "keys_unavailable".into()));
    login.listen(publishing(&keys));
    // The next reading would be in an hour: it is the token that has the router look again.
    eventually("the keys to be read", async || {
        (world.ask(&token).await.status() == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn keys_in_a_file_are_read_again_when_a_token_names_one_that_is_not_there() {
    let (old, new) = (Signer::new("EdDSA", "old"), Signer::new("ES256", "new"));
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("keys.json");
    let publish = |signers: &[&Signer]| {
        let fresh = folder.path().join("fresh.json");
        std::fs::write(&fresh, jwks(signers).to_string()).expect("a file");
        std::fs::rename(&fresh, &file).expect("a file");
    };
    publish(&[&old]);
    let issuer = json!({
        "issuer": ISSUER, "audiences": ["mirador"], "jwks_file": file,
        "refresh_interval": "1h", "refresh_cooldown": "100ms",
    });
    let world = World::with(issuer, json!({"max_failures_per_minute": 10_000})).await;
    let (by_old, by_new) = (
        bearer(&old.token(&claims("acme"))),
        bearer(&new.token(&claims("acme"))),
    );
    let until = async |what: &str, token: &str, status: u16| {
        eventually(what, async || {
            (world.ask(token).await.status() == status).then_some(())
        })
        .await;
    };
    until("the keys to be read", &by_old, 200).await;
    publish(&[&new]);
    until("the new key to be found", &by_new, 200).await;
    assert_eq!(world.ask(&by_old).await.status(), 401, "it is gone");
    // A file that is no key set takes nothing away.
    std::fs::write(&file, "{").expect("a file");
    let stranger =
        bearer(&old.token_with(&json!({"alg": "EdDSA", "kid": "stranger"}), &claims("acme")));
    assert_eq!(world.ask(&stranger).await.status(), 401);
    assert_eq!(world.ask(&by_new).await.status(), 200);
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
