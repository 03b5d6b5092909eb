//! The `Authorization` header, as far as somebody here reads it. No scheme's credentials go on to
//! backends.

use http::{HeaderMap, header};

use super::{IdentifyError, jwt::TokenFault};

/// What stands in the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Authorization<'h> {
    /// A token.
    Bearer(&'h str),
    /// A name and a password, in base64.
    Basic(&'h str),
    /// A scheme that is nobody's here.
    Other,
}

/// Reads the header; `None` if there is none.
pub(super) fn read(headers: &HeaderMap) -> Result<Option<Authorization<'_>>, IdentifyError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(IdentifyError::Repeated(header::AUTHORIZATION));
    }
    let Ok(text) = value.to_str() else {
        return Err(TokenFault::NotAToken.into());
    };
    let (scheme, rest) = text.split_once(' ').unwrap_or((text, ""));
    let rest = rest.trim_ascii();
    Ok(Some(if scheme.eq_ignore_ascii_case("bearer") {
        Authorization::Bearer(rest)
    } else if scheme.eq_ignore_ascii_case("basic") {
        Authorization::Basic(rest)
    } else {
        Authorization::Other
    }))
}
