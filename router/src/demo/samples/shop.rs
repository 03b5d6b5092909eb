//! A shop: requests counted by service, region, pod and status code, and orders in the logs.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Samples, Series, Shape, origin, pairs, pick};

pub(in crate::demo) const SERVICES: [&str; 4] = ["cart", "checkout", "payment", "search"];
const REGIONS: [&str; 3] = ["ap", "eu", "us"];
const CODES: [&str; 2] = ["200", "500"];
/// Of each service in each region.
const PODS: u32 = 16;
/// In seconds; short enough to make a large export.
const STEP: u32 = 5;

/// The shop's samples up to `now`.
pub(in crate::demo) fn samples(now: Timestamp) -> Samples {
    let mut series = Vec::new();
    for ((service, region), code) in pairs(&pairs(&SERVICES, &REGIONS), &CODES) {
        series.extend((1..=PODS).map(|pod| requests(service, region, code, pod)));
    }
    Samples {
        series,
        step: STEP,
        origin: origin(now, STEP),
        log_line,
        log_count: 3_000,
        stream_fields: "service,region",
        selector: r#"{__name__=~"shop_.+"}"#,
        log_filter: "service:*",
    }
}

fn requests(service: &str, region: &str, code: &str, pod: u32) -> Series {
    let labels = vec![
        ("service", service.into()),
        ("region", region.into()),
        ("code", code.into()),
        ("pod", format!("{service}-{region}-{pod}")),
    ];
    let growth = if code == "200" { 10 * pod } else { 1 };
    Series {
        name: "shop_requests_total",
        labels,
        shape: Shape::Counter(growth),
    }
}

fn log_line(number: u32) -> Value {
    let (service, region) = (pick(&SERVICES, number), pick(&REGIONS, number / 4));
    let order = 10_000 + number;
    let (level, message) = if number.is_multiple_of(50) {
        ("error", format!("order {order} refused: card declined"))
    } else {
        (
            "info",
            format!("order {order} took {} ms", 20 + number * 7 % 180),
        )
    };
    json!({ "_msg": message, "service": service, "region": region, "level": level })
}
