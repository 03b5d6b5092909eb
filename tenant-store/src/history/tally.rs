//! How many requests were served well, by time.

use std::ops::{AddAssign, Sub};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Requests that were served well, and that were not.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Served well.
    pub good: u64,
    /// Not.
    pub bad: u64,
}

impl Tally {
    /// Both.
    pub const fn total(self) -> u64 {
        self.good.saturating_add(self.bad)
    }

    /// Whether there were none.
    pub const fn is_empty(self) -> bool {
        self.total() == 0
    }

    /// The share that was served well, 0 to 1; `None` if there were none.
    pub fn availability(self) -> Option<f64> {
        self.share(self.good)
    }

    /// The share that was not, 0 to 1; `None` if there were none.
    pub fn error_ratio(self) -> Option<f64> {
        self.share(self.bad)
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a ratio of counts is as exact as a float can be"
    )]
    fn share(self, part: u64) -> Option<f64> {
        (!self.is_empty()).then(|| part as f64 / self.total() as f64)
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, more: Self) {
        self.good = self.good.saturating_add(more.good);
        self.bad = self.bad.saturating_add(more.bad);
    }
}

impl Sub for Tally {
    type Output = Self;

    /// What came since `before`; nothing, where less is counted now.
    fn sub(self, before: Self) -> Self {
        Self {
            good: self.good.saturating_sub(before.good),
            bad: self.bad.saturating_sub(before.bad),
        }
    }
}

/// How finely time is told apart. Each count is kept in all of them, in the finer ones for less
/// long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Span {
    /// Five minutes, kept for three hours.
    Minutes,
    /// An hour, kept for four days.
    Hour,
    /// A day (UTC), kept for 32 days.
    Day,
}

impl Span {
    /// From fine to coarse.
    pub const ALL: [Self; 3] = [Self::Minutes, Self::Hour, Self::Day];

    /// Its length, in seconds.
    pub const fn seconds(self) -> i64 {
        match self {
            Self::Minutes => 300,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        }
    }

    /// How long counts are kept in it, in seconds.
    pub const fn kept_seconds(self) -> i64 {
        match self {
            Self::Minutes => 3 * 3_600,
            Self::Hour => 4 * 86_400,
            Self::Day => 32 * 86_400,
        }
    }

    /// The next coarser one.
    pub const fn coarser(self) -> Option<Self> {
        match self {
            Self::Minutes => Some(Self::Hour),
            Self::Hour => Some(Self::Day),
            Self::Day => None,
        }
    }
}

/// One span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bucket {
    /// How long it is.
    pub span: Span,
    /// When it begins, in seconds since the epoch: a multiple of its length.
    pub start: i64,
}

impl Bucket {
    /// The one that a moment is in.
    pub fn of(span: Span, at: Timestamp) -> Self {
        Self::at(span, at.as_second())
    }

    /// The coarser one that it is in.
    pub fn coarser(self) -> Option<Self> {
        let span = self.span.coarser()?;
        Some(Self::at(span, self.start))
    }

    fn at(span: Span, second: i64) -> Self {
        let start = second - second.rem_euclid(span.seconds());
        Self { span, start }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_in_one_bucket_of_each_span() {
        let at: Timestamp = "2026-11-28T23:59:59.9Z".parse().unwrap();
        let starts = Span::ALL.map(|span| {
            let start = Bucket::of(span, at).start;
            Timestamp::from_second(start).unwrap().to_string()
        });
        let expected = [
            "2026-11-28T23:55:00Z",
            "2026-11-28T23:00:00Z",
            "2026-11-28T00:00:00Z",
        ];
        assert_eq!(starts, expected);
        let finest = Bucket::of(Span::Minutes, at);
        assert_eq!(finest.coarser(), Some(Bucket::of(Span::Hour, at)));
        assert_eq!(Bucket::of(Span::Day, at).coarser(), None);
    }

    #[test]
    fn shares_are_of_what_there_was() {
        assert_eq!(Tally::default().availability(), None);
        let tally = Tally { good: 999, bad: 1 };
        assert_eq!(tally.availability(), Some(0.999));
        assert_eq!(tally.error_ratio(), Some(0.001));
        assert_eq!(
            tally - Tally { good: 1000, bad: 0 },
            Tally { good: 0, bad: 1 }
        );
    }
}
