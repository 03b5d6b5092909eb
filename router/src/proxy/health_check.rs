//! `/health` and its kin on the public listener: the router's own without a tenant, a check of the
//! tenant's deployments with one. Grafana's "Save & test" asks these.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header, request::Parts};
use tenant_store::model::Signal;

use super::{
    admit::admit,
    context::{ProxyContext, Stance},
    error::ProxyError,
    identify::{IdentifyError, identify},
    relay::ResponseBody,
};

/// Answers a health check for `signal`, or for everything.
pub(super) async fn answer(
    context: &ProxyContext,
    head: &Parts,
    signal: Option<Signal>,
) -> Response<ResponseBody> {
    let (status, text) = match identify(head, &context.settings().identity) {
        Err(IdentifyError::Missing { .. }) => own(context, head.uri.path()),
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()),
        Ok(tenant) => match check(context, tenant, signal).await {
            Ok(()) => (StatusCode::OK, "OK".to_owned()),
            Err(error) => (error.status(false), format!("tenant {tenant}: {error}")),
        },
    };
    let mut response = Response::new(ResponseBody::Own(Bytes::from(text)));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

/// The router's own health. `/-/healthy` says that it lives, the others that it wants requests.
fn own(context: &ProxyContext, path: &str) -> (StatusCode, String) {
    if context.stance() == Stance::Serving || path.ends_with("/-/healthy") {
        (StatusCode::OK, "OK".to_owned())
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "not ready: starting or shutting down".to_owned(),
        )
    }
}

async fn check(
    context: &ProxyContext,
    tenant: &str,
    signal: Option<Signal>,
) -> Result<(), ProxyError> {
    let local = context
        .route(tenant)
        .await?
        .ok_or(ProxyError::UnknownTenant)?;
    let route = local.route();
    let signals = match signal {
        Some(signal) => vec![signal],
        None => route
            .deployments()
            .map(super::route::DeploymentRoute::signal)
            .collect(),
    };
    if signals.is_empty() {
        admit(route, Signal::Metrics)?;
    }
    for signal in signals {
        if !admit(route, signal)?.is_available() {
            return Err(ProxyError::NoEndpoint(signal));
        }
    }
    Ok(())
}
