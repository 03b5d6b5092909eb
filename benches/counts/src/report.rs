//! Tables for people: what was counted, beside what is on record, and where it goes.

use std::{cmp::Reverse, fmt::Write as _};

use crate::{
    baseline::{Baseline, Comparison, Verdict},
    dump::{Dump, Share},
};

/// Libraries shown of a profile.
const LIBRARIES: usize = 15;
/// Functions shown of a profile.
const SHOWN: usize = 40;
/// Those of them whose callers are shown, and how many.
const EXPLAINED: usize = 5;
const CALLERS: usize = 10;

/// What was counted.
pub(crate) fn figures(now: &Baseline) -> String {
    let mut text = format!(
        "{:<15} {:>12} {:>12} {:>12} {:>14}\n",
        "per request", "instructions", "allocations", "system calls", "clock readings"
    );
    for (scenario, figures) in &now.scenarios {
        // Writing into a `String` does not fail.
        let _ = writeln!(
            text,
            "{scenario:<15} {:>12} {:>12} {:>12} {:>14}",
            figure(figures.instructions),
            figure(figures.allocations),
            figure(figures.system_calls),
            figure(figures.clock_readings)
        );
    }
    text
}

/// What was counted beside what is on record.
pub(crate) fn comparisons(comparisons: &[Comparison]) -> String {
    let mut text = format!(
        "{:<15} {:<14} {:>10} {:>10} {:>8}\n",
        "scenario", "per request", "baseline", "now", "change"
    );
    let mut last = "";
    for comparison in comparisons {
        let scenario = if last == comparison.scenario {
            ""
        } else {
            &comparison.scenario
        };
        last = &comparison.scenario;
        let before = comparison.before.map_or("–".into(), figure);
        let change = comparison.change();
        let change = change.map_or("–".into(), |change| format!("{:+.1} %", change * 100.0));
        let verdict = match comparison.verdict {
            Verdict::Worse => "  worse",
            Verdict::Better => "  better",
            Verdict::Same => "",
            Verdict::New => "  new",
        };
        // Writing into a `String` does not fail.
        let _ = writeln!(
            text,
            "{scenario:<15} {:<14} {before:>10} {:>10} {change:>8}{verdict}",
            comparison.quantity.name(),
            figure(comparison.now),
        );
    }
    text
}

/// The functions that a scenario's requests cost most in: by themselves, and with all they call.
pub(crate) fn profile(dump: &Dump, requests: u32) -> String {
    let mut shares = dump.shares();
    let mut text = String::new();
    libraries(&mut text, dump, requests);
    shares.sort_by_key(|share| Reverse(share.own));
    functions(&mut text, "by themselves", &shares, requests);
    for share in shares.iter().take(EXPLAINED) {
        callers(&mut text, dump, share.name, requests);
    }
    text.push('\n');
    shares.sort_by_key(|share| Reverse(share.inclusive));
    functions(&mut text, "with all they call", &shares, requests);
    text
}

fn libraries(text: &mut String, dump: &Dump, requests: u32) {
    // Writing into a `String` does not fail.
    let _ = writeln!(
        text,
        "{:>9}  instructions per request, by whose code it is",
        ""
    );
    for (name, instructions) in dump.libraries().iter().take(LIBRARIES) {
        let _ = writeln!(text, "{:>9.0}  {name}", each(*instructions, requests));
    }
    text.push('\n');
}

fn functions(text: &mut String, title: &str, shares: &[Share<'_>], requests: u32) {
    // Writing into a `String` does not fail.
    let _ = writeln!(
        text,
        "{:>9} {:>9} {:>7} {:>8}  instructions per request, functions {title}",
        "self", "inclusive", "calls", "syscalls"
    );
    for share in shares.iter().take(SHOWN) {
        let _ = writeln!(
            text,
            "{:>9.0} {:>9.0} {:>7.2} {:>8.2}  {}",
            each(share.own, requests),
            each(share.inclusive, requests),
            each(share.calls, requests),
            each(share.system_calls, requests),
            share.name
        );
    }
}

fn callers(text: &mut String, dump: &Dump, function: &str, requests: u32) {
    // Writing into a `String` does not fail.
    let _ = writeln!(
        text,
        "\n{:>19} {:>7} {:>8}  callers of {function}",
        "inclusive", "calls", ""
    );
    for caller in dump.callers(function).iter().take(CALLERS) {
        let _ = writeln!(
            text,
            "{:>19.0} {:>7.2} {:>8}  {}",
            each(caller.cost.instructions, requests),
            each(caller.calls, requests),
            "",
            caller.name
        );
    }
}

fn each(count: u64, requests: u32) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    let count = count as f64;
    count / f64::from(requests)
}

/// Large ones are whole numbers.
fn figure(figure: f64) -> String {
    if figure >= 1000.0 {
        format!("{figure:.0}")
    } else {
        format!("{figure:.2}")
    }
}
