//! What is on record, and whether what was counted now may stand beside it.

use std::{collections::BTreeMap, fs, io, path::Path};

use serde::{Deserialize, Serialize};

use crate::{error::CountError, measure::Figures};

/// How much more than on record is too much.
const ALLOWED: f64 = 0.03;
/// What allocations and system calls must grow by at least: a call more in each second request.
/// Instructions are too many for that to matter.
const CALLS: f64 = 0.5;
/// How much less is worth a new record, so that what was won is not lost unnoticed.
const WON: f64 = 0.10;

/// Figures on record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Baseline {
    /// What the router was compiled with: `rustc 1.95.0`, as another one counts differently.
    pub(crate) compiler: String,
    /// By name of the scenario.
    pub(crate) scenarios: BTreeMap<String, Figures>,
}

/// One figure beside the one on record.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Comparison {
    pub(crate) scenario: String,
    pub(crate) quantity: Quantity,
    /// `None` where none is on record.
    pub(crate) before: Option<f64>,
    pub(crate) now: f64,
    pub(crate) verdict: Verdict,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quantity {
    Instructions,
    Allocations,
    SystemCalls,
    ClockReadings,
}

/// What a comparison says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Too much more than on record.
    Worse,
    /// So much less that it should be on record.
    Better,
    /// About the same.
    Same,
    /// Not on record.
    New,
}

impl Baseline {
    /// Reads it; `None` if there is none yet.
    pub(crate) fn read(file: &Path) -> Result<Option<Self>, CountError> {
        let text = match fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(CountError::io(format!("read {}", file.display()), error));
            }
        };
        let read = serde_json::from_str(&text).map(Some);
        read.map_err(|source| CountError::Baseline {
            file: file.display().to_string(),
            source,
        })
    }

    /// Writes it. What other scenarios have on record stays, if it is of the same compiler.
    pub(crate) fn accept(mut self, file: &Path) -> Result<(), CountError> {
        // One that can't be read is what this replaces.
        if let Ok(Some(before)) = Self::read(file)
            && before.compiler == self.compiler
        {
            for (scenario, figures) in before.scenarios {
                self.scenarios.entry(scenario).or_insert(figures);
            }
        }
        let doing = || format!("write {}", file.display());
        let text = serde_json::to_string_pretty(&self);
        let text = text.map_err(|error| CountError::io(doing(), error.into()))?;
        fs::write(file, text + "\n").map_err(|error| CountError::io(doing(), error))
    }

    /// Each figure of `now` beside the one on record here.
    pub(crate) fn compare(&self, now: &Self) -> Vec<Comparison> {
        let scenarios = now.scenarios.iter();
        scenarios
            .flat_map(|(scenario, now)| {
                let before = self.scenarios.get(scenario);
                Quantity::ALL.map(|quantity| {
                    let (before, now) = (before.map(|b| quantity.of(b)), quantity.of(now));
                    Comparison {
                        scenario: scenario.clone(),
                        quantity,
                        before,
                        now,
                        verdict: before.map_or(Verdict::New, |before| quantity.judge(before, now)),
                    }
                })
            })
            .collect()
    }
}

impl Comparison {
    /// By how much it grew, as a share of what it was; `None` where that means nothing.
    pub(crate) fn change(&self) -> Option<f64> {
        let before = self.before.filter(|before| *before > 0.0)?;
        Some(self.now / before - 1.0)
    }
}

impl Quantity {
    const ALL: [Self; 4] = [
        Self::Instructions,
        Self::Allocations,
        Self::SystemCalls,
        Self::ClockReadings,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Instructions => "instructions",
            Self::Allocations => "allocations",
            Self::SystemCalls => "system calls",
            Self::ClockReadings => "clock readings",
        }
    }

    fn of(self, figures: &Figures) -> f64 {
        match self {
            Self::Instructions => figures.instructions,
            Self::Allocations => figures.allocations,
            Self::SystemCalls => figures.system_calls,
            Self::ClockReadings => figures.clock_readings,
        }
    }

    /// Counts of calls are small, so that a share alone would make much of little.
    fn least(self) -> f64 {
        match self {
            Self::Instructions => 0.0,
            Self::Allocations | Self::SystemCalls | Self::ClockReadings => CALLS,
        }
    }

    fn judge(self, before: f64, now: f64) -> Verdict {
        let grown = now - before;
        if grown > before * ALLOWED && grown >= self.least() {
            Verdict::Worse
        } else if -grown > before * WON && -grown >= self.least() {
            Verdict::Better
        } else {
            Verdict::Same
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(instructions: f64, allocations: f64, system_calls: f64) -> Baseline {
        let figures = Figures {
            instructions,
            allocations,
            system_calls,
            clock_readings: system_calls,
        };
        Baseline {
            compiler: "rustc 1.95.0".into(),
            scenarios: [("get-h1-hit".into(), figures)].into(),
        }
    }

    fn verdicts(before: &Baseline, now: &Baseline) -> Vec<Verdict> {
        let comparisons = before.compare(now);
        comparisons.iter().map(|found| found.verdict).collect()
    }

    #[test]
    fn more_than_three_percent_are_too_many_and_less_are_not() {
        use Verdict::{Better, Same, Worse};
        let before = of(50_000.0, 40.0, 20.0);
        for (now, expected) in [
            (of(50_000.0, 40.0, 20.0), [Same; 4]),
            (of(51_500.0, 41.19, 20.59), [Same; 4]),
            (of(51_501.0, 41.19, 20.59), [Worse, Same, Same, Same]),
            (of(51_500.0, 41.21, 20.59), [Same, Worse, Same, Same]),
            (of(51_500.0, 41.19, 20.61), [Same, Same, Worse, Worse]),
            (of(45_000.0, 36.0, 18.0), [Same; 4]),
            (of(44_999.0, 35.9, 17.9), [Better; 4]),
        ] {
            assert_eq!(verdicts(&before, &now), expected, "{now:?}");
        }
    }

    #[test]
    fn a_call_more_in_fewer_than_each_second_request_is_none() {
        use Verdict::{Same, Worse};
        let before = of(50_000.0, 6.0, 4.0);
        for (now, expected) in [
            (of(50_000.0, 6.49, 4.49), [Same; 4]),
            (of(50_000.0, 6.5, 4.5), [Same, Worse, Worse, Worse]),
            (of(50_000.0, 7.0, 4.0), [Same, Worse, Same, Same]),
        ] {
            assert_eq!(verdicts(&before, &now), expected, "{now:?}");
        }
    }

    #[test]
    fn what_is_not_on_record_is_new() {
        let before = Baseline {
            scenarios: BTreeMap::new(),
            ..of(0.0, 0.0, 0.0)
        };
        let now = of(50_000.0, 6.0, 4.0);
        assert_eq!(verdicts(&before, &now), [Verdict::New; 4]);
    }

    #[test]
    fn what_was_accepted_is_read_again_and_other_scenarios_stay() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("baseline.json");
        assert_eq!(Baseline::read(&file).expect("read"), None);
        let mut other = of(1.0, 2.0, 3.0);
        other.scenarios = [("import-h1".into(), other.scenarios["get-h1-hit"])].into();
        of(50_000.0, 6.25, 4.0).accept(&file).expect("written");
        other.clone().accept(&file).expect("written");
        let read = Baseline::read(&file).expect("read").expect("there");
        assert_eq!(read.scenarios.len(), 2);
        other.compiler = "rustc 1.96.0".into();
        other.clone().accept(&file).expect("written");
        assert_eq!(Baseline::read(&file).expect("read"), Some(other));
    }
}
