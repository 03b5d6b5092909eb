//! The calls of Weaviate's REST API that are used, and what its answers mean.
//!
//! It answers 422 for what exists and for what is malformed, 404 to a replacement of what is not
//! there, and 200 to a batch whatever became of its items: here these are told apart.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use thiserror::Error;
use url::Url;
use uuid::Uuid;

/// Bytes of an answer that says what is wrong, at most.
const SHOWN: usize = 300;

/// Why a call did not do as asked.
#[derive(Debug, Error)]
pub(super) enum Failure {
    #[error("{0}")]
    Unreachable(String),
    #[error(
        "it answered {0} to our credentials; store.api_key_file or store.api_key_env says where \
         they are"
    )]
    Denied(StatusCode),
    #[error("it answered {status} to {what}: {told}")]
    Refused {
        what: &'static str,
        status: StatusCode,
        told: String,
    },
    #[error("its answer to {0} can't be read: {1}")]
    Unreadable(&'static str, String),
}

pub(super) type Properties = Map<String, Value>;

/// An object of a class.
#[derive(Debug, Deserialize)]
pub(super) struct Object {
    pub(super) id: Uuid,
    #[serde(default)]
    pub(super) properties: Properties,
}

/// One server, or whatever is in front of several.
#[derive(Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
    api_key: Option<String>,
    timeout: Duration,
}

impl Client {
    pub(super) fn new(
        http: reqwest::Client,
        base: Url,
        api_key: Option<String>,
        timeout: Duration,
    ) -> Self {
        Self {
            http,
            base,
            api_key,
            timeout,
        }
    }

    /// A class as it is defined; `None` if it is not.
    pub(super) async fn class(&self, class: &str) -> Result<Option<Value>, Failure> {
        const WHAT: &str = "a question about a class";
        let response = self.call(Method::GET, &["schema", class], None).await?;
        match response.status() {
            StatusCode::OK => read(WHAT, response).await.map(Some),
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(refused(WHAT, response).await),
        }
    }

    /// Defines a class. False if there is one of that name.
    pub(super) async fn create_class(&self, definition: &Value) -> Result<bool, Failure> {
        const WHAT: &str = "a new class";
        let response = self
            .call(Method::POST, &["schema"], Some(definition))
            .await?;
        made(WHAT, response).await
    }

    /// Adds a property to a class. False if there is one of that name.
    pub(super) async fn add_property(
        &self,
        class: &str,
        property: &Value,
    ) -> Result<bool, Failure> {
        const WHAT: &str = "a new property";
        let path = ["schema", class, "properties"];
        let response = self.call(Method::POST, &path, Some(property)).await?;
        made(WHAT, response).await
    }

    /// An object, as most replicas have it; `None` if they have none.
    pub(super) async fn get(&self, class: &str, id: Uuid) -> Result<Option<Properties>, Failure> {
        const WHAT: &str = "a read";
        let path = ["objects", class, &id.to_string()];
        let request = self.request(Method::GET, &path);
        let response = send(quorum(request)).await?;
        match response.status() {
            StatusCode::OK => {
                let object: Object = read(WHAT, response).await?;
                Ok(Some(object.properties))
            }
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(refused(WHAT, response).await),
        }
    }

    /// Creates an object. False if there is one of that id.
    ///
    /// The server looks before it writes: of two that create at one time, both may be told that
    /// they did, and the later one's object is what stays.
    pub(super) async fn create(
        &self,
        class: &str,
        id: Uuid,
        properties: &Properties,
    ) -> Result<bool, Failure> {
        const WHAT: &str = "a new object";
        let request = self.request(Method::POST, &["objects"]);
        let body = json!({"class": class, "id": id, "properties": properties});
        let response = send(quorum(request).json(&body)).await?;
        made(WHAT, response).await
    }

    /// Replaces an object as a whole. False if there is none.
    pub(super) async fn replace(
        &self,
        class: &str,
        id: Uuid,
        properties: &Properties,
    ) -> Result<bool, Failure> {
        const WHAT: &str = "a replaced object";
        let request = self.request(Method::PUT, &["objects", class, &id.to_string()]);
        let body = json!({"class": class, "id": id, "properties": properties});
        let response = send(quorum(request).json(&body)).await?;
        match response.status() {
            StatusCode::OK => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            // So it is said by versions up to 1.24.
            StatusCode::INTERNAL_SERVER_ERROR => {
                let failure = refused(WHAT, response).await;
                match &failure {
                    Failure::Refused { told, .. } if told.contains("no object with id") => {
                        Ok(false)
                    }
                    _ => Err(failure),
                }
            }
            _ => Err(refused(WHAT, response).await),
        }
    }

    /// Creates or replaces an object.
    pub(super) async fn upsert(
        &self,
        class: &str,
        id: Uuid,
        properties: &Properties,
    ) -> Result<(), Failure> {
        const WHAT: &str = "a batch";
        let request = self.request(Method::POST, &["batch", "objects"]);
        let body = json!({"objects": [{"class": class, "id": id, "properties": properties}]});
        let response = send(quorum(request).json(&body)).await?;
        if response.status() != StatusCode::OK {
            return Err(refused(WHAT, response).await);
        }
        let status = response.status();
        let items: Value = read(WHAT, response).await?;
        let items = items.as_array().map(Vec::as_slice).unwrap_or_default();
        let failed = |item: &&Value| {
            let result = &item["result"];
            result["status"] == "FAILED" || result["errors"]["error"].is_array()
        };
        match items.iter().find(failed) {
            None if items.len() == 1 => Ok(()),
            None => Err(Failure::Unreadable(WHAT, "it has another length".into())),
            Some(item) => Err(Failure::Refused {
                what: WHAT,
                status,
                told: messages(&item["result"]["errors"]),
            }),
        }
    }

    /// Removes an object, if it is there.
    pub(super) async fn delete(&self, class: &str, id: Uuid) -> Result<(), Failure> {
        const WHAT: &str = "a removal";
        let request = self.request(Method::DELETE, &["objects", class, &id.to_string()]);
        let response = send(quorum(request)).await?;
        match response.status() {
            StatusCode::NO_CONTENT | StatusCode::NOT_FOUND => Ok(()),
            _ => Err(refused(WHAT, response).await),
        }
    }

    /// Objects of a class in the order of their ids, after one of them. Perhaps as they were a
    /// moment ago: listings can't ask most replicas.
    pub(super) async fn list(
        &self,
        class: &str,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<Object>, Failure> {
        #[derive(Deserialize)]
        struct Listing {
            #[serde(default)]
            objects: Vec<Object>,
        }
        const WHAT: &str = "a listing";
        let after = after.map(|id| id.to_string()).unwrap_or_default();
        let limit = limit.to_string();
        let query = [("class", class), ("limit", &limit), ("after", &after)];
        let request = self.request(Method::GET, &["objects"]).query(&query);
        let response = send(request).await?;
        match response.status() {
            StatusCode::OK => Ok(read::<Listing>(WHAT, response).await?.objects),
            _ => Err(refused(WHAT, response).await),
        }
    }

    async fn call(
        &self,
        method: Method,
        path: &[&str],
        body: Option<&Value>,
    ) -> Result<Response, Failure> {
        let request = self.request(method, path);
        send(match body {
            Some(body) => request.json(body),
            None => request,
        })
        .await
    }

    fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("v1").extend(path);
        }
        let request = self.http.request(method, url).timeout(self.timeout);
        match &self.api_key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }
}

fn quorum(request: RequestBuilder) -> RequestBuilder {
    request.query(&[("consistency_level", "QUORUM")])
}

async fn send(request: RequestBuilder) -> Result<Response, Failure> {
    let response = request.send().await.map_err(|error| {
        // The innermost cause says most, and the URL is told elsewhere.
        let error = error.without_url();
        let mut cause: &dyn std::error::Error = &error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        let timed_out = error.is_timeout();
        Failure::Unreachable(if timed_out {
            "it does not answer in time".into()
        } else {
            cause.to_string()
        })
    })?;
    match response.status() {
        status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => Err(Failure::Denied(status)),
        _ => Ok(response),
    }
}

async fn read<T: serde::de::DeserializeOwned>(
    what: &'static str,
    response: Response,
) -> Result<T, Failure> {
    let read = response.json().await;
    read.map_err(|error| Failure::Unreadable(what, error.without_url().to_string()))
}

/// Whether something was made, or was there already.
async fn made(what: &'static str, response: Response) -> Result<bool, Failure> {
    if response.status() == StatusCode::OK {
        return Ok(true);
    }
    let unprocessable = response.status() == StatusCode::UNPROCESSABLE_ENTITY;
    let failure = refused(what, response).await;
    match &failure {
        Failure::Refused { told, .. } if unprocessable && told.contains("already exists") => {
            Ok(false)
        }
        _ => Err(failure),
    }
}

async fn refused(what: &'static str, response: Response) -> Failure {
    let status = response.status();
    let text = response.text().await.unwrap_or_default();
    let told = match serde_json::from_str::<Value>(&text) {
        Ok(told) => messages(&told),
        Err(_) => text.chars().take(SHOWN).collect(),
    };
    Failure::Refused { what, status, told }
}

/// What `{"error": [{"message": …}, …]}` says.
fn messages(told: &Value) -> String {
    let messages: Vec<&str> = match told["error"].as_array() {
        Some(errors) => errors
            .iter()
            .filter_map(|error| error["message"].as_str())
            .collect(),
        None => told["message"].as_str().into_iter().collect(),
    };
    messages.join("; ").chars().take(SHOWN).collect()
}
