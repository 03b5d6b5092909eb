//! What single fields may hold: durations, names, paths, labels.

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ObjectBuilder, OneOfBuilder, RefOr, Schema,
        schema::{SchemaType, Type},
    },
};

use super::{nullable, number, text};
use crate::model::{HumanDuration, StatusRange};

/// What every duration is written back as: each unit once, from the longest.
const DURATION: &str = "^([1-9][0-9]{0,2}d)?(([1-9]|1[0-9]|2[0-3])h)?(([1-9]|[1-5][0-9])m)?(([1-9]|[1-5][0-9])s)?([1-9][0-9]{0,2}ms)?$";

/// A duration of at least 100 ms, as it is written back.
const PROBE_INTERVAL: &str = "^([1-9][0-9]{0,2}d(([1-9]|1[0-9]|2[0-3])h)?(([1-9]|[1-5][0-9])m)?(([1-9]|[1-5][0-9])s)?([1-9][0-9]{0,2}ms)?|([1-9]|1[0-9]|2[0-3])h(([1-9]|[1-5][0-9])m)?(([1-9]|[1-5][0-9])s)?([1-9][0-9]{0,2}ms)?|([1-9]|[1-5][0-9])m(([1-9]|[1-5][0-9])s)?([1-9][0-9]{0,2}ms)?|([1-9]|[1-5][0-9])s([1-9][0-9]{0,2}ms)?|[1-9][0-9]{2}ms)$";

/// A duration of at least a second, as it is written back.
const WHOLE_SECONDS: &str =
    "^([1-9][0-9]{0,2}d)?(([1-9]|1[0-9]|2[0-3])h)?(([1-9]|[1-5][0-9])m)?([1-9]|[1-5][0-9])s$";

const ONE_LINE: &str = r"^[^\x00-\x1f\x7f-\x9f]*$";

/// A time in UTC, as it is written back.
const MOMENT: &str = r"^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?Z$";

/// A year, in milliseconds.
const YEAR: u64 = 365 * 24 * 3600 * 1000;
/// Likewise a day.
const DAY: u64 = 24 * 60 * 60 * 1000;
/// What is written of a duration of at most a day.
const WITHIN_A_DAY: &str = "^(1d|(([1-9]|1[0-9]|2[0-3])h)?(([1-9]|[1-5][0-9])m)?(([1-9]|[1-5][0-9])s)?([1-9][0-9]{0,2}ms)?)$";

impl PartialSchema for HumanDuration {
    fn schema() -> RefOr<Schema> {
        duration(DURATION, 1)
    }
}

impl ToSchema for HumanDuration {}

/// The time between two probes.
pub(in crate::model) fn probe_interval() -> RefOr<Schema> {
    duration(PROBE_INTERVAL, 100)
}

/// Perhaps the time between two probes.
pub(in crate::model) fn perhaps_probe_interval() -> RefOr<Schema> {
    nullable(probe_interval())
}

/// Perhaps how long an endpoint may take to start.
pub(in crate::model) fn start_grace() -> RefOr<Schema> {
    nullable(duration_up_to(WITHIN_A_DAY, 0, DAY))
}

fn duration(pattern: &str, least: u64) -> RefOr<Schema> {
    duration_up_to(pattern, least, YEAR)
}

fn duration_up_to(pattern: &str, least: u64, most: u64) -> RefOr<Schema> {
    let written = text(
        "`30s`, `1m30s`, `250ms`; read in some more forms.",
        pattern,
        (2, 20),
        "30s",
    );
    let milliseconds = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .description(Some("Milliseconds; written back as a text."))
        .minimum(Some(least))
        .maximum(Some(most));
    OneOfBuilder::new().item(written).item(milliseconds).into()
}

/// A status that can be written: tombstones come by deletion.
pub(in crate::model) fn writable_status() -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some("Whether requests are served."))
        .enum_values(Some(["provisioning", "active", "suspended"]))
        .default(Some("active".into()))
        .into()
}

/// Perhaps a name on one line.
pub(in crate::model) fn one_line() -> RefOr<Schema> {
    nullable(text(
        "1 to 256 characters on one line.",
        ONE_LINE,
        (1, 256),
        "ACME Corp",
    ))
}

/// What something is done for.
pub(in crate::model) fn reason() -> RefOr<Schema> {
    text(
        "What is done, for people; 1 to 256 characters on one line.",
        ONE_LINE,
        (1, 256),
        "moving to new disks",
    )
    .into()
}

/// Perhaps a time.
pub(in crate::model) fn moment_or_null() -> RefOr<Schema> {
    nullable(
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(MOMENT))
            .examples([serde_json::json!("2026-11-22T05:00:00Z")]),
    )
}

/// Perhaps a share of requests.
pub(in crate::model) fn objective_or_null() -> RefOr<Schema> {
    nullable(text(
        "The share of requests that are served well, `50%` to `99.9999%`.",
        r"^[5-9][0-9](\.[0-9]{0,3}[1-9])?%$",
        (3, 8),
        "99.9%",
    ))
}

/// Perhaps a DNS label.
pub(in crate::model) fn dns_label() -> RefOr<Schema> {
    nullable(text(
        "A DNS label.",
        "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
        (1, 63),
        "tenant-acme",
    ))
}

/// The time between two deep checks: at least a second.
pub(in crate::model) fn deep_interval() -> RefOr<Schema> {
    duration(WHOLE_SECONDS, 1000)
}

/// Perhaps what a healthy answer's body contains.
pub(in crate::model) fn expected_body() -> RefOr<Schema> {
    nullable(text(
        "What the first 64 KiB of a healthy answer's body contain.",
        "^[ -~]+$",
        (1, 256),
        "OK",
    ))
}

/// Perhaps the oldest version that an endpoint may have.
pub(in crate::model) fn oldest_version() -> RefOr<Schema> {
    nullable(text(
        "The oldest version it may have.",
        "^v?[0-9]{1,9}(\\.[0-9]{1,9}){1,2}$",
        (3, 30),
        "v1.150",
    ))
}

/// Headers that probes send; `null` is none.
pub(in crate::model) fn probe_headers() -> RefOr<Schema> {
    let name = text(
        "Lower case; neither credentials nor framing nor `host`.",
        "^x-[0-9a-z-]{1,61}$",
        (3, 63),
        "x-probe",
    );
    let value = text("Its value.", "^[!-~]([ -~]{0,254}[!-~])?$", (1, 256), "1");
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Object, Type::Null]))
        .description(Some("Headers sent with each probe."))
        .property_names(Some(name.build()))
        .additional_properties(Some(value))
        .max_properties(Some(16))
        .into()
}

impl PartialSchema for StatusRange {
    fn schema() -> RefOr<Schema> {
        let written = text(
            "`204`, `2xx`, `200-299`.",
            "^[2-5]([0-9]{2}|xx)$",
            (3, 7),
            "2xx",
        );
        let one = number("One status; written back as a text.", 200, 599);
        OneOfBuilder::new().item(written).item(one).into()
    }
}

impl ToSchema for StatusRange {}

/// An absolute path without a fragment, as probes ask for it.
pub(in crate::model) fn probe_path() -> RefOr<Schema> {
    text("The path asked.", "^/[!-\"$-~]*$", (1, 2000), "/health").into()
}

/// Labels; `null` is none.
pub(in crate::model) fn labels() -> RefOr<Schema> {
    let value = text("At most 63 characters.", ONE_LINE, (0, 63), "sre");
    map("Free-form labels.", value)
}

/// Switches; `null` is none.
pub(in crate::model) fn switches() -> RefOr<Schema> {
    map(
        "Feature switches by name.",
        ObjectBuilder::new().schema_type(Type::Boolean),
    )
}

fn map(description: &str, value: ObjectBuilder) -> RefOr<Schema> {
    let key = text("1 to 63 characters.", ONE_LINE, (1, 63), "team").build();
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Object, Type::Null]))
        .description(Some(description))
        .property_names(Some(key))
        .additional_properties(Some(value))
        .into()
}
