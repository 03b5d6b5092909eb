//! Who changed what, newest first.

use std::sync::Arc;

use axum::{extract::State, http::HeaderMap, response::Response};
use serde::Serialize;
use tenant_store::repository::AuditEvent;
use utoipa::ToSchema;

use super::{
    error::ApiError,
    parameters::{IfNoneMatch, PageLimit},
    query::Arguments,
    read,
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
/// Every change, newest first: who, what, from where, and the revisions before and after.
#[utoipa::path(
    get,
    path = "/api/v1/audit",
    tag = "audit",
    operation_id = "listAudit",
    params(
        ("before" = inline(Option<u64>), Query, minimum = 0, maximum = 9_223_372_036_854_775_807_u64, description = "Only events before this one: the `next` of the page before."),
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
    let before = arguments.take_with("before", |text| {
        let sequence = text.parse().ok().filter(|sequence| *sequence <= MOST);
        sequence.ok_or_else(|| format!("expected a number from 0 to {MOST}"))
    });
    let limit = arguments.take_limit();
    arguments.finish()?;
    let events = control.repository().audit(before, limit).await?;
    let full = events.len() == usize::from(limit);
    let next = events.last().filter(|_| full).map(|event| event.sequence);
    read::json(&headers, &AuditPage { events, next })
}
