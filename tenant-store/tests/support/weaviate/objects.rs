//! Objects: one by one, in batches, in pages.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};
use tokio::time::sleep;
use uuid::Uuid;

use super::{App, Arguments, Object, Shared, error, lock, unprocessable};

pub(super) async fn read(
    State(shared): App,
    Path((class, id)): Path<(String, Uuid)>,
    Query(arguments): Arguments,
) -> Response {
    let lag = lock(&shared.manners).lag;
    let data = lock(&shared.data);
    let object = data
        .objects
        .get(&class)
        .and_then(|objects| objects.get(&id));
    let found = match arguments.get("consistency_level").map(String::as_str) {
        Some("QUORUM" | "ALL") => object.and_then(Object::now),
        _ => object.and_then(|object| object.ago(lag)),
    };
    match found {
        Some(properties) => Json(shown(&class, id, properties)).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

pub(super) async fn exists(
    app: App,
    path: Path<(String, Uuid)>,
    arguments: Arguments,
) -> StatusCode {
    match read(app, path, arguments).await.status() {
        StatusCode::OK => StatusCode::NO_CONTENT,
        other => other,
    }
}

pub(super) async fn create(
    State(shared): App,
    Query(arguments): Arguments,
    Json(body): Json<Value>,
) -> Response {
    let (class, id, properties) = match object(&shared, &body) {
        Ok(object) => object,
        Err(message) => return unprocessable(&message),
    };
    if let Err(message) = check_level(&arguments) {
        return unprocessable(&message);
    }
    if is_there(&shared, &class, id) {
        return unprocessable(&format!("id '{id}' already exists"));
    }
    let window = lock(&shared.manners).window;
    if !window.is_zero() {
        sleep(window).await;
    }
    put(&shared, &class, id, Some(properties.clone()));
    Json(shown(&class, id, &properties)).into_response()
}

pub(super) async fn replace(
    State(shared): App,
    Path((class, id)): Path<(String, Uuid)>,
    Query(arguments): Arguments,
    Json(body): Json<Value>,
) -> Response {
    let (named, own_id, properties) = match object(&shared, &body) {
        Ok(object) => object,
        Err(message) => return unprocessable(&message),
    };
    if let Err(message) = check_level(&arguments) {
        return unprocessable(&message);
    }
    if named != class || own_id != id {
        return unprocessable("field 'id' is immutable");
    }
    if !is_there(&shared, &class, id) {
        return error(StatusCode::NOT_FOUND, &format!("no object with id '{id}'"));
    }
    put(&shared, &class, id, Some(properties.clone()));
    Json(shown(&class, id, &properties)).into_response()
}

pub(super) async fn remove(
    State(shared): App,
    Path((class, id)): Path<(String, Uuid)>,
) -> StatusCode {
    if !is_there(&shared, &class, id) {
        return StatusCode::NOT_FOUND;
    }
    put(&shared, &class, id, None);
    StatusCode::NO_CONTENT
}

pub(super) async fn batch(State(shared): App, Json(body): Json<Value>) -> Response {
    let fail = lock(&shared.manners).batches_fail;
    let mut results = Vec::new();
    for item in body["objects"].as_array().into_iter().flatten() {
        let outcome = object(&shared, item).and_then(|object| {
            if fail {
                Err("cannot achieve consistency level QUORUM".into())
            } else {
                Ok(object)
            }
        });
        results.push(match outcome {
            Ok((class, id, properties)) => {
                put(&shared, &class, id, Some(properties));
                json!({"class": class, "id": id, "result": {"status": "SUCCESS"}})
            }
            Err(message) => json!({"result": {
                "status": "FAILED",
                "errors": {"error": [{"message": message}]},
            }}),
        });
    }
    Json(results).into_response()
}

pub(super) async fn list(State(shared): App, Query(arguments): Arguments) -> Response {
    let known = ["class", "limit", "after"];
    if let Some(other) = arguments
        .keys()
        .find(|name| !known.contains(&name.as_str()))
    {
        return unprocessable(&format!("{other} can't be combined with a cursor"));
    }
    let argument = |name: &str| arguments.get(name).map(String::as_str);
    let (Some(class), Some(limit)) = (argument("class"), argument("limit")) else {
        return unprocessable("class and limit are expected");
    };
    let limit = limit
        .parse::<usize>()
        .ok()
        .filter(|limit| (1..=10_000).contains(limit));
    let Some(limit) = limit else {
        return unprocessable("invalid limit");
    };
    let after = match argument("after") {
        None | Some("") => Uuid::nil(),
        Some(after) => match after.parse() {
            Ok(after) => after,
            Err(_) => return unprocessable("after is no id"),
        },
    };
    let lag = lock(&shared.manners).lag;
    let data = lock(&shared.data);
    if !data.classes.contains_key(class) {
        return unprocessable(&format!("class {class} not present"));
    }
    let objects = data.objects.get(class).into_iter().flatten();
    let mut all = objects.clone();
    if all.all(|(_, object)| object.ago(lag) == object.now()) {
        *lock(&shared.fresh_listings)
            .entry(class.to_owned())
            .or_default() += 1;
    }
    let objects: Vec<Value> = objects
        .filter(|(id, _)| **id > after)
        .filter_map(|(id, object)| Some((id, object.ago(lag)?)))
        .take(limit)
        .map(|(id, properties)| shown(class, *id, properties))
        .collect();
    let count = objects.len();
    Json(json!({"objects": objects, "totalResults": count})).into_response()
}

fn is_there(shared: &Shared, class: &str, id: Uuid) -> bool {
    let data = lock(&shared.data);
    let object = data.objects.get(class).and_then(|objects| objects.get(&id));
    object.and_then(Object::now).is_some()
}

fn check_level(arguments: &BTreeMap<String, String>) -> Result<(), String> {
    match arguments.get("consistency_level").map(String::as_str) {
        Some("ONE" | "QUORUM" | "ALL") => Ok(()),
        other => Err(format!("a write at the level {other:?}")),
    }
}

/// Class, id and properties of an object that is sent, if its class has all of them.
fn object(shared: &Shared, body: &Value) -> Result<(String, Uuid, Map<String, Value>), String> {
    let class = body["class"].as_str().ok_or("class is missing")?;
    let text = body["id"].as_str().ok_or("id is missing")?;
    let id: Uuid = text.parse().map_err(|_| format!("{text:?} is no id"))?;
    if id.to_string() != text {
        return Err(format!("{text:?} is not in lower case"));
    }
    let properties = body["properties"]
        .as_object()
        .ok_or("properties are missing")?;
    let data = lock(&shared.data);
    let definition = data.classes.get(class);
    let definition = definition.ok_or(format!("class {class:?} not present in schema"))?;
    for (name, value) in properties {
        let declared = definition["properties"].as_array().into_iter().flatten();
        let mut declared = declared.filter(|property| property["name"] == name.as_str());
        let declared = declared
            .next()
            .ok_or(format!("no such property {name:?} in {class}"))?;
        let fits = match declared["dataType"][0].as_str() {
            Some("text") => value.is_string(),
            Some("int") => value.is_i64() || value.is_u64(),
            Some("boolean") => value.is_boolean(),
            Some("date") => is_date(value),
            _ => false,
        };
        if !fits {
            return Err(format!("invalid value for {name}: {value}"));
        }
    }
    Ok((class.to_owned(), id, properties.clone()))
}

fn is_date(value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    text.parse::<jiff::Timestamp>().is_ok()
}

fn put(shared: &Shared, class: &str, id: Uuid, properties: Option<Map<String, Value>>) {
    let mut data = lock(&shared.data);
    let objects = data.objects.entry(class.to_owned()).or_default();
    objects.entry(id).or_default().becomes(properties);
}

/// An object as it is answered.
fn shown(class: &str, id: Uuid, properties: &Map<String, Value>) -> Value {
    let properties: Map<String, Value> = properties
        .iter()
        .map(|(name, value)| {
            let value = match value.as_f64() {
                Some(number) => json!(number),
                None => value.clone(),
            };
            (name.clone(), value)
        })
        .collect();
    json!({"class": class, "id": id, "properties": properties})
}
