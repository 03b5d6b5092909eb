//! Results on record: one JSON file for each scenario, so that some of them can be measured again
//! and the report be written from all.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{error::BenchError, peer::Kind, scenario::Scenario};

/// What one scenario showed, and where, when and of what.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record<Extent, Figures> {
    pub(crate) conditions: Conditions,
    /// When the scenario began, in UTC.
    pub(crate) began: jiff::Timestamp,
    /// How long it took, in whole seconds.
    pub(crate) took_s: u64,
    /// How much was asked.
    pub(crate) extent: Extent,
    /// What was seen, by round.
    pub(crate) figures: Figures,
}

/// The machine and the programs, so that nobody takes figures for those of others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Conditions {
    pub(crate) commit: String,
    pub(crate) command: String,
    pub(crate) processor: String,
    pub(crate) processors: usize,
    /// In GiB, to a tenth.
    pub(crate) memory_gib: String,
    pub(crate) kernel: String,
    pub(crate) system: String,
    /// What the router was built by.
    pub(crate) built: String,
    pub(crate) versions: BTreeMap<Kind, String>,
    /// Which processor does what.
    pub(crate) bound: String,
    /// Load average of the last minute when the run began.
    pub(crate) load: String,
}

/// The folder of the files.
#[derive(Debug)]
pub(crate) struct Shelf {
    folder: PathBuf,
}

impl<Extent, Figures> Record<Extent, Figures> {
    /// The day, in UTC.
    pub(crate) fn date(&self) -> String {
        self.began.strftime("%Y-%m-%d").to_string()
    }
}

impl Shelf {
    pub(crate) fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Puts a scenario's results in the place of its earlier ones, as a whole or not at all.
    pub(crate) fn put<Extent: Serialize, Figures: Serialize>(
        &self,
        scenario: Scenario,
        record: &Record<Extent, Figures>,
    ) -> Result<(), BenchError> {
        let file = self.file(scenario);
        let failed = |error| BenchError::io(format!("write {}", file.display()), error);
        let mut text =
            serde_json::to_string_pretty(record).map_err(|error| failed(error.into()))?;
        text.push('\n');
        fs::create_dir_all(&self.folder).map_err(failed)?;
        let new = file.with_extension("json.new");
        fs::write(&new, text).map_err(failed)?;
        fs::rename(&new, &file).map_err(failed)
    }

    /// A scenario's results; `None` if there are none.
    pub(crate) fn find<Extent: DeserializeOwned, Figures: DeserializeOwned>(
        &self,
        scenario: Scenario,
    ) -> Result<Option<Record<Extent, Figures>>, BenchError> {
        let file = self.file(scenario);
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(BenchError::io(format!("read {}", file.display()), error)),
        };
        let record = serde_json::from_str(&text).map_err(|source| BenchError::Record {
            file: file.clone(),
            scenario: scenario.name(),
            source,
        })?;
        Ok(Some(record))
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    fn file(&self, scenario: Scenario) -> PathBuf {
        self.folder.join(format!("{}.json", scenario.name()))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn conditions() -> Conditions {
        Conditions {
            commit: "abc".into(),
            command: "make lab".into(),
            processor: "some".into(),
            processors: 2,
            memory_gib: "4.0".into(),
            kernel: "6".into(),
            system: "Linux".into(),
            built: "rustc".into(),
            versions: BTreeMap::from([(Kind::Mirador, "mirador 0.1.0".into())]),
            bound: "nothing".into(),
            load: "0.00".into(),
        }
    }

    /// As if measured that many days after a certain one.
    pub(crate) fn record<Extent, Figures>(
        day: i64,
        extent: Extent,
        figures: Figures,
    ) -> Record<Extent, Figures> {
        let began = jiff::Timestamp::from_second(1_700_000_000 + day * 86_400);
        Record {
            conditions: conditions(),
            began: began.expect("in range"),
            took_s: 1,
            extent,
            figures,
        }
    }

    #[test]
    fn what_was_put_is_found_and_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let shelf = Shelf::at(folder.path().join("results"));
        let nothing = shelf.find::<u32, f64>(Scenario::Tls).expect("readable");
        assert!(nothing.is_none());
        for figures in [0.1, 0.7] {
            let put = shelf.put(Scenario::Tls, &record(3, 5_u32, figures));
            put.expect("written");
        }
        let found = shelf.find::<u32, f64>(Scenario::Tls).expect("readable");
        let found = found.expect("there");
        assert_eq!((found.extent, found.date().as_str()), (5, "2023-11-17"));
        assert!((found.figures - 0.7).abs() < f64::EPSILON);
        assert_eq!(found.conditions, conditions());
    }

    #[test]
    fn results_in_another_form_are_told_with_what_to_do() {
        let folder = tempfile::tempdir().expect("a folder");
        let shelf = Shelf::at(folder.path().to_owned());
        fs::write(folder.path().join("start.json"), "{\"figures\":1}").expect("written");
        let error = shelf.find::<u32, f64>(Scenario::Start).expect_err("broken");
        let told = error.to_string();
        assert!(
            told.contains("start.json") && told.contains("--only start"),
            "{told}"
        );
    }
}
