//! What service a tenant is promised.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

/// What is promised. Absent means what the tier says, and nothing if it says nothing.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Slo {
    /// The share of requests, over 30 days, that are served well: `50%` to `99.9999%`, with at most
    /// four decimals.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(schema_with = super::schema::objective_or_null, required = false))]
    pub availability: Option<Objective>,
}

impl Slo {
    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde asks with a reference"
    )]
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What holds, if the tier promises `tier`.
    #[must_use]
    pub fn or(self, tier: Self) -> Self {
        Self {
            availability: self.availability.or(tier.availability),
        }
    }
}

/// A share of requests below one: what is left of it is the error budget. Written `99.9%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Objective {
    /// 500,000 to 999,999.
    millionths: u32,
}

/// Why a text is no objective.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("expected {EXPECTED}, not {0:?}")]
pub struct ObjectiveError(String);

const EXPECTED: &str = "a share of 50% to 99.9999%, with at most four decimals, such as 99.9%";

const WHOLE: u32 = 1_000_000;

impl Objective {
    /// An objective of so many thousandths, e.g. 999 for `99.9%`.
    pub(super) const fn thousandths(thousandths: u32) -> Self {
        Self {
            millionths: thousandths * 1_000,
        }
    }

    /// The share, above 0 and below 1.
    pub fn ratio(self) -> f64 {
        f64::from(self.millionths) / f64::from(WHOLE)
    }

    /// The share of requests that may fail, above 0 and below 1.
    pub fn error_budget(self) -> f64 {
        f64::from(WHOLE - self.millionths) / f64::from(WHOLE)
    }
}

impl FromStr for Objective {
    type Err = ObjectiveError;

    fn from_str(text: &str) -> Result<Self, ObjectiveError> {
        let read = || {
            let number = text.strip_suffix('%')?;
            let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
            let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            if !digits(whole) || whole.len() > 2 || !digits(decimals) || decimals.len() > 4 {
                return None;
            }
            let whole: u32 = whole.parse().ok()?;
            let decimals: u32 = format!("{decimals:0<4}").parse().ok()?;
            let millionths = whole * 10_000 + decimals;
            (WHOLE / 2..WHOLE)
                .contains(&millionths)
                .then_some(Self { millionths })
        };
        read().ok_or_else(|| ObjectiveError(text.into()))
    }
}

impl fmt::Display for Objective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, decimals) = (self.millionths / 10_000, self.millionths % 10_000);
        if decimals == 0 {
            return write!(f, "{whole}%");
        }
        let decimals = format!("{decimals:04}");
        write!(f, "{whole}.{}%", decimals.trim_end_matches('0'))
    }
}

impl Serialize for Objective {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Objective {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Share)
    }
}

struct Share;

impl de::Visitor<'_> for Share {
    type Value = Objective;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Objective, E> {
        text.parse().map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_objective_is_a_share_below_one() {
        for (text, ratio, written) in [
            ("50%", 0.5, "50%"),
            ("99%", 0.99, "99%"),
            ("99.90%", 0.999, "99.9%"),
            ("99.9999%", 0.999_999, "99.9999%"),
            ("95.05%", 0.9505, "95.05%"),
        ] {
            let objective: Objective = text.parse().unwrap();
            assert!((objective.ratio() - ratio).abs() < 1e-12, "{text}");
            assert!((objective.error_budget() - (1.0 - ratio)).abs() < 1e-12);
            assert_eq!(objective.to_string(), written);
        }
        for text in [
            "",
            "%",
            "99.9",
            "100%",
            "49.9999%",
            "99.99999%",
            "-99%",
            "+99%",
            "99.%",
            ".9%",
            "0.999",
            "99,9%",
            "99.9 %",
            "099%",
            "NaN%",
            "9٩%",
        ] {
            let error = text.parse::<Objective>().unwrap_err().to_string();
            assert!(error.contains(&format!("{text:?}")), "{error}");
        }
    }

    #[test]
    fn a_number_is_told_what_was_expected() {
        let error = serde_json::from_str::<Slo>(r#"{"availability": 99.9}"#).unwrap_err();
        assert!(error.to_string().contains("such as 99.9%"), "{error}");
        let slo: Slo = serde_json::from_str(r#"{"availability": "99.9%"}"#).unwrap();
        assert_eq!(slo.availability, Some(Objective::thousandths(999)));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(millionths in 500_000_u32..1_000_000) {
            let objective = Objective { millionths };
            prop_assert_eq!(objective.to_string().parse(), Ok(objective));
        }
    }
}
