//! A signal's traffic, drawn by a script and told as a table.

use maud::{Markup, html};
use serde::Serialize;
use tenant_store::model::Signal;

use crate::{
    pages::marks,
    telemetry::Stretch,
    trends::{EVERY, Trend},
};

/// Rows of the table: five minutes each.
const ROW_SECONDS: u64 = 300;

/// What the script draws.
#[derive(Serialize)]
struct Drawing<'a> {
    at: &'a [i64],
    unit: &'a str,
    /// The least that the scale goes up to.
    least: f64,
    lines: Vec<Line<'a>>,
}

#[derive(Serialize)]
struct Line<'a> {
    label: &'a str,
    ink: &'a str,
    values: Vec<Option<f64>>,
}

/// The charts of one signal.
pub(super) fn card(signal: Signal, trend: Option<&Trend>) -> Markup {
    let id = format!("traffic-{signal}");
    let shape = if trend.is_some() { "drawn" } else { "none" };
    html! {
        section.traffic id=(id) data-live="frame" data-shape=(shape) aria-label={ "Traffic of " (signal) } {
            @match trend {
                None => p { "No requests in the last 30 minutes." },
                Some(trend) => {
                    h3 { "Traffic" small { "the last 30 minutes, by way of this router" } }
                    div.charts {
                        (requests(signal, trend))
                        (errors(signal, trend))
                        (latency(signal, trend))
                    }
                    (table(signal, trend))
                },
            }
        }
    }
}

fn requests(signal: Signal, trend: &Trend) -> Markup {
    let rate = |count: u32| Some(rounded(f64::from(count) / EVERY.as_secs_f64()));
    let points = &trend.points;
    let drawing = Drawing {
        at: &trend.at,
        unit: "rate",
        least: 1.0,
        lines: vec![Line {
            label: "requests per second",
            ink: "series-1-ink",
            values: points.iter().map(|point| rate(point.answered)).collect(),
        }],
    };
    let title = html! { b { "Requests" } " per second" };
    figure(signal, "requests", &title, &drawing)
}

fn errors(signal: Signal, trend: &Trend) -> Markup {
    let drawing = Drawing {
        at: &trend.at,
        unit: "share",
        least: 0.01,
        lines: vec![Line {
            label: "errors",
            ink: "series-bad-ink",
            values: trend.points.iter().map(error_share).collect(),
        }],
    };
    let title = html! { b { "Errors" } " share of answers with 5xx" };
    figure(signal, "errors", &title, &drawing)
}

fn latency(signal: Signal, trend: &Trend) -> Markup {
    let known = |value: f32| value.is_finite().then(|| rounded(value.into()));
    let line = |label, ink, value: fn(&Stretch) -> f32| Line {
        label,
        ink,
        values: trend.points.iter().map(|p| known(value(p))).collect(),
    };
    let drawing = Drawing {
        at: &trend.at,
        unit: "seconds",
        least: 0.002,
        lines: vec![
            line("p95", "series-1-ink", |point| point.p95),
            line("median", "series-2-ink", |point| point.median),
        ],
    };
    let title = html! {
        b { "Latency" } " to the first byte "
        span.keys { span.key { "p95" } span.key.second { "median" } }
    };
    figure(signal, "latency", &title, &drawing)
}

fn figure(signal: Signal, what: &str, title: &Markup, drawing: &Drawing<'_>) -> Markup {
    // Numbers and fixed words are JSON whatever they are.
    let trend = serde_json::to_string(drawing).unwrap_or_default();
    html! {
        figure id={ "chart-" (signal) "-" (what) } data-live data-trend=(trend) {
            figcaption { span { (title) } span.reading aria-hidden="true" {} }
            div.plot {}
        }
    }
}

fn error_share(point: &Stretch) -> Option<f64> {
    let share = || rounded(f64::from(point.failed) / f64::from(point.answered));
    (point.answered > 0).then(share)
}

/// To what can be seen of it.
fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

/// The same in rows, for those who don't see drawings, and without a script.
fn table(signal: Signal, trend: &Trend) -> Markup {
    let per_row = usize::try_from(ROW_SECONDS / EVERY.as_secs()).unwrap_or(1);
    let rows: Vec<_> = trend
        .at
        .rchunks(per_row)
        .zip(trend.points.rchunks(per_row))
        .collect();
    html! {
        details id={ "table-" (signal) } data-live {
            summary { "As a table" }
            div.scroll {
                table {
                    caption.sr { "Traffic of " (signal) " in steps of five minutes, the latest first" }
                    thead { tr {
                        th scope="col" { "Until" }
                        th.number scope="col" { "Requests" }
                        th.number scope="col" { "Errors" }
                        th.number scope="col" { "Slowest p95" }
                    } }
                    tbody {
                        @for (at, points) in rows { (stretch(at, points)) }
                    }
                }
            }
        }
    }
}

fn stretch(at: &[i64], points: &[Stretch]) -> Markup {
    let sum = |value: fn(&Stretch) -> u32| points.iter().map(|p| u64::from(value(p))).sum();
    let slowest = points.iter().map(|p| p.p95).fold(f32::NAN, f32::max);
    let until = at
        .last()
        .and_then(|at| jiff::Timestamp::from_second(*at).ok());
    html! {
        tr {
            th scope="row" { @if let Some(until) = until { (marks::clock(until)) } }
            td.number { (marks::count(sum(|point| point.answered))) }
            td.number { (marks::count(sum(|point| point.failed))) }
            td.number {
                @if slowest.is_finite() { (format!("{:.1} ms", slowest * 1_000.0)) } @else { "–" }
            }
        }
    }
}
