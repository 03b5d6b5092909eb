//! Tables of what connections cost: in clear, inside TLS, and with HTTP/2.

use super::{Table, ours, told};
use crate::{
    peer::Measured,
    scenario::{
        connections::{Connections, Storm},
        http2::{Http2, Multiplex},
        rounds::Rounds,
        tls::{Shakes, Tls},
    },
};

pub(super) fn tls(tls: &Tls) -> String {
    format!(
        "By request, over connections that stay:\n\n{}\nBy connection, with an earlier session \
         taken up again:\n\n{}\nBy connection, with a full handshake:\n\n{}",
        kept(&tls.kept),
        shakes(&tls.resumed),
        shakes(&tls.full)
    )
}

fn kept(all: &[Rounds<Measured>]) -> String {
    let rows = all.iter().map(|rounds| Row {
        peer: rounds.peer.name(),
        cpu: told(rounds.spread(|seen| seen.cpu_us), 1),
        multiple: multiple(all, rounds, |seen| seen.cpu_us),
        rate: told(rounds.spread(|seen| Some(seen.per_second())), 0),
    });
    costs("CPU µs per request", "requests/s", rows)
}

fn shakes(all: &[Rounds<Shakes>]) -> String {
    let mut table = Table::new([
        "",
        "CPU µs per connection",
        "CPU as a multiple of ours",
        "connections/s",
        "resumed, %",
    ]);
    for rounds in all {
        table.row([
            rounds.peer.name(),
            &told(rounds.spread(|seen| seen.cpu_us), 0),
            &multiple(all, rounds, |seen| seen.cpu_us),
            &told(rounds.spread(|seen| Some(seen.per_second)), 0),
            &told(rounds.spread(|seen| Some(100.0 * seen.resumed)), 0),
        ]);
    }
    table.to_string()
}

pub(super) fn http2(http2: &Http2) -> String {
    format!(
        "Over TLS, agreed on by ALPN:\n\n{}\nIn clear, known beforehand:\n\n{}",
        multiplexed(&http2.over_tls),
        multiplexed(&http2.in_clear)
    )
}

fn multiplexed(all: &[Rounds<Multiplex>]) -> String {
    let rows = all.iter().map(|rounds| Row {
        peer: rounds.peer.name(),
        cpu: told(rounds.spread(|seen| seen.cpu_us), 1),
        multiple: multiple(all, rounds, |seen| seen.cpu_us),
        rate: told(rounds.spread(|seen| Some(seen.per_second)), 0),
    });
    costs("CPU µs per request", "requests/s", rows)
}

/// Connections for one request each.
pub(super) fn storm(connections: &Connections) -> String {
    let all: &[Rounds<Storm>] = &connections.storm;
    let rows = all.iter().map(|rounds| Row {
        peer: rounds.peer.name(),
        cpu: told(rounds.spread(|seen| seen.cpu_us), 1),
        multiple: multiple(all, rounds, |seen| seen.cpu_us),
        rate: told(rounds.spread(|seen| Some(seen.per_second)), 0),
    });
    costs("CPU µs per connection", "connections/s", rows)
}

/// Connections that are open and idle.
pub(super) fn idle(connections: &Connections) -> String {
    let mut table = Table::new(["", "resident kB per connection"]);
    for rounds in &connections.open {
        let kb = rounds.spread(|seen| Some(seen.bytes? / 1e3));
        table.row([rounds.peer.name(), &told(kb, 2)]);
    }
    table.to_string()
}

struct Row {
    peer: &'static str,
    cpu: String,
    multiple: String,
    rate: String,
}

fn costs(cpu: &'static str, rate: &'static str, rows: impl Iterator<Item = Row>) -> String {
    let mut table = Table::new(["", cpu, "CPU as a multiple of ours", rate]);
    for row in rows {
        table.row([row.peer, &row.cpu, &row.multiple, &row.rate]);
    }
    table.to_string()
}

fn multiple<T>(all: &[Rounds<T>], rounds: &Rounds<T>, of: fn(&T) -> Option<f64>) -> String {
    told(ours(all).and_then(|ours| rounds.multiple_of(ours, of)), 2)
}
