//! Tables of what depends on the number of tenants.

use super::{NOTHING, Table, grouped, mib, number, ours, told, whole};
use crate::{
    procfs::Memory,
    scenario::{
        beyond::Beyond,
        bystanders::Bystanders,
        change::{Change, Times},
        memory,
        reload::Reload,
        soak::Soak,
        tenants::{Level, Seen},
    },
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
            let cpu = |seen: &Seen| seen.measured.cpu_us;
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
    let flat = levels.iter().filter_map(|level| {
        let single = level.single.as_ref()?;
        let cpu = |seen: &Seen| seen.measured.cpu_us;
        let multiple = ours(&level.peers)?.multiple_of(single, cpu);
        Some(format!(
            "- {} tenants: {} times the CPU time per request of one ({})\n",
            grouped(level.tenants),
            told(multiple, 3),
            told(single.spread(cpu), 1)
        ))
    });
    let flat: String = flat.collect();
    if flat.is_empty() {
        return table.to_string();
    }
    format!("{table}\nMirador beside itself with a single tenant, in the same rounds:\n\n{flat}")
}

pub(super) fn reload(reload: &Reload) -> String {
    let mut table = Table::new(["", "in effect after ms", "CPU ms", "most held, MiB"]);
    for rounds in &reload.changes {
        table.row([
            rounds.peer.name(),
            &told(rounds.spread(|seen| Some(seen.effect_ms)), 1),
            &told(rounds.spread(|seen| seen.cpu_ms), 1),
            &told(rounds.spread(|seen| seen.peak.map(mib)), 1),
        ]);
    }
    table.to_string()
}

/// What others see of a change.
pub(super) fn others(reload: &Reload) -> String {
    let mut table = Table::new([
        "",
        "undisturbed p99 ms",
        "p99 ms during a change",
        "undisturbed worst ms",
        "worst ms during a change",
        "failed during a change",
    ]);
    for rounds in &reload.bystanders {
        let ms = |of: fn(&Bystanders) -> f64| told(rounds.spread(|seen| Some(of(seen))), 2);
        let failed = rounds.spread(|seen| Some(number(seen.changing.failed)));
        table.row([
            rounds.peer.name(),
            &ms(|seen| seen.undisturbed.p99_ms),
            &ms(|seen| seen.changing.p99_ms),
            &ms(|seen| seen.undisturbed.worst_ms),
            &ms(|seen| seen.changing.worst_ms),
            &whole(failed),
        ]);
    }
    table.to_string()
}

pub(super) fn memory(levels: &[memory::Level]) -> String {
    let mut table = Table::new([
        "tenants",
        "`max_idle` / `max_tenants`",
        "known, probed",
        "each asked once",
        "rested",
        "under load",
        "peak",
        "CPU ms/s at rest",
        "CPU µs per request",
        "filling the store, s",
    ]);
    for level in levels {
        let asked = level.asked.as_ref();
        let limits = format!(
            "{} / {}",
            grouped(level.limits.max_idle),
            grouped(level.limits.max_tenants)
        );
        let held = |of: fn(&memory::Asked) -> u64| {
            asked.map_or_else(|| NOTHING.into(), |asked| format!("{:.1}", mib(of(asked))))
        };
        let peak = asked.map_or(level.known.peak, |asked| asked.loaded.peak);
        let at_rest = asked.map(|asked| format!("{:.1}", asked.resting_cpu_ms));
        let cpu = asked.and_then(|asked| Spread::of(asked.cpu_us.iter().copied()));
        table.row([
            &grouped(level.tenants),
            &limits,
            &format!("{:.1}", mib(level.known.resident)),
            &held(|asked| asked.once.resident),
            &held(|asked| asked.rested.resident),
            &held(|asked| asked.loaded.resident),
            &format!("{:.1}", mib(peak)),
            at_rest.as_deref().unwrap_or(NOTHING),
            &told(cpu, 1),
            &format!("{:.1}", level.filling.as_secs_f64()),
        ]);
    }
    table.to_string()
}

pub(super) fn soak(soak: &Soak) -> String {
    let mut table = Table::new([
        "wave",
        "after small requests",
        "after long bodies",
        "after changes",
        "rested",
        "peak",
    ]);
    let held = |kib| format!("{:.1}", mib(kib));
    table.row([
        "before",
        NOTHING,
        NOTHING,
        NOTHING,
        &held(soak.known.resident),
        &held(soak.known.peak),
    ]);
    for (number, wave) in (1..).zip(&soak.waves) {
        table.row([
            &format!("{number}"),
            &held(wave.asked.resident),
            &held(wave.streamed.resident),
            &held(wave.changed.resident),
            &held(wave.rested.resident),
            &held(wave.rested.peak),
        ]);
    }
    table.to_string()
}

pub(super) fn beyond(beyond: &Beyond) -> String {
    let mut table = Table::new([
        "tenants asked",
        "resident MiB",
        "peak MiB",
        "CPU µs per request",
    ]);
    let mut row = |asked: &str, memory: &Memory, cpu: Option<f64>| {
        let held = |kib| format!("{:.1}", mib(kib));
        let cpu = cpu.map_or_else(|| NOTHING.into(), |cpu| format!("{cpu:.1}"));
        table.row([asked, &held(memory.resident), &held(memory.peak), &cpu]);
    };
    row("none", &beyond.known, None);
    for asked in &beyond.asked {
        row(&grouped(asked.tenants), &asked.memory, asked.cpu_us);
    }
    let filling = beyond.filling.as_secs_f64();
    format!("{table}\nFilling the store took {filling:.0} s.\n")
}

pub(super) fn change(change: &Change) -> String {
    let mut table = Table::new(["", "changes", "median ms", "p99 ms", "worst ms"]);
    let mut row = |what: &str, times: &Times| {
        let Times {
            count,
            median,
            p99,
            worst,
        } = times;
        let ms = |value: &f64| format!("{value:.1}");
        table.row([what, &count.to_string(), &ms(median), &ms(p99), &ms(worst)]);
    };
    row("answered by the admin API", &change.answered);
    row("in effect on the router that made it", &change.here);
    row(
        "in effect on another router of the same store",
        &change.elsewhere,
    );
    let cpu = change
        .cpu_ms
        .map_or_else(|| NOTHING.into(), |cpu| format!("{cpu:.2}"));
    format!(
        "{table}\nCPU time of the router that made them, per change: {cpu} ms. Requests that still \
         reached the old endpoint after the admin API of their router had answered: {}.",
        change.stale
    )
}
