//! Tables of small requests with one tenant.

use super::{BASE, Table, find, ours, told};
use crate::{
    peer::Measured,
    scenario::{
        latency::{Latency, Times},
        rounds::Rounds,
    },
};

pub(super) fn throughput(all: &[Rounds<Measured>]) -> String {
    let mut table = Table::new([
        "",
        "requests/s",
        "CPU µs per request",
        "CPU as a multiple of ours",
    ]);
    for rounds in all {
        let cpu = |one: &Measured| one.cpu_us;
        let multiple = ours(all).and_then(|ours| rounds.multiple_of(ours, cpu));
        table.row([
            rounds.peer.name(),
            &told(rounds.spread(|one| Some(one.per_second())), 0),
            &told(rounds.spread(cpu), 1),
            &told(multiple, 2),
        ]);
    }
    table.to_string()
}

pub(super) fn lone(latency: &Latency) -> String {
    times(&latency.lone)
}

pub(super) fn paced(latency: &Latency) -> String {
    times(&latency.paced)
}

fn times(all: &[Rounds<Times>]) -> String {
    let mut table = Table::new(["", "p50 µs", "p99 µs", "added p50 µs", "added p99 µs"]);
    for rounds in all {
        let added = |of: fn(&Times) -> f64| {
            let base = find(all, BASE).filter(|base| base.peer != rounds.peer)?;
            rounds.above(base, |one| Some(of(one)))
        };
        table.row([
            rounds.peer.name(),
            &told(rounds.spread(|one| Some(one.p50_us)), 0),
            &told(rounds.spread(|one| Some(one.p99_us)), 0),
            &told(added(|one| one.p50_us), 0),
            &told(added(|one| one.p99_us), 0),
        ]);
    }
    table.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{load::LoadResult, peer::Kind, report::OURS};

    fn runs(peer: Kind, cpu_us: &[f64]) -> Rounds<Measured> {
        let one = |cpu_us: &f64| Measured {
            load: LoadResult {
                requests: 100,
                seconds: 0.5,
                p50_us: 1.0,
                p99_us: 2.0,
                failed: 0,
                first_failure: String::new(),
            },
            cpu_us: Some(*cpu_us),
        };
        Rounds {
            peer,
            rounds: cpu_us.iter().map(one).collect(),
        }
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        let table = throughput(&[runs(OURS, &[10.0, 20.0]), runs(Kind::Vmauth, &[20.0, 80.0])]);
        let row = table
            .lines()
            .find(|line| line.starts_with("| vmauth"))
            .expect("a row");
        assert!(
            row.contains("3.00 (2.00–4.00)") && row.contains("200 (200–200)"),
            "{row}"
        );
    }

    #[test]
    fn what_was_added_is_told_of_proxies_only() {
        let rounds = |peer, p50_us| Rounds {
            peer,
            rounds: vec![Times {
                p50_us,
                p99_us: 2.0 * p50_us,
            }],
        };
        let table = times(&[rounds(BASE, 60.0), rounds(OURS, 160.0)]);
        let row = |name| {
            table
                .lines()
                .find(|line| line.starts_with(name))
                .expect("a row")
        };
        assert!(
            row("| Mirador").ends_with("| 100 (100–100) | 200 (200–200) |"),
            "{table}"
        );
        assert!(row("| direct").ends_with("| – | – |"), "{table}");
    }
}
