//! The goals that were set in figures, each beside what was seen, and whether it is met: by the
//! median of the rounds, or by the worst of them where something must not happen at all.

use super::{NOTHING, OURS, Table, find, grouped, number, ours, told};
use crate::{
    peer::{Kind, setup::CHECK_SECONDS},
    scenario::{
        Records,
        beyond::Beyond,
        failover::Outcome,
        latency::Times,
        memory::{self, Asked},
        rounds::Rounds,
        streaming::Stream,
        tenants,
    },
    stats::Spread,
};

/// Whom Mirador is compared with where a goal speaks of all.
const PEERS: [Kind; 4] = [Kind::Haproxy, Kind::Nginx, Kind::Envoy, Kind::Vmauth];
/// Where tenants are active, and where they are known.
const ACTIVE: u32 = 10_000;
const KNOWN: u32 = 100_000;
/// CPU time that counts as none, in milliseconds per second: a thousandth of a processor.
const NONE_MS: f64 = 1.0;

/// Growth that counts as none, while ever more tenants are asked than are kept.
const BOUNDED: f64 = 1.05;

/// All of them.
pub(super) fn table(records: &Records) -> String {
    let mut table = Table::new(["goal", "at most", "seen", ""]);
    let all = [
        small_requests(records),
        by_tenants(records),
        memory_and_changes(records),
        streams(records),
        latency(records),
        encrypted(records),
        connections(records),
        failover(records),
    ];
    for goal in all.concat() {
        let (seen, verdict) = match &goal.seen {
            Some((seen, true)) => (seen.as_str(), "met"),
            Some((seen, false)) => (seen.as_str(), "missed"),
            None => (NOTHING, "not measured"),
        };
        table.row([&goal.what, &goal.limit, seen, verdict]);
    }
    table.to_string()
}

#[derive(Debug, Clone)]
struct Goal {
    what: String,
    limit: String,
    /// What was seen, and whether that is enough.
    seen: Option<(String, bool)>,
}

impl Goal {
    /// A ratio within rounds.
    fn multiple(what: impl Into<String>, limit: f64, seen: Option<Spread>) -> Self {
        Self {
            what: what.into(),
            limit: format!("{limit:.2} ×"),
            seen: seen.map(|seen| (format!("{} ×", told(Some(seen), 3)), seen.median <= limit)),
        }
    }

    /// An amount of something.
    fn amount(
        what: impl Into<String>,
        limit: f64,
        unit: &str,
        digits: usize,
        seen: Option<f64>,
    ) -> Self {
        let told = |figure: String| format!("{figure} {unit}").trim_end().to_owned();
        Self {
            what: what.into(),
            limit: told(limit.to_string()),
            seen: seen.map(|seen| (told(format!("{seen:.digits$}")), seen <= limit)),
        }
    }
}

fn small_requests(records: &Records) -> Vec<Goal> {
    let all = records.throughput.as_ref().map(|record| &record.figures);
    let beside = |among: &[Kind]| beside(all?, among, |seen| seen.cpu_us);
    let what = |whom: &str| format!("CPU per small request, one tenant, as a multiple of {whom}");
    vec![
        Goal::multiple(
            what("the better of HAProxy and nginx"),
            1.0,
            beside(&[Kind::Haproxy, Kind::Nginx]),
        ),
        Goal::multiple(what("vmauth"), 0.25, beside(&[Kind::Vmauth])),
        Goal::multiple(what("TCP forward"), 1.4, beside(&[Kind::TcpForward])),
    ]
}

fn by_tenants(records: &Records) -> Vec<Goal> {
    let levels = records.tenants.as_ref().map(|record| &record.figures);
    let level = levels.and_then(|all| all.iter().find(|level| level.tenants == ACTIVE));
    let cpu = |seen: &tenants::Seen| seen.measured.cpu_us;
    let beside = |kind| beside(&level?.peers, &[kind], cpu);
    let flat = level.and_then(|level| {
        let single = level.single.as_ref()?;
        ours(&level.peers)?.multiple_of(single, cpu)
    });
    let active = grouped(ACTIVE);
    let what =
        |whom: &str| format!("CPU per small request, {active} tenants, as a multiple of {whom}");
    vec![
        Goal::multiple(what("HAProxy"), 0.75, beside(Kind::Haproxy)),
        Goal::multiple(what("vmauth"), 0.25, beside(Kind::Vmauth)),
        Goal::multiple(what("Mirador with one tenant"), 1.02, flat),
    ]
}

fn memory_and_changes(records: &Records) -> Vec<Goal> {
    let levels = records.memory.as_ref().map(|record| &record.figures);
    let level = |tenants| levels?.iter().find(|level| level.tenants == tenants);
    let most = |asked: &Asked| megabytes(asked.once.resident.max(asked.loaded.resident));
    let active = level(ACTIVE).and_then(|level: &memory::Level| level.asked.as_ref().map(most));
    let known = level(KNOWN).map(|level| megabytes(level.known.resident));
    let beyond = records.beyond.as_ref();
    let stored = beyond.map_or(1_000_000, |record| record.extent.stored);
    let beyond = beyond.and_then(|record| growth(&record.figures));
    let starts = records.start.as_ref().map(|record| &record.figures);
    let start = starts.and_then(|all| all.iter().find(|seen| seen.tenants == KNOWN));
    let first = start.and_then(|seen| Spread::of(seen.first_answer_ms.iter().copied()));
    let change = records.change.as_ref();
    let amid = change.map_or(ACTIVE, |record| record.extent.tenants);
    let change = change.map(|record| &record.figures);
    vec![
        Goal::amount(
            format!("memory, {} active tenants", grouped(ACTIVE)),
            64.0,
            "MB",
            1,
            active,
        ),
        Goal::amount(
            format!("memory, {} known tenants", grouped(KNOWN)),
            256.0,
            "MB",
            1,
            known,
        ),
        Goal::multiple(
            format!(
                "memory, {} tenants in the store, as a multiple of when half of the loads were over",
                grouped(stored)
            ),
            BOUNDED,
            beyond,
        ),
        Goal::amount(
            format!("from start to first answer, {} tenants", grouped(KNOWN)),
            100.0,
            "ms",
            1,
            first.map(|first| first.median),
        ),
        Goal::amount(
            format!(
                "a changed tenant takes effect, worst, {} tenants",
                grouped(amid)
            ),
            50.0,
            "ms",
            1,
            change.map(|change| change.here.worst),
        ),
        Goal::amount(
            "CPU time of a change, with the requests that look for it",
            1.0,
            "ms",
            2,
            change.and_then(|change| change.cpu_ms),
        ),
    ]
}

/// What is held when all loads are over, as a multiple of when half of them were.
fn growth(beyond: &Beyond) -> Option<Spread> {
    let held = |load: usize| Some(megabytes(beyond.asked.get(load)?.memory.resident));
    let (half, all) = (beyond.asked.len() / 2, beyond.asked.len());
    Spread::of([held(all.checked_sub(1)?)? / held(half.checked_sub(1)?)?])
}

fn streams(records: &Records) -> Vec<Goal> {
    let streaming = records.streaming.as_ref().map(|record| &record.figures);
    let ways = streaming.map(|all| [&all.down, &all.down_chunked, &all.up_chunked]);
    let names = ["down", "down, chunked", "up, chunked"];
    let mut goals = Vec::new();
    for (at, name) in names.into_iter().enumerate() {
        let all = ways.as_ref().and_then(|ways| ways.get(at));
        let seen = all.and_then(|all| beside(all, &PEERS, |seen: &Stream| seen.cpu_s_per_gb));
        let what = format!("CPU per GB streamed {name}, as a multiple of the best peer's");
        goals.push(Goal::multiple(what, 1.0, seen));
    }
    let peaks = ways.iter().flatten().filter_map(|all| {
        let peak = ours(all)?.spread(|seen| seen.peak_kib.map(megabytes));
        peak.map(|peak| peak.median)
    });
    let tails = records.tails.as_ref().map(|record| &record.figures);
    let silent = tails.and_then(|tails| ours(&tails.seen));
    let held = silent.and_then(|ours| ours.spread(|seen| Some(seen.bytes? / 1e3)));
    let used =
        silent.and_then(|ours| ours.spread(|seen| Some(seen.cpu_ms_per_s? - seen.idle_ms_per_s?)));
    goals.extend([
        Goal::amount(
            "memory above idle while a body passes",
            4.0,
            "MB",
            1,
            peaks.reduce(f64::max),
        ),
        Goal::amount(
            "memory per silent live tail",
            40.0,
            "kB",
            1,
            held.map(|held| held.median),
        ),
        Goal::amount(
            "CPU time of all silent tails above rest (no more than that is none)",
            NONE_MS,
            "ms/s",
            2,
            used.map(|used| used.median),
        ),
    ]);
    goals
}

fn latency(records: &Records) -> Vec<Goal> {
    let record = records.latency.as_ref();
    let rate = record.map_or(1_000, |record| record.extent.paced.rate);
    let at_rate = format!("at {} requests/s", grouped(rate));
    let lone = record.map(|record| record.figures.lone.as_slice());
    let paced = record.map(|record| record.figures.paced.as_slice());
    let p50: fn(&Times) -> f64 = |one| one.p50_us;
    let p99: fn(&Times) -> f64 = |one| one.p99_us;
    [
        ("p50", "on one connection", lone, p50),
        ("p99", "on one connection", lone, p99),
        ("p50", at_rate.as_str(), paced, p50),
        ("p99", at_rate.as_str(), paced, p99),
    ]
    .into_iter()
    .map(|(what, at, all, of)| added(&format!("{what} added over direct {at}"), all, of))
    .collect()
}

/// That ours adds no more than the peer that adds least.
fn added(what: &str, all: Option<&[Rounds<Times>]>, of: fn(&Times) -> f64) -> Goal {
    let added = |kind| {
        let all = all?;
        let above = find(all, kind)?.above(find(all, super::BASE)?, |one| Some(of(one)))?;
        Some(above.median)
    };
    let peers = PEERS
        .into_iter()
        .filter_map(|kind| Some((kind, added(kind)?)));
    let best = peers.min_by(|one, other| one.1.total_cmp(&other.1));
    let limit = best.map_or_else(
        || "the best peer's".into(),
        |(kind, best)| format!("{best:.0} µs ({})", kind.name()),
    );
    let seen = added(OURS).zip(best);
    Goal {
        what: what.into(),
        limit,
        seen: seen.map(|(seen, (_, best))| (format!("{seen:.0} µs"), seen <= best)),
    }
}

fn encrypted(records: &Records) -> Vec<Goal> {
    let tls = records.tls.as_ref().map(|record| &record.figures);
    let http2 = records.http2.as_ref().map(|record| &record.figures);
    let nginx = [Kind::Nginx];
    let what = |what: &str| format!("CPU {what}, as a multiple of nginx's");
    vec![
        Goal::multiple(
            what("per request inside TLS"),
            1.0,
            tls.and_then(|tls| beside(&tls.kept, &nginx, |seen| seen.cpu_us)),
        ),
        Goal::multiple(
            what("per connection with a TLS session resumed"),
            1.0,
            tls.and_then(|tls| beside(&tls.resumed, &nginx, |seen| seen.cpu_us)),
        ),
        Goal::multiple(
            what("per connection with a full TLS handshake"),
            1.0,
            tls.and_then(|tls| beside(&tls.full, &nginx, |seen| seen.cpu_us)),
        ),
        Goal::multiple(
            what("per HTTP/2 request inside TLS"),
            1.0,
            http2.and_then(|http2| beside(&http2.over_tls, &nginx, |seen| seen.cpu_us)),
        ),
        Goal::multiple(
            what("per HTTP/2 request in clear"),
            1.0,
            http2.and_then(|http2| beside(&http2.in_clear, &nginx, |seen| seen.cpu_us)),
        ),
    ]
}

fn connections(records: &Records) -> Vec<Goal> {
    let all = records.connections.as_ref().map(|record| &record.figures);
    let storm = all.and_then(|all| beside(&all.storm, &[Kind::Haproxy], |seen| seen.cpu_us));
    let idle = all.and_then(|all| ours(&all.open)?.spread(|seen| Some(seen.bytes? / 1e3)));
    vec![
        Goal::multiple(
            "CPU per short connection, as a multiple of HAProxy's",
            1.0,
            storm,
        ),
        Goal::amount(
            "memory per idle connection",
            12.0,
            "kB",
            2,
            idle.map(|idle| idle.median),
        ),
    ]
}

fn failover(records: &Records) -> Vec<Goal> {
    let all = records.failover.as_ref().map(|record| &record.figures);
    let worst = |all: Option<&[Rounds<Outcome>]>, of: fn(&Outcome) -> f64| {
        let seen = ours(all?)?.spread(|seen| Some(of(seen)))?;
        Some(seen.max)
    };
    let killed = all.map(|all| all.killed.as_slice());
    let hung = all.map(|all| all.hung.as_slice());
    let hedged = all.map(|all| all.hung_with_hedging.as_slice());
    let failed: fn(&Outcome) -> f64 = |seen| number(seen.failed);
    let timeouts = 2.0 * f64::from(CHECK_SECONDS) * 1e3;
    vec![
        Goal::amount(
            "reads that failed when an endpoint was killed, any round",
            0.0,
            "",
            0,
            worst(killed, failed),
        ),
        Goal::amount(
            "worst answer when an endpoint was killed, any round",
            50.0,
            "ms",
            1,
            worst(killed, |seen| seen.worst_ms),
        ),
        Goal::amount(
            "reads that failed when an endpoint hung, any round",
            0.0,
            "",
            0,
            worst(hung, failed),
        ),
        Goal::amount(
            "p99 when an endpoint hung, any round: two probe timeouts",
            timeouts,
            "ms",
            1,
            worst(hung, |seen| seen.p99_ms),
        ),
        Goal::amount(
            "reads that failed when an endpoint hung, with hedging, any round",
            0.0,
            "",
            0,
            worst(hedged, failed),
        ),
        Goal::amount(
            "p99 when an endpoint hung, with hedging, any round",
            250.0,
            "ms",
            1,
            worst(hedged, |seen| seen.p99_ms),
        ),
    ]
}

/// Ours as a multiple of the least of some peers, round by round.
fn beside<T>(all: &[Rounds<T>], among: &[Kind], of: fn(&T) -> Option<f64>) -> Option<Spread> {
    let ours = ours(all)?;
    let multiples = ours.rounds.iter().enumerate().filter_map(|(round, seen)| {
        let theirs = among
            .iter()
            .filter_map(|kind| of(find(all, *kind)?.rounds.get(round)?));
        Some(of(seen)? / theirs.reduce(f64::min)?)
    });
    Spread::of(multiples)
}

/// KiB in 10⁶ bytes.
fn megabytes(kib: u64) -> f64 {
    f64::from(u32::try_from(kib).unwrap_or(u32::MAX)) * 1024.0 / 1e6
}

#[cfg(test)]
mod tests;
