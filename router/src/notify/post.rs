//! One receiver: a message at a time, until it has arrived or can't.

use std::{error::Error, sync::Arc, time::Duration};

use jiff::Timestamp;
use reqwest::{Client, StatusCode, redirect};
use rustls::{ClientConfig, RootCertStore};
use tenant_store::model::UpstreamTls;
use thiserror::Error;
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};
use url::Url;

pub(super) use super::webhook::Pace;
use super::{alert::Firing, alertmanager, webhook};
use crate::{
    config::{ReceiverConfig, ReceiverKind},
    telemetry::NotificationCounts,
    tls::{self, TlsFault},
};

/// Between two tries of a message that does not arrive.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// The longest wait for something to say.
const IDLE: Duration = Duration::from_mins(1);

/// Why a message did not arrive.
#[derive(Debug, Error)]
enum PostFault {
    #[error("no connection can be set up: {0}")]
    Tls(#[from] TlsFault),
    #[error("no connection can be set up: {0}")]
    Client(#[source] reqwest::Error),
    #[error("the message can't be written: {0}")]
    Body(#[from] serde_json::Error),
    #[error("{0}")]
    Unreachable(String),
    #[error("it answers {0}")]
    Status(StatusCode),
}

impl PostFault {
    /// Whether the same message would be refused again.
    fn is_final(&self) -> bool {
        match self {
            Self::Status(status) => {
                status.is_client_error()
                    && *status != StatusCode::TOO_MANY_REQUESTS
                    && *status != StatusCode::REQUEST_TIMEOUT
            }
            Self::Body(_) => true,
            Self::Tls(_) | Self::Client(_) | Self::Unreachable(_) => false,
        }
    }
}

/// What a receiver knows, by what it understands.
enum Known {
    Alertmanager(alertmanager::Known),
    Webhook(webhook::Known),
}

enum Message {
    Alertmanager(alertmanager::Message),
    Webhook(webhook::Message),
}

/// Tells a receiver what is firing, for good.
pub(super) async fn tell(
    receiver: ReceiverConfig,
    pace: Pace,
    page_url: Option<Url>,
    mut firing: watch::Receiver<Arc<Firing>>,
    counts: NotificationCounts,
) {
    let mut known = match receiver.kind {
        ReceiverKind::Alertmanager => Known::Alertmanager(alertmanager::Known::nothing()),
        ReceiverKind::Webhook => Known::Webhook(webhook::Known::nothing(pace)),
    };
    let mut client = None;
    let mut pause = PAUSES.0;
    loop {
        let current = firing.borrow_and_update().clone();
        let now = Instant::now();
        let Some(message) = known.due(&current, now) else {
            let wake = known.next(&current, now).unwrap_or(now + IDLE);
            tokio::select! {
                changed = firing.changed() => if changed.is_err() { return },
                () = sleep_until(wake.min(now + IDLE)) => {}
            }
            continue;
        };
        match post(&receiver, &mut client, &message, page_url.as_ref()).await {
            Ok(()) => {
                counts.sent.inc();
                pause = PAUSES.0;
                known.has(message, Instant::now());
            }
            Err(error) => {
                let (kind, at) = (receiver.kind.as_str(), &receiver.url);
                tracing::warn!(receiver = kind, %at, %error, "a notification was not taken");
                if error.is_final() {
                    counts.dropped.inc();
                    known.has(message, Instant::now());
                } else {
                    counts.failed.inc();
                    if let (Known::Webhook(known), Message::Webhook(message)) =
                        (&mut known, message)
                    {
                        known.has_not(message);
                    }
                    // What is to be said then is found out anew.
                    sleep(pause).await;
                    pause = (pause * 2).min(PAUSES.1);
                }
            }
        }
    }
}

impl Known {
    fn due(&self, firing: &Firing, now: Instant) -> Option<Message> {
        match self {
            Self::Alertmanager(known) => known.due(firing, now).map(Message::Alertmanager),
            Self::Webhook(known) => known.due(firing, now).map(Message::Webhook),
        }
    }

    fn next(&self, firing: &Firing, now: Instant) -> Option<Instant> {
        match self {
            Self::Alertmanager(known) => known.next(),
            Self::Webhook(known) => known.next(firing, now),
        }
    }

    fn has(&mut self, message: Message, now: Instant) {
        match (self, message) {
            (Self::Alertmanager(known), Message::Alertmanager(message)) => known.has(message, now),
            (Self::Webhook(known), Message::Webhook(message)) => known.has(message, now),
            // Messages come from what is known, which is of one kind.
            (Self::Alertmanager(_), Message::Webhook(_))
            | (Self::Webhook(_), Message::Alertmanager(_)) => {}
        }
    }
}

impl Message {
    fn body(&self, page: Option<&Url>) -> serde_json::Result<Vec<u8>> {
        let now = Timestamp::now();
        match self {
            Self::Alertmanager(message) => message.body(now),
            Self::Webhook(message) => message.body(now, page),
        }
    }
}

async fn post(
    receiver: &ReceiverConfig,
    client: &mut Option<Client>,
    message: &Message,
    page: Option<&Url>,
) -> Result<(), PostFault> {
    let client = match client {
        Some(client) => client,
        None => client.insert(connect(receiver)?),
    };
    let mut request = client
        .post(target(receiver))
        .header("Content-Type", "application/json")
        .body(message.body(page)?);
    if let Some(token) = &receiver.token {
        request = request.bearer_auth(token.expose());
    }
    let answer = request.send().await.map_err(|error| unreachable(&error))?;
    let status = answer.status();
    if status.is_success() {
        Ok(())
    } else {
        Err(PostFault::Status(status))
    }
}

/// Follows no redirects: alerts go where the operator says, or nowhere.
fn connect(receiver: &ReceiverConfig) -> Result<Client, PostFault> {
    let own = receiver.ca_file.as_ref().map(|file| UpstreamTls {
        ca_file: Some(file.clone()),
        ..UpstreamTls::default()
    });
    let system = match (&own, receiver.url.expose().scheme()) {
        (None, "https") => tls::system_roots(),
        _ => RootCertStore::empty(),
    };
    let tls = tls::client_config(&Arc::new(system), own.as_ref(), b"http/1.1")?;
    Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .timeout(receiver.timeout)
        .tls_backend_preconfigured(ClientConfig::clone(&tls))
        .build()
        .map_err(PostFault::Client)
}

/// An Alertmanager's URL is where it begins, a webhook's is all there is.
fn target(receiver: &ReceiverConfig) -> Url {
    let mut url = receiver.url.expose().clone();
    if receiver.kind == ReceiverKind::Alertmanager
        && let Ok(mut segments) = url.path_segments_mut()
    {
        segments.pop_if_empty().extend(["api", "v2", "alerts"]);
    }
    url
}

/// The innermost error says what happened; the outer ones name the URL, which may be a secret.
fn unreachable(error: &reqwest::Error) -> PostFault {
    if error.is_timeout() {
        return PostFault::Unreachable("no answer in time".into());
    }
    let mut cause: &dyn Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    PostFault::Unreachable(cause.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alertmanager_is_told_below_its_prefix_and_a_webhook_where_it_is() {
        for (kind, url, expected) in [
            (
                ReceiverKind::Alertmanager,
                "http://am:9093",
                "http://am:9093/api/v2/alerts",
            ),
            (
                ReceiverKind::Alertmanager,
                "https://x.example/am/",
                "https://x.example/am/api/v2/alerts",
            ),
            (
                ReceiverKind::Webhook,
                "https://x.example/hook/s3cret?x=1",
                "https://x.example/hook/s3cret?x=1",
            ),
        ] {
            assert_eq!(target(&ReceiverConfig::at(kind, url)).as_str(), expected);
        }
    }

    #[test]
    fn refusals_are_final_and_failures_are_not() {
        let fault = |code: u16| PostFault::Status(StatusCode::from_u16(code).expect("a status"));
        for code in [400, 401, 403, 404, 413, 422] {
            assert!(fault(code).is_final(), "{code}");
        }
        for code in [301, 408, 429, 500, 502, 503] {
            assert!(!fault(code).is_final(), "{code}");
        }
        assert!(!PostFault::Unreachable(String::new()).is_final());
    }
}
