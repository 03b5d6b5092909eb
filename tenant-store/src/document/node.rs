//! A document as a tree that remembers where each value stood.

use std::sync::Arc;

use serde_json::{Number, Value};

use super::path::{FieldPath, Step};

/// A value and where it stood.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) at: At,
    pub(super) kind: Kind,
}

/// Where a value stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum At {
    /// On a line of the text, from 1.
    Line(u32),
    /// Outside the text: the flag or variable that set it.
    Overlay(Arc<str>),
}

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    /// In the order of the text, each key once.
    Map(Vec<Entry>),
    /// Here was something faulty. It keeps its place so that the indices of its neighbours stay
    /// true, and tells what follows from the fault from what is a fault of its own.
    Pruned,
}

/// One key of a map.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) at: At,
    pub(super) value: Node,
}

impl Node {
    /// Makes a tree of what a flag or variable says.
    pub(super) fn overlay(value: Value, origin: &Arc<str>) -> Self {
        let kind = match value {
            Value::Null => Kind::Null,
            Value::Bool(truth) => Kind::Bool(truth),
            Value::Number(number) => Kind::Number(number),
            Value::String(text) => Kind::Text(text),
            Value::Array(items) => Kind::List(
                items
                    .into_iter()
                    .map(|item| Self::overlay(item, origin))
                    .collect(),
            ),
            Value::Object(map) => {
                let entry = |(key, value)| Entry {
                    key,
                    at: At::Overlay(origin.clone()),
                    value: Self::overlay(value, origin),
                };
                Kind::Map(map.into_iter().map(entry).collect())
            }
        };
        Self {
            at: At::Overlay(origin.clone()),
            kind,
        }
    }

    /// The value at `path`, if there is one.
    pub(super) fn get(&self, path: &FieldPath) -> Option<&Self> {
        path.0.iter().try_fold(self, Self::child)
    }

    /// Where the value at `path` stands, or would stand: that of the nearest one around it.
    pub(super) fn locate(&self, path: &FieldPath) -> &At {
        let mut node = self;
        let mut at = &self.at;
        for step in &path.0 {
            let Some(child) = node.child(step) else { break };
            at = match (&child.kind, node.entry(step)) {
                // What spans lines is found by its key.
                (Kind::List(_) | Kind::Map(_) | Kind::Pruned, Some(entry)) => &entry.at,
                _ => &child.at,
            };
            node = child;
        }
        at
    }

    /// Where the key that `path` ends with stands.
    pub(super) fn locate_key(&self, path: &FieldPath) -> &At {
        let (Some(last), parent) = (path.0.last(), path.parent()) else {
            return &self.at;
        };
        let entry = self.get(&parent).and_then(|parent| parent.entry(last));
        entry.map_or_else(|| self.locate(path), |entry| &entry.at)
    }

    /// Leaves a hole where the value at `path` is. False if nothing is there any more, or if it is
    /// the whole document.
    pub(super) fn prune(&mut self, path: &FieldPath) -> bool {
        let target = path.0.iter().try_fold(self, Self::child_mut);
        match target {
            Some(node) if !path.0.is_empty() && node.kind != Kind::Pruned => {
                node.kind = Kind::Pruned;
                true
            }
            _ => false,
        }
    }

    /// Whether there is a hole in it, or it is one.
    pub(super) fn has_holes(&self) -> bool {
        match &self.kind {
            Kind::Pruned => true,
            Kind::List(items) => items.iter().any(Self::has_holes),
            Kind::Map(entries) => entries.iter().any(|entry| entry.value.has_holes()),
            _ => false,
        }
    }

    /// Whether a fault was found at `path`, above or below it.
    pub(super) fn is_affected(&self, path: &FieldPath) -> bool {
        let mut node = self;
        for step in &path.0 {
            if node.kind == Kind::Pruned {
                return true;
            }
            let Some(child) = node.child(step) else {
                return false;
            };
            node = child;
        }
        node.has_holes()
    }

    /// Puts `value` at `path`, with the maps on the way. Where something else than a map is in the
    /// way it stays: decoding will complain of it.
    pub(super) fn set(&mut self, path: &FieldPath, value: Self) {
        let Some((last, steps)) = path.0.split_last() else {
            *self = value;
            return;
        };
        let mut node = self;
        for step in steps {
            let (Step::Key(key), Some(entries)) = (step, node.entries_mut()) else {
                return;
            };
            node = slot(entries, key, &value.at);
        }
        if let (Step::Key(key), Some(entries)) = (last, node.entries_mut()) {
            let at = value.at.clone();
            *slot(entries, key, &at) = value;
        }
    }

    /// How many values it is made of, itself included.
    pub(super) fn size(&self) -> usize {
        1 + match &self.kind {
            Kind::List(items) => items.iter().map(Self::size).sum(),
            Kind::Map(entries) => entries.iter().map(|entry| entry.value.size()).sum(),
            _ => 0,
        }
    }

    /// How many levels it has.
    pub(super) fn depth(&self) -> usize {
        let below = match &self.kind {
            Kind::List(items) => items.iter().map(Self::depth).max(),
            Kind::Map(entries) => entries.iter().map(|entry| entry.value.depth()).max(),
            _ => None,
        };
        1 + below.unwrap_or(0)
    }

    /// The entries of a map; what is empty becomes one.
    fn entries_mut(&mut self) -> Option<&mut Vec<Entry>> {
        if self.kind == Kind::Null {
            self.kind = Kind::Map(Vec::new());
        }
        match &mut self.kind {
            Kind::Map(entries) => Some(entries),
            _ => None,
        }
    }

    fn entry(&self, step: &Step) -> Option<&Entry> {
        match (&self.kind, step) {
            (Kind::Map(entries), Step::Key(key)) => entries.iter().find(|entry| entry.key == *key),
            _ => None,
        }
    }

    fn child(&self, step: &Step) -> Option<&Self> {
        match (&self.kind, step) {
            (Kind::List(items), Step::Index(index)) => items.get(*index),
            _ => self.entry(step).map(|entry| &entry.value),
        }
    }

    fn child_mut(&mut self, step: &Step) -> Option<&mut Self> {
        match (&mut self.kind, step) {
            (Kind::List(items), Step::Index(index)) => items.get_mut(*index),
            (Kind::Map(entries), Step::Key(key)) => entries
                .iter_mut()
                .find(|entry| entry.key == *key)
                .map(|entry| &mut entry.value),
            _ => None,
        }
    }
}

impl FieldPath {
    fn parent(&self) -> Self {
        Self(
            self.0
                .split_last()
                .map(|(_, parent)| parent.to_vec())
                .unwrap_or_default(),
        )
    }
}

/// The value of `key`, made empty if it is not there.
fn slot<'n>(entries: &'n mut Vec<Entry>, key: &str, at: &At) -> &'n mut Node {
    let position = entries
        .iter()
        .position(|entry| entry.key == key)
        .unwrap_or_else(|| {
            let value = Node {
                at: at.clone(),
                kind: Kind::Null,
            };
            entries.push(Entry {
                key: key.into(),
                at: at.clone(),
                value,
            });
            entries.len() - 1
        });
    &mut entries[position].value
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tree() -> Node {
        Node::overlay(
            json!({"a": {"b": [1, {"c": 2}]}, "d": null, "e": 5}),
            &"test".into(),
        )
    }

    #[test]
    fn a_hole_keeps_the_indices_of_its_neighbours() {
        let mut tree = tree();
        assert!(tree.prune(&FieldPath::parse("a.b[0]")));
        assert!(
            !tree.prune(&FieldPath::parse("a.b[0]")),
            "there is nothing left to prune"
        );
        assert!(tree.get(&FieldPath::parse("a.b[1].c")).is_some());
        for (path, affected) in [
            ("a.b[0].x", true),
            ("a", true),
            ("a.b[1]", false),
            ("d", false),
        ] {
            assert_eq!(
                tree.is_affected(&FieldPath::parse(path)),
                affected,
                "{path}"
            );
        }
    }

    #[test]
    fn setting_makes_maps_on_the_way_but_replaces_nothing_else() {
        let mut tree = tree();
        let value = Node::overlay(json!("new"), &"--flag".into());
        for path in ["d.x.y", "a.b", "e.x"] {
            tree.set(&FieldPath::parse(path), value.clone());
        }
        let text = |path| {
            tree.get(&FieldPath::parse(path))
                .map(|node| node.kind.clone())
        };
        assert_eq!(text("d.x.y"), Some(Kind::Text("new".into())));
        assert_eq!(text("a.b"), Some(Kind::Text("new".into())));
        assert_eq!(text("e"), Some(Kind::Number(5.into())));
        assert_eq!(
            tree.locate(&FieldPath::parse("d.x.y")),
            &At::Overlay("--flag".into())
        );
    }
}
