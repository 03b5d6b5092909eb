//! A strict double of Weaviate's REST API, as far as it is documented and used: of one class at a
//! time, in memory, on a port of loopback.
//!
//! It refuses what the real one would at best take by mistake: undeclared properties, calls without
//! `limit`, objects without class. It has the faults of the real one, too: its check for what exists
//! is not atomic with its write, what is not asked of most replicas may be old, a batch is answered
//! with 200 whatever became of its items, and numbers come back as floats.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    extract::{Path, Query, Request, State},
    http::{Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Map, Value, json};
use tokio::{net::TcpListener, sync::oneshot, time::sleep};
use uuid::Uuid;

/// How a double behaves. What is left out is as it should be.
#[derive(Debug, Clone, Default)]
pub(crate) struct Manners {
    /// How far behind the replica is that answers listings and reads without a level.
    pub(crate) lag: Duration,
    /// Between finding that there is no such object and writing it.
    pub(crate) window: Duration,
    /// What callers must show.
    pub(crate) api_key: Option<String>,
    /// Calls that fail: method, what the path contains, and whether the call is carried out before
    /// its answer is lost.
    pub(crate) failing: Vec<(Method, String, bool)>,
    /// Whether every item of a batch fails.
    pub(crate) batches_fail: bool,
}

/// A server, perhaps stopped just now.
#[derive(Debug)]
pub(crate) struct Weaviate {
    shared: Arc<Shared>,
    address: SocketAddr,
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    manners: Mutex<Manners>,
    data: Mutex<Data>,
}

#[derive(Debug, Default)]
struct Data {
    classes: BTreeMap<String, Value>,
    objects: BTreeMap<String, BTreeMap<Uuid, Object>>,
}

/// What became of an object, oldest first; `None` where it was removed.
#[derive(Debug, Default)]
struct Object(Vec<(Instant, Option<Map<String, Value>>)>);

impl Object {
    fn now(&self) -> Option<&Map<String, Value>> {
        self.0.last()?.1.as_ref()
    }

    fn ago(&self, lag: Duration) -> Option<&Map<String, Value>> {
        let old = self.0.iter().rev().find(|(at, _)| at.elapsed() >= lag);
        old?.1.as_ref()
    }

    fn becomes(&mut self, properties: Option<Map<String, Value>>) {
        self.0.push((Instant::now(), properties));
        let surplus = self.0.len().saturating_sub(16);
        self.0.drain(..surplus);
    }
}

impl Weaviate {
    /// Starts one on a port of its own.
    pub(crate) fn start(manners: Manners) -> Self {
        let shared = Arc::new(Shared {
            manners: Mutex::new(manners),
            data: Mutex::default(),
        });
        let (running, address) = run(shared.clone(), ([127, 0, 0, 1], 0).into());
        Self {
            shared,
            address,
            running: Mutex::new(Some(running)),
        }
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Breaks off all connections and accepts no more.
    #[allow(dead_code, reason = "not for every test program")]
    pub(crate) fn stop(&self) {
        let running = lock(&self.running).take();
        if let Some(Running { stop, thread }) = running {
            let _ = stop.send(());
            thread.join().expect("the server's thread");
        }
    }

    /// Runs it again where it was, with what is in it.
    #[allow(dead_code, reason = "not for every test program")]
    pub(crate) fn run_again(&self) {
        let (running, _) = run(self.shared.clone(), self.address);
        *lock(&self.running) = Some(running);
    }

    /// Has it behave otherwise from now on.
    #[allow(dead_code, reason = "not for every test program")]
    pub(crate) fn behave(&self, manners: Manners) {
        *lock(&self.shared.manners) = manners;
    }

    /// How many objects of a class there are.
    #[allow(dead_code, reason = "not for every test program")]
    pub(crate) fn count(&self, class: &str) -> usize {
        let data = lock(&self.shared.data);
        let objects = data.objects.get(class).into_iter().flatten();
        objects.filter(|(_, object)| object.now().is_some()).count()
    }

    /// A class as it is defined.
    #[allow(dead_code, reason = "not for every test program")]
    pub(crate) fn class(&self, class: &str) -> Option<Value> {
        lock(&self.shared.data).classes.get(class).cloned()
    }

    /// Defines a class as somebody else would.
    #[allow(dead_code, reason = "not for every test program")]
    pub(crate) fn define(&self, class: &str, definition: Value) {
        let mut data = lock(&self.shared.data);
        data.classes.insert(class.to_owned(), definition);
    }
}

impl Drop for Weaviate {
    fn drop(&mut self) {
        let running = lock(&self.running).take();
        if let Some(Running { stop, thread }) = running {
            let _ = stop.send(());
            let _ = thread.join();
        }
    }
}

/// Serves on a thread of its own, so that its end is that of all connections.
fn run(shared: Arc<Shared>, address: SocketAddr) -> (Running, SocketAddr) {
    let (stop, stopped) = oneshot::channel();
    let (told, hear) = std::sync::mpsc::channel();
    let thread = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let listener = TcpListener::bind(address).await.expect("an address");
            told.send(listener.local_addr().expect("its address"))
                .expect("somebody who waits");
            let serving = async { axum::serve(listener, app(shared)).await };
            tokio::select! {
                _ = serving => {}
                _ = stopped => {}
            }
        });
        runtime.shutdown_background();
    });
    let address = hear.recv().expect("a server");
    (Running { stop, thread }, address)
}

type App = State<Arc<Shared>>;
type Arguments = Query<BTreeMap<String, String>>;

fn app(shared: Arc<Shared>) -> Router {
    let object = get(read).put(replace).delete(remove).head(exists);
    Router::new()
        .route("/v1/.well-known/ready", get(async || StatusCode::OK))
        .route("/v1/schema", post(create_class))
        .route("/v1/schema/{class}", get(class))
        .route("/v1/schema/{class}/properties", post(add_property))
        .route("/v1/objects", get(list).post(create))
        .route("/v1/objects/{class}/{id}", object)
        .route("/v1/batch/objects", post(batch))
        .layer(middleware::from_fn_with_state(shared.clone(), as_told))
        .with_state(shared)
}

/// Who may call, and which calls fail.
async fn as_told(State(shared): App, request: Request, next: Next) -> Response {
    let manners = lock(&shared.manners).clone();
    if let Some(key) = &manners.api_key {
        let shown = request.headers().get(header::AUTHORIZATION);
        let expected = format!("Bearer {key}");
        if shown.is_none_or(|shown| shown.as_bytes() != expected.as_bytes()) {
            return error(StatusCode::UNAUTHORIZED, "anonymous access not enabled");
        }
    }
    let failing = manners.failing.iter().find(|(method, part, _)| {
        request.method() == method && request.uri().path().contains(part.as_str())
    });
    let carried_out = failing.map(|(_, _, carried_out)| *carried_out);
    match carried_out {
        None => next.run(request).await,
        Some(true) => {
            next.run(request).await;
            error(
                StatusCode::INTERNAL_SERVER_ERROR,
                "broadcast: deadline exceeded",
            )
        }
        Some(false) => error(
            StatusCode::INTERNAL_SERVER_ERROR,
            "cannot achieve consistency level",
        ),
    }
}

fn error(status: StatusCode, message: &str) -> Response {
    let body = json!({"error": [{"message": message}]});
    (status, Json(body)).into_response()
}

fn unprocessable(message: &str) -> Response {
    error(StatusCode::UNPROCESSABLE_ENTITY, message)
}

async fn class(State(shared): App, Path(class): Path<String>) -> Response {
    match lock(&shared.data).classes.get(&class) {
        Some(definition) => Json(definition.clone()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn create_class(State(shared): App, Json(definition): Json<Value>) -> Response {
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

async fn add_property(
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

async fn read(
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

async fn exists(app: App, path: Path<(String, Uuid)>, arguments: Arguments) -> StatusCode {
    match read(app, path, arguments).await.status() {
        StatusCode::OK => StatusCode::NO_CONTENT,
        other => other,
    }
}

async fn create(
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
    let there = {
        let data = lock(&shared.data);
        let found = data
            .objects
            .get(&class)
            .and_then(|objects| objects.get(&id));
        found.and_then(Object::now).is_some()
    };
    if there {
        return unprocessable(&format!("id '{id}' already exists"));
    }
    let window = lock(&shared.manners).window;
    if !window.is_zero() {
        sleep(window).await;
    }
    put(&shared, &class, id, Some(properties.clone()));
    Json(shown(&class, id, &properties)).into_response()
}

async fn replace(
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
    let there = {
        let data = lock(&shared.data);
        let found = data
            .objects
            .get(&class)
            .and_then(|objects| objects.get(&id));
        found.and_then(Object::now).is_some()
    };
    if !there {
        return error(StatusCode::NOT_FOUND, &format!("no object with id '{id}'"));
    }
    put(&shared, &class, id, Some(properties.clone()));
    Json(shown(&class, id, &properties)).into_response()
}

async fn remove(State(shared): App, Path((class, id)): Path<(String, Uuid)>) -> StatusCode {
    let there = {
        let data = lock(&shared.data);
        let found = data
            .objects
            .get(&class)
            .and_then(|objects| objects.get(&id));
        found.and_then(Object::now).is_some()
    };
    if !there {
        return StatusCode::NOT_FOUND;
    }
    put(&shared, &class, id, None);
    StatusCode::NO_CONTENT
}

async fn batch(State(shared): App, Json(body): Json<Value>) -> Response {
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

async fn list(State(shared): App, Query(arguments): Arguments) -> Response {
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
    let objects: Vec<Value> = objects
        .filter(|(id, _)| **id > after)
        .filter_map(|(id, object)| Some((id, object.ago(lag)?)))
        .take(limit)
        .map(|(id, properties)| shown(class, *id, properties))
        .collect();
    let count = objects.len();
    Json(json!({"objects": objects, "totalResults": count})).into_response()
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
