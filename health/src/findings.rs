//! What deep checks find: faults that leave an endpoint in use, and that somebody should know of.

use std::{fmt, sync::Arc};

use jiff::Timestamp;
use serde::Serialize;

/// A kind of fault that an endpoint can have while it serves requests.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Finding {
    /// Its clock is off by more than it may be.
    ClockSkew = 0,
    /// Less disk space is free than there should be.
    DiskLow = 1,
    /// It takes no data.
    IngestionFailed = 2,
    /// It doesn't answer a trivial query.
    QueryFailed = 3,
    /// Its storage has become read-only, mostly for want of disk space.
    ReadOnly = 4,
    /// It is another product than the signal needs.
    WrongProduct = 5,
    /// It has another version than it should have.
    WrongVersion = 6,
}

impl Finding {
    /// All of them, in the order of their names.
    pub const ALL: [Self; 7] = [
        Self::ClockSkew,
        Self::DiskLow,
        Self::IngestionFailed,
        Self::QueryFailed,
        Self::ReadOnly,
        Self::WrongProduct,
        Self::WrongVersion,
    ];

    /// The name used in logs, metrics and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClockSkew => "clock_skew",
            Self::DiskLow => "disk_low",
            Self::IngestionFailed => "ingestion_failed",
            Self::QueryFailed => "query_failed",
            Self::ReadOnly => "read_only",
            Self::WrongProduct => "wrong_product",
            Self::WrongVersion => "wrong_version",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of findings, as small as they are many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Findings(u8);

impl Findings {
    /// Whether nothing is the matter.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether it is among them.
    pub fn contains(self, finding: Finding) -> bool {
        self.0 & finding.bit() != 0
    }

    /// Each of them, in the order of their names.
    pub fn iter(self) -> impl Iterator<Item = Finding> {
        let all = Finding::ALL.into_iter();
        all.filter(move |finding| self.contains(*finding))
    }

    pub(crate) const fn bits(self) -> u8 {
        self.0
    }

    pub(crate) const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }
}

impl FromIterator<Finding> for Findings {
    fn from_iter<I: IntoIterator<Item = Finding>>(findings: I) -> Self {
        let bits = findings.into_iter().map(Finding::bit);
        Self(bits.fold(0, |all, bit| all | bit))
    }
}

/// The names with commas between; `none` if there are none.
impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        for (position, finding) in self.iter().enumerate() {
            let comma = if position == 0 { "" } else { ", " };
            write!(f, "{comma}{finding}")?;
        }
        Ok(())
    }
}

/// One finding, in words.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Which kind.
    pub finding: Finding,
    /// What exactly, with the figures.
    pub detail: String,
    /// Since when it has been found without a break.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub since: Timestamp,
}

/// An endpoint's findings changed.
#[derive(Clone, Debug)]
pub struct FindingsChanged {
    /// The endpoint's name as given in [`Target::name`](crate::Target::name).
    pub endpoint: Arc<str>,
    /// What had been found before.
    pub from: Findings,
    /// What is found now.
    pub to: Findings,
    /// When, by the wall clock.
    pub at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each has a bit of its own, and comes out in the order of its name.
    #[test]
    fn a_set_gives_back_what_was_put_in() {
        let mut names: Vec<_> = Finding::ALL.iter().map(|f| f.as_str()).collect();
        names.sort_unstable();
        let all: Findings = Finding::ALL.into_iter().rev().collect();
        assert_eq!(all.to_string(), names.join(", "));
        for finding in Finding::ALL {
            let one = Findings::from_iter([finding]);
            assert_eq!(one.iter().collect::<Vec<_>>(), [finding]);
            assert_eq!(Findings::from_bits(one.bits()), one);
        }
        assert_eq!(Findings::default().to_string(), "none");
    }
}
