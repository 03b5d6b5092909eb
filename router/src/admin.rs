//! The admin listener: what operators, scrapers and the CLI ask of a running router.
//!
//! Decides which paths exist here, which of them need the admin token, and nothing else: tenants
//! are changed by the repository, snapshots by [`Control`]. No request of a tenant passes here.

mod audit;
mod auth;
mod body;
mod caller;
mod error;
mod health;
mod precondition;
mod query;
mod rehearsal;
mod status;
mod tenants;

use std::{future::Future, io, net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    routing::{get, post},
};
use tokio::net::TcpListener;

use crate::control::Control;

/// Serves the admin app on `listener` until `shutdown` is over and the requests in flight then
/// are answered.
///
/// # Errors
/// The listener fails for good.
pub async fn serve(
    listener: TcpListener,
    control: Arc<Control>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let app = app(control).into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, app)
        .with_graceful_shutdown(shutdown)
        .await
}

/// The admin app. Its audit events name the peer if it is served with connection info, as
/// [`serve`] does.
pub fn app(control: Arc<Control>) -> Router {
    open()
        .merge(guarded(&control))
        .layer(middleware::from_fn(caller::identify))
        .with_state(control)
}

/// What anybody who reaches the listener may ask: nothing here tells of a tenant's configuration.
fn open() -> Router<Arc<Control>> {
    Router::new()
        .route("/metrics", get(status::metrics))
        .route("/healthz", get(status::alive))
        .route("/health", get(status::alive))
        .route("/-/healthy", get(status::alive))
        .route("/readyz", get(status::ready))
        .route("/ready", get(status::ready))
        .route("/-/ready", get(status::ready))
        .method_not_allowed_fallback(error::method_not_allowed)
}

/// What needs the admin token; unknown paths too, so that guessing teaches nothing.
fn guarded(control: &Arc<Control>) -> Router<Arc<Control>> {
    let tenant = get(tenants::get).put(tenants::put).delete(tenants::delete);
    Router::new()
        .route("/api/v1/tenants", get(tenants::list).post(tenants::create))
        .route("/api/v1/tenants/{id}", tenant)
        .route("/api/v1/tenants/{id}/health", get(health::of_tenant))
        .route(
            "/api/v1/tenants/{id}/cache/invalidate",
            post(tenants::invalidate),
        )
        .route("/api/v1/audit", get(audit::list))
        .route("/-/reload", post(status::reload))
        .fallback(error::no_such_path)
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(DefaultBodyLimit::max(body::LIMIT))
        .layer(middleware::from_fn(caller::bound_time))
        .layer(middleware::from_fn_with_state(
            Arc::clone(control),
            auth::require_token,
        ))
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
