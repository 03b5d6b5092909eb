//! `/health` and its kin on the public listener: the router's own without a tenant, a check of the
//! tenant's deployments with one. Grafana's "Save & test" asks these.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use tenant_store::model::Signal;

use super::{
    admit::admit,
    classify::Dialect,
    context::{ProxyContext, Stance},
    error::{self, Answerable, ProxyError},
    identify::Asked,
    relay::ResponseBody,
    rewrite, status_page,
};

/// Answers a health check for `signal`, or for everything.
pub(super) async fn answer(
    context: &ProxyContext,
    asked: &Asked<'_>,
    signal: Option<Signal>,
) -> Response<ResponseBody> {
    let request_id = context.request_id(&asked.head.headers);
    let refuse = |error: &ProxyError, tenant| {
        let request = Answerable {
            dialect: Dialect::Text,
            ingestion: false,
            tenant,
            request_id: request_id.to_str().unwrap_or_default(),
        };
        error::answer(error, &request)
    };
    let settings = context.settings();
    if settings.public_page
        && let Some(page) = status_page::redirect(asked.head)
    {
        return page.map(ResponseBody::Own);
    }
    let response = match settings.identity.identify(asked).await {
        Err(error) if error.is_silence() => own(context, asked.path.rest()),
        Err(error) => refuse(&error.into(), None),
        Ok(who) => match check(context, who.tenant.as_str(), signal).await {
            Ok(()) => plain(StatusCode::OK, "OK"),
            Err(error) => refuse(&error, Some(who.tenant.as_str())),
        },
    };
    let mut response = response.map(ResponseBody::Own);
    response
        .headers_mut()
        .insert(rewrite::REQUEST_ID, request_id);
    response
}

/// The router's own health. `/-/healthy` says that it lives, the others that it wants requests.
fn own(context: &ProxyContext, path: &str) -> Response<Bytes> {
    if context.stance() == Stance::Serving || path.ends_with("/-/healthy") {
        plain(StatusCode::OK, "OK")
    } else {
        plain(
            StatusCode::SERVICE_UNAVAILABLE,
            "not ready: starting or shutting down",
        )
    }
}

fn plain(status: StatusCode, text: &'static str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(text.as_bytes()));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
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
            .filter(|signal| route.has(*signal))
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
