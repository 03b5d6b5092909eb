//! The names by which tenants, tiers, signals and people are known.

use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;

/// A tenant's immutable id: a slug `[a-z0-9][a-z0-9-]{1,62}`.
///
/// Cheap to clone; compares and hashes as its text, so maps keyed by it can be asked with `&str`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct TenantId(Arc<str>);

/// Why a text is not a tenant id.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TenantIdError {
    /// Shorter than 2 or longer than 63 bytes.
    #[error("a tenant id has 2 to 63 characters, this one has {length}")]
    Length {
        /// The length found, in bytes.
        length: usize,
    },
    /// A character outside the slug alphabet, or a dash in front.
    #[error(
        "a tenant id consists of a-z, 0-9 and '-' and begins with a letter or digit, found {found:?} at position {position}"
    )]
    Character {
        /// The offending character.
        found: char,
        /// Its 1-based position.
        position: usize,
    },
}

impl TenantId {
    /// Length limits in bytes, both inclusive.
    const LENGTH: std::ops::RangeInclusive<usize> = 2..=63;

    /// Checks the slug rules without allocating.
    ///
    /// # Errors
    /// Tells the first rule that `text` breaks.
    pub fn check(text: &str) -> Result<(), TenantIdError> {
        if !Self::LENGTH.contains(&text.len()) {
            return Err(TenantIdError::Length { length: text.len() });
        }
        let misfit = text.chars().enumerate().find(|(index, c)| {
            !(c.is_ascii_lowercase() || c.is_ascii_digit() || (*c == '-' && *index > 0))
        });
        match misfit {
            Some((index, found)) => Err(TenantIdError::Character {
                found,
                position: index + 1,
            }),
            None => Ok(()),
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TenantId {
    type Err = TenantIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::check(text)?;
        Ok(Self(text.into()))
    }
}

impl Borrow<str> for TenantId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl<'de> Deserialize<'de> for TenantId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parse_text(deserializer)
    }
}

/// What is observed: the three kinds of telemetry a tenant has a deployment for.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Signal {
    /// Served by `VictoriaMetrics`.
    Metrics,
    /// Served by `VictoriaLogs`.
    Logs,
    /// Served by `VictoriaTraces`.
    Traces,
}

impl Signal {
    /// All signals, in the order of their discriminants: `ALL[s as usize] == s`.
    pub const ALL: [Self; 3] = [Self::Metrics, Self::Logs, Self::Traces];

    /// The lower-case name, as in files, paths and metric labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Logs => "logs",
            Self::Traces => "traces",
        }
    }
}

/// A text that names no [`Signal`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("expected metrics, logs or traces, not {0:?}")]
pub struct SignalError(Box<str>);

impl FromStr for Signal {
    type Err = SignalError;

    fn from_str(text: &str) -> Result<Self, SignalError> {
        let named = Self::ALL.into_iter().find(|one| one.as_str() == text);
        named.ok_or_else(|| SignalError(text.into()))
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A tier's name: `free`, `pro`, `enterprise` or an operator's own, 1 to 63 characters of the
/// tenant-id alphabet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Tier(Arc<str>);

impl Tier {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// One of the names that are built in, which are well-formed.
    pub(super) fn built_in(name: &'static str) -> Self {
        Self(name.into())
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Default for Tier {
    fn default() -> Self {
        Self("free".into())
    }
}

/// Why a text is not a tier name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "a tier is 1 to 63 characters of a-z, 0-9 and '-', beginning with a letter or digit, not {0:?}"
)]
pub struct TierError(String);

impl FromStr for Tier {
    type Err = TierError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let alphabet = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let fits =
            (1..=63).contains(&text.len()) && text.chars().all(alphabet) && !text.starts_with('-');
        if fits {
            Ok(Self(text.into()))
        } else {
            Err(TierError(text.into()))
        }
    }
}

impl<'de> Deserialize<'de> for Tier {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parse_text(deserializer)
    }
}

/// An address to write to when a tenant needs attention.
///
/// Checked for form only (one `@`, something on both sides, no white space): whether it accepts
/// mail only sending can tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Email(String);

impl Email {
    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is not an e-mail address.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("expected an e-mail address such as sre@acme.example, not {0:?}")]
pub struct EmailError(String);

impl FromStr for Email {
    type Err = EmailError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = text.len() <= 254
            && !text.chars().any(|c| c.is_whitespace() || c.is_control())
            && text.split_once('@').is_some_and(|(user, host)| {
                !user.is_empty() && !host.is_empty() && !host.contains('@')
            });
        if fits {
            Ok(Self(text.into()))
        } else {
            Err(EmailError(text.into()))
        }
    }
}

impl<'de> Deserialize<'de> for Email {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parse_text(deserializer)
    }
}

/// Deserializes a text through its `FromStr`, so that files and API bodies show its errors.
pub(super) fn parse_text<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    String::deserialize(deserializer)?
        .parse()
        .map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests;
