//! What deep checks find wrong with an endpoint that answers: a bounded set, kept as bits.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

/// Something wrong with an endpoint that answers nevertheless.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Finding {
    /// Its clock differs from the router's.
    ClockSkew = 0,
    /// Little space is left on its disk.
    DiskLow = 1,
    /// It does not take a write, not even an empty one.
    IngestionStalled = 2,
    /// A trivial query is not answered.
    QueryFails = 3,
    /// Its storage takes no writes.
    ReadOnly = 4,
    /// It is another product than the signal needs.
    WrongProduct = 5,
    /// It is older than it should be.
    OldVersion = 6,
}

impl Finding {
    /// Every finding there is.
    pub const ALL: [Self; 7] = [
        Self::ClockSkew,
        Self::DiskLow,
        Self::IngestionStalled,
        Self::QueryFails,
        Self::ReadOnly,
        Self::WrongProduct,
        Self::OldVersion,
    ];

    /// The name used in logs, metrics and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClockSkew => "clock_skew",
            Self::DiskLow => "disk_low",
            Self::IngestionStalled => "ingestion_stalled",
            Self::QueryFails => "query_fails",
            Self::ReadOnly => "read_only",
            Self::WrongProduct => "wrong_product",
            Self::OldVersion => "old_version",
        }
    }

    /// What is the matter, to follow the endpoint's name: "is read-only".
    pub const fn phrase(self) -> &'static str {
        match self {
            Self::ClockSkew => "has a wrong clock",
            Self::DiskLow => "is short of disk space",
            Self::IngestionStalled => "takes in nothing",
            Self::QueryFails => "does not answer a trivial query",
            Self::ReadOnly => "is read-only",
            Self::WrongProduct => "is the wrong product",
            Self::OldVersion => "is too old",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of findings, in one byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Findings(u8);

impl Findings {
    /// The set with `finding` in it.
    #[must_use]
    pub const fn with(self, finding: Finding) -> Self {
        Self(self.0 | 1 << finding as u8)
    }

    /// Whether `finding` is in it.
    pub const fn contains(self, finding: Finding) -> bool {
        self.0 & (1 << finding as u8) != 0
    }

    /// Whether nothing was found.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What is in it.
    pub fn iter(self) -> impl Iterator<Item = Finding> {
        Finding::ALL
            .into_iter()
            .filter(move |finding| self.contains(*finding))
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
        findings.into_iter().fold(Self::default(), Self::with)
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

impl Serialize for Findings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in() {
        let set: Findings = [Finding::ReadOnly, Finding::DiskLow].into_iter().collect();
        assert_eq!(
            set.iter().collect::<Vec<_>>(),
            [Finding::DiskLow, Finding::ReadOnly]
        );
        assert_eq!(set.to_string(), "disk_low, read_only");
        assert!(Findings::default().is_empty());
        assert_eq!(Findings::default().to_string(), "none");
        assert_eq!(Findings::from_bits(set.bits()), set);
        assert_eq!(
            serde_json::to_string(&set).unwrap(),
            "[\"disk_low\",\"read_only\"]"
        );
    }
}
