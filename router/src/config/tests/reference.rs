//! `docs/config.md` against the types: every key is documented, and every default is true.

use std::collections::BTreeSet;

use clap::CommandFactory;

use super::*;

pub(super) const REFERENCE: &str = include_str!("../../../../docs/config.md");

/// Keys whose forms are those of `listen.public`, and documented there.
const SAME_FORMS: [&str; 3] = ["listen.metrics", "listen.logs", "listen.traces"];

/// The cells of each row of the table of `heading`, without the backticks of the first.
fn rows(heading: &str) -> Vec<Vec<String>> {
    let table = REFERENCE.split_once(heading).expect("the heading").1;
    let table = table.split("\n## ").next().unwrap_or_default();
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        row.split('|')
            .skip(1)
            .map(|cell| cell.trim().to_owned())
            .collect()
    })
    .collect()
}

fn bare(cell: &str) -> Option<&str> {
    cell.strip_prefix('`')?.strip_suffix('`')
}

/// Every key that is documented.
pub(super) fn keys() -> Vec<String> {
    rows("## Keys")
        .iter()
        .filter_map(|row| bare(&row[0]).map(Into::into))
        .collect()
}

/// The fields that the types know at `path`: they are named when an unknown one is refused. None if
/// there is no map at `path`.
fn fields(path: &str) -> Option<Vec<String>> {
    let unknown = if path.is_empty() {
        "?".into()
    } else {
        format!("{path}.\"?\"")
    };
    let mut document = Document::empty();
    document.set(&unknown, serde_json::json!(1), "test");
    let faults = document.decode_partly::<RawConfig>().1.into_faults();
    let refused = faults
        .iter()
        .find_map(|fault| fault.message.strip_prefix("there is no such field here"))?;
    let (_, list) = refused.split_once("expected")?;
    Some(list.split('`').skip(1).step_by(2).map(Into::into).collect())
}

/// Every key that is read, going by the types.
fn known(path: &str, found: &mut BTreeSet<String>) {
    match fields(path).filter(|_| !SAME_FORMS.contains(&path)) {
        None => {
            found.insert(path.into());
        }
        Some(names) => {
            for name in names {
                let key = if path.is_empty() {
                    name
                } else {
                    format!("{path}.{name}")
                };
                known(&key, found);
            }
        }
    }
}

#[test]
fn every_key_is_documented_and_nothing_else() {
    let mut known_keys = BTreeSet::new();
    known("", &mut known_keys);
    // An address or a map, and a list or a map.
    known_keys.insert("listen.public".into());
    known_keys.insert("identify.jwt".into());
    let documented: BTreeSet<_> = keys().into_iter().collect();
    assert!(known_keys.len() > 40, "{known_keys:?}");
    assert_eq!(known_keys, documented);
}

#[test]
fn every_default_is_what_the_reference_says() {
    let usual = defaults();
    for row in rows("## Keys") {
        let (Some(key), Some(default)) = (bare(&row[0]), bare(&row[2])) else {
            assert_eq!(row[2], "–", "{row:?}");
            continue;
        };
        let nested = key
            .split('.')
            .rev()
            .fold(default.to_owned(), |value, name| {
                format!("{{{name}: {value}}}")
            });
        let config = good(&nested);
        assert_eq!(config.settings, usual.settings, "{key}");
        assert_eq!(config.listeners, usual.listeners, "{key}");
        assert!(config.restart_only_differences(&usual).is_empty(), "{key}");
    }
}

/// A key marked `restart` is one that [`Config::restart_only_differences`] would name.
#[test]
fn every_key_says_whether_a_reload_changes_it() {
    for row in rows("## Keys") {
        assert!(["yes", "restart"].contains(&row[3].as_str()), "{row:?}");
    }
}

#[test]
fn every_flag_is_documented_with_its_variable_and_key() {
    let command = CommandLine::command();
    let flags: BTreeSet<_> = command
        .get_arguments()
        .filter_map(|argument| {
            let variable = argument.get_env()?.to_str()?.to_owned();
            Some((format!("--{}", argument.get_long()?), variable))
        })
        .collect();
    let keys = keys();
    let documented: BTreeSet<_> = rows("## Flags and variables")
        .iter()
        .filter_map(|row| {
            let key = bare(&row[2])?;
            assert!(keys.iter().any(|known| known == key), "{key}");
            assert_eq!(format!("`--{}`", key.replace(['.', '_'], "-")), row[0]);
            Some((bare(&row[0])?.to_owned(), bare(&row[1])?.to_owned()))
        })
        .collect();
    assert_eq!(flags, documented);
}
