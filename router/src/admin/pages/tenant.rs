//! The page of one tenant.

use std::sync::Arc;

use axum::{Extension, extract::State, http::HeaderMap, response::Html};
use tenant_store::{
    model::{Signal, TenantId},
    repository::{AuditEvent, AuditQuery, Kind, TenantRepository},
};

use super::viewer;
use crate::{
    admin::{
        auth::Caller,
        error::ApiError,
        query::{Arguments, TenantPath},
    },
    control::Control,
    pages::{
        layout::{Frame, Freshness, Place},
        tenant::{self, Page},
    },
    standing::HealthEvent,
};

/// Looked at again after so many seconds, events or not: charts go on.
const EVERY: u32 = 10;

/// Events and changes that are told.
const TOLD: u16 = 20;

/// One tenant: how it is, and why.
pub(super) async fn page(
    State(control): State<Arc<Control>>,
    Extension(caller): Extension<Caller>,
    TenantPath(id): TenantPath,
    headers: HeaderMap,
    arguments: Arguments,
) -> Result<Html<String>, ApiError> {
    arguments.finish()?;
    let Some(entry) = control.tenants().get(&id).await? else {
        return Err(ApiError::UnknownTenant(id));
    };
    let health = control.standing().of_entry(&entry);
    let trends = Signal::ALL.map(|signal| (signal, control.trends().of(&id, signal)));
    let audit = changes(&control, &id).await;
    let page = Page {
        health: &health,
        trends: &trends,
        events: &happened(&control, &id),
        audit: audit.as_deref().map_err(|why| *why),
    };
    let title = tenant::title(&health);
    let stream = format!("/api/v1/events?tenant={id}");
    let frame = Frame {
        title: &title,
        place: Some(Place::Tenants),
        viewer: viewer(&caller, &headers),
        freshness: Freshness {
            stream: Some(&stream),
            every: EVERY,
        },
        charts: trends.iter().any(|(_, trend)| trend.is_some()),
    };
    Ok(Html(frame.around(&page.main()).into_string()))
}

/// What happened to its health, the newest first.
fn happened(control: &Control, id: &TenantId) -> Vec<Arc<HealthEvent>> {
    let events = control.standing().since(0).into_iter().rev();
    let of_tenant = events.filter(|event| event.tenant == *id);
    of_tenant.take(TOLD.into()).collect()
}

/// Who changed it. The page is there without: what is wrong is more urgent than who it was.
async fn changes(control: &Control, id: &TenantId) -> Result<Vec<AuditEvent>, &'static str> {
    let query = AuditQuery {
        kind: Some(Kind::Tenant),
        id: Some(id.to_string()),
        ..AuditQuery::newest(TOLD)
    };
    control.repository().audit(&query).await.map_err(|error| {
        tracing::warn!(tenant = %id, %error, "the audit can't be read for a page");
        "The store does not answer right now."
    })
}
