//! Tables of what users see when an endpoint fails.

use super::{Table, number, whole};
use crate::scenario::{
    failover::{Failover, Outcome},
    rounds::Rounds,
};

pub(super) fn failover(failover: &Failover) -> String {
    format!(
        "Killed (SIGKILL):\n\n{}\nHung for {hang} s (SIGSTOP, then SIGCONT):\n\n{}\n\
         Hung for {hang} s, with `upstream.hedge.enabled`:\n\n{}",
        outcomes(&failover.killed),
        outcomes(&failover.hung),
        outcomes(&failover.hung_with_hedging),
        hang = failover.hang,
    )
}

fn outcomes(all: &[Rounds<Outcome>]) -> String {
    let mut table = Table::new([
        "",
        "failed reads",
        "p99 ms",
        "worst ms",
        "over 250 ms",
        "over 1 s",
        "worst ms before",
    ]);
    for rounds in all {
        let count = |of: fn(&Outcome) -> usize| whole(rounds.spread(|seen| Some(number(of(seen)))));
        let ms = |of: fn(&Outcome) -> f64| super::told(rounds.spread(|seen| Some(of(seen))), 1);
        table.row([
            rounds.peer.name(),
            &count(|seen| seen.failed),
            &ms(|seen| seen.p99_ms),
            &ms(|seen| seen.worst_ms),
            &count(|seen| seen.late),
            &count(|seen| seen.very_late),
            &ms(|seen| seen.worst_before_ms),
        ]);
    }
    let failures = all.iter().filter_map(|rounds| {
        let failed = |seen: &&Outcome| !seen.first_failure.is_empty();
        let first = rounds.rounds.iter().find(failed)?;
        Some(format!(
            "- {}'s first: `{}`\n",
            rounds.peer.name(),
            first.first_failure.replace('`', "'")
        ))
    });
    let failures: String = failures.collect();
    if failures.is_empty() {
        return table.to_string();
    }
    format!("{table}\nHow reads failed:\n\n{failures}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::Kind;

    fn outcome(failed: usize, first_failure: &str) -> Outcome {
        Outcome {
            reads: 100,
            failed,
            first_failure: first_failure.into(),
            p99_ms: 1.0,
            worst_ms: 2.0,
            late: 0,
            very_late: 0,
            worst_before_ms: 1.0,
        }
    }

    #[test]
    fn failures_are_counted_and_the_first_is_shown() {
        let all = [Rounds {
            peer: Kind::Haproxy,
            rounds: vec![outcome(0, ""), outcome(4, "status 502: `bad`")],
        }];
        let text = outcomes(&all);
        assert!(text.contains("| HAProxy | 2 (0–4) |"), "{text}");
        assert!(
            text.contains("- HAProxy's first: `status 502: 'bad'`"),
            "{text}"
        );
    }
}
