//! What the tenants have to show: a [shop]'s requests, a [wind farm](wind_farm)'s turbines.
//!
//! Every value follows from its series and time alone, so that the demo knows what a query has to
//! answer, and both of a tenant's endpoints get the same.

pub(super) mod shop;
pub(super) mod wind_farm;

use std::{
    f64::consts::TAU,
    fmt::{self, Write as _},
    ops::Range,
};

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// How far back samples go, in seconds.
const SPAN: u32 = 12 * 3600;
/// Between two log lines, in milliseconds.
const LOG_STEP_MILLIS: i64 = 1_000;
/// The age of the youngest sample, in seconds: the backends answer queries about the last half
/// minute as of before it, since samples of that time may still be on their way.
const AGE: i64 = 60;

/// One tenant's series and log lines.
#[derive(Debug)]
pub(super) struct Samples {
    series: Vec<Series>,
    /// Between two samples of a series, in seconds; a divisor of [`SPAN`].
    step: u32,
    /// When the first sample was taken.
    origin: Timestamp,
    log_line: fn(u32) -> Value,
    /// How many log lines there are at first.
    pub(super) log_count: u32,
    /// Fields that name the stream of a log line, with commas between.
    pub(super) stream_fields: &'static str,
    /// Selects this tenant's series and no others.
    pub(super) selector: &'static str,
    /// Finds this tenant's log lines and no others, in `LogsQL`.
    pub(super) log_filter: &'static str,
}

#[derive(Debug)]
struct Series {
    name: &'static str,
    labels: Vec<(&'static str, String)>,
    shape: Shape,
}

#[derive(Debug, Clone, Copy)]
enum Shape {
    /// Grows by this much with every step.
    Counter(u32),
    /// Swings around a value.
    Gauge(Swing),
}

/// A value that goes up and down.
#[derive(Debug, Clone, Copy)]
struct Swing {
    middle: f64,
    /// How far up and down from there.
    amplitude: f64,
    /// In steps.
    period: u32,
    /// Where in its period it begins, from 0 to 1.
    phase: f64,
}

impl Samples {
    /// How many series there are.
    pub(super) fn series_count(&self) -> u64 {
        self.series.len() as u64
    }

    /// How many samples there are.
    pub(super) fn sample_count(&self) -> u64 {
        self.series_count() * u64::from(self.last_step() + 1)
    }

    /// When the last samples were taken, in Unix seconds.
    pub(super) fn end(&self) -> i64 {
        self.origin.as_second() + i64::from(SPAN)
    }

    /// The counters with this label, summed over all series, at the end.
    pub(super) fn sum_at_end(&self, label: &str, value: &str) -> u64 {
        let end = self.last_step();
        let fitting = self.series.iter().filter(|series| series.has(label, value));
        let counts = fitting.filter_map(|series| match series.shape {
            Shape::Counter(growth) => Some(count(growth, end)),
            Shape::Gauge(_) => None,
        });
        counts.sum()
    }

    /// All samples, one line of JSON for each series, as `/api/v1/import` takes them.
    pub(super) fn lines(&self) -> Vec<Bytes> {
        let steps = 0..self.last_step() + 1;
        self.series
            .iter()
            .map(|series| self.line(series, steps.clone()).into())
            .collect()
    }

    /// One sample of each series, at `now`.
    pub(super) fn lines_at(&self, now: Timestamp) -> String {
        let age = now.duration_since(self.origin).as_secs() / i64::from(self.step);
        let step = u32::try_from(age).unwrap_or_default();
        self.series
            .iter()
            .map(|series| self.line(series, step..step + 1))
            .collect()
    }

    /// All log lines, in JSON; the last one is as old as the last samples.
    pub(super) fn log_lines(&self) -> String {
        let end = self.end() * 1_000;
        let numbers = 0..self.log_count;
        let lines = numbers.map(|number| {
            let age = i64::from(self.log_count - 1 - number) * LOG_STEP_MILLIS;
            self.log_line(number, end - age)
        });
        lines.collect()
    }

    /// The log line with a number, as of a time in Unix milliseconds.
    pub(super) fn log_line(&self, number: u32, at: i64) -> String {
        let mut line = (self.log_line)(number);
        // Out of range only if this machine's clock is.
        line["_time"] = Timestamp::from_millisecond(at)
            .unwrap_or_default()
            .to_string()
            .into();
        format!("{line}\n")
    }

    fn last_step(&self) -> u32 {
        SPAN / self.step
    }

    fn line(&self, series: &Series, steps: Range<u32>) -> String {
        let mut line = series.header();
        line.push_str(r#","values":["#);
        match series.shape {
            Shape::Counter(growth) => {
                separate(&mut line, steps.clone().map(|step| count(growth, step)));
            }
            Shape::Gauge(swing) => separate(&mut line, steps.clone().map(|step| swing.at(step))),
        }
        line.push_str(r#"],"timestamps":["#);
        let (origin, step_millis) = (self.origin.as_millisecond(), i64::from(self.step) * 1_000);
        separate(
            &mut line,
            steps.map(|step| origin + i64::from(step) * step_millis),
        );
        line.push_str("]}\n");
        line
    }
}

impl Series {
    /// The beginning of a line: `{"metric":{…}`.
    fn header(&self) -> String {
        let mut header = format!(r#"{{"metric":{{"__name__":"{}""#, self.name);
        for (name, value) in &self.labels {
            let _ = write!(header, r#","{name}":"{value}""#);
        }
        header + "}"
    }

    fn has(&self, label: &str, value: &str) -> bool {
        self.labels
            .iter()
            .any(|(name, its)| *name == label && its == value)
    }
}

impl Swing {
    /// To one decimal, as a sensor would have it.
    fn at(self, step: u32) -> f64 {
        let Self {
            middle,
            amplitude,
            period,
            phase,
        } = self;
        let turn = f64::from(step) / f64::from(period) + phase;
        ((middle + amplitude * (turn * TAU).sin()) * 10.0).round() / 10.0
    }
}

fn count(growth: u32, step: u32) -> u64 {
    u64::from(growth) * u64::from(step)
}

fn separate(line: &mut String, numbers: impl Iterator<Item = impl fmt::Display>) {
    for (index, number) in numbers.enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let _ = write!(line, "{comma}{number}");
    }
}

/// Whole steps, so that samples fed later stand in line.
fn origin(now: Timestamp, step: u32) -> Timestamp {
    let end = now.as_second() - AGE;
    let origin = end - end % i64::from(step) - i64::from(SPAN);
    Timestamp::from_second(origin).unwrap_or(now - SignedDuration::from_hours(12))
}

fn pick<'t>(texts: &[&'t str], number: u32) -> &'t str {
    texts[number as usize % texts.len()]
}

fn pairs<A: Copy, B: Copy>(first: &[A], second: &[B]) -> Vec<(A, B)> {
    first
        .iter()
        .flat_map(|&a| second.iter().map(move |&b| (a, b)))
        .collect()
}

#[cfg(test)]
mod tests;
