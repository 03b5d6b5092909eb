//! A set of scopes: what a credential may do.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

use super::{Access, Scope, Signal};

/// A set of scopes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Scopes(u16);

/// Why a word is no scope.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "expected all, read, write, admin, or a signal with one of these such as metrics:read, not {0:?}"
)]
pub struct ScopesError(String);

const ACCESSES: [Access; 3] = [Access::Read, Access::Write, Access::Admin];

impl Scopes {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Everything.
    pub const ALL: Self = Self(0b1_1111_1111);

    /// Whether it has a scope.
    pub const fn allows(self, scope: Scope) -> bool {
        self.0 & bit(scope) != 0
    }

    /// What is in either.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in it but administration.
    #[must_use]
    pub fn without_admin(self) -> Self {
        self.iter()
            .filter(|scope| scope.access != Access::Admin)
            .collect()
    }

    /// Each scope it has.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        let each = |signal| ACCESSES.map(|access| Scope { signal, access });
        Signal::ALL
            .into_iter()
            .flat_map(each)
            .filter(move |scope| self.allows(*scope))
    }
}

impl From<Scope> for Scopes {
    fn from(scope: Scope) -> Self {
        Self(bit(scope))
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        scopes
            .into_iter()
            .fold(Self::NONE, |all, scope| all.or(scope.into()))
    }
}

/// One word may stand for several scopes: `all`, `read`, `logs:all`.
impl FromStr for Scopes {
    type Err = ScopesError;

    fn from_str(word: &str) -> Result<Self, ScopesError> {
        let (signal, access) = word.split_once(':').unwrap_or(("all", word));
        let signals = Signal::ALL
            .into_iter()
            .filter(|known| signal == "all" || known.as_str() == signal);
        let scopes: Self = signals
            .flat_map(|signal| ACCESSES.map(|access| Scope { signal, access }))
            .filter(|scope| access == "all" || scope.access.as_str() == access)
            .collect();
        if scopes == Self::NONE || word.starts_with("all:") {
            return Err(ScopesError(word.into()));
        }
        Ok(scopes)
    }
}

const fn bit(scope: Scope) -> u16 {
    1 << (3 * scope.signal as u16 + scope.access as u16)
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.iter().map(|scope| scope.to_string()))
            .finish()
    }
}

impl Serialize for Scopes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(|scope| scope.to_string()))
    }
}

impl<'de> Deserialize<'de> for Scopes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let words = Vec::<String>::deserialize(deserializer)?;
        words.iter().try_fold(Self::NONE, |all, word| {
            Ok(all.or(word.parse().map_err(de::Error::custom)?))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_stands_for_one_scope_or_several() {
        for (word, scopes) in [
            ("metrics:read", vec!["metrics:read"]),
            ("traces:write", vec!["traces:write"]),
            ("logs:all", vec!["logs:read", "logs:write", "logs:admin"]),
            ("read", vec!["metrics:read", "logs:read", "traces:read"]),
            ("write", vec!["metrics:write", "logs:write", "traces:write"]),
            ("logs:admin", vec!["logs:admin"]),
        ] {
            let set: Scopes = word.parse().expect("scopes");
            let told: Vec<_> = set.iter().map(|scope| scope.to_string()).collect();
            assert_eq!(told, scopes, "{word}");
        }
        assert_eq!("all".parse(), Ok(Scopes::ALL));
        for word in [
            "",
            "metrics",
            "metrics:",
            ":read",
            "Read",
            "logs:owner",
            "all:read",
            "read ",
        ] {
            assert!(word.parse::<Scopes>().is_err(), "{word}");
        }
    }

    #[test]
    fn a_set_is_written_as_it_is_read() {
        let text = r#"["metrics:read","logs:all"]"#;
        let set: Scopes = serde_json::from_str(text).expect("scopes");
        let written = serde_json::to_string(&set).expect("JSON");
        assert_eq!(
            written,
            r#"["metrics:read","logs:read","logs:write","logs:admin"]"#
        );
        assert_eq!(serde_json::from_str::<Scopes>(&written).ok(), Some(set));
        assert!(serde_json::from_str::<Scopes>(r#"["everything"]"#).is_err());
    }
}
