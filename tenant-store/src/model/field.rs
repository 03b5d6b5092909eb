//! Fields that hold less than their type could: bounded numbers, spans and texts.
//!
//! Checked while they are read, so that the error is that of the field.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Deserializer, de};

use super::HumanDuration;

/// A span no shorter than `least`.
pub(super) fn at_least<'de, D: Deserializer<'de>>(
    deserializer: D,
    least: HumanDuration,
) -> Result<HumanDuration, D::Error> {
    let span = HumanDuration::deserialize(deserializer)?;
    if span >= least {
        Ok(span)
    } else {
        Err(de::Error::custom(format!(
            "expected at least {least}, not {span}"
        )))
    }
}

/// A whole number within bounds, both inclusive.
pub(super) fn between<'de, D, T>(deserializer: D, least: T, most: T) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<u64> + PartialOrd + fmt::Display + Copy,
{
    let number = u64::deserialize(deserializer)?;
    T::try_from(number)
        .ok()
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| {
            de::Error::custom(format!(
                "expected a whole number of {least} to {most}, not {number}"
            ))
        })
}

/// A text that `fits`; `expected` says what would.
pub(super) fn checked_text<'de, D: Deserializer<'de>>(
    deserializer: D,
    expected: &str,
    fits: impl FnOnce(&str) -> bool,
) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if fits(&text) {
        Ok(text)
    } else {
        Err(de::Error::custom(format!(
            "expected {expected}, not {text:?}"
        )))
    }
}

/// Perhaps a DNS label, as Kubernetes names its namespaces.
pub(super) fn dns_label<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    let label = Option::<DnsLabel>::deserialize(deserializer)?;
    Ok(label.map(|DnsLabel(label)| label))
}

/// Perhaps a name on one line, for people.
pub(super) fn one_line<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    let name = Option::<OneLine>::deserialize(deserializer)?;
    Ok(name.map(|OneLine(name)| name))
}

/// Labels: keys and values of at most 63 characters.
pub(super) fn labels<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    let labels = BTreeMap::<Label<1>, Label<0>>::deserialize(deserializer)?;
    Ok(labels
        .into_iter()
        .map(|(Label(key), Label(value))| (key, value))
        .collect())
}

/// Switches: keys as those of labels.
pub(super) fn switches<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, bool>, D::Error> {
    let switches = BTreeMap::<Label<1>, bool>::deserialize(deserializer)?;
    Ok(switches
        .into_iter()
        .map(|(Label(key), truth)| (key, truth))
        .collect())
}

struct DnsLabel(String);

impl<'de> Deserialize<'de> for DnsLabel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "1 to 63 characters of a-z, 0-9 and `-`, with `-` at neither end";
        let label = checked_text(deserializer, expected, |name| {
            (1..=63).contains(&name.len())
                && name
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
                && !name.starts_with('-')
                && !name.ends_with('-')
        });
        label.map(Self)
    }
}

struct OneLine(String);

impl<'de> Deserialize<'de> for OneLine {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "1 to 256 characters without control characters";
        checked_text(deserializer, expected, |name| is_line(name, 1, 256)).map(Self)
    }
}

/// A text of `LEAST` to 63 characters on one line.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Label<const LEAST: usize>(String);

impl<'de, const LEAST: usize> Deserialize<'de> for Label<LEAST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = format!("{LEAST} to 63 characters without control characters");
        checked_text(deserializer, &expected, |text| is_line(text, LEAST, 63)).map(Self)
    }
}

fn is_line(text: &str, least: usize, most: usize) -> bool {
    (least..=most).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}
