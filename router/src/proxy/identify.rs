//! Who is asking: the tenant a request names.
//!
//! Pure: looks at the request's head and nothing else. Whether the tenant exists, and whether the
//! request may speak for it, is decided later.

use http::{HeaderName, request::Parts};
use tenant_store::model::{TenantId, TenantIdError};
use thiserror::Error;

/// A place in a request's head where a tenant may be named.
///
/// Sources are asked in the configured order. All that are present must agree.
pub trait IdentitySource: Send + Sync {
    /// The tenant this source names, checked for form; `None` if the source is absent.
    ///
    /// # Errors
    /// The source is present but names no tenant, or more than one.
    fn identify<'r>(&self, head: &'r Parts) -> Result<Option<&'r str>, IdentifyError>;

    /// What to tell a client that named no tenant, e.g. `the header X-Tenant-ID`.
    fn describe(&self) -> String;
}

/// A header that carries the tenant's id.
#[derive(Debug, Clone)]
pub struct HeaderSource(pub HeaderName);

/// Why a request names no tenant.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum IdentifyError {
    /// No source is present.
    #[error("no tenant named: send {expected}")]
    Missing {
        /// The sources that would do.
        expected: String,
    },
    /// The header is there more than once.
    #[error("the header {0} is there more than once: send it once")]
    Repeated(HeaderName),
    /// The header is there without a value.
    #[error("the header {0} is empty: send the tenant's id")]
    Empty(HeaderName),
    /// The header's value is no tenant id.
    #[error("the header {header} names no tenant: {reason}")]
    Malformed {
        /// Which header.
        header: HeaderName,
        /// What is wrong with its value.
        reason: Malformed,
    },
    /// Two sources name different tenants.
    #[error("two different tenants are named, by {first} and by {second}: name one")]
    Conflict {
        /// The source that was believed so far.
        first: String,
        /// The source that says otherwise.
        second: String,
    },
}

/// What is wrong with a header's value.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Malformed {
    /// Bytes outside visible ASCII.
    #[error("a tenant id is plain ASCII")]
    NotText,
    /// Not a slug.
    #[error(transparent)]
    NotAnId(#[from] TenantIdError),
}

/// Finds the one tenant that a request names.
///
/// # Errors
/// None is named, several are, or what is named can't be a tenant.
pub fn identify<'r>(
    head: &'r Parts,
    sources: &[Box<dyn IdentitySource>],
) -> Result<&'r str, IdentifyError> {
    let mut found: Option<(&'r str, &dyn IdentitySource)> = None;
    for source in sources {
        match (source.identify(head)?, found) {
            (None, _) => {}
            (Some(tenant), None) => found = Some((tenant, source.as_ref())),
            (Some(tenant), Some((believed, _))) if tenant == believed => {}
            (Some(_), Some((_, first))) => {
                return Err(IdentifyError::Conflict {
                    first: first.describe(),
                    second: source.describe(),
                });
            }
        }
    }
    found
        .map(|(tenant, _)| tenant)
        .ok_or_else(|| IdentifyError::Missing {
            expected: sources
                .iter()
                .map(|source| source.describe())
                .collect::<Vec<_>>()
                .join(" or "),
        })
}

impl IdentitySource for HeaderSource {
    fn identify<'r>(&self, head: &'r Parts) -> Result<Option<&'r str>, IdentifyError> {
        let mut values = head.headers.get_all(&self.0).iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        if values.next().is_some() {
            return Err(IdentifyError::Repeated(self.0.clone()));
        }
        let malformed = |reason| IdentifyError::Malformed {
            header: self.0.clone(),
            reason,
        };
        let tenant = value.to_str().map_err(|_| malformed(Malformed::NotText))?;
        if tenant.is_empty() {
            return Err(IdentifyError::Empty(self.0.clone()));
        }
        TenantId::check(tenant).map_err(|reason| malformed(reason.into()))?;
        Ok(Some(tenant))
    }

    fn describe(&self) -> String {
        format!("the header {}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, Request};
    use proptest::prelude::*;

    use super::*;

    fn sources() -> Vec<Box<dyn IdentitySource>> {
        ["x-tenant-id", "x-scope-orgid"]
            .map(|name| Box::new(HeaderSource(HeaderName::from_static(name))) as Box<_>)
            .into()
    }

    fn head(headers: &[(&'static str, &[u8])]) -> Parts {
        let (mut head, ()) = Request::new(()).into_parts();
        for (name, value) in headers {
            let value = HeaderValue::from_bytes(value).expect("a header value");
            head.headers.append(*name, value);
        }
        head
    }

    #[test]
    fn either_header_names_the_tenant_and_both_may_if_they_agree() {
        for headers in [
            &[("x-tenant-id", b"acme".as_slice())][..],
            &[("x-scope-orgid", b"acme")],
            &[("x-tenant-id", b"acme"), ("x-scope-orgid", b"acme")],
        ] {
            assert_eq!(identify(&head(headers), &sources()), Ok("acme"));
        }
    }

    type Headers = &'static [(&'static str, &'static [u8])];

    #[test]
    fn what_names_no_tenant_or_two_is_told_apart() {
        let tenant = HeaderName::from_static("x-tenant-id");
        let cases: [(Headers, IdentifyError); 4] = [
            (
                &[],
                IdentifyError::Missing {
                    expected: "the header x-tenant-id or the header x-scope-orgid".into(),
                },
            ),
            (
                &[("x-tenant-id", b"acme"), ("x-tenant-id", b"acme")],
                IdentifyError::Repeated(tenant.clone()),
            ),
            (
                &[("x-tenant-id", b"")],
                IdentifyError::Empty(tenant.clone()),
            ),
            (
                &[("x-tenant-id", b"acme"), ("x-scope-orgid", b"globex")],
                IdentifyError::Conflict {
                    first: "the header x-tenant-id".into(),
                    second: "the header x-scope-orgid".into(),
                },
            ),
        ];
        for (headers, expected) in cases {
            assert_eq!(identify(&head(headers), &sources()), Err(expected));
        }
    }

    #[test]
    fn a_bad_second_source_is_not_overlooked() {
        let head = head(&[("x-tenant-id", b"acme"), ("x-scope-orgid", b"acme|globex")]);
        assert!(matches!(
            identify(&head, &sources()),
            Err(IdentifyError::Malformed { header, .. }) if header == "x-scope-orgid"
        ));
    }

    proptest! {
        #[test]
        fn only_slugs_are_ever_believed(value in prop::collection::vec(any::<u8>(), 0..80)) {
            let Ok(value) = HeaderValue::from_bytes(&value) else { return Ok(()) };
            let (mut head, ()) = Request::new(()).into_parts();
            head.headers.append("x-tenant-id", value);
            if let Ok(tenant) = identify(&head, &sources()) {
                prop_assert!((2..=63).contains(&tenant.len()));
                prop_assert!(!tenant.starts_with('-'));
                prop_assert!(tenant
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
            }
        }
    }
}
