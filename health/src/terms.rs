//! What a probe sends and what it accepts, where that is more than a plain `GET` and a 2xx.
//!
//! Most endpoints have no terms of their own, so they are kept apart from what every target has.

use std::{ops::RangeInclusive, time::Duration};

use reqwest::{
    StatusCode,
    header::{HeaderName, HeaderValue},
};

/// What a probe sends and accepts beyond the ordinary.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ProbeTerms {
    /// Sent with each probe, in place of headers of the same name that it would send otherwise.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The statuses of a healthy answer; none means 2xx.
    pub statuses: Vec<RangeInclusive<u16>>,
    /// What a healthy answer's body has somewhere in its first 64 KiB.
    pub body: Option<Box<str>>,
    /// For so long after it began to be watched, and until its first good probe, failed probes
    /// don't count: it is starting. Live requests are believed all the same. Kept within 1 day.
    pub start_grace: Duration,
}

impl ProbeTerms {
    pub(crate) fn accepts(&self, status: StatusCode) -> bool {
        if self.statuses.is_empty() {
            return status.is_success();
        }
        let status = status.as_u16();
        self.statuses.iter().any(|range| range.contains(&status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without statuses of its own it is 2xx; with some, nothing else.
    #[test]
    fn the_named_statuses_replace_the_usual_ones() {
        let accepted = |terms: &ProbeTerms| {
            [200, 204, 299, 300, 401, 500]
                .map(|status| terms.accepts(StatusCode::from_u16(status).unwrap()))
        };
        let usual = ProbeTerms::default();
        assert_eq!(accepted(&usual), [true, true, true, false, false, false]);
        let own = ProbeTerms {
            statuses: vec![204..=204, 400..=499],
            ..usual
        };
        assert_eq!(accepted(&own), [false, true, false, false, true, false]);
    }
}
