//! Where in a document something stands: `deployments.metrics.endpoints[0].url`.

use std::fmt;

/// One step down a document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// Into a map.
    Key(String),
    /// Into a list, from 0.
    Index(usize),
}

/// The steps from the top of a document to a field; none for the document itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct FieldPath(pub(super) Vec<Step>);

impl FieldPath {
    /// Reads the written form. Every text is some path: what is no index or quoted key is a key.
    pub(super) fn parse(text: &str) -> Self {
        let mut steps = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (step, after) = first_step(rest);
            steps.push(step);
            rest = after.strip_prefix('.').unwrap_or(after);
        }
        Self(steps)
    }

    /// The path one key further down.
    pub(super) fn join(&self, key: &str) -> Self {
        let mut steps = self.0.clone();
        steps.push(Step::Key(key.into()));
        Self(steps)
    }

    /// The keys on the way, without the indices.
    pub(super) fn keys(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.iter().filter_map(|step| match step {
            Step::Key(key) => Some(key.as_str()),
            Step::Index(_) => None,
        })
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) => {
                    f.write_str(if position == 0 { "" } else { "." })?;
                    if is_plain(key) {
                        f.write_str(key)?;
                    } else {
                        write!(f, "{key:?}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn is_plain(key: &str) -> bool {
    !key.is_empty()
        && key
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '/'))
}

fn first_step(text: &str) -> (Step, &str) {
    if let Some((index, rest)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']'))
        && let Ok(index) = index.parse()
    {
        return (Step::Index(index), rest);
    }
    if let Some(quoted) = text.strip_prefix('"')
        && let Some((key, rest)) = unquote(quoted)
    {
        return (Step::Key(key), rest);
    }
    let end = text
        .char_indices()
        .skip(1)
        .find(|(_, c)| matches!(c, '.' | '['));
    let (key, rest) = text.split_at(end.map_or(text.len(), |(at, _)| at));
    (Step::Key(key.into()), rest)
}

/// Reads up to the closing quote; `\"` and `\\` stand for themselves.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut key = String::new();
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return Some((key, &text[at + 1..])),
            '\\' => key.push(characters.next()?.1),
            _ => key.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_with_dots_are_quoted_and_indices_bracketed() {
        let path = FieldPath(vec![
            Step::Key("labels".into()),
            Step::Key("example.com/team".into()),
            Step::Index(3),
            Step::Key("url".into()),
        ]);
        assert_eq!(path.to_string(), r#"labels."example.com/team"[3].url"#);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            steps in prop::collection::vec(
                prop_oneof![
                    (0_usize..1000).prop_map(Step::Index),
                    r#"[a-z."\[\]\\_-]{0,12}"#.prop_map(Step::Key),
                ],
                0..6,
            )
        ) {
            let path = FieldPath(steps);
            prop_assert_eq!(FieldPath::parse(&path.to_string()), path);
        }
    }
}
