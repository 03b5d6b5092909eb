//! Who is calling, and as part of which request: what the audit tells of a change.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody as _},
    extract::{ConnectInfo, FromRequestParts, Request},
    http::{HeaderMap, HeaderName, HeaderValue, Version, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http_body::{Frame, SizeHint};
use tenant_store::repository::Author;
use tokio::time;

use super::{
    auth::Caller,
    error::{self, ApiError},
    listener::Peer,
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest request id taken over from a client, in bytes.
const REQUEST_ID_LIMIT: usize = 128;

/// Deadline for a whole admin request: a store that hangs must not hang its callers.
const DEADLINE: Duration = Duration::from_secs(30);

/// The id of a request, the client's own or a new one.
#[derive(Clone)]
struct RequestId(Arc<str>);

/// The outermost layer: gives the request its id, and each answer what all answers have.
pub(super) async fn identify(mut request: Request, next: Next) -> Response {
    let id = RequestId(sent_id(request.headers()).map_or_else(new_id, Arc::from));
    request.extensions_mut().insert(id.clone());
    let is_http1 = request.version() < Version::HTTP_2;
    let read = Arc::new(AtomicBool::new(request.body().is_end_stream()));
    let request = request.map({
        let read = read.clone();
        |body| Body::new(Watched { body, read })
    });
    let response = next.run(request).await;
    let mut response = error::complete(response, &id.0);
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id.0) {
        headers.insert(REQUEST_ID, id);
    }
    // All but what is the same for good, and says so itself.
    let unless_told = headers.entry(header::CACHE_CONTROL);
    unless_told.or_insert(HeaderValue::from_static("no-store"));
    // The server won't read what is left of the body, so nothing can follow on the connection; a
    // client that is not told sends its next request into the void.
    if is_http1 && !read.load(Ordering::Relaxed) {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// The id that [`identify`] has given a request.
pub(super) fn request_id(request: &Request) -> Arc<str> {
    let id = request.extensions().get::<RequestId>();
    id.map_or_else(|| "".into(), |id| id.0.clone())
}

/// A request's body that tells whether it was read to its end.
struct Watched {
    body: Body,
    read: Arc<AtomicBool>,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if matches!(polled, Poll::Ready(None)) || self.body.is_end_stream() {
            self.read.store(true, Ordering::Relaxed);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Gives up on requests that take too long. What they asked of the store has happened whole or
/// not at all.
pub(super) async fn bound_time(request: Request, next: Next) -> Response {
    match time::timeout(DEADLINE, next.run(request)).await {
        Ok(response) => response,
        Err(_elapsed) => ApiError::TooSlow(DEADLINE.as_secs()).into_response(),
    }
}

/// On whose behalf a handler writes.
pub(super) struct By(pub(super) Author);

impl<S: Sync> FromRequestParts<S> for By {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let caller = parts.extensions.get::<Caller>();
        let Caller { name, .. } = caller.ok_or(ApiError::Unauthenticated)?;
        let peer = parts.extensions.get::<ConnectInfo<Peer>>();
        let id = parts.extensions.get::<RequestId>();
        Ok(Self(Author {
            name: name.clone(),
            origin: peer
                .map(|ConnectInfo(peer)| peer.address.to_string())
                .unwrap_or_default(),
            request_id: id.map(|id| id.0.to_string()).unwrap_or_default(),
        }))
    }
}

/// The client's id, if it is one that logs and headers can carry.
fn sent_id(headers: &HeaderMap) -> Option<&str> {
    let id = headers.get(REQUEST_ID)?.to_str().ok()?;
    let fits =
        (1..=REQUEST_ID_LIMIT).contains(&id.len()) && id.chars().all(|c| c.is_ascii_graphic());
    fits.then_some(id)
}

fn new_id() -> Arc<str> {
    format!("{:032x}", rand::random::<u128>()).into()
}
