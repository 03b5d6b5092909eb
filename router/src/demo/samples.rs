//! What the tenants have to show: a shop's requests, a wind farm's turbines.
//!
//! Every value follows from its series and time alone, so that the demo knows what a query has to
//! answer, and both of a tenant's endpoints get the same.

use std::{f64::consts::TAU, fmt::Write as _, ops::Range};

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// How far back samples go, in seconds.
const SPAN: u32 = 12 * 3600;
/// Between two samples of a series, in seconds.
const STEP: u32 = 5;
/// Between two log lines, in milliseconds.
const LOG_STEP_MILLIS: i64 = 1_000;
/// The age of the youngest sample, in seconds: the backends answer queries about the last half
/// minute as of before it, since samples of that time may still be on their way.
const AGE: i64 = 60;

pub(super) const SERVICES: [&str; 4] = ["cart", "checkout", "payment", "search"];
const REGIONS: [&str; 3] = ["ap", "eu", "us"];
const CODES: [&str; 2] = ["200", "500"];
const PODS: u32 = 16;
const SITES: [&str; 4] = ["east", "north", "south", "west"];
const TURBINES: u32 = 24;

/// One tenant's series and log lines.
#[derive(Debug)]
pub(super) struct Samples {
    series: Vec<Series>,
    log_line: fn(u32) -> Value,
    log_count: u32,
    /// Fields that name the stream of a log line, with commas between.
    pub(super) stream_fields: &'static str,
    /// Selects this tenant's series and no others.
    pub(super) selector: &'static str,
    /// Finds this tenant's log lines and no others, in `LogsQL`.
    pub(super) log_filter: &'static str,
    /// When the first sample was taken.
    origin: Timestamp,
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
    /// Swings around a value, `period` steps long.
    Gauge {
        middle: f64,
        swing: f64,
        period: u32,
        phase: f64,
    },
}

impl Samples {
    /// A shop: counters of requests by service, region, pod and status code.
    pub(super) fn shop(now: Timestamp) -> Self {
        let mut series = Vec::new();
        for ((service, region), code) in pairs(&pairs(&SERVICES, &REGIONS), &CODES) {
            for pod in 1..=PODS {
                let growth = if code == "200" { 10 * pod } else { 1 };
                let pod = format!("{service}-{region}-{pod}");
                let labels = [("service", service), ("region", region), ("code", code)];
                let labels = labels.map(|(name, value)| (name, value.to_owned()));
                let labels = labels.into_iter().chain([("pod", pod)]).collect();
                series.push(Series {
                    name: "shop_requests_total",
                    labels,
                    shape: Shape::Counter(growth),
                });
            }
        }
        Self {
            series,
            log_line: shop_line,
            log_count: 3_000,
            stream_fields: "service,region",
            selector: r#"{__name__=~"shop_.+"}"#,
            log_filter: "service:*",
            origin: origin(now),
        }
    }

    /// A wind farm: power, speed and temperature of turbines.
    pub(super) fn wind_farm(now: Timestamp) -> Self {
        let measures = [
            ("turbine_power_kilowatts", 1_800.0, 900.0),
            ("turbine_rotor_speed_rpm", 12.0, 4.0),
            ("turbine_gearbox_temperature_celsius", 61.0, 7.0),
        ];
        let mut series = Vec::new();
        for (site, (name, middle, swing)) in pairs(&SITES, &measures) {
            for number in 1..=TURBINES {
                let turbine = format!("{site}-{number:02}");
                let phase = f64::from(number) / f64::from(TURBINES);
                let shape = Shape::Gauge {
                    middle,
                    swing,
                    period: SPAN / STEP / 4,
                    phase,
                };
                let labels = vec![("site", site.to_owned()), ("turbine", turbine)];
                series.push(Series {
                    name,
                    labels,
                    shape,
                });
            }
        }
        Self {
            series,
            log_line: wind_farm_line,
            log_count: 2_400,
            stream_fields: "site",
            selector: r#"{__name__=~"turbine_.+"}"#,
            log_filter: "site:*",
            origin: origin(now),
        }
    }

    /// How many series there are.
    pub(super) fn series_count(&self) -> u64 {
        self.series.len() as u64
    }

    /// How many samples there are.
    pub(super) fn sample_count(&self) -> u64 {
        self.series_count() * u64::from(SPAN / STEP + 1)
    }

    /// How many log lines there are.
    pub(super) fn log_count(&self) -> u64 {
        self.log_count.into()
    }

    /// When the last samples were taken, in Unix seconds.
    pub(super) fn end(&self) -> i64 {
        self.origin.as_second() + i64::from(SPAN)
    }

    /// The counters with this label, summed over all series, at the end.
    pub(super) fn sum_at_end(&self, label: &str, value: &str) -> u64 {
        let fits = |series: &&Series| {
            series
                .labels
                .iter()
                .any(|(name, its)| *name == label && its == value)
        };
        let counts = self
            .series
            .iter()
            .filter(fits)
            .filter_map(|series| match series.shape {
                Shape::Counter(growth) => Some(u64::from(growth) * u64::from(SPAN / STEP)),
                Shape::Gauge { .. } => None,
            });
        counts.sum()
    }

    /// All samples, one line of JSON for each series, as `/api/v1/import` takes them.
    pub(super) fn lines(&self) -> impl Iterator<Item = Bytes> + use<> {
        let (origin, steps) = (self.origin.as_millisecond(), 0..SPAN / STEP + 1);
        let lines = self.series.iter().map(Series::header).collect::<Vec<_>>();
        let shapes: Vec<_> = self.series.iter().map(|series| series.shape).collect();
        lines
            .into_iter()
            .zip(shapes)
            .map(move |(header, shape)| line(&header, shape, steps.clone(), origin).into())
    }

    /// One sample of each series at `now`.
    pub(super) fn lines_at(&self, now: Timestamp) -> String {
        let age = now.duration_since(self.origin).as_secs() / i64::from(STEP);
        let step = u32::try_from(age).unwrap_or_default();
        let origin = self.origin.as_millisecond();
        let lines = self.series.iter();
        lines
            .map(|one| line(&one.header(), one.shape, step..step + 1, origin))
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
}

impl Shape {
    fn value(self, step: u32) -> f64 {
        match self {
            Self::Counter(growth) => f64::from(growth) * f64::from(step),
            Self::Gauge {
                middle,
                swing,
                period,
                phase,
            } => {
                let turn = f64::from(step) / f64::from(period) + phase;
                ((middle + swing * (turn * TAU).sin()) * 10.0).round() / 10.0
            }
        }
    }
}

/// One line of `/api/v1/import`.
fn line(header: &str, shape: Shape, steps: Range<u32>, origin_millis: i64) -> String {
    let mut line = format!(r#"{header},"values":["#);
    separated(&mut line, steps.clone().map(|step| shape.value(step)));
    line.push_str(r#"],"timestamps":["#);
    let timestamps = steps.map(|step| origin_millis + i64::from(step) * i64::from(STEP) * 1_000);
    separated(&mut line, timestamps);
    line.push_str("]}\n");
    line
}

fn separated(line: &mut String, numbers: impl Iterator<Item = impl std::fmt::Display>) {
    for (index, number) in numbers.enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let _ = write!(line, "{comma}{number}");
    }
}

fn shop_line(number: u32) -> Value {
    let (service, region) = (pick(&SERVICES, number), pick(&REGIONS, number / 4));
    let (level, message) = if number.is_multiple_of(50) {
        (
            "error",
            format!("order {} refused: card declined", 10_000 + number),
        )
    } else {
        (
            "info",
            format!(
                "order {} took {} ms",
                10_000 + number,
                20 + number * 7 % 180
            ),
        )
    };
    json!({ "_msg": message, "service": service, "region": region, "level": level })
}

fn wind_farm_line(number: u32) -> Value {
    let (site, turbine) = (pick(&SITES, number), 1 + number / 4 % TURBINES);
    let (level, message) = if number.is_multiple_of(75) {
        (
            "warn",
            format!("turbine {site}-{turbine:02} pitches out of the wind"),
        )
    } else {
        (
            "info",
            format!(
                "turbine {site}-{turbine:02} vibrates by {} um",
                40 + number * 3 % 90
            ),
        )
    };
    json!({ "_msg": message, "site": site, "level": level })
}

/// Whole steps, so that samples fed later stand in line.
fn origin(now: Timestamp) -> Timestamp {
    let end = now.as_second() - AGE;
    let origin = end - end % i64::from(STEP) - i64::from(SPAN);
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
