//! Who changed what, newest first.

use std::sync::Arc;

use axum::{extract::State, http::HeaderMap, response::Response};
use jiff::Timestamp;
use serde::{
    Deserialize, Serialize,
    de::{self, IntoDeserializer},
};
use tenant_store::{
    model::TenantId,
    repository::{AuditEvent, AuditQuery, Kind, Outcome, TenantRepository},
};
use utoipa::ToSchema;

use super::{
    error::ApiError,
    parameters::{IfNoneMatch, PageLimit},
    query::Arguments,
    read,
    schema::Moment,
};
use crate::control::Control;

/// The last place in the sequence of events that can be named.
const MOST: u64 = i64::MAX.unsigned_abs();

/// One page of audit events.
#[derive(Serialize, ToSchema)]
pub(super) struct AuditPage {
    /// Newest first.
    events: Vec<AuditEvent>,
    /// What to send as `before` for the page after this one; `null` on the last.
    next: Option<u64>,
}

/// Read the audit
///
/// Every change, newest first: who, what, from where, the revisions before and after, and the fields
/// that are other than before.
#[utoipa::path(
    get,
    path = "/api/v1/audit",
    tag = "audit",
    operation_id = "listAudit",
    params(
        ("tenant" = Option<TenantId>, Query, nullable = false, description = "Only changes of this tenant; stands for `kind` and `id`."),
        ("kind" = inline(Option<Kind>), Query, nullable = false, description = "Only changes of tenants, of tiers, or of keys."),
        ("id" = inline(Option<String>), Query, nullable = false, description = "Only changes of what has this id."),
        ("author" = inline(Option<String>), Query, nullable = false, description = "Only changes by this operator."),
        ("outcome" = inline(Option<Outcome>), Query, nullable = false, description = "Only changes of this kind."),
        ("request_id" = inline(Option<String>), Query, nullable = false, description = "Only changes that this request made."),
        ("since" = inline(Option<Moment>), Query, nullable = false, description = "Only changes at or after this time."),
        ("until" = inline(Option<Moment>), Query, nullable = false, description = "Only changes before this time."),
        ("before" = inline(Option<u64>), Query, nullable = false, minimum = 0, maximum = 9_223_372_036_854_775_807_u64, description = "Only events before this one: the `next` of the page before."),
        PageLimit,
        IfNoneMatch,
    ),
    responses(
        (status = 200, description = "A page of events.", body = AuditPage, headers(("ETag" = String, description = "Made of the page."))),
        (status = 304, description = "As it was when that `ETag` was answered."),
    ),
)]
pub(super) async fn list(
    State(control): State<Arc<Control>>,
    headers: HeaderMap,
    mut arguments: Arguments,
) -> Result<Response, ApiError> {
    let tenant: Option<TenantId> = arguments.take("tenant");
    let kind: Option<Kind> = arguments.take("kind");
    let id: Option<String> = arguments.take("id");
    let query = AuditQuery {
        before: arguments.take_with("before", |text| {
            let sequence = text.parse().ok().filter(|sequence| *sequence <= MOST);
            sequence.ok_or_else(|| format!("expected a number from 0 to {MOST}"))
        }),
        limit: arguments.take_limit(),
        kind: kind.or_else(|| tenant.is_some().then_some(Kind::Tenant)),
        id: tenant.as_ref().map(ToString::to_string).or(id.clone()),
        author: arguments.take("author"),
        request_id: arguments.take("request_id"),
        outcome: arguments.take_with("outcome", read_outcome),
        since: arguments.take_with("since", read_time),
        until: arguments.take_with("until", read_time),
    };
    arguments.finish()?;
    if tenant.is_some() && (kind.is_some() || id.is_some()) {
        let message = "stands for `kind` and `id`; name it, or these";
        let tenant = tenant.map(|tenant| tenant.to_string());
        return Err(ApiError::fault("tenant", tenant, message));
    }
    let events = control.repository().audit(&query).await?;
    let full = events.len() == usize::from(query.limit);
    let next = events.last().filter(|_| full).map(|event| event.sequence);
    read::json(&headers, &AuditPage { events, next })
}

fn read_outcome(text: &str) -> Result<Outcome, String> {
    Outcome::deserialize(text.into_deserializer())
        .map_err(|error: de::value::Error| error.to_string())
}

fn read_time(text: &str) -> Result<Timestamp, String> {
    text.parse()
        .map_err(|_| "expected a time such as 2026-11-22T05:00:00Z".into())
}
