//! A wind farm: power, speed and temperature of turbines, and their movements in the logs.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{SPAN, Samples, Series, Shape, Swing, origin, pairs, pick};

const SITES: [&str; 4] = ["east", "north", "south", "west"];
/// At each site.
const TURBINES: u32 = 24;
/// Name, middle and amplitude.
const MEASURES: [(&str, f64, f64); 3] = [
    ("turbine_power_kilowatts", 1_800.0, 900.0),
    ("turbine_rotor_speed_rpm", 12.0, 4.0),
    ("turbine_gearbox_temperature_celsius", 61.0, 7.0),
];
/// In seconds.
const STEP: u32 = 15;

/// The wind farm's samples up to `now`.
pub(in crate::demo) fn samples(now: Timestamp) -> Samples {
    let mut series = Vec::new();
    for (site, measure) in pairs(&SITES, &MEASURES) {
        series.extend((1..=TURBINES).map(|number| turbine(site, measure, number)));
    }
    Samples {
        series,
        step: STEP,
        origin: origin(now, STEP),
        log_line,
        log_count: 2_400,
        stream_fields: "site",
        selector: r#"{__name__=~"turbine_.+"}"#,
        log_filter: "site:*",
    }
}

fn turbine(site: &str, measure: (&'static str, f64, f64), number: u32) -> Series {
    let (name, middle, amplitude) = measure;
    let phase = f64::from(number) / f64::from(TURBINES);
    // The wind changes four times within the span.
    let swing = Swing {
        middle,
        amplitude,
        period: SPAN / STEP / 4,
        phase,
    };
    let labels = vec![
        ("site", site.into()),
        ("turbine", format!("{site}-{number:02}")),
    ];
    Series {
        name,
        labels,
        shape: Shape::Gauge(swing),
    }
}

fn log_line(number: u32) -> Value {
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
