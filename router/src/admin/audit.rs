//! Who changed what, newest first.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Serialize;
use tenant_store::repository::{AuditEvent, AuditQuery, TenantRepository};

use super::{error::ApiError, query::Arguments};
use crate::control::Control;

/// One page of audit events.
#[derive(Serialize)]
pub(super) struct AuditPage {
    events: Vec<AuditEvent>,
    /// What to send as `before` for the page after this one; `null` on the last.
    next: Option<u64>,
}

/// `GET /api/v1/audit?before=&limit=`
pub(super) async fn list(
    State(control): State<Arc<Control>>,
    mut arguments: Arguments,
) -> Result<Json<AuditPage>, ApiError> {
    let query = AuditQuery {
        before: arguments.take("before"),
        ..AuditQuery::newest(arguments.take_limit())
    };
    arguments.finish()?;
    let events = control.repository().audit(&query).await?;
    let full = events.len() == usize::from(query.limit);
    let next = events.last().filter(|_| full).map(|event| event.sequence);
    Ok(Json(AuditPage { events, next }))
}
