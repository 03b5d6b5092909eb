//! The rules, without a folder.

use jiff::Timestamp;

use super::*;
use crate::{
    document::Fault,
    repository::{ChangeCursor, Kind},
};

const FOLDER: &str = "/tenants";

fn key(id: &str) -> RecordKey {
    RecordKey::new(Kind::Tenant, id)
}

/// A file that says this of a tenant each: its id, and something else.
fn good(file: &str, tenants: &[(&str, &str)]) -> (PathBuf, Found) {
    let written = tenants.iter().map(|(id, text)| Written {
        key: key(id),
        status: RecordStatus::Active,
        document: format!("{{\"name\":\"{text}\"}}"),
        at: Timestamp::from_millisecond(1_000).unwrap(),
    });
    let says = Ok(written.collect());
    (
        Path::new(FOLDER).join(file),
        Found::Read { stamp: None, says },
    )
}

fn bad(file: &str) -> (PathBuf, Found) {
    let name = Path::new(FOLDER).join(file);
    let says = Err(Fault::new(Some(name.clone()), "this is no tenant").into());
    (name, Found::Read { stamp: None, says })
}

fn same(file: &str) -> (PathBuf, Found) {
    (Path::new(FOLDER).join(file), Found::Same)
}

fn look<const N: usize>(holding: &mut Holding, files: [(PathBuf, Found); N]) -> bool {
    holding.take_in(Path::new(FOLDER), Ok(files.into_iter().collect()))
}

/// What is said of a tenant, `None` if it is unknown or a tombstone.
fn said(holding: &Holding, id: &str) -> Option<String> {
    let record = holding.mirror().record(&key(id));
    let record = record.filter(|record| record.status.is_alive())?;
    let document: serde_json::Value = serde_json::from_str(&record.document).unwrap();
    Some(document["name"].as_str().unwrap().to_owned())
}

fn faulty(holding: &Holding) -> Vec<String> {
    let names = holding.faults().iter().map(|fault| {
        let name = fault.place.strip_prefix(FOLDER).unwrap();
        name.to_str().unwrap().to_owned()
    });
    names.collect()
}

#[test]
fn a_faulty_file_keeps_what_it_said_and_takes_no_other_down() {
    let mut holding = Holding::default();
    look(
        &mut holding,
        [
            good("a.yaml", &[("acme", "1")]),
            good("b.yaml", &[("globex", "1")]),
        ],
    );
    look(
        &mut holding,
        [bad("a.yaml"), good("b.yaml", &[("globex", "2")])],
    );
    assert_eq!(said(&holding, "acme").as_deref(), Some("1"));
    assert_eq!(said(&holding, "globex").as_deref(), Some("2"));
    assert_eq!(faulty(&holding), ["a.yaml"]);
    assert!(holding.faults()[0].message.contains("this is no tenant"));
    // However long.
    for _ in 0..3 {
        look(&mut holding, [same("a.yaml"), same("b.yaml")]);
    }
    assert_eq!(said(&holding, "acme").as_deref(), Some("1"));
    assert_eq!(faulty(&holding), ["a.yaml"]);
    look(
        &mut holding,
        [good("a.yaml", &[("acme", "3")]), same("b.yaml")],
    );
    assert_eq!(said(&holding, "acme").as_deref(), Some("3"));
    assert_eq!(faulty(&holding), [""; 0]);
}

#[test]
fn a_tenant_is_gone_when_two_looks_in_a_row_do_not_find_it() {
    let mut holding = Holding::default();
    let b = || good("b.yaml", &[("globex", "1")]);
    look(&mut holding, [good("a.yaml", &[("acme", "1")]), b()]);
    let revision = holding.mirror().record(&key("acme")).unwrap().revision;
    assert!(!look(&mut holding, [b()]));
    assert_eq!(said(&holding, "acme").as_deref(), Some("1"));
    // It was on its way to another file.
    look(&mut holding, [b(), good("c.yaml", &[("acme", "1")])]);
    assert_eq!(
        holding.mirror().record(&key("acme")).unwrap().revision,
        revision
    );
    look(&mut holding, [b()]);
    let position = holding.mirror().position();
    assert!(look(&mut holding, [b()]));
    let tombstone = holding.mirror().record(&key("acme")).unwrap();
    assert_eq!(tombstone.status, RecordStatus::Deleted);
    assert!(tombstone.revision > revision);
    assert_eq!(holding.mirror().changes(position).keys, [key("acme")]);
    // And back again, with revisions that go on rising.
    let buried = tombstone.revision;
    look(&mut holding, [good("a.yaml", &[("acme", "1")]), b()]);
    assert!(holding.mirror().record(&key("acme")).unwrap().revision > buried);
}

#[test]
fn nothing_is_gone_while_a_file_may_be_where_it_moved_to() {
    let mut holding = Holding::default();
    let b = || good("b.yaml", &[("globex", "1")]);
    look(&mut holding, [good("a.yaml", &[("acme", "1")]), b()]);
    for _ in 0..3 {
        look(&mut holding, [b(), bad("new.yaml")]);
        assert_eq!(said(&holding, "acme").as_deref(), Some("1"));
    }
    // A file that was in order once is known for its own tenants.
    look(&mut holding, [bad("b.yaml"), good("new.yaml", &[])]);
    look(&mut holding, [bad("b.yaml"), same("new.yaml")]);
    assert_eq!(said(&holding, "acme"), None);
    assert_eq!(said(&holding, "globex").as_deref(), Some("1"));
}

#[test]
fn an_empty_or_unreadable_folder_takes_nothing_away() {
    let mut holding = Holding::default();
    look(&mut holding, [good("a.yaml", &[("acme", "1")])]);
    for _ in 0..3 {
        look(&mut holding, []);
    }
    assert_eq!(said(&holding, "acme").as_deref(), Some("1"));
    assert_eq!(faulty(&holding), [""]);
    assert!(holding.take_in(Path::new(FOLDER), Err("can't be read: gone".into())));
    assert!(!holding.take_in(Path::new(FOLDER), Err("can't be read: gone".into())));
    assert_eq!(said(&holding, "acme").as_deref(), Some("1"));
    assert_eq!(holding.unreadable().as_deref(), Some("can't be read: gone"));
    assert!(look(&mut holding, [good("a.yaml", &[("acme", "1")])]));
    assert_eq!((holding.unreadable(), faulty(&holding)), (None, vec![]));
}

#[test]
fn of_two_that_describe_the_same_the_one_counts_that_did_before() {
    let mut holding = Holding::default();
    look(&mut holding, [good("b.yaml", &[("acme", "b")])]);
    let both = || {
        [
            good("a.yaml", &[("acme", "a"), ("globex", "a")]),
            good("b.yaml", &[("acme", "b")]),
        ]
    };
    look(&mut holding, both());
    assert_eq!(said(&holding, "acme").as_deref(), Some("b"));
    assert_eq!(said(&holding, "globex").as_deref(), Some("a"));
    assert_eq!(faulty(&holding), ["a.yaml"]);
    // To somebody who starts now, the first by name.
    let mut holding = Holding::default();
    look(&mut holding, both());
    assert_eq!(said(&holding, "acme").as_deref(), Some("a"));
    assert_eq!(faulty(&holding), ["b.yaml"]);
    assert!(holding.faults()[0].message.contains("a.yaml"));
}

#[test]
fn what_did_not_change_is_no_change() {
    let mut holding = Holding::default();
    let files = || [good("a.yaml", &[("acme", "1"), ("globex", "1")])];
    assert!(look(&mut holding, files()));
    let position = holding.mirror().position();
    assert!(!look(&mut holding, files()));
    assert!(!look(&mut holding, [same("a.yaml")]));
    assert!(look(
        &mut holding,
        [good("a.yaml", &[("acme", "2"), ("globex", "1")])]
    ));
    assert_eq!(holding.mirror().changes(position).keys, [key("acme")]);
    assert_eq!(
        holding.mirror().changes(ChangeCursor(0)).keys,
        [key("globex"), key("acme")]
    );
    let ahead = ChangeCursor(u64::MAX);
    assert_eq!(holding.mirror().changes(ahead).next, ahead);
}
