//! Tables of how a router begins, and of how it uses a second processor.

use super::{NOTHING, Table, grouped, mib, told};
use crate::{
    scenario::{begin::Beginning, scaling::Scaling},
    stats::Spread,
};

pub(super) fn start(all: &[Beginning]) -> String {
    let mut table = Table::new([
        "tenants in the store",
        "first answer after, ms",
        "resident then, MiB",
        "asked",
        "resident then, MiB",
        "peak, MiB",
        "filling the store",
    ]);
    for seen in all {
        let first = Spread::of(seen.first_answer_ms.iter().copied());
        let at_first = seen.at_first.iter().map(|held| mib(held.resident));
        table.row([
            &grouped(seen.tenants),
            &told(first, 0),
            &told(Spread::of(at_first), 1),
            &grouped(seen.active),
            &format!("{:.1}", mib(seen.once_active.resident)),
            &format!("{:.1}", mib(seen.once_active.peak)),
            &format!("{:.1} s", seen.filling.as_secs_f64()),
        ]);
    }
    table.to_string()
}

pub(super) fn scaling(scaling: &Scaling) -> String {
    let mut table = Table::new([
        "",
        "CPU µs, 1 worker",
        "CPU µs, 2 workers",
        "2 as a multiple of 1",
        "requests/s, 1 worker",
        "requests/s, 2 workers",
    ]);
    for two in &scaling.two {
        let Some(one) = scaling.one.iter().find(|one| one.peer == two.peer) else {
            continue;
        };
        let multiple = two.multiple_of(one, |seen| seen.cpu_us);
        let multiple = multiple.map_or_else(|| NOTHING.into(), |multiple| format!("{multiple:.2}"));
        table.row([
            two.peer.name(),
            &told(one.spread(|seen| seen.cpu_us), 1),
            &told(two.spread(|seen| seen.cpu_us), 1),
            &multiple,
            &told(one.spread(|seen| Some(seen.per_second())), 0),
            &told(two.spread(|seen| Some(seen.per_second())), 0),
        ]);
    }
    table.to_string()
}
