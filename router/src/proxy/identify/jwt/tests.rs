//! Tokens that are believed, and every way of making one that is not.

#[path = "../../../../tests/it/support/signer.rs"]
mod signer;

use std::{collections::BTreeMap, time::Duration};

use ring::hmac;
use serde_json::{Value, json};

use self::signer::{Signer, encode, jwks, unsigned};
use super::*;
use crate::{
    config::{Algorithm, ClaimPath, KeyLocation, KeySource},
    keyring::KeySet,
    proxy::identify::Tenants,
};

const NOW: u64 = 1_800_000_000;

fn claim(path: &str) -> ClaimPath {
    serde_json::from_value(path.into()).expect("a claim")
}

fn rules() -> TokenIssuer {
    TokenIssuer {
        issuer: "https://login.example.com".into(),
        audiences: vec!["mirador".into(), "obs".into()],
        algorithms: Algorithm::ALL.into(),
        keys: KeySource {
            location: KeyLocation::File("keys.json".into()),
            ca_file: None,
            interval: Duration::from_mins(5),
            cooldown: Duration::from_secs(10),
        },
        tenant_claim: claim("tenant"),
        all_tenants: None,
        scope_claim: None,
        scopes: BTreeMap::new(),
        leeway: Duration::from_secs(30),
    }
}

fn claims() -> Value {
    json!({
        "iss": "https://login.example.com", "aud": "mirador", "sub": "alice",
        "exp": NOW + 600, "nbf": NOW, "tenant": "acme",
    })
}

/// Claims with one of them changed; a null takes it away.
fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    let all = claims.as_object_mut().expect("claims");
    match value {
        Value::Null => all.remove(name),
        value => all.insert(name.into(), value),
    };
    claims
}

/// Those who believe tokens by these rules, signed by these.
fn tokens(rules: TokenIssuer, signers: &[&Signer]) -> Tokens {
    let keyring = Keyring::new(rules.keys.clone());
    if !signers.is_empty() {
        let json = jwks(signers).to_string();
        keyring.take(KeySet::parse(json.as_bytes()).expect("keys"));
    }
    Tokens {
        issuers: vec![(rules, Arc::new(keyring))],
        verified: RefCell::default(),
    }
}

async fn refusal(tokens: &Tokens, token: &str) -> IdentifyError {
    match tokens.verify_at(token, NOW).await {
        Ok(principal) => panic!("{token} was believed to be {principal:?}"),
        Err(error) => error,
    }
}

#[tokio::test(start_paused = true)]
async fn every_algorithm_that_is_accepted_is() {
    for algorithm in Algorithm::ALL {
        let signer = Signer::new(algorithm.as_str(), "a");
        let tokens = tokens(rules(), &[&signer]);
        let token = signer.token(&claims());
        let principal = tokens.verify_at(&token, NOW).await;
        let principal = principal.unwrap_or_else(|error| panic!("{algorithm:?}: {error}"));
        assert!(principal.tenants.allow("acme"));
        assert_eq!(&*principal.subject, "alice");
        assert_eq!(principal.scopes, tenant_store::model::Scopes::ALL);
        assert_eq!(tokens.known_at(&token, NOW), Some(principal));
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_without_a_signature_of_the_issuers_key_is_nobodys() {
    let (rsa, ec) = (Signer::new("RS256", "rsa"), Signer::new("ES256", "ec"));
    let tokens = tokens(rules(), &[&rsa, &ec]);
    let good = rsa.token(&claims());
    let no_such_key = IdentifyError::from(TokenFault::Key(KeyFault::NoSuchKey));
    let bad = IdentifyError::from(TokenFault::Key(KeyFault::BadSignature));

    // Nothing signed, in every spelling.
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let header = json!({"alg": alg, "kid": "rsa"});
        let message = unsigned(&header, &claims());
        for token in [format!("{message}."), format!("{message}.AAAA")] {
            assert_eq!(refusal(&tokens, &token).await, TokenFault::Algorithm.into());
        }
    }
    // The public key taken for a shared secret.
    let public = jwks(&[&rsa])["keys"][0]["n"]
        .as_str()
        .expect("n")
        .to_owned();
    for alg in ["HS256", "HS384", "HS512"] {
        let message = unsigned(&json!({"alg": alg, "kid": "rsa"}), &claims());
        let secret = hmac::Key::new(hmac::HMAC_SHA256, public.as_bytes());
        let tag = hmac::sign(&secret, message.as_bytes());
        let token = format!("{message}.{}", encode(tag.as_ref()));
        assert_eq!(refusal(&tokens, &token).await, TokenFault::Algorithm.into());
    }
    // A key of one type for an algorithm of another.
    for (alg, kid) in [
        ("ES256", "rsa"),
        ("RS256", "ec"),
        ("EdDSA", "ec"),
        ("ES384", "ec"),
    ] {
        let token = rsa.token_with(&json!({"alg": alg, "kid": kid}), &claims());
        assert_eq!(refusal(&tokens, &token).await, no_such_key, "{alg}");
    }
    // A key that is told, but not the one it is signed by, or none.
    let stranger = Signer::new("ES256", "ec");
    assert_eq!(refusal(&tokens, &stranger.token(&claims())).await, bad);
    let unknown = Signer::new("ES256", "unknown");
    let refused = refusal(&tokens, &unknown.token(&claims())).await;
    assert_eq!(refused, no_such_key);
    let own =
        json!({"alg": "ES256", "kid": "ec", "jwk": stranger.jwk(), "jku": "https://evil.test"});
    let refused = refusal(&tokens, &stranger.token_with(&own, &claims())).await;
    assert_eq!(refused, bad);
    // Signed once, changed later.
    let (message, signature) = good.rsplit_once('.').expect("parts");
    let (header, _) = message.split_once('.').expect("parts");
    let other = encode(with("tenant", json!("globex")).to_string().as_bytes());
    let token = format!("{header}.{other}.{signature}");
    assert_eq!(refusal(&tokens, &token).await, bad);
    // One algorithm of a key for another.
    let token = rsa.token_with(&json!({"alg": "PS256", "kid": "rsa"}), &claims());
    assert_eq!(refusal(&tokens, &token).await, bad);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_token_is_refused_before_anything_is_computed() {
    let signer = Signer::new("EdDSA", "a");
    let tokens = tokens(rules(), &[&signer]);
    let good = signer.token(&claims());
    let (message, signature) = good.rsplit_once('.').expect("parts");
    let long = format!("{message}.{}", "A".repeat(17 << 10));
    for (token, fault) in [
        (String::new(), TokenFault::NotAToken),
        ("abc".into(), TokenFault::NotAToken),
        ("a.b".into(), TokenFault::NotAToken),
        ("..".into(), TokenFault::NotAToken),
        (format!("{good}.x.y"), TokenFault::NotAToken),
        (format!("{message}.{signature}="), TokenFault::NotAToken),
        (format!("{message}.{signature}+/"), TokenFault::NotAToken),
        (format!("{message}. {signature}"), TokenFault::NotAToken),
        (long, TokenFault::TooLong),
    ] {
        assert_eq!(refusal(&tokens, &token).await, fault.into(), "{token:.80}");
    }
    for header in [
        json!({"alg": "EdDSA", "kid": "a", "crit": ["exp"]}),
        json!({"alg": "EdDSA", "kid": "a", "b64": false, "crit": ["b64"]}),
        json!({"alg": "EdDSA", "kid": "a", "typ": "logout+jwt"}),
        json!({"alg": "EdDSA", "kid": "a", "typ": "dpop+jwt"}),
    ] {
        let token = signer.token_with(&header, &claims());
        assert_eq!(
            refusal(&tokens, &token).await,
            TokenFault::Type.into(),
            "{header}"
        );
    }
    for header in [
        json!({"alg": ["EdDSA"]}),
        json!({"kid": "a"}),
        json!("EdDSA"),
    ] {
        let token = signer.token_with(&header, &claims());
        assert_eq!(refusal(&tokens, &token).await, TokenFault::NotAToken.into());
    }
}

#[tokio::test(start_paused = true)]
async fn times_issuers_and_audiences_are_taken_to_the_letter() {
    use TokenFault::{Audience, Expired, NoExpiry, NotYetValid, UnknownIssuer};
    let signer = Signer::new("EdDSA", "a");
    let tokens = tokens(rules(), &[&signer]);
    for (name, value, fault) in [
        ("exp", Value::Null, Some(NoExpiry)),
        ("exp", json!("1900000000"), Some(NoExpiry)),
        ("exp", json!(-1), Some(NoExpiry)),
        ("exp", json!(NOW - 600), Some(Expired)),
        ("exp", json!(NOW - 30), Some(Expired)),
        ("exp", json!(NOW - 29), None),
        ("exp", json!(1_800_000_600.5), None),
        ("nbf", Value::Null, None),
        ("nbf", json!(NOW + 30), None),
        ("nbf", json!(NOW + 31), Some(NotYetValid)),
        ("nbf", json!("0"), Some(NotYetValid)),
        ("iss", Value::Null, Some(UnknownIssuer)),
        (
            "iss",
            json!("https://login.example.com/"),
            Some(UnknownIssuer),
        ),
        (
            "iss",
            json!("https://login.example.com.evil.test"),
            Some(UnknownIssuer),
        ),
        (
            "iss",
            json!("HTTPS://login.example.com"),
            Some(UnknownIssuer),
        ),
        (
            "iss",
            json!(["https://login.example.com"]),
            Some(UnknownIssuer),
        ),
        ("aud", Value::Null, Some(Audience)),
        ("aud", json!("mirador2"), Some(Audience)),
        ("aud", json!("mirado"), Some(Audience)),
        ("aud", json!([]), Some(Audience)),
        ("aud", json!(["other", "obs"]), None),
    ] {
        let token = signer.token(&with(name, value.clone()));
        match fault {
            Some(fault) => {
                assert_eq!(
                    refusal(&tokens, &token).await,
                    fault.into(),
                    "{name}: {value}"
                );
            }
            None => assert!(
                tokens.verify_at(&token, NOW).await.is_ok(),
                "{name}: {value}"
            ),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_tenant_is_the_whole_of_a_claim_and_never_part_of_one() {
    let signer = Signer::new("EdDSA", "a");
    let believers = tokens(rules(), &[&signer]);
    for value in [json!("acme2"), json!("xacme"), json!("acm"), json!("ac")] {
        let token = signer.token(&with("tenant", value.clone()));
        let principal = believers
            .verify_at(&token, NOW)
            .await
            .expect("a good token");
        assert!(!principal.tenants.allow("acme"), "{value}");
    }
    for value in [
        Value::Null,
        json!(""),
        json!("*"),
        json!(".*"),
        json!("acme|globex"),
        json!("acme,globex"),
        json!("acme globex"),
        json!("ACME"),
        json!("^acme$"),
        json!([]),
        json!(["acme", ""]),
        json!(["acme", "a*"]),
        json!(12),
        json!({"acme": true}),
        json!([["acme"]]),
        json!(true),
        json!("acme\u{0}"),
        json!("../globex"),
    ] {
        let mut claims = with("tenant", value.clone());
        if value.is_null() {
            claims["tenant"] = Value::Null;
        }
        let refused = refusal(&believers, &signer.token(&claims)).await;
        assert!(
            matches!(refused, IdentifyError::Claim(_)),
            "{value}: {refused}"
        );
    }
    let listed = signer.token(&with("tenant", json!(["globex", "acme", "acme"])));
    let principal = believers
        .verify_at(&listed, NOW)
        .await
        .expect("a good token");
    for (tenant, allowed) in [
        ("acme", true),
        ("globex", true),
        ("acme2", false),
        ("glob", false),
    ] {
        assert_eq!(principal.tenants.allow(tenant), allowed, "{tenant}");
    }
    assert_eq!(principal.tenants.sole(), None);

    let all = TokenIssuer {
        all_tenants: Some("*".into()),
        ..rules()
    };
    let everybody = tokens(all, &[&signer]);
    let token = signer.token(&with("tenant", json!("*")));
    let principal = everybody
        .verify_at(&token, NOW)
        .await
        .expect("a good token");
    assert_eq!(principal.tenants, Tenants::All);
}

#[tokio::test(start_paused = true)]
async fn the_tenant_may_stand_anywhere_in_the_claims() {
    let signer = Signer::new("EdDSA", "a");
    for (path, name, value) in [
        ("org.id", "org", json!({"id": "acme"})),
        (
            "\"https://example.com/tenant\"",
            "https://example.com/tenant",
            json!("acme"),
        ),
        (
            "ext.\"org.id\".one",
            "ext",
            json!({"org.id": {"one": ["acme"]}}),
        ),
    ] {
        let rules = TokenIssuer {
            tenant_claim: claim(path),
            ..rules()
        };
        assert_eq!(rules.tenant_claim.to_string(), path);
        let tokens = tokens(rules, &[&signer]);
        let token = signer.token(&with(name, value));
        let principal = tokens.verify_at(&token, NOW).await.expect("a good token");
        assert!(principal.tenants.allow("acme"), "{path}");
    }
    for path in [
        "", ".", "a.", ".a", "a..b", "$.a", "\"a", "a\"b\"", "\"\"", "a.\"b\"c",
    ] {
        assert!(
            serde_json::from_value::<ClaimPath>(path.into()).is_err(),
            "{path}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn scopes_are_what_the_claim_says_and_without_one_nothing() {
    let signer = Signer::new("EdDSA", "a");
    let told = |scopes: &[&str]| scopes.join(" ");
    let plain = TokenIssuer {
        scope_claim: Some(claim("scope")),
        ..rules()
    };
    let mapped = TokenIssuer {
        scopes: [("obs.view", "read"), ("obs.push", "metrics:write")]
            .map(|(word, scope)| (word.to_owned(), scope.parse().expect("scopes")))
            .into(),
        ..plain.clone()
    };
    for (rules, value, expected) in [
        (
            &plain,
            json!("openid metrics:read logs:write"),
            told(&["metrics:read", "logs:write"]),
        ),
        (
            &plain,
            json!(["metrics:read", "traces:read"]),
            told(&["metrics:read", "traces:read"]),
        ),
        (&plain, Value::Null, String::new()),
        (&plain, json!("everything"), String::new()),
        (&plain, json!({"metrics:read": true}), String::new()),
        (&mapped, json!("obs.push"), told(&["metrics:write"])),
        (&mapped, json!("metrics:read obs.pushy"), String::new()),
        (
            &mapped,
            json!("obs.view"),
            told(&["metrics:read", "logs:read", "traces:read"]),
        ),
    ] {
        let tokens = tokens(rules.clone(), &[&signer]);
        let token = signer.token(&with("scope", value.clone()));
        let principal = tokens.verify_at(&token, NOW).await.expect("a good token");
        let scopes: Vec<_> = principal.scopes.iter().map(|s| s.to_string()).collect();
        assert_eq!(scopes.join(" "), expected, "{value}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_verified_is_believed_no_longer_than_it_and_its_keys_are() {
    let (old, new) = (Signer::new("EdDSA", "old"), Signer::new("ES256", "new"));
    let tokens = tokens(rules(), &[&old, &new]);
    let token = old.token(&claims());
    tokens.verify_at(&token, NOW).await.expect("a good token");
    assert!(tokens.known_at(&token, NOW + 629).is_some());
    assert!(tokens.known_at(&token, NOW + 630).is_none(), "expired");

    let keys =
        |signers: &[&Signer]| KeySet::parse(jwks(signers).to_string().as_bytes()).expect("keys");
    let keyring = tokens.issuers[0].1.clone();
    keyring.take(keys(&[&old, &new]));
    assert!(
        tokens.known_at(&token, NOW).is_some(),
        "the same keys are no news"
    );
    keyring.take(keys(&[&new]));
    assert!(
        tokens.known_at(&token, NOW).is_none(),
        "its key was taken back"
    );
    assert_eq!(
        refusal(&tokens, &token).await,
        TokenFault::Key(KeyFault::NoSuchKey).into()
    );
}

#[tokio::test(start_paused = true)]
async fn without_any_keys_it_is_nobodys_fault_but_ours() {
    let signer = Signer::new("EdDSA", "a");
    let tokens = tokens(rules(), &[]);
    let refused = refusal(&tokens, &signer.token(&claims())).await;
    assert_eq!(refused, IdentifyError::KeysUnavailable);
}

#[tokio::test(start_paused = true)]
async fn only_the_algorithms_that_are_configured_are_accepted() {
    let signer = Signer::new("RS256", "a");
    let strict = TokenIssuer {
        algorithms: vec![Algorithm::EdDSA],
        ..rules()
    };
    let tokens = tokens(strict, &[&signer]);
    let refused = refusal(&tokens, &signer.token(&claims())).await;
    assert_eq!(refused, TokenFault::Algorithm.into());
}
