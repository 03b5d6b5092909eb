//! Counters by status code, made when a code first occurs.

use std::sync::OnceLock;

use prometheus::{IntCounter, IntCounterVec};

/// The codes worth a counter of their own; all others count under their class, e.g. `4xx`.
const CODES: [u16; 21] = [
    200, 202, 204, 206, 301, 302, 304, 400, 401, 403, 404, 405, 408, 409, 413, 422, 429, 500, 502,
    503, 504,
];
/// Slots for [`CODES`] and for the five classes.
const SLOTS: usize = CODES.len() + 5;

/// One counter for each status code that has occurred, under fixed other labels.
#[derive(Debug)]
pub struct CodeCounters {
    counters: IntCounterVec,
    labels: Box<[String]>,
    slots: Box<[OnceLock<IntCounter>; SLOTS]>,
}

impl CodeCounters {
    /// Counters of a vector whose last label is the code, the others being `labels`.
    pub(super) fn new(counters: IntCounterVec, labels: &[&str]) -> Self {
        let labels = labels.iter().map(ToString::to_string).collect();
        Self {
            counters,
            labels,
            slots: Box::new([const { OnceLock::new() }; SLOTS]),
        }
    }

    /// Counts one answer.
    pub fn count(&self, code: u16) {
        let slot = slot(code);
        self.slots[slot].get_or_init(|| self.resolve(slot)).inc();
    }

    /// Answers counted, all codes together.
    pub fn total(&self) -> u64 {
        self.slots
            .iter()
            .filter_map(OnceLock::get)
            .map(IntCounter::get)
            .sum()
    }

    fn resolve(&self, slot: usize) -> IntCounter {
        let code = label(slot);
        let mut labels: Vec<&str> = self.labels.iter().map(String::as_str).collect();
        labels.push(&code);
        self.counters.with_label_values(&labels)
    }
}

fn slot(code: u16) -> usize {
    match CODES.binary_search(&code) {
        Ok(slot) => slot,
        Err(_) => CODES.len() + usize::from((code / 100).clamp(1, 5)) - 1,
    }
}

fn label(slot: usize) -> String {
    match CODES.get(slot) {
        Some(code) => code.to_string(),
        None => format!("{}xx", slot - CODES.len() + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::{label, slot};

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
            assert_eq!(label(slot(code)), expected, "{code}");
        }
    }
}
