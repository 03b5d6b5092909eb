//! API keys: who may come with one, for which tenants, to do what. The key itself is nowhere here,
//! only a hash that a secret of the server's goes into.

use std::{collections::BTreeSet, fmt, str::FromStr, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

use super::{Signal, TenantId, field::checked_text, identity::parse_text};

/// An API key as it is kept. The token is `mir_<id>_<secret>`; it is shown once, and never kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKey {
    /// Its immutable id, a part of the token, and no secret.
    pub id: ApiKeyId,
    /// What people call it; 1 to 256 characters on one line.
    #[serde(deserialize_with = "name")]
    pub name: String,
    /// The tenant it belongs to.
    pub tenant: TenantId,
    /// The tenants it may be used for. Default: its own.
    #[serde(default)]
    pub allowed: AllowedTenants,
    /// What it may be used for; nothing if empty.
    #[serde(default)]
    pub scopes: BTreeSet<Scope>,
    /// From when on it is refused, if ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// The key that takes its place, once it was rotated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<ApiKeyId>,
    /// Until when it is accepted beside the one that takes its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retires_at: Option<Timestamp>,
    /// When it was revoked, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
    /// HMAC-SHA256 of the whole token, keyed with the server's secret.
    pub hash: KeyHash,
}

/// Whether a key is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// It is.
    Usable,
    /// It was revoked.
    Revoked,
    /// Its time is over.
    Expired,
    /// It was replaced, and the overlap is over.
    Retired,
}

impl ApiKey {
    /// Whether it is accepted at a time. The moment of its end belongs to what comes after.
    pub fn state_at(&self, now: Timestamp) -> KeyState {
        let over = |end: Option<Timestamp>| end.is_some_and(|end| now >= end);
        if self.revoked_at.is_some() {
            KeyState::Revoked
        } else if over(self.expires_at) {
            KeyState::Expired
        } else if over(self.retires_at) {
            KeyState::Retired
        } else {
            KeyState::Usable
        }
    }

    /// Whether it may be used for a tenant at all.
    pub fn allows(&self, tenant: &TenantId) -> bool {
        match &self.allowed {
            AllowedTenants::Own => *tenant == self.tenant,
            AllowedTenants::These(tenants) => tenants.contains(tenant),
            AllowedTenants::All => true,
        }
    }
}

/// The tenants a key may be used for: `own`, `all`, or a list of ids.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum AllowedTenants {
    /// The one it belongs to.
    #[default]
    Own,
    /// These, and its own only if it is among them; at least one.
    These(BTreeSet<TenantId>),
    /// All there are, for teams that watch over them.
    All,
}

impl Serialize for AllowedTenants {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Own => serializer.serialize_str("own"),
            Self::These(tenants) => tenants.serialize(serializer),
            Self::All => serializer.serialize_str("all"),
        }
    }
}

impl<'de> Deserialize<'de> for AllowedTenants {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OwnAllOrList;

        impl<'de> de::Visitor<'de> for OwnAllOrList {
            type Value = AllowedTenants;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`own`, `all`, or a list of tenant ids")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<AllowedTenants, E> {
                match text {
                    "own" => Ok(AllowedTenants::Own),
                    "all" => Ok(AllowedTenants::All),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }

            fn visit_seq<A: de::SeqAccess<'de>>(
                self,
                mut items: A,
            ) -> Result<AllowedTenants, A::Error> {
                let mut tenants = BTreeSet::new();
                while let Some(tenant) = items.next_element()? {
                    tenants.insert(tenant);
                }
                if tenants.is_empty() {
                    let message = "expected at least one tenant id, or `own`, or `all`";
                    return Err(de::Error::custom(message));
                }
                Ok(AllowedTenants::These(tenants))
            }
        }

        deserializer.deserialize_any(OwnAllOrList)
    }
}

/// What a key may do with one signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// Ask.
    Read,
    /// Send.
    Write,
    /// What else the deployment of its own tenant can do, such as deleting data.
    Admin,
}

impl Access {
    const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Admin];

    /// The lower-case name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

/// A signal and what may be done with it, written `logs:read`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    /// With which signal.
    pub signal: Signal,
    /// What.
    pub access: Access,
}

/// Why a text is not a scope.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "expected a scope such as logs:read: one of metrics, logs and traces, and one of read, write and admin; not {0:?}"
)]
pub struct ScopeError(String);

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let parts = text.split_once(':').and_then(|(signal, access)| {
            let signal = signal.parse().ok()?;
            let access = Access::ALL.into_iter().find(|a| a.as_str() == access)?;
            Some(Self { signal, access })
        });
        parts.ok_or_else(|| ScopeError(text.into()))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.signal, self.access.as_str())
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parse_text(deserializer)
    }
}

/// A key's id: 12 characters of `a-z` and `0-9`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct ApiKeyId(Arc<str>);

/// Why a text is not a key's id.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("expected an API key's id, 12 characters of a-z and 0-9, not {0:?}")]
pub struct ApiKeyIdError(String);

impl ApiKeyId {
    /// Its length in bytes.
    pub const LENGTH: usize = 12;

    /// An id made of random bits: 62 of them count.
    pub fn from_bits(mut bits: u64) -> Self {
        const ALPHABET: [char; 36] = [
            'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o', 'p', 'q',
            'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', '0', '1', '2', '3', '4', '5', '6', '7',
            '8', '9',
        ];
        let id: String = (0..Self::LENGTH)
            .map(|_| {
                let c = ALPHABET[(bits % 36) as usize];
                bits /= 36;
                c
            })
            .collect();
        Self(id.into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ApiKeyId {
    type Err = ApiKeyIdError;

    fn from_str(text: &str) -> Result<Self, ApiKeyIdError> {
        let fits = text.len() == Self::LENGTH
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if fits {
            Ok(Self(text.into()))
        } else {
            Err(ApiKeyIdError(text.into()))
        }
    }
}

impl fmt::Display for ApiKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ApiKeyId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parse_text(deserializer)
    }
}

/// The keyed hash of a token, 64 hexadecimal digits in lower case. Not shown by `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct KeyHash(String);

/// Why a text is not a hash. Does not repeat it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("expected a hash of 64 hexadecimal digits in lower case")]
pub struct KeyHashError;

impl From<[u8; 32]> for KeyHash {
    fn from(bytes: [u8; 32]) -> Self {
        use fmt::Write as _;

        let mut digits = String::with_capacity(64);
        for byte in bytes {
            let _ = write!(digits, "{byte:02x}");
        }
        Self(digits)
    }
}

impl KeyHash {
    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The bytes they stand for.
    pub fn bytes(&self) -> [u8; 32] {
        let value = |digit: u8| match digit {
            b'0'..=b'9' => digit - b'0',
            _ => digit - b'a' + 10,
        };
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(self.0.as_bytes().chunks_exact(2)) {
            *byte = value(pair[0]) << 4 | value(pair[1]);
        }
        bytes
    }
}

impl FromStr for KeyHash {
    type Err = KeyHashError;

    fn from_str(text: &str) -> Result<Self, KeyHashError> {
        let digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() == 64 && text.bytes().all(digit) {
            Ok(Self(text.into()))
        } else {
            Err(KeyHashError)
        }
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash(***)")
    }
}

impl<'de> Deserialize<'de> for KeyHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parse_text(deserializer)
    }
}

fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let expected = "1 to 256 characters without control characters";
    checked_text(deserializer, expected, |name| {
        (1..=256).contains(&name.chars().count()) && !name.chars().any(char::is_control)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn key(more: &Value) -> Result<ApiKey, serde_json::Error> {
        let mut whole = json!({
            "id": "abcdef012345",
            "name": "agents",
            "tenant": "acme",
            "hash": "0".repeat(64),
        });
        if let (Value::Object(whole), Value::Object(more)) = (&mut whole, more) {
            whole.extend(more.clone());
        }
        serde_json::from_value(whole)
    }

    #[test]
    fn what_is_written_reads_back() {
        for more in [
            json!({}),
            json!({"allowed": "all", "scopes": ["logs:read", "metrics:write"]}),
            json!({"allowed": ["acme", "globex"], "expires_at": "2030-01-01T00:00:00Z"}),
        ] {
            let key = key(&more).unwrap();
            let text = serde_json::to_string(&key).unwrap();
            assert_eq!(serde_json::from_str::<ApiKey>(&text).unwrap(), key);
        }
    }

    #[test]
    fn what_is_wrong_is_told_and_no_hash_repeated() {
        let wrong = [
            (json!({"id": "ABCDEF012345"}), "ABCDEF012345"),
            (json!({"id": "short"}), "short"),
            (json!({"scopes": ["logs:delete"]}), "logs:delete"),
            (json!({"allowed": "everybody"}), "everybody"),
            (json!({"allowed": []}), "at least one"),
            (json!({"name": "two\nlines"}), "two\\nlines"),
            (json!({"surprise": 1}), "surprise"),
        ];
        for (more, told) in wrong {
            let error = key(&more).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
        let error = key(&json!({"hash": "hunter2"})).unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
        let shown = format!("{:?}", key(&json!({})).unwrap());
        assert!(!shown.contains("000000"), "{shown}");
    }

    #[test]
    fn a_key_ends_in_one_of_three_ways() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (before, end) = (at("2029-12-31T23:59:59Z"), at("2030-01-01T00:00:00Z"));
        let ends = [
            ("expires_at", KeyState::Expired),
            ("retires_at", KeyState::Retired),
        ];
        for (field, state) in ends {
            let key = key(&json!({field: "2030-01-01T00:00:00Z"})).unwrap();
            assert_eq!(key.state_at(before), KeyState::Usable);
            assert_eq!(key.state_at(end), state);
        }
        let revoked = key(&json!({"revoked_at": "2030-01-01T00:00:00Z"})).unwrap();
        assert_eq!(revoked.state_at(before), KeyState::Revoked);
    }

    #[test]
    fn a_hash_is_the_bytes_it_was_made_of() {
        let bytes: [u8; 32] = std::array::from_fn(|n| u8::try_from(n * 8).unwrap());
        assert_eq!(KeyHash::from(bytes).bytes(), bytes);
        let digits = "0123456789abcdef".repeat(4);
        let hash: KeyHash = digits.parse().unwrap();
        assert_eq!(KeyHash::from(hash.bytes()).as_str(), digits);
    }

    #[test]
    fn a_key_is_for_the_tenants_it_names() {
        let (acme, globex) = ("acme".parse().unwrap(), "globex".parse().unwrap());
        let cases = [
            (json!({}), true, false),
            (json!({"allowed": ["globex"]}), false, true),
            (json!({"allowed": "all"}), true, true),
        ];
        for (more, own, other) in cases {
            let key = key(&more).unwrap();
            assert_eq!((key.allows(&acme), key.allows(&globex)), (own, other));
        }
    }
}
