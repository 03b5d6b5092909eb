//! The page of this router.

use std::sync::Arc;

use axum::{Extension, extract::State, http::HeaderMap, response::Html};
use jiff::Timestamp;

use super::viewer;
use crate::{
    REVISION,
    admin::{auth::Caller, error::ApiError, query::Arguments},
    config::{Authentication, Config, ListenerConfig, StoreConfig},
    control::{Control, Readiness},
    pages::{
        layout::{Frame, Freshness, Place},
        router::{Fact, Page, Part},
    },
};

/// Looked at again after so many seconds.
const EVERY: u32 = 10;

/// This router: what it is, what it knows, what it is told to do.
pub(super) async fn page(
    State(control): State<Arc<Control>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    arguments: Arguments,
) -> Result<Html<String>, ApiError> {
    arguments.finish()?;
    let (mut configured, store) = control
        .configuration(|config| (configuration(config), place(&config.store)))
        .await;
    configured.facts.extend(reloads(&control));
    let page = Page {
        not_ready: match control.readiness() {
            Readiness::Ready => None,
            Readiness::NotReady(why) => Some(why),
        },
        started: control.started(),
        parts: vec![
            build(&control),
            known(&control),
            kept(&control, store),
            connections(&control),
            probes(&control),
            configured,
        ],
    };
    let frame = Frame {
        title: "Router",
        place: Some(Place::Router),
        viewer: viewer(&caller, &headers),
        freshness: Freshness {
            stream: None,
            every: EVERY,
        },
        charts: false,
    };
    Ok(Html(frame.around(&page.main()).into_string()))
}

fn text(text: impl Into<String>) -> Fact {
    Fact::Text(text.into())
}

fn build(control: &Control) -> Part {
    let dropped = control.log_lines_dropped();
    Part {
        name: "build",
        title: "Build and process",
        facts: vec![
            ("Version", text(env!("CARGO_PKG_VERSION"))),
            ("Revision", Fact::Code(REVISION.into())),
            ("Process id", Fact::Code(std::process::id().to_string())),
            ("Log lines dropped", count(dropped)),
        ],
    }
}

fn known(control: &Control) -> Part {
    let stats = control.tenants().stats();
    Part {
        name: "cache",
        title: "Tenant cache",
        facts: vec![
            ("Tenants held", Fact::Count(stats.entries)),
            ("Unknown ids held", Fact::Count(stats.negative_entries)),
            ("Look-ups answered", Fact::Count(stats.hits)),
            ("Answered \"unknown\"", Fact::Count(stats.negative_hits)),
            ("Asked of the store", Fact::Count(stats.misses)),
            ("Answered past their time", Fact::Count(stats.stale)),
            ("Dropped for want of room", Fact::Count(stats.evictions)),
        ],
    }
}

fn kept(control: &Control, place: String) -> Part {
    let stats = control.tenants().stats();
    let faults = control.repository().store().faults();
    let told = |fault: &tenant_store::repository::StoreFault| {
        format!("{}: {}", fault.place.display(), fault.message)
    };
    let mut facts = vec![
        ("Kept in", Fact::Code(place)),
        (
            "Last heard of",
            stats
                .last_contact
                .and_then(moment)
                .unwrap_or_else(|| text("never")),
        ),
        ("Reads that went well", Fact::Count(stats.loads_ok)),
        ("Reads that failed", Fact::Count(stats.loads_failed)),
    ];
    facts.push(match faults.as_slice() {
        [] => ("Faults", Fact::Verdict(true, "none".into())),
        faults => ("Faults", Fact::Several(faults.iter().map(told).collect())),
    });
    Part {
        name: "store",
        title: "Store",
        facts,
    }
}

fn connections(control: &Control) -> Part {
    let totals = control.telemetry().connections();
    let upstream = totals.upstream_opened + totals.upstream_reused;
    let reused = match upstream {
        0 => text("–"),
        all => text(format!("{} %", totals.upstream_reused * 100 / all)),
    };
    Part {
        name: "connections",
        title: "Workers and connections",
        facts: vec![
            ("Client connections open", Fact::Count(totals.open)),
            ("Accepted since the start", Fact::Count(totals.accepted)),
            ("Opened to endpoints", Fact::Count(totals.upstream_opened)),
            ("Requests on one that was there", reused),
            (
                "Retries the budget denied",
                Fact::Count(totals.retries_denied),
            ),
        ],
    }
}

fn probes(control: &Control) -> Part {
    let stats = control.probes();
    let mut facts = vec![
        ("Endpoints watched", count(stats.endpoints)),
        ("Changes of state", Fact::Count(stats.transitions)),
        ("Probes finished", Fact::Count(stats.probes.total())),
    ];
    let failed = stats.probes.by_result().into_iter();
    let failed = failed.filter(|(result, count)| *result != "ok" && *count > 0);
    let failed: Vec<_> = failed
        .map(|(result, count)| format!("{result}: {count}"))
        .collect();
    facts.push(if failed.is_empty() {
        ("Of them failed", text("none"))
    } else {
        ("Of them failed", Fact::Several(failed))
    });
    if let Some(mean) = stats
        .probe_time
        .checked_div(u32::try_from(stats.probes.total()).unwrap_or(u32::MAX))
    {
        facts.push((
            "Mean time of a probe",
            text(format!("{:.1} ms", mean.as_secs_f64() * 1e3)),
        ));
    }
    Part {
        name: "probes",
        title: "Health monitor",
        facts,
    }
}

/// What it is told to do. No secrets: only what stands in places that hold none.
fn configuration(config: &Config) -> Part {
    let settings = &config.settings;
    let identify = &settings.identify;
    let sources: Vec<_> = identify
        .sources
        .iter()
        .map(|source| source.as_str())
        .collect();
    let authentication = match &identify.authentication {
        Authentication::Required => "required".to_owned(),
        Authentication::TrustedNetwork(networks) if networks.is_empty() => {
            "a name alone is believed, from everywhere".to_owned()
        }
        Authentication::TrustedNetwork(networks) => {
            let networks: Vec<_> = networks.iter().map(ToString::to_string).collect();
            format!("a name alone is believed from {}", networks.join(", "))
        }
    };
    let admin = match (config.admin_listen, &config.admin_tls) {
        (None, _) => "none".to_owned(),
        (Some(address), None) => address.to_string(),
        (Some(address), Some(_)) => format!("{address}, TLS"),
    };
    Part {
        name: "configuration",
        title: "Configuration",
        facts: vec![
            (
                "Clients connect to",
                Fact::Several(config.listeners.iter().map(listener).collect()),
            ),
            ("Operators connect to", text(admin)),
            ("Workers", count(config.workers)),
            ("Tenants are named by", text(sources.join(", "))),
            ("Authentication", text(authentication)),
            ("Tenants held at most", Fact::Count(config.cache.capacity)),
            ("Tenants with own metrics", count(config.max_tenants)),
            (
                "Probes at a time",
                count(config.health.max_concurrent_probes),
            ),
            ("Log level", Fact::Code(settings.log.level.clone())),
        ],
    }
}

/// Whether what is in force is what is written, and since when.
fn reloads(control: &Control) -> [(&'static str, Fact); 2] {
    let reloads = &control.telemetry().reloads;
    let is_current = reloads.successful.get() == 1;
    let verdict = if is_current {
        "taken"
    } else {
        "refused, the one before is in force; the log tells why"
    };
    let read = Timestamp::from_second(reloads.succeeded_at.get()).unwrap_or_default();
    [
        ("Last reload", Fact::Verdict(is_current, verdict.into())),
        ("Read", Fact::Moment(read)),
    ]
}

fn listener(listener: &ListenerConfig) -> String {
    let mut text = listener.address.to_string();
    if let Some(signal) = listener.signal {
        text.extend([", ", signal.as_str(), " only"]);
    }
    if listener.tls.is_some() {
        text.push_str(", TLS");
    }
    if listener.proxy_protocol {
        text.push_str(", PROXY protocol");
    }
    text
}

/// Where the store is; without user, password or key.
fn place(store: &StoreConfig) -> String {
    match store {
        StoreConfig::Sqlite { path, .. } => format!("sqlite {}", path.display()),
        StoreConfig::Files { path, .. } => format!("files {}", path.display()),
        StoreConfig::Postgres { url, .. } => format!("{url:?}"),
        StoreConfig::Weaviate { url, .. } => format!("weaviate {url}"),
    }
}

fn count(number: usize) -> Fact {
    Fact::Count(number as u64)
}

fn moment(at: std::time::SystemTime) -> Option<Fact> {
    Timestamp::try_from(at).ok().map(Fact::Moment)
}
