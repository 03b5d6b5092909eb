//! The beginning of the path: `/t/{tenant}/…`, so that pages work in a browser.
//!
//! Read from the raw path and before anything else is: what follows is classified and forwarded as
//! if it were the whole path. A tenant's segment is an id as it stands, so that no escape, slash or
//! dot segment in it can mean another tenant to somebody behind us.

use tenant_store::model::TenantId;

use super::IdentifyError;
use crate::{config::PathPrefix, proxy::classify::canonical};

/// A raw path, parted from what names a tenant in front of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TenantPath<'h> {
    front: Front<'h>,
    /// How many bytes of the raw path the front is.
    length: usize,
    rest: &'h str,
}

/// What is in front of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Front<'h> {
    Nothing,
    /// The prefix, and this segment, whatever it is.
    Segment(&'h str),
    /// The prefix, so written that it is one only after decoding.
    Disguised,
}

impl<'h> TenantPath<'h> {
    /// A path with nothing in front.
    pub fn whole(raw: &'h str) -> Self {
        Self {
            front: Front::Nothing,
            length: 0,
            rest: raw,
        }
    }

    /// Parts a raw path after `{prefix}/{segment}`.
    pub(super) fn divide(raw: &'h str, prefix: &PathPrefix) -> Self {
        let Some(below) = below(raw, prefix.as_str()) else {
            let mut whole = Self::whole(raw);
            if is_disguised(raw, prefix.as_str()) {
                whole.front = Front::Disguised;
            }
            return whole;
        };
        let segment = below.split('/').next().unwrap_or_default();
        let rest = &below[segment.len()..];
        Self {
            front: Front::Segment(segment),
            length: raw.len() - rest.len(),
            rest: if rest.is_empty() { "/" } else { rest },
        }
    }

    /// What is left to classify.
    pub fn rest(&self) -> &'h str {
        self.rest
    }

    /// How many bytes of the raw path are in front.
    pub fn length(&self) -> usize {
        self.length
    }

    pub(super) fn tenant(&self, prefix: &PathPrefix) -> Result<Option<&'h str>, IdentifyError> {
        match self.front {
            Front::Nothing => Ok(None),
            Front::Disguised => Err(IdentifyError::Disguised(prefix.clone())),
            Front::Segment("") => Err(IdentifyError::Empty(describe(prefix))),
            Front::Segment(tenant) => match TenantId::check(tenant) {
                Ok(()) => Ok(Some(tenant)),
                Err(reason) => Err(IdentifyError::Malformed {
                    place: describe(prefix),
                    reason: reason.into(),
                }),
            },
        }
    }
}

pub(super) fn describe(prefix: &PathPrefix) -> String {
    format!("the path {prefix}/{{tenant}}/…")
}

/// What follows the prefix and its slash.
fn below<'h>(path: &'h str, prefix: &str) -> Option<&'h str> {
    let rest = path.strip_prefix(prefix)?;
    match rest.strip_prefix('/') {
        Some(below) => Some(below),
        None => rest.is_empty().then_some(rest),
    }
}

/// Whether the backends would see the prefix where we do not.
fn is_disguised(raw: &str, prefix: &str) -> bool {
    (raw.contains('%') || raw.contains("//"))
        && canonical(raw).is_some_and(|path| below(&path, prefix).is_some())
}
