//! What a credential may do: read or write, each for a signal.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

use super::Signal;

/// What is done to a tenant's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Access {
    /// It is queried.
    Read,
    /// More of it comes in.
    Write,
}

/// One thing that may be done: `metrics:read`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope {
    /// To which data.
    pub signal: Signal,
    /// What.
    pub access: Access,
}

/// A set of scopes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Scopes(u8);

/// Why a word is no scope.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("expected all, read, write, a signal with one of these such as metrics:read, not {0:?}")]
pub struct ScopeError(String);

const ACCESSES: [Access; 2] = [Access::Read, Access::Write];

impl Access {
    /// The name in texts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

impl Scope {
    const fn bit(self) -> u8 {
        let access = match self.access {
            Access::Read => 0,
            Access::Write => 1,
        };
        1 << (2 * self.signal as u8 + access)
    }
}

impl Scopes {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Everything.
    pub const ALL: Self = Self(0b11_1111);

    /// Whether it has a scope.
    pub const fn allows(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
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
        Self(scope.bit())
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        scopes
            .into_iter()
            .fold(Self::NONE, |all, scope| all.or(scope.into()))
    }
}

/// One word may stand for several scopes: `all`, `read`, `write`, `logs:all`.
impl FromStr for Scopes {
    type Err = ScopeError;

    fn from_str(word: &str) -> Result<Self, ScopeError> {
        let (signal, access) = word.split_once(':').unwrap_or(("all", word));
        let signals = Signal::ALL
            .into_iter()
            .filter(|known| signal == "all" || known.as_str() == signal);
        let scopes: Self = signals
            .flat_map(|signal| ACCESSES.map(|access| Scope { signal, access }))
            .filter(|scope| access == "all" || scope.access.as_str() == access)
            .collect();
        if scopes == Self::NONE || word.starts_with("all:") {
            return Err(ScopeError(word.into()));
        }
        Ok(scopes)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.signal.as_str(), self.access.as_str())
    }
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
            ("logs:all", vec!["logs:read", "logs:write"]),
            ("read", vec!["metrics:read", "logs:read", "traces:read"]),
            ("write", vec!["metrics:write", "logs:write", "traces:write"]),
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
            "logs:admin",
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
        assert_eq!(written, r#"["metrics:read","logs:read","logs:write"]"#);
        assert_eq!(serde_json::from_str::<Scopes>(&written).ok(), Some(set));
        assert!(serde_json::from_str::<Scopes>(r#"["everything"]"#).is_err());
    }
}
