//! Classes and their properties.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::Value;

use super::{App, lock, unprocessable};

pub(super) async fn class(State(shared): App, Path(class): Path<String>) -> Response {
    match lock(&shared.data).classes.get(&class) {
        Some(definition) => Json(definition.clone()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

pub(super) async fn create_class(State(shared): App, Json(definition): Json<Value>) -> Response {
    let name = definition["class"].as_str().unwrap_or_default();
    let proper = name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !proper {
        return unprocessable(&format!("'{name}' is not a valid class name"));
    }
    if definition["vectorizer"] != "none" {
        return unprocessable("no module with name \"\" present");
    }
    let factor = definition["replicationConfig"]["factor"].as_u64();
    if factor != Some(1) {
        return unprocessable("not enough storage replicas: found 1 want 3");
    }
    let mut data = lock(&shared.data);
    if let Some(other) = data
        .classes
        .keys()
        .find(|other| other.eq_ignore_ascii_case(name))
    {
        return unprocessable(&if other == name {
            format!("class name {name} already exists")
        } else {
            format!("class already exists: found similar class {other:?}")
        });
    }
    for property in definition["properties"].as_array().into_iter().flatten() {
        if let Err(message) = check_property(property) {
            return unprocessable(&message);
        }
    }
    data.classes.insert(name.to_owned(), definition.clone());
    Json(definition).into_response()
}

pub(super) async fn add_property(
    State(shared): App,
    Path(class): Path<String>,
    Json(property): Json<Value>,
) -> Response {
    if let Err(message) = check_property(&property) {
        return unprocessable(&message);
    }
    let mut data = lock(&shared.data);
    let Some(definition) = data.classes.get_mut(&class) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let Some(properties) = definition["properties"].as_array_mut() else {
        return unprocessable("the class has no properties");
    };
    if properties
        .iter()
        .any(|other| other["name"] == property["name"])
    {
        return unprocessable("property already exists");
    }
    properties.push(property.clone());
    Json(property).into_response()
}

fn check_property(property: &Value) -> Result<(), String> {
    let name = property["name"].as_str().unwrap_or_default();
    let reserved = ["id", "_id", "_additional"].contains(&name);
    let proper = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !proper || reserved {
        return Err(format!("'{name}' is not a valid property name"));
    }
    let data_type = property["dataType"][0].as_str().unwrap_or_default();
    let is_text = data_type == "text";
    if !is_text && !["int", "boolean", "date"].contains(&data_type) {
        return Err(format!("{data_type:?} is no data type"));
    }
    // The default tokenizes, and then `Equal` matches parts.
    if is_text && property["tokenization"] != "field" {
        return Err(format!("{name} would be tokenized"));
    }
    Ok(())
}
