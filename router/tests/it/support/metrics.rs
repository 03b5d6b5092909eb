//! The text format of Prometheus, read back.

use std::collections::BTreeMap;

/// One scrape.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    pub(crate) text: String,
    pub(crate) samples: Vec<Sample>,
}

/// One line of it.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

impl Metrics {
    /// Reads a page.
    pub(crate) fn parse(text: &str) -> Self {
        let lines = text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty());
        Self {
            text: text.into(),
            samples: lines.map(sample).collect(),
        }
    }

    /// All samples of a name that have at least these labels.
    pub(crate) fn select(&self, name: &str, labels: &[(&str, &str)]) -> Vec<&Sample> {
        let fits = |sample: &&Sample| {
            sample.name == name
                && labels
                    .iter()
                    .all(|(key, value)| sample.labels.get(*key).is_some_and(|found| found == value))
        };
        self.samples.iter().filter(fits).collect()
    }

    /// The sum of all samples of a name that have at least these labels; 0 if there is none.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.select(name, labels)
            .iter()
            .map(|sample| sample.value)
            .sum()
    }
}

fn sample(line: &str) -> Sample {
    let parse = || {
        let (series, value) = line.rsplit_once(' ')?;
        let (name, labels) = match series.split_once('{') {
            Some((name, labels)) => (name, labels.strip_suffix('}')?),
            None => (series, ""),
        };
        Some(Sample {
            name: name.into(),
            labels: pairs(labels)?,
            value: value.parse().ok()?,
        })
    };
    parse().unwrap_or_else(|| panic!("not a sample: {line:?}"))
}

/// Reads `key="value",…`. No label of ours holds a quote or a backslash.
fn pairs(mut text: &str) -> Option<BTreeMap<String, String>> {
    let mut labels = BTreeMap::new();
    while !text.is_empty() {
        let (key, rest) = text.split_once("=\"")?;
        let (value, rest) = rest.split_once('"')?;
        labels.insert(key.into(), value.into());
        text = rest.strip_prefix(',').unwrap_or(rest);
    }
    Some(labels)
}
