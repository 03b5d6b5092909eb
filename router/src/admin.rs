//! The admin listener: what operators, scrapers and the CLI ask of a running router.
//!
//! Decides which paths exist here, which role each of them needs, and nothing else: tenants are
//! changed by the repository, snapshots by [`Control`]. No request of a tenant passes here.

mod argocd;
mod audit;
mod auth;
mod body;
mod caller;
mod certificate;
mod compress;
mod docs;
mod drain;
mod error;
mod events;
mod health;
mod history;
mod idempotency;
mod keys;
mod lifecycle;
mod listener;
mod maintenance;
mod openapi;
mod pages;
mod parameters;
mod precondition;
mod query;
mod read;
mod rehearsal;
mod schema;
mod select;
mod session;
mod status;
mod tenants;
mod tiers;
mod token;
mod transfer;
mod validate;

use std::{
    future::Future,
    io,
    sync::{Arc, LazyLock},
};

use arc_swap::ArcSwap;
use axum::{Router, extract::DefaultBodyLimit, middleware};
use tokio::net::TcpListener;
use utoipa::openapi::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use self::{
    auth::Door,
    idempotency::Answers,
    listener::{AdminListener, Peer},
    openapi::{Described, Description},
};
use crate::{config::Role, control::Control};

/// Serves the admin app on `listener`, by TLS if there is a certificate, until `shutdown` is over
/// and the requests in flight then are answered.
///
/// # Errors
/// The listener fails for good.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Arc<ArcSwap<rustls::ServerConfig>>>,
    control: Arc<Control>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let listener = AdminListener::new(listener, tls)?;
    let app = app(control).into_make_service_with_connect_info::<Peer>();
    axum::serve(listener, app)
        .with_graceful_shutdown(shutdown)
        .await
}

/// Everything that is served.
fn app(control: Arc<Control>) -> Router {
    let door = Door {
        control: Arc::clone(&control),
        attempts: Arc::default(),
        sessions: Arc::default(),
    };
    let answers = Arc::<Answers>::default();
    let (guarded, _) = guarded().split_for_parts();
    let (open, _) = open().split_for_parts();
    let generator = generator().route_layer(middleware::from_fn_with_state(
        door.clone(),
        argocd::authenticate,
    ));
    let (generator, _) = generator.split_for_parts();
    let (described, _) = described().split_for_parts();
    let description = Described::new(LazyLock::new(|| Description::new(&api())));

    // Unknown paths are behind the door too, so that guessing teaches nothing.
    let guarded = guarded
        .fallback(error::no_such_path)
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(DefaultBodyLimit::max(body::LIMIT))
        .layer(middleware::from_fn_with_state(answers, idempotency::once))
        .layer(middleware::from_fn_with_state(
            door.clone(),
            auth::authenticate,
        ))
        .with_state(Arc::clone(&control));
    let open = open
        .merge(generator)
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(DefaultBodyLimit::max(body::LIMIT))
        .with_state(control);
    let described = described
        .method_not_allowed_fallback(error::method_not_allowed)
        .with_state(description);
    open.merge(described)
        .merge(pages::routes(door))
        .merge(guarded)
        .layer(middleware::from_fn(caller::identify))
        .layer(middleware::from_fn(compress::compress))
}

type Routes = OpenApiRouter<Arc<Control>>;

/// The description of everything that is served.
fn api() -> OpenApi {
    let mut api = guarded().into_openapi();
    api.merge(open().into_openapi());
    api.merge(generator().into_openapi());
    api.merge(described().into_openapi());
    openapi::refuse(&mut api);
    api
}

/// What only those with a role may ask.
fn guarded() -> Routes {
    OpenApiRouter::with_openapi(openapi::blank())
        .merge(for_role(Role::Viewer, bounded(reads())))
        .merge(for_role(Role::Viewer, streams()))
        .merge(for_role(Role::Operator, bounded(changes())))
        .merge(for_role(Role::Admin, bounded(administration())))
        .merge(for_role(Role::Operator, imports()))
}

/// What anybody who reaches the listener may ask: nothing here tells of a tenant's configuration.
fn open() -> Routes {
    OpenApiRouter::new()
        .routes(routes!(status::metrics))
        .routes(routes!(status::alive))
        .routes(routes!(status::health))
        .routes(routes!(status::healthy))
        .routes(routes!(status::ready))
        .routes(routes!(status::ready_as_in_mimir))
        .routes(routes!(status::ready_as_in_prometheus))
}

/// What Argo CD asks, with a token of its own.
fn generator() -> Routes {
    bounded(OpenApiRouter::new().routes(routes!(argocd::parameters)))
}

/// What is described is no secret, and a browser has no token.
fn described() -> OpenApiRouter<Described> {
    OpenApiRouter::new()
        .routes(routes!(openapi::document))
        .routes(routes!(openapi::page))
}

fn reads() -> Routes {
    OpenApiRouter::new()
        .routes(routes!(tenants::list))
        .routes(routes!(tenants::get))
        .routes(routes!(health::overview))
        .routes(routes!(health::of_tenant))
        .routes(routes!(history::changes))
        .routes(routes!(history::availability))
        .routes(routes!(tiers::of_tenant))
        .routes(routes!(tiers::list))
        .routes(routes!(tiers::get))
        .routes(routes!(keys::list))
        .routes(routes!(keys::get))
        .routes(routes!(transfer::export_one))
        .routes(routes!(transfer::export_all))
        .routes(routes!(audit::list))
}

/// Answers without an end.
fn streams() -> Routes {
    OpenApiRouter::new().routes(routes!(events::stream))
}

fn changes() -> Routes {
    OpenApiRouter::new()
        .routes(routes!(tenants::create))
        .routes(routes!(tenants::put, tenants::patch, tenants::delete))
        .routes(routes!(tenants::invalidate))
        .routes(routes!(lifecycle::suspend))
        .routes(routes!(lifecycle::activate))
        .routes(routes!(lifecycle::restore))
        .routes(routes!(drain::begin))
        .routes(routes!(drain::end))
        .routes(routes!(maintenance::begin, maintenance::end))
        .routes(routes!(validate::validate))
        .routes(routes!(keys::create))
        .routes(routes!(keys::rotate))
        .routes(routes!(keys::revoke))
        .routes(routes!(keys::delete))
}

fn administration() -> Routes {
    OpenApiRouter::new()
        .routes(routes!(status::reload))
        .routes(routes!(tiers::put, tiers::delete))
}

/// Large, and bounded by the store's own deadlines.
fn imports() -> Routes {
    OpenApiRouter::new()
        .routes(routes!(transfer::import))
        .route_layer(DefaultBodyLimit::max(body::IMPORT_LIMIT))
}

/// Lets only operators of `role` through, and says so in the description.
fn for_role(role: Role, mut routes: Routes) -> Routes {
    openapi::guard(routes.get_openapi_mut(), role);
    routes.route_layer(middleware::from_fn_with_state(role, auth::require))
}

/// Gives requests a deadline.
fn bounded(routes: Routes) -> Routes {
    routes.route_layer(middleware::from_fn(caller::bound_time))
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
