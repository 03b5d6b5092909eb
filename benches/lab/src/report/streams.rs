//! Tables of long bodies and of live tails.

use super::{Table, mib, ours, told};
use crate::scenario::{
    rounds::Rounds,
    streaming::{Stream, Streaming},
    tails::Tails,
};

pub(super) fn streaming(streaming: &Streaming) -> String {
    let ways = [
        ("Down, with `Content-Length`", &streaming.down),
        ("Down, chunked", &streaming.down_chunked),
        ("Up, chunked", &streaming.up_chunked),
    ];
    let sections = ways.map(|(what, rounds)| format!("{what}:\n\n{}", way(rounds)));
    sections.join("\n")
}

fn way(all: &[Rounds<Stream>]) -> String {
    let mut table = Table::new([
        "",
        "CPU s per GB",
        "CPU as a multiple of ours",
        "MB/s",
        "peak above idle, MiB",
    ]);
    for rounds in all {
        let cpu = |seen: &Stream| seen.cpu_s_per_gb;
        let multiple = ours(all).and_then(|ours| rounds.multiple_of(ours, cpu));
        let peak = rounds.spread(|seen| Some(mib(seen.peak_kib?)));
        table.row([
            rounds.peer.name(),
            &told(rounds.spread(cpu), 2),
            &told(multiple, 2),
            &told(rounds.spread(|seen| Some(seen.mb_per_s)), 0),
            &told(peak, 1),
        ]);
    }
    table.to_string()
}

pub(super) fn tails(tails: &Tails) -> String {
    let mut table = Table::new([
        "",
        "resident kB per tail",
        "CPU ms/s while silent",
        "CPU ms/s before",
    ]);
    for rounds in &tails.seen {
        let kb = rounds.spread(|seen| Some(seen.bytes? / 1e3));
        table.row([
            rounds.peer.name(),
            &told(kb, 1),
            &told(rounds.spread(|seen| seen.cpu_ms_per_s), 2),
            &told(rounds.spread(|seen| seen.idle_ms_per_s), 2),
        ]);
    }
    table.to_string()
}

#[cfg(test)]
mod tests {
    use super::{super::NOTHING, *};
    use crate::peer::Kind;

    #[test]
    fn a_body_is_told_beside_ours() {
        let rounds = |peer, cpu_s_per_gb| Rounds {
            peer,
            rounds: vec![Stream {
                cpu_s_per_gb: Some(cpu_s_per_gb),
                mb_per_s: 800.0,
                peak_kib: Some(1536),
            }],
        };
        let table = way(&[rounds(Kind::Mirador, 0.5), rounds(Kind::Nginx, 0.75)]);
        let row = table.lines().last().expect("a row");
        let expected = "| nginx | 0.75 (0.75–0.75) | 1.50 (1.50–1.50) | 800 (800–800) \
                        | 1.5 (1.5–1.5) |";
        assert_eq!(row, expected);
        assert!(!table.contains(&format!("| {NOTHING} |")), "{table}");
    }
}
