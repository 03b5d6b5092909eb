//! What serde complains of, with the way to it, in the words of whoever wrote the document.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

use crate::document::path::{FieldPath, Step};

/// Why a type can't be read from a tree.
#[derive(Debug)]
pub(in crate::document) struct DecodeError {
    /// The way to it, innermost step first.
    steps: Vec<Step>,
    /// Whether it is the last step's key that is wrong, not its value.
    pub(in crate::document) on_key: bool,
    pub(in crate::document) mismatch: Mismatch,
}

/// What does not fit.
#[derive(Debug)]
pub(in crate::document) enum Mismatch {
    /// The value, in these words.
    Value(String),
    /// A field the type does not know, and those it does.
    UnknownField(&'static [&'static str]),
    /// A field that is not there.
    MissingField(&'static str),
}

impl DecodeError {
    /// Where it is.
    pub(in crate::document) fn path(&self) -> FieldPath {
        FieldPath(self.steps.iter().rev().cloned().collect())
    }

    fn new(mismatch: Mismatch) -> Self {
        Self {
            steps: Vec::new(),
            on_key: false,
            mismatch,
        }
    }

    pub(super) fn value(message: impl Into<String>) -> Self {
        Self::new(Mismatch::Value(message.into()))
    }

    pub(super) fn below(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    pub(super) fn on_key(mut self, key: &str) -> Self {
        self.on_key = true;
        self.below(Step::Key(key.into()))
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.mismatch {
            Mismatch::Value(message) => f.write_str(message),
            Mismatch::UnknownField(expected) => {
                write!(
                    f,
                    "there is no such field here, expected {}",
                    one_of(expected)
                )
            }
            Mismatch::MissingField(field) => write!(f, "the field {field} is missing"),
        }
    }
}

impl std::error::Error for DecodeError {}

impl de::Error for DecodeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::value(message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let wanted = in_plain_words(&expected.to_string());
        let scalar = matches!(
            found,
            Unexpected::Bool(_)
                | Unexpected::Float(_)
                | Unexpected::Signed(_)
                | Unexpected::Unsigned(_)
        );
        let hint = if wanted == "a text" && scalar {
            " (put it in quotes)"
        } else {
            ""
        };
        Self::value(format!("expected {wanted}, not {}{hint}", describe(found)))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Self::value(format!("expected {expected}, not {length} values"))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let hint = nearest(variant, expected).map(|name| format!(" (did you mean `{name}`?)"));
        let hint = hint.unwrap_or_default();
        Self::value(format!(
            "expected {}, not {variant:?}{hint}",
            one_of(expected)
        ))
    }

    fn unknown_field(_: &str, expected: &'static [&'static str]) -> Self {
        Self::new(Mismatch::UnknownField(expected))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(Mismatch::MissingField(field))
    }
}

/// The expected name that `name` is a slip of the pen for, if one is near.
pub(in crate::document) fn nearest<'e>(name: &str, expected: &[&'e str]) -> Option<&'e str> {
    let bound = 1 + name.chars().count() / 4;
    expected
        .iter()
        .map(|candidate| (edits(name, candidate), *candidate))
        .filter(|(distance, _)| *distance <= bound)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many characters to insert, remove or replace to make `b` of `a`.
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.chars().enumerate() {
            let replaced = diagonal + usize::from(!from.eq_ignore_ascii_case(&to));
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

/// A list of names, for people.
pub(super) fn one_of(names: &[&str]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.as_slice() {
        [] => "none at all".into(),
        [only] => only.clone(),
        _ => format!("one of {}", quoted.join(", ")),
    }
}

fn describe(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(truth) => truth.to_string(),
        Unexpected::Unsigned(number) => number.to_string(),
        Unexpected::Signed(number) => number.to_string(),
        Unexpected::Float(number) => number.to_string(),
        Unexpected::Str(text) => format!("{text:?}"),
        Unexpected::Unit | Unexpected::Option => "nothing".into(),
        Unexpected::Seq => "a list".into(),
        Unexpected::Map => "a map".into(),
        other => other.to_string(),
    }
}

/// What serde calls its types, in the words of who writes the file.
fn in_plain_words(expected: &str) -> String {
    match expected {
        "u8" => "a whole number of 0 to 255".into(),
        "u16" => "a whole number of 0 to 65535".into(),
        "u32" => format!("a whole number of 0 to {}", u32::MAX),
        "u64" | "usize" => "a whole number from 0".into(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".into(),
        "f32" | "f64" => "a number".into(),
        "a string" | "a borrowed string" => "a text".into(),
        "a boolean" => "true or false".into(),
        "a sequence" => "a list".into(),
        _ if expected.starts_with("struct ") => "a map".into(),
        _ => expected.into(),
    }
}
