//! The bodies of changes: tenant documents as JSON or YAML, merge patches; every fault is named at
//! once.

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse as _,
};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;
use tenant_store::{
    document::{self, Document, Faults},
    model::{Tenant, TierDefinition},
};

use super::error::{ApiError, Fault};

/// Longest body read, in bytes. A tenant of a hundred endpoints has a tenth of it.
pub(super) const LIMIT: usize = 1 << 20;

/// Longest body of an import, in bytes.
pub(super) const IMPORT_LIMIT: usize = 32 << 20;

/// A well-formed tenant from a request's body.
pub(super) struct TenantBody(pub(super) Tenant);

/// A well-formed tenant from a request's body, if it has one.
pub(super) struct PerhapsTenantBody(pub(super) Option<Tenant>);

/// Well-formed tenants from a request's body, each once.
pub(super) struct TenantsBody(pub(super) Vec<Tenant>);

/// A merge patch (RFC 7396).
#[derive(Clone)]
pub(super) struct MergePatch(Value);

impl MergePatch {
    /// The tenant that `tenant` becomes. A patch says nothing of what it is applied to, so what is
    /// wrong with the result is told as that.
    pub(super) fn apply(self, tenant: &Tenant) -> Result<Tenant, ApiError> {
        let mut value = serde_json::to_value(tenant)
            .map_err(|_| ApiError::Broken("a tenant can't be written as JSON"))?;
        merge(&mut value, self.0);
        let mut faults = match document::tenant(&value.to_string()) {
            Ok(tenant) => return Ok(tenant),
            Err(faults) => to_faults(faults),
        };
        // Lines of a text that nobody has seen.
        for fault in &mut faults {
            fault.line = None;
        }
        Err(ApiError::Unprocessable(faults))
    }
}

/// Merges as RFC 7396 says: maps field by field, `null` removes, all else replaces.
fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let Value::Object(target) = target else {
        return;
    };
    for (key, value) in patch {
        if value.is_null() {
            target.remove(&key);
        } else {
            merge(target.entry(key).or_insert(Value::Null), value);
        }
    }
}

impl<S: Send + Sync> FromRequest<S> for TenantBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let form = form(request.headers())?;
        let text = text(request, state, LIMIT).await?;
        tenant(&text, form).map(Self)
    }
}

impl<S: Send + Sync> FromRequest<S> for PerhapsTenantBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let headers = request.headers().clone();
        let text = text(request, state, LIMIT).await?;
        if text.is_empty() {
            return Ok(Self(None));
        }
        tenant(&text, form(&headers)?).map(|tenant| Self(Some(tenant)))
    }
}

impl<S: Send + Sync> FromRequest<S> for TenantsBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let form = form(request.headers())?;
        let text = text(request, state, IMPORT_LIMIT).await?;
        check_form(&text, form)?;
        document::tenants_in(&text, None)
            .map(Self)
            .map_err(|faults| ApiError::Malformed(to_faults(faults)))
    }
}

impl<S: Send + Sync> FromRequest<S> for MergePatch {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        const EXPECTED: &str = "application/merge-patch+json";
        match essence(request.headers()) {
            Some(essence) if essence == EXPECTED => {}
            sent => return Err(unsupported(EXPECTED, sent)),
        }
        let text = text(request, state, LIMIT).await?;
        let patch: Value = serde_json::from_str(&text).map_err(|error| not_json(&error))?;
        if !patch.is_object() {
            let message = "expected an object with the fields that change";
            return Err(ApiError::fault("", None, message));
        }
        Ok(Self(patch))
    }
}

/// A body of a shape that is not a document of the store's, as JSON or YAML.
pub(super) struct JsonOrYamlBody<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonOrYamlBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let form = form(request.headers())?;
        let text = text(request, state, LIMIT).await?;
        check_form(&text, form)?;
        decode(&text, &[]).map(Self)
    }
}

/// A well-formed tier from a request's body.
pub(super) struct TierBody(pub(super) TierDefinition);

impl<S: Send + Sync> FromRequest<S> for TierBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let form = form(request.headers())?;
        let text = text(request, state, LIMIT).await?;
        check_form(&text, form)?;
        // What reading it answered is taken as it is.
        let noted = ["revision", "built_in", "created_at", "updated_at"];
        decode(&text, &noted).map(Self)
    }
}

fn decode<T: DeserializeOwned>(text: &str, left_out: &[&str]) -> Result<T, ApiError> {
    let document = Document::parse(None, text).and_then(|mut document| {
        document.leave_out(left_out);
        document.decode()
    });
    document.map_err(|faults| ApiError::Malformed(to_faults(faults)))
}

/// A JSON body of a shape that is not a document of the store's.
pub(super) struct JsonBody<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        match essence(request.headers()) {
            Some(essence) if essence == "application/json" => {}
            sent => return Err(unsupported("application/json", sent)),
        }
        let text = text(request, state, LIMIT).await?;
        check_form(&text, Form::Json)?;
        decode(&text, &[]).map(Self)
    }
}

/// How a document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Yaml,
}

fn tenant(text: &str, form: Form) -> Result<Tenant, ApiError> {
    check_form(text, form)?;
    document::tenant(text).map_err(|faults| ApiError::Malformed(to_faults(faults)))
}

/// JSON is YAML, so one reader serves both; but what is sent as JSON has to be.
fn check_form(text: &str, form: Form) -> Result<(), ApiError> {
    if form == Form::Json {
        serde_json::from_str::<IgnoredAny>(text).map_err(|error| not_json(&error))?;
    }
    Ok(())
}

fn not_json(error: &serde_json::Error) -> ApiError {
    ApiError::Malformed(vec![Fault {
        line: u32::try_from(error.line()).ok(),
        ..Fault::new("", None, format!("the body is not JSON: {error}"))
    }])
}

async fn text<S: Send + Sync>(
    request: Request,
    state: &S,
    limit: usize,
) -> Result<String, ApiError> {
    let body = Bytes::from_request(request, state)
        .await
        .map_err(|rejection| match rejection.into_response().status() {
            StatusCode::PAYLOAD_TOO_LARGE => ApiError::TooLarge { limit },
            _ => ApiError::BodyUnreadable,
        })?;
    String::from_utf8(body.into())
        .map_err(|error| ApiError::fault("", None, format!("the body is not UTF-8: {error}")))
}

fn form(headers: &HeaderMap) -> Result<Form, ApiError> {
    match essence(headers).as_deref() {
        Some("application/json") => Ok(Form::Json),
        Some("application/yaml" | "application/x-yaml" | "text/yaml" | "text/x-yaml") => {
            Ok(Form::Yaml)
        }
        sent => Err(unsupported(
            "application/json or application/yaml",
            sent.map(Into::into),
        )),
    }
}

fn unsupported(expected: &'static str, sent: Option<String>) -> ApiError {
    ApiError::UnsupportedMediaType {
        expected,
        sent: sent.unwrap_or_else(|| "no Content-Type".into()),
    }
}

/// The media type without parameters, in lower case.
fn essence(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?;
    let text = value.to_str().unwrap_or("one that is no text");
    let essence = text.split(';').next().unwrap_or_default();
    Some(essence.trim().to_ascii_lowercase())
}

fn to_faults(faults: Faults) -> Vec<Fault> {
    faults.into_iter().map(Fault::from).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The examples of RFC 7396, appendix A.
    #[test]
    fn patches_merge_as_the_rfc_says() {
        for (mut target, patch, result) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (
                json!({"a": "b"}),
                json!({"b": "c"}),
                json!({"a": "b", "b": "c"}),
            ),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (
                json!({"a": "b", "b": "c"}),
                json!({"a": null}),
                json!({"b": "c"}),
            ),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (
                json!({"a": [{"b": "c"}]}),
                json!({"a": [1]}),
                json!({"a": [1]}),
            ),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"a": "b"}), json!(["c"]), json!(["c"])),
            (json!({"a": "foo"}), json!(null), json!(null)),
            (json!({"a": "foo"}), json!("bar"), json!("bar")),
            (
                json!({"e": null}),
                json!({"a": 1}),
                json!({"e": null, "a": 1}),
            ),
            (
                json!([1, 2]),
                json!({"a": "b", "c": null}),
                json!({"a": "b"}),
            ),
            (
                json!({}),
                json!({"a": {"bb": {"ccc": null}}}),
                json!({"a": {"bb": {}}}),
            ),
        ] {
            let was = target.clone();
            merge(&mut target, patch.clone());
            assert_eq!(target, result, "{was} with {patch}");
        }
    }
}
