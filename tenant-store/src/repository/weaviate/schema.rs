//! The classes, and bringing them about.

use serde_json::{Value, json};

use super::client::{Client, Failure};
use crate::repository::Kind;

/// The names of the classes: all begin alike.
#[derive(Debug, Clone)]
pub(super) struct Classes {
    pub(super) tenant: String,
    pub(super) tier: String,
    pub(super) key: String,
    /// Audit events.
    pub(super) event: String,
    /// Writes that are under way.
    pub(super) claim: String,
    /// When keys were last used.
    pub(super) usage: String,
}

impl Classes {
    pub(super) fn new(prefix: &str) -> Self {
        Self {
            tenant: format!("{prefix}Tenant"),
            tier: format!("{prefix}Tier"),
            key: format!("{prefix}ApiKey"),
            event: format!("{prefix}Event"),
            claim: format!("{prefix}Claim"),
            usage: format!("{prefix}Usage"),
        }
    }

    pub(super) fn of(&self, kind: Kind) -> &str {
        match kind {
            Kind::Tenant => &self.tenant,
            Kind::Tier => &self.tier,
            Kind::Key => &self.key,
        }
    }
}

/// What a record's id is called.
pub(super) const fn id_property(kind: Kind) -> &'static str {
    match kind {
        Kind::Tenant => "tenantId",
        Kind::Tier => "tierId",
        Kind::Key => "keyId",
    }
}

/// Defines the classes that are missing, and adds properties that a class of an older version does
/// not have.
pub(super) async fn bring_about(
    client: &Client,
    classes: &Classes,
    replication_factor: u32,
) -> Result<(), SchemaFailure> {
    let mut all: Vec<(&str, Vec<Value>)> = Kind::ALL
        .into_iter()
        .map(|kind| (classes.of(kind), of_records(kind)))
        .collect();
    all.push((&classes.event, of_events()));
    all.push((&classes.claim, of_claims()));
    all.push((&classes.usage, of_usage()));
    for (class, properties) in all {
        let found = if let Some(found) = client.class(class).await? {
            found
        } else {
            let definition = define(class, &properties, replication_factor);
            if client.create_class(&definition).await? {
                continue;
            }
            // Another router was first.
            let found = client.class(class).await?;
            found.ok_or_else(|| SchemaFailure::Similar(class.to_owned()))?
        };
        complete(client, class, &found, &properties).await?;
    }
    Ok(())
}

/// Why the classes are not as they should be.
#[derive(Debug, thiserror::Error)]
pub(super) enum SchemaFailure {
    #[error(transparent)]
    Call(#[from] Failure),
    #[error(
        "it can't have a class {0}, as it has one whose name differs only in case: remove that, or \
         use another Weaviate"
    )]
    Similar(String),
    #[error(
        "its class {class} has a property {property} of the type {found}, not {expected}: somebody \
         else's, or another program's; remove the class, or use another Weaviate"
    )]
    Foreign {
        class: String,
        property: String,
        found: String,
        expected: String,
    },
}

async fn complete(
    client: &Client,
    class: &str,
    found: &Value,
    properties: &[Value],
) -> Result<(), SchemaFailure> {
    let existing = found["properties"].as_array();
    let existing = existing.map(Vec::as_slice).unwrap_or_default();
    for property in properties {
        let name = &property["name"];
        match existing.iter().find(|existing| existing["name"] == *name) {
            None => {
                client.add_property(class, property).await?;
            }
            Some(existing) if existing["dataType"] != property["dataType"] => {
                return Err(SchemaFailure::Foreign {
                    class: class.to_owned(),
                    property: name.as_str().unwrap_or_default().to_owned(),
                    found: existing["dataType"].to_string(),
                    expected: property["dataType"].to_string(),
                });
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn define(class: &str, properties: &[Value], replication_factor: u32) -> Value {
    json!({
        "class": class,
        "vectorizer": "none",
        "vectorIndexConfig": {"skip": true},
        "replicationConfig": {
            "factor": replication_factor,
            "deletionStrategy": "TimeBasedResolution",
        },
        "properties": properties,
    })
}

fn of_records(kind: Kind) -> Vec<Value> {
    vec![
        sought(id_property(kind)),
        sought("status"),
        property("revision", "int"),
        property("createdAt", "date"),
        property("updatedAt", "date"),
        property("deleted", "boolean"),
        text("spec"),
        text("claim"),
    ]
}

fn of_events() -> Vec<Value> {
    vec![
        property("sequence", "int"),
        sought("subject"),
        text("event"),
    ]
}

fn of_claims() -> Vec<Value> {
    vec![text("claim"), text("intent")]
}

fn of_usage() -> Vec<Value> {
    vec![sought("subject"), property("usedAt", "date")]
}

fn property(name: &str, data_type: &str) -> Value {
    json!({"name": name, "dataType": [data_type]})
}

/// A text that people may look for, as a whole.
fn sought(name: &str) -> Value {
    json!({
        "name": name,
        "dataType": ["text"],
        "tokenization": "field",
        "indexFilterable": true,
        "indexSearchable": false,
    })
}

/// A text that nobody looks for.
fn text(name: &str) -> Value {
    json!({
        "name": name,
        "dataType": ["text"],
        "tokenization": "field",
        "indexFilterable": false,
        "indexSearchable": false,
    })
}
