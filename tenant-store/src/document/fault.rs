//! What is wrong with a document, and where. Shows values shortened, and secrets never.

use std::{error, fmt, path::PathBuf};

use super::{
    node::{At, Kind, Node},
    path::FieldPath,
};

/// One thing that is wrong, and where it is put right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file, if it stands in one.
    pub file: Option<PathBuf>,
    /// The line in it, from 1.
    pub line: Option<u32>,
    /// The flag or environment variable, if it was set by one instead of a file.
    pub origin: Option<String>,
    /// The field, e.g. `deployments.metrics.endpoints[0].url`; empty for the whole document.
    pub path: String,
    /// What stood there, shortened; `***` in place of a secret.
    pub value: Option<String>,
    /// What is wrong with it, and what was expected.
    pub message: String,
}

/// All that is wrong, at least one thing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Faults(Vec<Fault>);

impl Fault {
    /// A fault of a whole file, or of none.
    pub fn new(file: Option<PathBuf>, message: impl Into<String>) -> Self {
        Self {
            file,
            line: None,
            origin: None,
            path: String::new(),
            value: None,
            message: message.into(),
        }
    }

    /// A fault at `at`, of the field `path`, where `node` stands, if something does.
    pub(super) fn of_field(
        file: Option<PathBuf>,
        at: &At,
        path: &FieldPath,
        node: Option<&Node>,
        message: &str,
    ) -> Self {
        let (line, origin) = match at {
            At::Line(line) => (Some(*line), None),
            At::Overlay(origin) => (None, Some(origin.to_string())),
        };
        let secret = is_secret(path);
        let text = node.and_then(scalar_text);
        let message = match &text {
            Some(text) if secret => mask(message, text, HIDDEN),
            Some(text) if text.chars().count() > SHOWN => mask(message, text, &shorten(text)),
            _ => message.into(),
        };
        let value = text.map(|text| {
            if secret {
                HIDDEN.into()
            } else {
                shorten(&text)
            }
        });
        Self {
            file: if origin.is_some() { None } else { file },
            line,
            origin,
            path: path.to_string(),
            value: value.map(|value| hide_credentials(&value)),
            message: hide_credentials(&printable(&message)),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.origin, &self.file, self.line) {
            (Some(origin), _, _) => write!(f, "{origin}: ")?,
            (None, Some(file), Some(line)) => write!(f, "{}:{line}: ", file.display())?,
            (None, Some(file), None) => write!(f, "{}: ", file.display())?,
            (None, None, Some(line)) => write!(f, "line {line}: ")?,
            (None, None, None) => {}
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        match &self.value {
            Some(value) if !value.is_empty() && !self.message.contains(value.as_str()) => {
                write!(f, " (found {value})")
            }
            _ => Ok(()),
        }
    }
}

impl error::Error for Fault {}

impl Faults {
    /// Each fault, in the order of their places.
    pub fn iter(&self) -> std::slice::Iter<'_, Fault> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none: true only of a list still being collected.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds one.
    pub fn push(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    /// Takes the value out of `result`, or its faults over; an empty list stays one.
    pub fn absorb<T>(&mut self, result: Result<T, Self>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(faults) => {
                self.0.extend(faults.0);
                None
            }
        }
    }

    /// Fails if anything has been collected.
    ///
    /// # Errors
    /// The faults collected.
    pub fn into_result<T>(self, value: T) -> Result<T, Self> {
        if self.is_empty() {
            Ok(value)
        } else {
            Err(self)
        }
    }

    /// Puts them in the order of their lines; those without a line come last.
    pub(super) fn sort(&mut self) {
        self.0.sort_by_key(|fault| fault.line.unwrap_or(u32::MAX));
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, fault) in self.0.iter().enumerate() {
            f.write_str(if position == 0 { "" } else { "\n" })?;
            fault.fmt(f)?;
        }
        Ok(())
    }
}

impl error::Error for Faults {}

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Self {
        Self(vec![fault])
    }
}

impl FromIterator<Fault> for Faults {
    fn from_iter<I: IntoIterator<Item = Fault>>(faults: I) -> Self {
        Self(faults.into_iter().collect())
    }
}

impl Extend<Fault> for Faults {
    fn extend<I: IntoIterator<Item = Fault>>(&mut self, faults: I) {
        self.0.extend(faults);
    }
}

impl IntoIterator for Faults {
    type Item = Fault;
    type IntoIter = std::vec::IntoIter<Fault>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'f> IntoIterator for &'f Faults {
    type Item = &'f Fault;
    type IntoIter = std::slice::Iter<'f, Fault>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Characters of a value that are shown.
const SHOWN: usize = 60;

const HIDDEN: &str = "***";

/// Whether the field's value is a secret, going by the names on the way to it. Where a secret is
/// found (a file, a variable) is none.
fn is_secret(path: &FieldPath) -> bool {
    let is_place = path.keys().next_back().is_some_and(|key| {
        matches!(key, "file" | "env") || key.ends_with("_file") || key.ends_with("_env")
    });
    !is_place && path.keys().any(names_a_secret)
}

fn names_a_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["token", "password", "secret", "credential"]
        .iter()
        .any(|word| key.contains(word))
        || key == "key"
        || key.ends_with("_key")
        || key.ends_with("-key")
}

fn scalar_text(node: &Node) -> Option<String> {
    match &node.kind {
        Kind::Text(text) => Some(text.clone()),
        Kind::Number(number) => Some(number.to_string()),
        Kind::Bool(truth) => Some(truth.to_string()),
        Kind::Null | Kind::List(_) | Kind::Map(_) | Kind::Pruned => None,
    }
}

/// Puts `shown` where `message` repeats `text`, as it is or as it is quoted.
fn mask(message: &str, text: &str, shown: &str) -> String {
    if text.is_empty() {
        return message.into();
    }
    let quoted = format!("{text:?}");
    message
        .replace(quoted[1..quoted.len() - 1].as_ref() as &str, shown)
        .replace(text, shown)
}

fn shorten(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    printable(&shown)
}

/// Control characters would let a document write on the operator's terminal.
fn printable(text: &str) -> String {
    text.chars()
        .fold(String::with_capacity(text.len()), |mut shown, c| {
            if c.is_control() {
                shown.extend(c.escape_default());
            } else {
                shown.push(c);
            }
            shown
        })
}

/// Masks `user:password@` and the query in whatever looks like a URL. Rather too much than too little:
/// a password may hold what ends a host, and a query a key.
fn hide_credentials(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        shown.push_str(before);
        shown.push_str("://");
        let end = after
            .find(|c: char| c.is_whitespace() || matches!(c, '"' | '`'))
            .unwrap_or(after.len());
        let (url, others) = after.split_at(end);
        let url = match url.rfind('@') {
            Some(at) => {
                shown.push_str(HIDDEN);
                &url[at..]
            }
            None => url,
        };
        match url.split_once('?') {
            Some((place, query)) if !query.is_empty() => {
                shown.extend([place, "?", HIDDEN]);
            }
            _ => shown.push_str(url),
        }
        rest = others;
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(path: &str, value: &str, message: &str) -> Fault {
        let node = Node {
            at: At::Line(7),
            kind: Kind::Text(value.into()),
        };
        let file = Some("acme.yaml".into());
        Fault::of_field(
            file,
            &At::Line(7),
            &FieldPath::parse(path),
            Some(&node),
            message,
        )
    }

    #[test]
    fn a_fault_names_place_field_and_what_is_wrong() {
        let told = fault(
            "deployments.metrics.timeout",
            "fast",
            "expected a duration, not \"fast\"",
        );
        assert_eq!(
            told.to_string(),
            "acme.yaml:7: deployments.metrics.timeout: expected a duration, not \"fast\""
        );
        let silent = fault(
            "id",
            "x",
            "a tenant id has 2 to 63 characters, this one has 1",
        );
        assert!(
            silent.to_string().ends_with("this one has 1 (found x)"),
            "{silent}"
        );
    }

    #[test]
    fn secrets_are_never_shown_but_where_they_are_found_is() {
        for path in [
            "auth.basic.password",
            "admin.token",
            "client_secret",
            "tls.key",
            "token[0]",
        ] {
            let shown = fault(path, "hunter2", "expected a map, not \"hunter2\"").to_string();
            assert!(
                !shown.contains("hunter2") && shown.contains("***"),
                "{shown}"
            );
        }
        for path in [
            "auth.bearer.token.file",
            "admin.token_file",
            "tls.key_file",
            "monkey",
        ] {
            let shown = fault(path, "admin.token", "can't read admin.token").to_string();
            assert!(shown.contains("can't read admin.token"), "{shown}");
        }
    }

    #[test]
    fn credentials_in_a_url_are_never_shown() {
        for url in [
            "ftp://bob:s3cret@host/path",
            "http://bob:s3cret/x@host/path",
            "://s3cret@host/path",
            "http://host/?key=s3cret@host/path",
        ] {
            let shown = fault("url", url, &format!("not {url:?}, which is no URL")).to_string();
            assert!(
                shown.contains("***@host/path\", which") && !shown.contains("s3cret"),
                "{shown}"
            );
        }
    }

    #[test]
    fn queries_of_urls_are_never_shown() {
        let url = "http://host/path?key=s3cret&more";
        let shown = fault("url", url, &format!("not {url:?} but without")).to_string();
        assert!(
            shown.contains("\"http://host/path?***\" but without"),
            "{shown}"
        );
        assert!(!shown.contains("s3cret"), "{shown}");
    }

    #[test]
    fn long_values_are_shortened_and_control_characters_escaped() {
        let long = "x".repeat(500);
        let shown = fault("name", &long, &format!("too long: {long:?}")).to_string();
        assert!(shown.len() < 150, "{shown}");
        let escape = fault("name", "\u{1b}[2J", "not a name").to_string();
        assert!(!escape.contains('\u{1b}'), "{escape}");
    }
}
