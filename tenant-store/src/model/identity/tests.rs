use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
};

use proptest::prelude::*;

use super::*;

#[test]
fn reads_every_slug() {
    for text in ["ab", "0a", "a-", "a--b", "acme-corp-2", &"z".repeat(63)] {
        assert_eq!(text.parse::<TenantId>().unwrap().as_str(), text);
    }
}

#[test]
fn tells_what_is_wrong_with_an_id() {
    for (text, length) in [("", 0), ("a", 1), (&*"z".repeat(64), 64)] {
        assert_eq!(TenantId::check(text), Err(TenantIdError::Length { length }));
    }
    let misfits = [
        ("-ab", '-', 1),
        ("aB", 'B', 2),
        ("a_b", '_', 2),
        ("ab ", ' ', 3),
        ("a/../b", '/', 2),
        ("a\0b", '\0', 2),
        ("abç", 'ç', 3),
        ("аcme", 'а', 1), // Cyrillic
        ("a１", '１', 2), // full width
    ];
    for (text, found, position) in misfits {
        let expected = TenantIdError::Character { found, position };
        assert_eq!(TenantId::check(text), Err(expected), "{text:?}");
    }
}

#[test]
fn an_id_in_a_document_is_checked_too() {
    let error = serde_json::from_str::<TenantId>("\"ACME\"").unwrap_err();
    assert!(
        error.to_string().contains("found 'A' at position 1"),
        "{error}"
    );
}

/// Maps keyed by ids are asked with `&str`.
#[test]
fn an_id_hashes_as_its_text() {
    let id: TenantId = "acme".parse().unwrap();
    let hasher = RandomState::new();
    assert_eq!(hasher.hash_one(&id), hasher.hash_one("acme"));
    assert_eq!(HashMap::from([(id, 1)]).get("acme"), Some(&1));
}

#[test]
fn an_address_has_one_at_sign_and_no_white_space() {
    for text in ["sre@acme.example", "a@b", "ü+x@münchen.example"] {
        assert!(text.parse::<Email>().is_ok(), "{text}");
    }
    for text in [
        "",
        "@",
        "a@",
        "@b",
        "a@b@c",
        "a b@c",
        "a@b\r\nBcc: c@d",
        "sre",
    ] {
        assert_eq!(text.parse::<Email>(), Err(EmailError(text.into())));
    }
}

#[test]
fn a_tier_is_a_slug_of_one_or_more() {
    for text in ["x", "pro", "gold-2"] {
        assert!(text.parse::<Tier>().is_ok(), "{text}");
    }
    for text in ["", "-x", "Pro", "a b"] {
        assert_eq!(text.parse::<Tier>(), Err(TierError(text.into())));
    }
}

#[test]
fn signals_are_their_own_index() {
    for signal in Signal::ALL {
        assert_eq!(Signal::ALL[signal as usize], signal);
        let json = serde_json::to_string(&signal).unwrap();
        assert_eq!(json, format!("\"{signal}\""));
    }
}

proptest! {
    /// Whatever is sent: an id exists if and only if the text is a slug, and is that text.
    #[test]
    fn an_id_is_a_slug_and_nothing_else(text in "[a-z0-9A-Z_./% -]{0,70}|\\PC{0,70}") {
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let slug = (2..=63).contains(&text.len())
            && !text.starts_with('-')
            && text.bytes().all(inner);
        match text.parse::<TenantId>() {
            Ok(id) => prop_assert!(slug && id.as_str() == text),
            Err(_) => prop_assert!(!slug),
        }
    }

    #[test]
    fn every_slug_is_an_id(text in "[a-z0-9][a-z0-9-]{1,62}") {
        prop_assert!(text.parse::<TenantId>().is_ok());
    }
}
