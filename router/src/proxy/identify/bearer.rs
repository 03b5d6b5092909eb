//! The `Authorization` header, as far as a bearer token stands in it. Other schemes are nobody's
//! here, and no scheme's credentials go on to backends.

use http::{HeaderMap, HeaderValue, header};

use super::{IdentifyError, jwt::TokenFault};

/// The token; `None` if there is none.
pub(super) fn token(headers: &HeaderMap) -> Result<Option<&str>, IdentifyError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(IdentifyError::Repeated(header::AUTHORIZATION));
    }
    let Some(token) = after_scheme(value) else {
        return Ok(None);
    };
    match std::str::from_utf8(token).map(str::trim_ascii) {
        Ok(token) if !token.is_empty() => Ok(Some(token)),
        _ => Err(TokenFault::NotAToken.into()),
    }
}

fn after_scheme(value: &HeaderValue) -> Option<&[u8]> {
    const SCHEME: &[u8] = b"bearer";
    let (scheme, rest) = value.as_bytes().split_at_checked(SCHEME.len())?;
    let ends = rest.first().is_none_or(|byte| *byte == b' ');
    (scheme.eq_ignore_ascii_case(SCHEME) && ends).then_some(rest)
}
