//! What has happened to the health of tenants: one event each, the last of them kept.

use std::{collections::VecDeque, fmt, sync::Arc};

use jiff::Timestamp;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tenant_store::model::{Signal, TenantId};
use tokio::sync::broadcast;
use utoipa::ToSchema;

/// One change of a tenant's health.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HealthEvent {
    /// Its place in the sequence of this router's events. Begins with the time of the router's
    /// start, so that it goes up over restarts as well.
    pub seq: u64,
    /// When it was noticed.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// What has changed.
    pub kind: Kind,
    /// Whose health.
    pub tenant: TenantId,
    /// In which deployment; not for the tenant as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub signal: Option<Signal>,
    /// Which endpoint, as `host:port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub endpoint: Option<String>,
    /// What it was: a condition; with `failover` the endpoints that served, with `findings` what had
    /// been found, with commas between.
    pub from: String,
    /// What it is, likewise.
    pub to: String,
    /// Why, in one of a few words.
    pub cause: Cause,
    /// The same for people.
    pub sentence: String,
}

/// What an event tells of.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[schema(as = HealthEventKind)]
pub enum Kind {
    /// An endpoint's condition.
    Endpoint,
    /// What deep checks found wrong with an endpoint.
    Findings,
    /// Which endpoints of a deployment serve.
    Failover,
    /// A deployment's condition.
    Deployment,
    /// A tenant's condition.
    Tenant,
    /// Maintenance has begun or ended.
    Maintenance,
}

impl Kind {
    /// The name used in logs, metrics and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Endpoint => "endpoint",
            Self::Findings => "findings",
            Self::Failover => "failover",
            Self::Deployment => "deployment",
            Self::Tenant => "tenant",
            Self::Maintenance => "maintenance",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why something changed: few enough for a metric's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Cause {
    /// Something about an endpoint.
    Endpoint(health::Cause),
    /// Something an operator did.
    Operator(ByOperator),
}

/// What operators do that changes health.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ByOperator {
    /// An endpoint was drained, or taken back into use.
    Drain,
    /// Maintenance began or ended.
    Maintenance,
    /// The tenant's document changed otherwise, or can't be carried out.
    Config,
}

impl Cause {
    /// Every cause there is.
    pub fn all() -> impl Iterator<Item = Self> {
        let of_endpoints = health::Cause::ALL.into_iter().map(Self::Endpoint);
        of_endpoints.chain([Self::DRAIN, Self::MAINTENANCE, Self::CONFIG])
    }

    /// An endpoint was drained, or taken back into use.
    pub const DRAIN: Self = Self::Operator(ByOperator::Drain);
    /// Maintenance began or ended.
    pub const MAINTENANCE: Self = Self::Operator(ByOperator::Maintenance);
    /// The tenant's document changed otherwise, or can't be carried out.
    pub const CONFIG: Self = Self::Operator(ByOperator::Config);

    /// The name used in logs, metrics and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Endpoint(cause) => cause.as_str(),
            Self::DRAIN => "drain",
            Self::MAINTENANCE => "maintenance",
            Self::CONFIG => "config",
        }
    }
}

impl From<health::Cause> for Cause {
    fn from(cause: health::Cause) -> Self {
        Self::Endpoint(cause)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl utoipa::PartialSchema for Cause {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .description(Some("Why, in one of a few words."))
            .enum_values(Some(Self::all().map(Self::as_str)))
            .into()
    }
}

impl ToSchema for Cause {
    fn name() -> std::borrow::Cow<'static, str> {
        "HealthCause".into()
    }
}

/// What is told of a change before it has its place in the sequence.
#[derive(Debug)]
pub(super) struct News {
    pub(super) kind: Kind,
    pub(super) tenant: TenantId,
    pub(super) signal: Option<Signal>,
    pub(super) endpoint: Option<String>,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) cause: Cause,
    pub(super) sentence: String,
}

/// The last events, and who listens.
#[derive(Debug)]
pub(super) struct Events {
    kept: Mutex<Kept>,
    feed: broadcast::Sender<Arc<HealthEvent>>,
}

#[derive(Debug)]
struct Kept {
    next: u64,
    events: VecDeque<Arc<HealthEvent>>,
}

impl Events {
    pub(super) fn new() -> Self {
        Self::from(first_seq(Timestamp::now()))
    }

    fn from(next: u64) -> Self {
        Self {
            kept: Mutex::new(Kept {
                next,
                events: VecDeque::new(),
            }),
            feed: broadcast::Sender::new(KEPT),
        }
    }

    /// Gives the news its place and tells everybody.
    pub(super) fn tell(&self, news: News) -> Arc<HealthEvent> {
        let News {
            kind,
            tenant,
            signal,
            endpoint,
            from,
            to,
            cause,
            sentence,
        } = news;
        let mut kept = self.kept.lock();
        let event = Arc::new(HealthEvent {
            seq: kept.next,
            at: Timestamp::now(),
            kind,
            tenant,
            signal,
            endpoint,
            from,
            to,
            cause,
            sentence,
        });
        kept.next += 1;
        if kept.events.len() == KEPT {
            kept.events.pop_front();
        }
        kept.events.push_back(event.clone());
        // Under the lock, so that listeners get them in sequence. Nobody listening is fine.
        let _ = self.feed.send(event.clone());
        event
    }

    pub(super) fn feed(&self) -> broadcast::Receiver<Arc<HealthEvent>> {
        self.feed.subscribe()
    }

    /// Those after `seq` that are kept, and what comes from then on: none twice, none left out in
    /// between. A place that was not reached yet is another router's, and says nothing of what was
    /// missed here.
    pub(super) fn since_and_feed(&self, seq: u64) -> Since {
        let kept = self.kept.lock();
        let oldest = kept.events.front().map_or(kept.next, |event| event.seq);
        let since = kept.events.iter().filter(|event| event.seq > seq).cloned();
        Since {
            events: since.collect(),
            feed: self.feed.subscribe(),
            is_whole: seq < kept.next && seq + 1 >= oldest,
        }
    }

    pub(super) fn since(&self, seq: u64) -> Vec<Arc<HealthEvent>> {
        self.since_and_feed(seq).events
    }

    /// The place of the newest, whether or not there is any yet.
    pub(super) fn newest(&self) -> u64 {
        self.kept.lock().next - 1
    }

    /// The newest of those that fit.
    pub(super) fn last(&self, fits: impl Fn(&HealthEvent) -> bool) -> Option<Arc<HealthEvent>> {
        let kept = self.kept.lock();
        kept.events.iter().rev().find(|event| fits(event)).cloned()
    }
}

/// What has happened after a certain event.
#[derive(Debug)]
pub struct Since {
    /// What is kept of it.
    pub events: Vec<Arc<HealthEvent>>,
    /// What comes after these.
    pub feed: Feed,
    /// Whether nothing between is left out.
    pub is_whole: bool,
}

/// Events as they happen.
pub type Feed = broadcast::Receiver<Arc<HealthEvent>>;

/// Leaves room for 65,536 events in each second, and for numbers that JavaScript can hold.
fn first_seq(start: Timestamp) -> u64 {
    (u64::try_from(start.as_second()).unwrap_or_default() << 16) + 1
}

/// Events that are kept for those who come late.
pub(super) const KEPT: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    fn news(tenant: &str) -> News {
        News {
            kind: Kind::Tenant,
            tenant: tenant.parse().expect("an id"),
            signal: None,
            endpoint: None,
            from: "healthy".into(),
            to: "degraded".into(),
            cause: Cause::CONFIG,
            sentence: "something".into(),
        }
    }

    /// Whoever comes late gets what is kept and misses nothing after it.
    #[test]
    fn late_comers_get_what_is_kept() {
        let events = Events::from(1);
        for _ in 0..KEPT + 10 {
            events.tell(news("acme"));
        }
        let kept = events.since(0);
        assert_eq!((kept.len(), kept[0].seq), (KEPT, 11));
        let mut since = events.since_and_feed(1_030);
        assert_eq!((since.events.len(), since.is_whole), (4, true));
        assert!(events.since_and_feed(10).is_whole);
        assert!(!events.since_and_feed(9).is_whole);
        assert!(events.since_and_feed(events.newest()).is_whole);
        for elsewhere in [events.newest() + 1, u64::MAX] {
            let since = events.since_and_feed(elsewhere);
            assert_eq!((since.events.len(), since.is_whole), (0, false));
        }
        events.tell(news("globex"));
        let next = since.feed.try_recv().expect("one more");
        assert_eq!((next.seq, next.tenant.as_str()), (1_035, "globex"));
        assert_eq!(events.newest(), 1_035);
        let last = events.last(|event| event.tenant.as_str() == "acme");
        assert_eq!(last.map(|event| event.seq), Some(1_034));
    }

    /// An event is read back as it was written; causes are flat words.
    #[test]
    fn events_survive_json() {
        let events = Events::new();
        for cause in Cause::all() {
            let told = events.tell(News {
                cause,
                ..news("acme")
            });
            let json = serde_json::to_value(&*told).expect("JSON");
            assert_eq!(json["cause"], cause.as_str());
            let read: HealthEvent = serde_json::from_value(json).expect("an event");
            assert_eq!(read, *told);
        }
    }
}
