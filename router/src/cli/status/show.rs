//! Health as people read it.

use serde_json::{Map, Value};

use crate::cli::{
    Failure,
    output::{Terminal, cell},
};

/// In the order people care about them.
const CONDITIONS: [&str; 7] = [
    "unhealthy",
    "degraded",
    "maintenance",
    "provisioning",
    "unknown",
    "healthy",
    "suspended",
];

/// How all do in one line, and a row for each of the worst.
pub(super) fn overview(health: &Value, terminal: &mut Terminal<'_>) -> Result<(), Failure> {
    let counts = &health["counts"];
    let told = CONDITIONS.into_iter().filter_map(|condition| {
        let count = counts[condition].as_u64().filter(|count| *count > 0)?;
        Some(format!("{count} {condition}"))
    });
    let told: Vec<String> = told.collect();
    if told.is_empty() {
        return terminal.say(&"no tenants");
    }
    terminal.say(&format_args!("tenants: {}", told.join(", ")))?;
    let tenants = health["tenants"].as_array().map_or(&[][..], Vec::as_slice);
    let rows: Vec<_> = tenants
        .iter()
        .map(|tenant| {
            let endpoints = &tenant["endpoints"];
            [
                cell(&tenant["tenant"]),
                cell(&tenant["tier"]),
                cell(&tenant["condition"]),
                cell(&tenant["score"]),
                format!(
                    "{}/{}",
                    cell(&endpoints["healthy"]),
                    cell(&endpoints["total"])
                ),
                moment(&tenant["since"]),
                cell(&tenant["sentence"]),
            ]
        })
        .collect();
    let head = [
        "TENANT",
        "TIER",
        "CONDITION",
        "SCORE",
        "ENDPOINTS",
        "SINCE",
        "WHAT",
    ];
    terminal.say_table(head, &rows)?;
    if health["next"].is_null() {
        return Ok(());
    }
    terminal.say(&"... and more: --limit shows more, --condition and --search fewer")
}

/// What is the matter with a tenant, and a row for each of its endpoints.
pub(super) fn tenant(health: &Value, terminal: &mut Terminal<'_>) -> Result<(), Failure> {
    let (tenant, condition) = (cell(&health["tenant"]), cell(&health["condition"]));
    let sentence = cell(&health["sentence"]);
    terminal.say(&format_args!("{tenant} is {condition}: {sentence}"))?;
    let mut rows = Vec::new();
    let deployments = health["deployments"].as_object();
    for (signal, deployment) in deployments.into_iter().flat_map(Map::iter) {
        for endpoint in deployment["endpoints"].as_array().into_iter().flatten() {
            let serves = deployment["served_by"]
                .as_array()
                .is_some_and(|names| names.contains(&endpoint["endpoint"]));
            rows.push([
                signal.clone(),
                cell(&endpoint["endpoint"]),
                whence(endpoint),
                cell(&endpoint["zone"]),
                cell(&endpoint["priority"]),
                cell(&endpoint["condition"]),
                if serves { "yes" } else { "no" }.into(),
                moment(&endpoint["since"]),
                latency(&endpoint["last_probe"]["latency_ms"]),
                cell(&endpoint["cause"]),
            ]);
        }
    }
    let head = [
        "SIGNAL",
        "ENDPOINT",
        "NAME OR ADDRESS",
        "ZONE",
        "PRIORITY",
        "CONDITION",
        "SERVES",
        "SINCE",
        "PROBE MS",
        "CAUSE",
    ];
    terminal.say_table(head, &rows)?;
    for (signal, deployment) in deployments.into_iter().flat_map(Map::iter) {
        for name in deployment["names"].as_array().into_iter().flatten() {
            if let Some(sentence) = name["sentence"].as_str() {
                terminal.say(&format_args!("{signal}: {sentence}"))?;
            }
        }
        let failover = &deployment["last_failover"];
        if failover.is_object() {
            terminal.say(&format_args!(
                "last failover of {signal}: {} from {} to {} ({})",
                moment(&failover["at"]),
                cell(&failover["from"]),
                cell(&failover["to"]),
                cell(&failover["cause"]),
            ))?;
        }
    }
    Ok(())
}

/// The name that an address is one of, or the address that a name has.
fn whence(endpoint: &Value) -> String {
    let from = &endpoint["from"];
    cell(if from.is_null() {
        &endpoint["address"]
    } else {
        from
    })
}

/// A time to the second.
pub(super) fn moment(at: &Value) -> String {
    let parsed = at
        .as_str()
        .and_then(|at| at.parse::<jiff::Timestamp>().ok());
    parsed.map_or_else(|| cell(at), |at| format!("{at:.0}"))
}

fn latency(milliseconds: &Value) -> String {
    let milliseconds = milliseconds.as_f64();
    milliseconds.map_or_else(|| "-".into(), |value| format!("{value:.1}"))
}
