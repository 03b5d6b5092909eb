//! Counts by status code: two that almost every answer has, and the others once one of them occurs.

use std::sync::OnceLock;

use super::count::Count;

/// The codes worth a count of their own; all others count under their class, e.g. `4xx`.
const CODES: [u16; 21] = [
    200, 202, 204, 206, 301, 302, 304, 400, 401, 403, 404, 405, 408, 409, 413, 422, 429, 500, 502,
    503, 504,
];
/// Slots for [`CODES`] and for the five classes.
const SLOTS: usize = CODES.len() + 5;
const LABELS: [&str; SLOTS] = [
    "200", "202", "204", "206", "301", "302", "304", "400", "401", "403", "404", "405", "408",
    "409", "413", "422", "429", "500", "502", "503", "504", "1xx", "2xx", "3xx", "4xx", "5xx",
];
/// What reads answer.
const OK: usize = 0;
/// What writes answer.
const NO_CONTENT: usize = 2;

/// One worker's answers by status code.
#[derive(Debug, Default)]
pub(super) struct CodeCounts {
    ok: Count,
    no_content: Count,
    others: OnceLock<Box<[Count; SLOTS]>>,
}

/// Answers by status code, as plain numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct CodeTotals([u64; SLOTS]);

impl CodeCounts {
    pub(super) fn count(&self, code: u16) {
        let count = match slot(code) {
            OK => &self.ok,
            NO_CONTENT => &self.no_content,
            other => &self.others.get_or_init(|| Box::new(zeros()))[other],
        };
        count.add(1);
    }

    /// All codes together.
    pub(super) fn sum(&self) -> u64 {
        let others = self.others.get().into_iter().flat_map(|others| &**others);
        let others: u64 = others.map(Count::get).sum();
        self.ok.get() + self.no_content.get() + others
    }

    /// Adds what another one counted.
    pub(super) fn take_in(&self, more: &Self) {
        self.ok.add(more.ok.get());
        self.no_content.add(more.no_content.get());
        if let Some(more) = more.others.get() {
            let others = self.others.get_or_init(|| Box::new(zeros()));
            for (count, more) in others.iter().zip(more.iter()) {
                count.add(more.get());
            }
        }
    }
}

impl CodeTotals {
    pub(super) fn take_in(&mut self, counts: &CodeCounts) {
        self.0[OK] += counts.ok.get();
        self.0[NO_CONTENT] += counts.no_content.get();
        if let Some(others) = counts.others.get() {
            for (total, count) in self.0.iter_mut().zip(others.iter()) {
                *total += count.get();
            }
        }
    }

    /// The labels of the codes that have occurred, and how often they did.
    pub(super) fn occurred(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let all = LABELS.into_iter().zip(self.0);
        all.filter(|(_, count)| *count > 0)
    }

    /// All codes together.
    pub(super) fn sum(&self) -> u64 {
        self.0.iter().sum()
    }
}

fn slot(code: u16) -> usize {
    match CODES.binary_search(&code) {
        Ok(slot) => slot,
        Err(_) => CODES.len() + usize::from((code / 100).clamp(1, 5)) - 1,
    }
}

fn zeros() -> [Count; SLOTS] {
    std::array::from_fn(|_| Count::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_label_of_its_own_or_of_its_class() {
        let cases = [
            (200, "200"),
            (504, "504"),
            (503, "503"),
            (418, "4xx"),
            (599, "5xx"),
            (999, "5xx"),
            (100, "1xx"),
        ];
        for (code, expected) in cases {
            assert_eq!(LABELS[slot(code)], expected, "{code}");
        }
    }

    #[test]
    fn a_label_is_that_of_its_code() {
        for code in CODES {
            assert_eq!(LABELS[slot(code)], code.to_string());
        }
        assert_eq!((LABELS[OK], LABELS[NO_CONTENT]), ("200", "204"));
    }

    #[test]
    fn only_what_has_occurred_is_told() {
        let (counts, mut totals) = (CodeCounts::default(), CodeTotals::default());
        totals.take_in(&counts);
        assert_eq!(totals.occurred().count(), 0);
        for code in [200, 503, 204, 204, 200, 200, 451, 503] {
            counts.count(code);
        }
        totals.take_in(&counts);
        let told: Vec<_> = totals.occurred().collect();
        assert_eq!(told, [("200", 3), ("204", 2), ("503", 2), ("4xx", 1)]);
        assert_eq!(totals.sum(), 8);
    }
}
