//! The audit as JSON lines.

use std::fs;

use serde_json::{Value, json};

use crate::support::{eventually, mirador::Mirador, tenant::Tenant};

fn events(text: &str) -> Vec<Value> {
    let lines = text.lines().filter(|line| line.starts_with('{'));
    lines
        .map(|line| serde_json::from_str(line).expect("a JSON object"))
        .collect()
}

fn outcomes(events: &[Value]) -> Vec<(&str, u64)> {
    let told = events.iter().map(|event| {
        let sequence = event["sequence"].as_u64().expect("a place");
        (event["outcome"].as_str().expect("an outcome"), sequence)
    });
    told.collect()
}

/// A file misses nothing over a kill of the router, and has nothing twice.
#[tokio::test]
async fn a_file_has_every_change_once() {
    let mut mirador = Mirador::with(json!({"audit": {"log": "audit.jsonl"}})).await;
    let path = mirador.folder().join("audit.jsonl");
    mirador.apply(&Tenant::new("acme")).await;
    let written = async |count: usize| {
        eventually("the events to be written", async || {
            let events = events(&fs::read_to_string(&path).ok()?);
            (events.len() >= count).then_some(events)
        })
        .await
    };
    let first = written(1).await;
    assert_eq!(outcomes(&first), [("created", 1)]);
    assert_eq!(first[0]["author"], "admin-token");
    let suspended = Tenant::new("acme").set("/status", "suspended");
    mirador.apply(&suspended).await;
    // Perhaps before it is written to the file.
    mirador.restart().await;
    mirador.apply(&Tenant::new("acme")).await;
    let all = written(3).await;
    assert_eq!(
        outcomes(&all),
        [("created", 1), ("updated", 2), ("updated", 3)]
    );
}

#[tokio::test]
async fn standard_output_has_what_is_new() {
    let mirador = Mirador::with(json!({"audit": {"log": "stdout"}})).await;
    mirador.apply(&Tenant::new("acme")).await;
    let events = eventually("an event", async || {
        let events = events(&mirador.process.output());
        (!events.is_empty()).then_some(events)
    })
    .await;
    assert_eq!(outcomes(&events), [("created", 1)]);
    assert_eq!(events[0]["before"], Value::Null);
}
