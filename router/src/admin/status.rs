//! The router's own state: metrics, liveness, readiness, and taking in a changed configuration.

use std::{convert::Infallible, sync::Arc};

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use futures_util::stream;
use serde_json::{Value, json};

use super::{error::ApiError, query::Arguments};
use crate::control::{Control, Readiness, Reloaded};

/// `GET /metrics`
pub(super) async fn metrics(State(control): State<Arc<Control>>) -> impl IntoResponse {
    let content_type = [(
        header::CONTENT_TYPE,
        "text/plain; version=0.0.4; charset=utf-8",
    )];
    let pieces = control.metrics_text().map(Ok::<_, Infallible>);
    (content_type, Body::from_stream(stream::iter(pieces)))
}

/// `GET /healthz`: the process answers, which is all that liveness asks.
pub(super) async fn alive() -> &'static str {
    "OK\n"
}

/// `GET /readyz`: whether clients should be sent here.
pub(super) async fn ready(State(control): State<Arc<Control>>) -> (StatusCode, String) {
    match control.readiness() {
        Readiness::Ready => (StatusCode::OK, "OK\n".into()),
        Readiness::NotReady(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

/// `POST /-/reload`
pub(super) async fn reload(
    State(control): State<Arc<Control>>,
    arguments: Arguments,
) -> Result<Json<Value>, ApiError> {
    arguments.finish()?;
    match control.reload().await {
        Ok(Reloaded::Changed) => Ok(Json(
            json!({ "status": "success", "configuration": "changed" }),
        )),
        Ok(Reloaded::Unchanged) => Ok(Json(
            json!({ "status": "success", "configuration": "unchanged" }),
        )),
        Err(error) => Err(ApiError::ReloadRefused(error)),
    }
}
