//! What happens to the health of tenants, as it happens: server-sent events.

use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use futures_util::stream::{self, Stream};
use serde_json::json;
use tenant_store::model::TenantId;
use tokio::sync::broadcast::error::RecvError;

use super::{error::ApiError, query::Arguments};
use crate::{
    control::Control,
    standing::{Feed, HealthEvent, Since},
};

/// The header by which a client that connects again says what it has.
const LAST_EVENT_ID: &str = "last-event-id";

/// A comment is sent so often, so that whoever is between knows the connection is used.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Follow events of health
///
/// Server-sent events without an end: `id` is the event's `seq`, `event` its `kind`, `data` the
/// event as JSON. A client that sends the last `id` it has as `Last-Event-ID` gets what came after
/// it, of the last 1,024 events that are kept; `event: gap` with nothing but `{}` says that some
/// are not there any more, and that it is time to read `/api/v1/health` again. A comment is sent
/// every 15 seconds.
#[utoipa::path(
    get,
    path = "/api/v1/events",
    tag = "health",
    operation_id = "followEvents",
    params(
        ("tenant" = Option<TenantId>, Query, nullable = false, description = "Only events of this tenant."),
        ("Last-Event-ID" = inline(Option<u64>), Header, nullable = false, minimum = 0, description = "The `id` of the last event that the client has; without it, only what happens from now on is sent."),
    ),
    responses(
        (status = 200, description = "The events.", body = HealthEvent, content_type = "text/event-stream"),
    ),
)]
pub(super) async fn stream(
    State(control): State<Arc<Control>>,
    headers: HeaderMap,
    mut arguments: Arguments,
) -> Result<Response, ApiError> {
    let tenant: Option<TenantId> = arguments.take("tenant");
    arguments.finish()?;
    let standing = control.standing();
    let since = match headers.get(LAST_EVENT_ID) {
        Some(value) => standing.since_and_feed(read_id(value)?),
        None => Since {
            events: Vec::new(),
            feed: standing.feed(),
            is_whole: true,
        },
    };
    let stream = Sse::new(events(since, tenant)).keep_alive(KeepAlive::new().interval(HEARTBEAT));
    // Proxies that gather answers would hold events back.
    let unbuffered = [
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (
            header::HeaderName::from_static("x-accel-buffering"),
            HeaderValue::from_static("no"),
        ),
    ];
    Ok((unbuffered, stream).into_response())
}

fn read_id(value: &HeaderValue) -> Result<u64, ApiError> {
    let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
    let number = text.parse().ok().filter(|id| *id < u64::MAX);
    number.ok_or_else(|| {
        let message = "expected the `id` of an event, a whole number";
        ApiError::fault("Last-Event-ID", Some(text), message)
    })
}

struct Sending {
    ready: VecDeque<Arc<HealthEvent>>,
    feed: Feed,
    /// Some were missed, and the client isn't told yet.
    gap: bool,
    tenant: Option<TenantId>,
}

fn events(
    since: Since,
    tenant: Option<TenantId>,
) -> impl Stream<Item = Result<Event, Infallible>> + Send + 'static {
    let sending = Sending {
        ready: since.events.into(),
        feed: since.feed,
        gap: !since.is_whole,
        tenant,
    };
    stream::unfold(sending, |mut sending| async move {
        let event = sending.next().await?;
        Some((Ok(event), sending))
    })
}

impl Sending {
    async fn next(&mut self) -> Option<Event> {
        loop {
            if std::mem::take(&mut self.gap) {
                return Some(Event::default().event("gap").data("{}"));
            }
            let event = match self.ready.pop_front() {
                Some(event) => event,
                None => match self.feed.recv().await {
                    Ok(event) => event,
                    Err(RecvError::Lagged(_)) => {
                        self.gap = true;
                        continue;
                    }
                    Err(RecvError::Closed) => return None,
                },
            };
            if self
                .tenant
                .as_ref()
                .is_none_or(|only| *only == event.tenant)
            {
                return Some(told(&event));
            }
        }
    }
}

fn told(event: &HealthEvent) -> Event {
    Event::default()
        .id(event.seq.to_string())
        .event(event.kind.as_str())
        .data(json!(event).to_string())
}
