//! Documents: YAML or JSON, from a file or a request, into types, with every fault at once.
//!
//! A fault names file, line, field and value. Values are shown shortened, secrets never. What the
//! fields mean, this module does not know, except for [`tenants()`] and its kin: they read tenant
//! documents into the model.

mod decode;
mod fault;
mod node;
mod parse;
mod path;
mod report;
mod tenants;

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::de::DeserializeOwned;
use serde_json::Value;

pub(crate) use self::tenants::has_tenant_name;
pub use self::{
    fault::{Fault, Faults},
    report::Report,
    tenants::{TenantSource, tenant, tenant_sources, tenants, tenants_in, tenants_of},
};
use self::{
    node::{At, Kind, Node},
    path::FieldPath,
};

/// Bytes of a file that are read at most.
const MAX_BYTES: u64 = 32 << 20;

/// One document, and where each of its values stood.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    name: Option<PathBuf>,
    root: Node,
    /// What was wrong with the text but did not keep it from being read.
    faults: Faults,
}

impl Document {
    /// A document in which nothing is set.
    pub fn empty() -> Self {
        Self {
            name: None,
            root: Node {
                at: At::Line(1),
                kind: Kind::Map(Vec::new()),
            },
            faults: Faults::default(),
        }
    }

    /// Reads a file that holds one document.
    ///
    /// # Errors
    /// The file can't be read, is not YAML, or does not hold exactly one document.
    pub fn read(path: &Path) -> Result<Self, Faults> {
        Self::parse(Some(path), &read_text(path, path)?)
    }

    /// Reads a text that holds one document. `name` is the file it comes from.
    ///
    /// # Errors
    /// The text is not YAML, or does not hold exactly one document.
    pub fn parse(name: Option<&Path>, text: &str) -> Result<Self, Faults> {
        let mut documents = Self::documents(name, text)?.into_iter();
        match (documents.next(), documents.next()) {
            (Some(document), None) => Ok(document),
            (_, Some(second)) => {
                let message = "a second document begins here, expected only one";
                Err(second.fault("", message).into())
            }
            (None, None) => Err(nothing_in(name)),
        }
    }

    /// Reads a text that holds several documents, with `---` between them. Empty ones are left
    /// out, but for at least one.
    ///
    /// # Errors
    /// The text is not YAML, or there is nothing in it.
    pub fn documents(name: Option<&Path>, text: &str) -> Result<Vec<Self>, Faults> {
        let parsed = parse::parse(name, text.strip_prefix('\u{feff}').unwrap_or(text))?;
        if parsed.is_empty() {
            return Err(nothing_in(name));
        }
        let document = |parsed: parse::Parsed| Self {
            name: name.map(Into::into),
            root: parsed.root,
            faults: parsed.faults,
        };
        Ok(parsed.into_iter().map(document).collect())
    }

    /// Reads the document as a `T`.
    ///
    /// # Errors
    /// All that keeps it from being one, in the order of the lines.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, Faults> {
        let (value, report) = Report::decode(self);
        report.finish(value)
    }

    /// Reads the document as a `T` as far as it can be one, so that rules over several fields can
    /// be checked, and add to the report, before all faults are put right.
    pub fn decode_partly<T: DeserializeOwned>(&self) -> (Option<T>, Report<'_>) {
        Report::decode(self)
    }

    /// A fault of the field `path` (empty for the whole document), with its line and value looked
    /// up.
    pub fn fault(&self, path: &str, message: impl Into<String>) -> Fault {
        let path = FieldPath::parse(path);
        let at = self.root.locate(&path);
        self.fault_at(at, &path, self.root.get(&path), &message.into())
    }

    /// Sets the field `path` to what `origin`, a flag or an environment variable, says. Faults of
    /// it name `origin` instead of a line.
    pub fn set(&mut self, path: &str, value: Value, origin: &str) {
        let origin: Arc<str> = origin.into();
        self.root
            .set(&FieldPath::parse(path), Node::overlay(value, &origin));
    }

    /// Resolves the file name `file` that the field `path` holds: relative to the file the field
    /// stands in, or to the working directory if it stands in none.
    pub fn resolve(&self, path: &str, file: &Path) -> PathBuf {
        let path = FieldPath::parse(path);
        let base = match (self.root.get(&path).map(|node| &node.at), &self.name) {
            (Some(At::Line(_)), Some(name)) => name.parent(),
            _ => None,
        };
        base.map_or_else(|| file.into(), |base| base.join(file))
    }

    /// The line the document begins on, from 1.
    fn line(&self) -> u32 {
        match self.root.at {
            At::Line(line) => line,
            At::Overlay(_) => 1,
        }
    }

    fn fault_at(&self, at: &At, path: &FieldPath, node: Option<&Node>, message: &str) -> Fault {
        let mut fault = Fault::of_field(self.name.clone(), at, path, node, message);
        if self.name.is_none() && matches!(self.root.kind, Kind::Map(ref map) if map.is_empty()) {
            fault.line = None;
        }
        fault
    }
}

fn nothing_in(name: Option<&Path>) -> Faults {
    Fault::new(
        name.map(Into::into),
        "there is nothing in it, or only comments",
    )
    .into()
}

/// Reads the file at `path`; faults call it `name`.
pub(crate) fn read_text(path: &Path, name: &Path) -> Result<String, Faults> {
    let fault = |message: String| Faults::from(Fault::new(Some(name.into()), message));
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| fault(format!("can't be read: {error}")))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(fault(format!("longer than {} MiB", MAX_BYTES >> 20)));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let before = &error.as_bytes()[..valid];
        let line = before.split(|byte| *byte == b'\n').count();
        let mut fault = Fault::new(Some(name.into()), "expected UTF-8, not these bytes");
        fault.line = u32::try_from(line).ok();
        fault.into()
    })
}

#[cfg(test)]
mod tests;
