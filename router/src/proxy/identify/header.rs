//! A header that carries the tenant's id.

use http::{HeaderMap, HeaderName};
use tenant_store::model::TenantId;

use super::{IdentifyError, Malformed};

pub(super) fn tenant<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'h str>, IdentifyError> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(IdentifyError::Repeated(name.clone()));
    }
    let malformed = |reason| IdentifyError::Malformed {
        place: describe(name),
        reason,
    };
    let tenant = value.to_str().map_err(|_| malformed(Malformed::NotText))?;
    if tenant.is_empty() {
        return Err(IdentifyError::Empty(describe(name)));
    }
    TenantId::check(tenant).map_err(|reason| malformed(reason.into()))?;
    Ok(Some(tenant))
}

pub(super) fn describe(name: &HeaderName) -> String {
    format!("the header {name}")
}
