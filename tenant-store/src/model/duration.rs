//! Durations as people write them in files: `30s`, `1m30s`, `250ms`; a bare number is milliseconds.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

/// A span of time, read from `30s`, `1m30s`, `250ms`, `1.5h` or a bare number of milliseconds, and
/// written back in the shortest of these forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct HumanDuration(pub Duration);

/// Why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "expected a duration such as 30s, 1m30s, 250ms, or a whole number of milliseconds, not {0:?}"
)]
pub struct DurationError(String);

/// Units and their length in nanoseconds, longest first, as written back.
const UNITS: [(&str, u128); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Longer spans are a slip of the pen: ten years.
const MAX: Duration = Duration::from_hours(10 * 365 * 24);

impl HumanDuration {
    /// A span of whole seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// A span of whole milliseconds.
    pub const fn from_millis(milliseconds: u64) -> Self {
        Self(Duration::from_millis(milliseconds))
    }
}

impl From<HumanDuration> for Duration {
    fn from(span: HumanDuration) -> Self {
        span.0
    }
}

impl FromStr for HumanDuration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fault = || DurationError(text.into());
        if let Ok(milliseconds) = text.parse::<u64>() {
            return bounded(Duration::from_millis(milliseconds)).ok_or_else(fault);
        }
        let mut total = Duration::ZERO;
        let mut rest = text;
        while !rest.is_empty() {
            let (part, after) = leading_part(rest).ok_or_else(fault)?;
            total = total.checked_add(part).ok_or_else(fault)?;
            rest = after;
        }
        if text.is_empty() {
            Err(fault())
        } else {
            bounded(total).ok_or_else(fault)
        }
    }
}

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_nanos();
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, length) in UNITS {
            if rest >= length {
                write!(f, "{}{unit}", rest / length)?;
                rest %= length;
            }
        }
        Ok(())
    }
}

impl Serialize for HumanDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HumanDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrMilliseconds)
    }
}

struct TextOrMilliseconds;

impl de::Visitor<'_> for TextOrMilliseconds {
    type Value = HumanDuration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration such as 30s, 1m30s, 250ms, or a whole number of milliseconds")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<HumanDuration, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, milliseconds: u64) -> Result<HumanDuration, E> {
        bounded(Duration::from_millis(milliseconds))
            .ok_or_else(|| E::custom(DurationError(milliseconds.to_string())))
    }
}

fn bounded(span: Duration) -> Option<HumanDuration> {
    (span <= MAX).then_some(HumanDuration(span))
}

/// Splits `1.5h30m` into 1.5 h and `30m`.
fn leading_part(text: &str) -> Option<(Duration, &str)> {
    let number_end = text.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
    let (number, rest) = text.split_at(number_end);
    let unit_end = rest
        .find(|c: char| !c.is_ascii_alphabetic())
        .unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(unit_end);
    let (_, length) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
    let length = Duration::from_nanos(u64::try_from(length).ok()?);
    let number: f64 = number.parse().ok()?;
    let part = Duration::try_from_secs_f64(length.as_secs_f64() * number).ok()?;
    Some((part, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_every_documented_form() {
        let cases = [
            ("30s", 30_000),
            ("1m30s", 90_000),
            ("250ms", 250),
            ("1.5h", 5_400_000),
            ("1500", 1_500),
            ("0s", 0),
            ("1d", 86_400_000),
        ];
        for (text, milliseconds) in cases {
            assert_eq!(
                text.parse(),
                Ok(HumanDuration::from_millis(milliseconds)),
                "{text}"
            );
        }
    }

    #[test]
    fn refuses_what_is_no_duration_and_repeats_it() {
        for text in ["", "s", "-1s", "1x", "1s ", "1.2.3s", "99999d", "1e3s"] {
            let error = text.parse::<HumanDuration>().unwrap_err();
            assert!(error.to_string().contains(&format!("{text:?}")), "{error}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(milliseconds in 0_u64..10_000_000_000) {
            let span = HumanDuration::from_millis(milliseconds);
            prop_assert_eq!(span.to_string().parse(), Ok(span));
        }
    }
}
