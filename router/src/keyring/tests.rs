//! What is taken from a set of keys.

use serde_json::{Value, json};

use super::*;
use crate::config::{Algorithm, KeyLocation};

fn parse(keys: &Value) -> Option<usize> {
    let json = json!({ "keys": keys }).to_string();
    KeySet::parse(json.as_bytes()).ok().map(|keys| keys.len())
}

fn ed25519(more: &Value) -> Value {
    let mut key = json!({"kty": "OKP", "crv": "Ed25519", "x": "A".repeat(43)});
    for (name, value) in more.as_object().expect("a map") {
        key[name] = value.clone();
    }
    key
}

#[test]
fn only_public_keys_for_signatures_are_keys() {
    let good = ed25519(&json!({}));
    assert_eq!(parse(&json!([good])), Some(1));
    for other in [
        json!({"kty": "oct", "k": "c2VjcmV0"}),
        json!({"kty": "RSA", "n": "AQAB", "e": "AQAB"}),
        json!({"kty": "EC", "crv": "P-256", "x": "AQAB", "y": "AQAB"}),
        json!({"kty": "EC", "crv": "P-521", "x": "AQAB", "y": "AQAB"}),
        json!({"kty": "OKP", "crv": "X25519", "x": "A".repeat(43)}),
        ed25519(&json!({"use": "enc"})),
        ed25519(&json!({"key_ops": ["sign"]})),
        ed25519(&json!({"alg": "HS256"})),
        ed25519(&json!({"alg": "RS256"})),
        ed25519(&json!({"x": "!"})),
        json!("key"),
        json!(null),
    ] {
        assert_eq!(parse(&json!([other])), None, "{other}");
        assert_eq!(parse(&json!([other, good])), Some(1), "{other}");
    }
    assert_eq!(parse(&json!([])), None);
    assert_eq!(parse(&Value::Array(vec![good; 1000])), Some(100));
}

#[test]
fn without_an_id_a_key_has_to_be_the_only_one_of_its_kind() {
    let set = |keys: Value| {
        let json = json!({ "keys": keys }).to_string();
        KeySet::parse(json.as_bytes()).expect("keys")
    };
    let signed = Signed {
        algorithm: Algorithm::EdDSA,
        key_id: None,
        message: b"message",
        signature: &[0; 64],
    };
    let one = set(json!([ed25519(&json!({"kid": "a"}))]));
    assert_eq!(
        one.verify(&signed),
        Err(KeyFault::BadSignature),
        "it was tried"
    );
    let two = set(json!([
        ed25519(&json!({"kid": "a"})),
        ed25519(&json!({"kid": "b"}))
    ]));
    assert_eq!(two.verify(&signed), Err(KeyFault::NoSuchKey));
    let named = Signed {
        key_id: Some("b"),
        ..signed
    };
    assert_eq!(two.verify(&named), Err(KeyFault::BadSignature));
}

#[tokio::test(start_paused = true)]
async fn however_many_ask_a_source_is_read_once_in_a_cooldown() {
    let source = KeySource {
        location: KeyLocation::File("/nowhere/at/all/keys.json".into()),
        ca_file: None,
        interval: Duration::from_hours(1),
        cooldown: Duration::from_secs(10),
    };
    let keyring = Arc::new(Keyring::new(source));
    let task = tokio::spawn(fetch::keep_current(keyring.clone()));
    assert!(keyring.refresh().await, "the first reading is waited for");
    for _ in 0..100 {
        assert!(!keyring.refresh().await, "it was read just now");
    }
    assert_eq!(keyring.readings.borrow().done, 1);
    tokio::time::advance(Duration::from_secs(10)).await;
    assert!(keyring.refresh().await);
    assert_eq!(keyring.readings.borrow().done, 2);
    task.abort();
}
