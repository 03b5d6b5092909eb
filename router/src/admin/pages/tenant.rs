//! The page of one tenant.

use std::sync::Arc;

use axum::{Extension, extract::State, http::HeaderMap, response::Html};
use tenant_store::{
    history::{HistoryEntry, HistoryQuery},
    model::{Signal, TenantId},
    repository::{AuditEvent, AuditQuery, Kind, RepositoryError, TenantRepository},
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
    let objective = entry.route().objective();
    let history = control.history();
    let (service, story, audit) = tokio::join!(
        history.availability(&id, objective),
        happened(&control, &id),
        changes(&control, &id),
    );
    let service = service.map_err(|error| untold(&id, &error));
    let page = Page {
        health: &health,
        trends: &trends,
        service: service.as_ref().map_err(|why| *why),
        story: story.as_deref().map_err(|why| *why),
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
        charts: true,
    };
    Ok(Html(frame.around(&page.main()).into_string()))
}

/// What happened to its health, the newest first.
async fn happened(control: &Control, id: &TenantId) -> Result<Vec<HistoryEntry>, &'static str> {
    let query = HistoryQuery {
        tenant: id.clone(),
        kind: None,
        signal: None,
        since: None,
        until: None,
        before: None,
        limit: TOLD,
    };
    let page = control.history().changes(&query).await;
    page.map(|page| page.entries)
        .map_err(|error| untold(id, &error))
}

/// Who changed it, the newest first.
async fn changes(control: &Control, id: &TenantId) -> Result<Vec<AuditEvent>, &'static str> {
    let query = AuditQuery {
        kind: Some(Kind::Tenant),
        id: Some(id.to_string()),
        ..AuditQuery::newest(TOLD)
    };
    let events = control.repository().audit(&query).await;
    events.map_err(|error| untold(id, &error))
}

/// The page is there without: what is wrong now is more urgent than what was.
fn untold(tenant: &TenantId, error: &RepositoryError) -> &'static str {
    tracing::warn!(%tenant, %error, "a page can't tell all of a tenant");
    "The store does not answer right now."
}
