//! Which tenants are meant: by status, tier and labels.
//!
//! Stores know status, tier and one label with its value; the rest is compared here, page by page.

use serde::{
    Deserialize,
    de::{self, IntoDeserializer},
};
use tenant_store::{
    model::{Status, Tenant, TenantId, TenantRecord, Tier},
    repository::{ListQuery, TenantRepository},
};

use super::{error::ApiError, query::Arguments};
use crate::control::Control;

/// Records read for one page of an answer at most: what is left comes with the next.
const SCANNED: usize = 10_000;

/// Records read at a time where not all of them are meant.
const AT_A_TIME: u16 = 1000;

/// Which tenants are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Selection {
    /// Only these; without it all but tombstones.
    pub(super) status: Option<Status>,
    pub(super) tier: Option<Tier>,
    /// Labels they have; where there is no value, whatever theirs is.
    pub(super) labels: Vec<(String, Option<String>)>,
}

impl Selection {
    /// Takes `status`, `tier` and `label`.
    pub(super) fn take(arguments: &mut Arguments) -> Self {
        Self {
            status: arguments.take_with("status", read_status),
            tier: arguments.take("tier"),
            labels: arguments
                .take_with("label", read_labels)
                .unwrap_or_default(),
        }
    }

    /// One page of those that are meant, and where to go on. A page may be short, even empty, and
    /// not the last.
    pub(super) async fn page(
        &self,
        control: &Control,
        mut after: Option<TenantId>,
        limit: u16,
    ) -> Result<(Vec<TenantRecord>, Option<TenantId>), ApiError> {
        let label = self.labels.iter().find_map(|(key, value)| {
            let value = value.as_ref()?;
            Some((key.clone(), value.clone()))
        });
        let by_the_store = self.labels.len() == usize::from(label.is_some());
        let (mut found, mut scanned) = (Vec::new(), 0);
        loop {
            let query = ListQuery {
                after,
                limit: if by_the_store { limit } else { AT_A_TIME },
                status: self.status,
                tier: self.tier.clone(),
                label: label.clone(),
            };
            let page = control.repository().list(&query).await?;
            let mut rest = page.records.into_iter().peekable();
            while let Some(record) = rest.next() {
                scanned += 1;
                if !self.means(&record.tenant) {
                    continue;
                }
                found.push(record);
                if found.len() == usize::from(limit) {
                    let more = rest.peek().is_some() || page.next.is_some();
                    let last = found.last().map(|record| record.tenant.id.clone());
                    return Ok((found, last.filter(|_| more)));
                }
            }
            after = page.next;
            if after.is_none() || scanned >= SCANNED {
                return Ok((found, after));
            }
        }
    }

    /// Whether this tenant is among them, going by tier and labels.
    pub(super) fn means(&self, tenant: &Tenant) -> bool {
        let has = |(key, value): &(String, Option<String>)| {
            let label = tenant.labels.get(key);
            label.is_some_and(|label| value.as_ref().is_none_or(|value| value == label))
        };
        self.tier.as_ref().is_none_or(|tier| *tier == tenant.tier) && self.labels.iter().all(has)
    }
}

/// Reads a status by its name.
pub(super) fn read_status(text: &str) -> Result<Status, String> {
    Status::deserialize(text.into_deserializer())
        .map_err(|error: de::value::Error| error.to_string())
}

fn read_labels(text: &str) -> Result<Vec<(String, Option<String>)>, String> {
    let labels = text.split(',').map(|label| match label.split_once('=') {
        Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
        None => (label.to_owned(), None),
    });
    let labels: Vec<_> = labels.collect();
    if labels.iter().any(|(key, _)| key.is_empty()) {
        return Err("expected key, key=value, or several with commas between".into());
    }
    Ok(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_read_as_selectors_are_written() {
        let label = |key: &str, value: Option<&str>| (key.to_owned(), value.map(str::to_owned));
        assert_eq!(
            read_labels("team=sre,env,note=a=b,empty="),
            Ok(vec![
                label("team", Some("sre")),
                label("env", None),
                label("note", Some("a=b")),
                label("empty", Some("")),
            ])
        );
        for text in ["", ",", "=x", "a,,b"] {
            assert!(read_labels(text).is_err(), "{text}");
        }
    }
}
