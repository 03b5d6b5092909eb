//! YAML text to [`Node`]s. JSON is a subset of YAML and comes the same way.
//!
//! Events are read one by one without recursion, so that no text can exhaust the stack; nesting
//! and what aliases expand to are bounded.

use std::{borrow::Cow, collections::HashMap, fmt::Write, path::Path};

use saphyr::{Scalar, ScalarStyle, ScanError, Tag};
use saphyr_parser::{Event, Parser, Span};
use serde_json::Number;

use super::{
    fault::{Fault, Faults},
    node::{At, Entry, Kind, Node},
    path::{FieldPath, Step},
};

/// Levels of nesting at most.
const MAX_DEPTH: usize = 64;

/// Fields of one map at most: each is compared with those before it.
const MAX_FIELDS: usize = 10_000;

/// Faults after which reading ends.
const MAX_FAULTS: usize = 100;

/// Values that all aliases of a text may expand to.
const MAX_ALIASED: usize = 10_000;

/// One document of a text, and the faults that did not keep it from being read.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) root: Node,
    pub(super) faults: Faults,
}

/// Reads every document of a text that is not empty.
///
/// # Errors
/// The text is not YAML; all that was found up to there.
pub(super) fn parse(name: Option<&Path>, text: &str) -> Result<Vec<Parsed>, Faults> {
    let text = join_surrogates(text);
    let mut loader = Loader {
        name,
        ..Loader::default()
    };
    let mut parser = Parser::new_from_str(&text);
    while let Some(event) = parser.next_event() {
        let taken = event
            .map_err(|error| loader.scan_fault(&error, &text).into())
            .and_then(|(event, span)| loader.take(event, span));
        if let Err(last) = taken {
            let mut faults: Faults = loader
                .done
                .into_iter()
                .flat_map(|done| done.faults)
                .collect();
            faults.extend(loader.faults);
            faults.extend(last);
            return Err(faults);
        }
    }
    Ok(loader.done)
}

#[derive(Default)]
struct Loader<'t> {
    name: Option<&'t Path>,
    /// Lists and maps that have begun and not ended, outermost first.
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    /// Values that aliases have expanded to so far.
    aliased: usize,
    faults: Faults,
    done: Vec<Parsed>,
}

/// A list or map that has begun.
struct Open {
    node: Node,
    anchor: usize,
    /// The key whose value comes next, in a map.
    key: Option<Key>,
}

enum Key {
    Text(String, At),
    /// Faulty: its value is passed over.
    Bad,
}

impl<'t> Loader<'t> {
    fn take(&mut self, event: Event<'t>, span: Span) -> Result<(), Faults> {
        let at = line(span.start.line());
        self.check_bounds(&at)?;
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => {
                self.anchors.clear();
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                let node = self.scalar(text, style, tag.as_deref(), at);
                self.close(node, anchor);
                Ok(())
            }
            Event::SequenceStart(anchor, tag) => {
                self.begin(Kind::List(Vec::new()), at, anchor, tag.as_deref())
            }
            Event::MappingStart(anchor, tag) => {
                self.begin(Kind::Map(Vec::new()), at, anchor, tag.as_deref())
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(open) = self.open.pop() {
                    self.close(open.node, open.anchor);
                }
                Ok(())
            }
            Event::Alias(anchor) => self.alias(anchor, &at),
        }
    }

    fn check_bounds(&self, at: &At) -> Result<(), Faults> {
        if self.faults.len() >= MAX_FAULTS {
            return Err(self.fault(at, "too much is wrong to read on").into());
        }
        match self.open.last().map(|open| &open.node.kind) {
            Some(Kind::Map(entries)) if entries.len() >= MAX_FIELDS => {
                let message = format!("expected at most {MAX_FIELDS} fields in one map");
                Err(self.fault(at, message).into())
            }
            _ => Ok(()),
        }
    }

    fn begin(
        &mut self,
        kind: Kind,
        at: At,
        anchor: usize,
        tag: Option<&Tag>,
    ) -> Result<(), Faults> {
        if self.open.len() >= MAX_DEPTH {
            return Err(self
                .fault(&at, format!("nested deeper than {MAX_DEPTH} levels"))
                .into());
        }
        if let Some(tag) = tag.filter(|tag| !tag.is_yaml_core_schema()) {
            let fault = self.fault(
                &at,
                format!("the tag {tag} means nothing here, leave it out"),
            );
            self.faults.push(fault);
        }
        self.open.push(Open {
            node: Node { at, kind },
            anchor,
            key: None,
        });
        Ok(())
    }

    fn alias(&mut self, anchor: usize, at: &At) -> Result<(), Faults> {
        let Some(node) = self.anchors.get(&anchor).cloned() else {
            return Err(self
                .fault(at, "this alias stands inside what it names")
                .into());
        };
        self.aliased += node.size();
        if self.aliased > MAX_ALIASED || self.open.len() + node.depth() > MAX_DEPTH {
            let bounds = format!("{MAX_ALIASED} values or {MAX_DEPTH} levels");
            return Err(self
                .fault(at, format!("aliases expand to more than {bounds}"))
                .into());
        }
        self.close(node, 0);
        Ok(())
    }

    /// Puts a finished value where it belongs.
    fn close(&mut self, node: Node, anchor: usize) {
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let Some(Open {
            node: parent, key, ..
        }) = self.open.last_mut()
        else {
            return self.finish(node);
        };
        match (&mut parent.kind, key.take()) {
            (Kind::List(items), _) => items.push(node),
            (Kind::Map(_), None) => {
                let key = self.key(node);
                if let Some(open) = self.open.last_mut() {
                    open.key = Some(key);
                }
            }
            (Kind::Map(entries), Some(Key::Text(key, at))) => {
                entries.push(Entry {
                    key,
                    at,
                    value: node,
                });
            }
            _ => {}
        }
    }

    fn finish(&mut self, root: Node) {
        let faults = std::mem::take(&mut self.faults);
        if root.kind != Kind::Null || !faults.is_empty() {
            self.done.push(Parsed { root, faults });
        }
    }

    /// Makes a key of a finished value: a text that the map has not had yet.
    fn key(&mut self, node: Node) -> Key {
        let Kind::Text(key) = node.kind else {
            if node.kind != Kind::Pruned {
                let fault = self.fault(&node.at, "a field's name is a text; put this in quotes");
                self.faults.push(fault);
            }
            return Key::Bad;
        };
        let Some(Open {
            node: Node {
                kind: Kind::Map(entries),
                ..
            },
            ..
        }) = self.open.last()
        else {
            return Key::Bad;
        };
        match entries
            .iter()
            .find(|entry| entry.key == key)
            .map(|entry| entry.at.clone())
        {
            None => Key::Text(key, node.at),
            Some(At::Line(first)) => {
                let message = format!("this field stands here twice, first on line {first}");
                let path = self.path().join(&key);
                self.faults.push(self.fault_of(&node.at, &path, &message));
                Key::Bad
            }
            Some(At::Overlay(_)) => Key::Bad,
        }
    }

    fn scalar(
        &mut self,
        text: Cow<'t, str>,
        style: ScalarStyle,
        tag: Option<&Tag>,
        at: At,
    ) -> Node {
        let kind = match tag {
            Some(tag) if !tag.is_yaml_core_schema() => {
                Err(format!("the tag {tag} means nothing here, leave it out"))
            }
            Some(tag) => {
                let misfit = format!("this is not what its tag {tag} says");
                Scalar::parse_from_cow_and_metadata(text, style, Some(&Cow::Borrowed(tag)))
                    .ok_or(misfit)
                    .and_then(kind)
            }
            // Beyond the range of i64 the parser would go on with floats.
            None if style == ScalarStyle::Plain && text.parse::<u64>().is_ok() => {
                Ok(Kind::Number(text.parse::<u64>().unwrap_or_default().into()))
            }
            None => Scalar::parse_from_cow_and_metadata(text, style, None)
                .ok_or_else(|| "not a value".into())
                .and_then(kind),
        };
        let kind = kind.unwrap_or_else(|message: String| {
            let fault = self.fault(&at, message);
            self.faults.push(fault);
            Kind::Pruned
        });
        Node { at, kind }
    }

    /// The path of what is being read.
    fn path(&self) -> FieldPath {
        let step = |open: &Open| match (&open.node.kind, &open.key) {
            (Kind::List(items), _) => Some(Step::Index(items.len())),
            (_, Some(Key::Text(key, _))) => Some(Step::Key(key.clone())),
            _ => None,
        };
        FieldPath(self.open.iter().filter_map(step).collect())
    }

    fn fault(&self, at: &At, message: impl Into<String>) -> Fault {
        self.fault_of(at, &self.path(), &message.into())
    }

    fn fault_of(&self, at: &At, path: &FieldPath, message: &str) -> Fault {
        Fault::of_field(self.name.map(Into::into), at, path, None, message)
    }

    fn scan_fault(&self, error: &ScanError, text: &str) -> Fault {
        let number = error.marker().line();
        let indent = text
            .lines()
            .nth(number.saturating_sub(1))
            .unwrap_or_default();
        let indent = &indent[..indent.len() - indent.trim_start().len()];
        let message = if indent.contains('\t') {
            "a tab indents this line, YAML knows only spaces".into()
        } else {
            format!("this is not YAML: {}", error.info())
        };
        self.fault_of(&line(number), &FieldPath::default(), &message)
    }
}

fn kind(scalar: Scalar<'_>) -> Result<Kind, String> {
    Ok(match scalar {
        Scalar::Null => Kind::Null,
        Scalar::Boolean(truth) => Kind::Bool(truth),
        Scalar::Integer(integer) => Kind::Number(integer.into()),
        Scalar::FloatingPoint(float) => {
            Kind::Number(Number::from_f64(float.into_inner()).ok_or("expected a finite number")?)
        }
        Scalar::String(text) => Kind::Text(text.into_owned()),
    })
}

fn line(number: usize) -> At {
    At::Line(u32::try_from(number).unwrap_or(u32::MAX))
}

/// JSON writes a character beyond U+FFFF as two escapes, YAML as one.
fn join_surrogates(text: &str) -> Cow<'_, str> {
    if !text.trim_start().starts_with(['{', '[']) || !text.contains("\\u") {
        return Cow::Borrowed(text);
    }
    let mut joined = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        joined.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(c) = surrogate_pair(rest) {
            let _ = write!(joined, "\\U{:08X}", u32::from(c));
            rest = &rest[12..];
        } else {
            // The backslash and what it escapes belong together: `\\u` is no escape.
            let escaped = rest.chars().nth(1).map_or(1, |c| 1 + c.len_utf8());
            joined.push_str(&rest[..escaped]);
            rest = &rest[escaped..];
        }
    }
    joined.push_str(rest);
    Cow::Owned(joined)
}

fn surrogate_pair(text: &str) -> Option<char> {
    let unit = |escape: &str| u16::from_str_radix(escape.strip_prefix("\\u")?, 16).ok();
    let units = [unit(text.get(..6)?)?, unit(text.get(6..12)?)?];
    let mut decoded = char::decode_utf16(units);
    decoded.next()?.ok().filter(|c| u32::from(*c) > 0xFFFF)
}

#[cfg(test)]
mod tests;
