//! The router's own state: metrics, liveness, readiness, and taking in a changed configuration.

use std::{convert::Infallible, sync::Arc};

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use futures_util::stream;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    error::{ApiError, Problem},
    pages,
    parameters::{DryRun, IdempotencyKey},
    query::Arguments,
    tenants::only_dry_run,
};
use crate::control::{Control, Readiness, Reloaded};

/// Metrics
///
/// In the Prometheus text format.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "router",
    operation_id = "getMetrics",
    responses((status = 200, description = "All metrics of this router.", body = String, content_type = "text/plain; version=0.0.4; charset=utf-8")),
)]
pub(super) async fn metrics(State(control): State<Arc<Control>>) -> impl IntoResponse {
    let content_type = [(
        header::CONTENT_TYPE,
        "text/plain; version=0.0.4; charset=utf-8",
    )];
    let pieces = control.metrics_text().map(Ok::<_, Infallible>);
    (content_type, Body::from_stream(stream::iter(pieces)))
}

/// Liveness: the process answers, which is all that is asked
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "router",
    operation_id = "getHealthz",
    responses(
        (status = 200, description = "It lives.", body = String, content_type = "text/plain; charset=utf-8"),
    ),
)]
pub(super) async fn alive() -> &'static str {
    "OK\n"
}

/// Liveness: the process answers, which is all that is asked
///
/// A browser, which asks for HTML, is sent to the health pages instead.
#[utoipa::path(
    get,
    path = "/health",
    tag = "router",
    operation_id = "getHealth",
    responses(
        (status = 200, description = "It lives.", body = String, content_type = "text/plain; charset=utf-8"),
        (status = 303, description = "To the page of all tenants, for whoever accepts HTML."),
    ),
)]
pub(super) async fn health(headers: HeaderMap) -> Response {
    let vary = [(header::VARY, HeaderValue::from_static("accept"))];
    if pages::wants_page(&headers) {
        (vary, Redirect::to(pages::START)).into_response()
    } else {
        (vary, "OK\n").into_response()
    }
}

/// Liveness: the process answers, which is all that is asked
#[utoipa::path(
    get,
    path = "/-/healthy",
    tag = "router",
    operation_id = "getHealthy",
    responses(
        (status = 200, description = "It lives.", body = String, content_type = "text/plain; charset=utf-8"),
    ),
)]
pub(super) async fn healthy() -> &'static str {
    "OK\n"
}

/// Readiness: whether clients should be sent here
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "router",
    operation_id = "getReadyz",
    responses(
        (status = 200, description = "Clients should be sent here.", body = String, content_type = "text/plain; charset=utf-8"),
        (status = 503, description = "It should not, and why.", body = String, content_type = "text/plain; charset=utf-8"),
    ),
)]
pub(super) async fn ready(State(control): State<Arc<Control>>) -> (StatusCode, String) {
    match control.readiness() {
        Readiness::Ready => (StatusCode::OK, "OK\n".into()),
        Readiness::NotReady(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

/// Readiness: whether clients should be sent here
#[utoipa::path(
    get,
    path = "/ready",
    tag = "router",
    operation_id = "getReady",
    responses(
        (status = 200, description = "Clients should be sent here.", body = String, content_type = "text/plain; charset=utf-8"),
        (status = 503, description = "It should not, and why.", body = String, content_type = "text/plain; charset=utf-8"),
    ),
)]
pub(super) async fn ready_as_in_mimir(control: State<Arc<Control>>) -> (StatusCode, String) {
    ready(control).await
}

/// Readiness: whether clients should be sent here
#[utoipa::path(
    get,
    path = "/-/ready",
    tag = "router",
    operation_id = "getReadyPrometheus",
    responses(
        (status = 200, description = "Clients should be sent here.", body = String, content_type = "text/plain; charset=utf-8"),
        (status = 503, description = "It should not, and why.", body = String, content_type = "text/plain; charset=utf-8"),
    ),
)]
pub(super) async fn ready_as_in_prometheus(control: State<Arc<Control>>) -> (StatusCode, String) {
    ready(control).await
}

/// What a reload came to.
#[derive(Serialize, ToSchema)]
pub(super) struct ReloadReport {
    /// Always `success`: what is refused is a problem.
    status: &'static str,
    /// `changed` or `unchanged`.
    configuration: &'static str,
}

/// Reload the configuration
///
/// As SIGHUP does; a faulty one is refused with its faults, and the one before stays in force. A dry
/// run tells whether it would be taken, and takes nothing.
#[utoipa::path(
    post,
    path = "/-/reload",
    tag = "router",
    operation_id = "reload",
    params(DryRun, IdempotencyKey),
    responses(
        (status = 200, description = "What it came to.", body = ReloadReport),
        (status = 400, description = "The configuration is refused.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn reload(
    State(control): State<Arc<Control>>,
    arguments: Arguments,
) -> Result<Json<ReloadReport>, ApiError> {
    let reloaded = if only_dry_run(arguments)? {
        control.rehearse_reload().await
    } else {
        control.reload().await
    };
    let configuration = match reloaded.map_err(ApiError::ReloadRefused)? {
        Reloaded::Changed => "changed",
        Reloaded::Unchanged => "unchanged",
    };
    Ok(Json(ReloadReport {
        status: "success",
        configuration,
    }))
}
