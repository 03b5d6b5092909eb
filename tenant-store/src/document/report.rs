//! Reads a document to the end however much is wrong with it: each fault is noted and cut out, and
//! what is left is read again.

use std::{collections::BTreeSet, fmt::Write};

use serde::de::DeserializeOwned;

use super::{
    Document,
    decode::{DecodeError, Decoder, Mismatch, nearest},
    fault::{Fault, Faults},
    node::{Kind, Node},
    path::{FieldPath, Step},
};

/// Faults named at most; who has more will not read on.
const MAX_FAULTS: usize = 100;

/// What was found wrong with a document so far. Rules that look at several fields add to it.
#[derive(Debug)]
pub struct Report<'d> {
    document: &'d Document,
    /// What is left of the document.
    root: Node,
    faults: Faults,
    /// Fields that are missing only because their names are misspelt.
    misspelt: BTreeSet<FieldPath>,
}

impl<'d> Report<'d> {
    /// Reads what can be read: a value made of the faultless parts, if they suffice for one.
    pub(super) fn decode<T: DeserializeOwned>(document: &'d Document) -> (Option<T>, Self) {
        let mut report = Self {
            document,
            root: document.root.clone(),
            faults: document.faults.clone(),
            misspelt: BTreeSet::new(),
        };
        loop {
            match T::deserialize(Decoder(&report.root)) {
                Ok(value) => return (Some(value), report),
                Err(error) if report.cut(&error) => {}
                Err(_) => return (None, report),
            }
        }
    }

    /// Adds a fault of the field `path`, unless it is a consequence of one that is known already.
    pub fn fault(&mut self, path: &str, message: impl Into<String>) {
        let parsed = FieldPath::parse(path);
        if !self.root.is_affected(&parsed) {
            self.faults.push(self.document.fault(path, message));
        }
    }

    /// The path of the `n`th value (from 0) that was read from a list: those that were faulty were
    /// passed over, and count only in the document.
    pub fn item(&self, list: &str, n: usize) -> String {
        let index = match self
            .root
            .get(&FieldPath::parse(list))
            .map(|node| &node.kind)
        {
            Some(Kind::List(items)) => {
                let mut sound = items
                    .iter()
                    .enumerate()
                    .filter(|(_, i)| i.kind != Kind::Pruned);
                sound.nth(n).map_or(n, |(index, _)| index)
            }
            _ => n,
        };
        format!("{list}[{index}]")
    }

    /// Whether anything was found.
    pub fn is_clean(&self) -> bool {
        self.faults.is_empty()
    }

    /// What was found, in the order of the lines.
    pub fn into_faults(mut self) -> Faults {
        self.faults.sort();
        self.faults
    }

    /// The value, if nothing was found.
    ///
    /// # Errors
    /// What was found, in the order of the lines.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, Faults> {
        let unreadable = self.document.fault("", "this can't be read");
        let faults = self.into_faults();
        match value {
            Some(value) => faults.into_result(value),
            None if faults.is_empty() => Err(unreadable.into()),
            None => Err(faults),
        }
    }

    /// Notes an error and cuts out what caused it. False if reading again would not help.
    fn cut(&mut self, error: &DecodeError) -> bool {
        let path = error.path();
        let fault = match &error.mismatch {
            Mismatch::UnknownField(expected) => Some(self.unknown_field(&path, error, expected)),
            Mismatch::MissingField(field) => self.missing_field(&path.join(field)),
            Mismatch::Value(message) => self.mismatch(&path, error.on_key, message),
        };
        self.faults.extend(fault);
        if self.faults.len() >= MAX_FAULTS {
            self.faults.push(
                self.document
                    .fault("", "there may be more: put these right first"),
            );
            return false;
        }
        self.root.prune(&path)
    }

    fn unknown_field(&mut self, path: &FieldPath, error: &DecodeError, expected: &[&str]) -> Fault {
        let mut message = error.to_string();
        if let Some((Step::Key(key), parent)) = path.0.split_last()
            && let Some(meant) = nearest(key, expected)
        {
            let _ = write!(message, " (did you mean `{meant}`?)");
            self.misspelt.insert(FieldPath(parent.to_vec()).join(meant));
        }
        let at = self.document.root.locate_key(path);
        self.document.fault_at(at, path, None, &message)
    }

    fn missing_field(&self, path: &FieldPath) -> Option<Fault> {
        let cut = self
            .root
            .get(path)
            .is_some_and(|node| node.kind == Kind::Pruned);
        let at = self.document.root.locate(path);
        (!cut && !self.misspelt.contains(path)).then(|| {
            self.document
                .fault_at(at, path, None, "this field is missing")
        })
    }

    fn mismatch(&self, path: &FieldPath, on_key: bool, message: &str) -> Option<Fault> {
        let root = &self.document.root;
        if on_key {
            return Some(
                self.document
                    .fault_at(root.locate_key(path), path, None, message),
            );
        }
        // With a hole in it, a value may fail as a whole only because of the hole.
        let consequence = self.root.get(path).is_some_and(Node::has_holes);
        let found = root.get(path);
        (!consequence).then(|| {
            self.document
                .fault_at(root.locate(path), path, found, message)
        })
    }
}
