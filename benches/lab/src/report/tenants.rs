//! Tables of what depends on the number of tenants.

use super::{NOTHING, Table, grouped, ours, told};
use crate::{
    scenario::{reload, rounds::Rounds, tenants::Level},
    stats::Spread,
};

pub(super) fn tenants(levels: &[Level]) -> String {
    let mut table = Table::new([
        "",
        "tenants",
        "CPU µs per request",
        "as a multiple of ours",
        "requests/s",
        "resident MiB",
    ]);
    for level in levels {
        for peer in &level.peers {
            let cpu = |seen: &crate::scenario::tenants::Seen| seen.measured.cpu_us;
            let multiple = ours(&level.peers).and_then(|ours| peer.multiple_of(ours, cpu));
            let memory = peer.spread(|seen| seen.memory.as_ref().map(|held| mib(held.resident)));
            table.row([
                peer.peer.name(),
                &grouped(level.tenants),
                &told(peer.spread(cpu), 1),
                &told(multiple, 2),
                &told(peer.spread(|seen| Some(seen.measured.per_second())), 0),
                &told(memory, 1),
            ]);
        }
    }
    table.to_string()
}

pub(super) fn reload(all: &[Rounds<reload::Seen>]) -> String {
    let mut table = Table::new(["", "in effect after ms", "CPU ms", "most held, MiB"]);
    for peer in all {
        let ms = |span: std::time::Duration| span.as_secs_f64() * 1e3;
        let peak: Option<Spread> = peer.spread(|seen| seen.peak.map(mib));
        table.row([
            peer.peer.name(),
            &told(peer.spread(|seen| Some(ms(seen.effect))), 1),
            &told(peer.spread(|seen| seen.cpu.map(ms)), 1),
            &peak.map_or_else(|| NOTHING.into(), |peak| told(Some(peak), 1)),
        ]);
    }
    table.to_string()
}

fn mib(kib: u64) -> f64 {
    f64::from(u32::try_from(kib).unwrap_or(u32::MAX)) / 1024.0
}
