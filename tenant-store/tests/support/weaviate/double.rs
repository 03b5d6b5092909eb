//! A strict double of Weaviate's REST API, as far as it is documented and used: of one class at a
//! time, in memory, on a port of loopback.
//!
//! It refuses what the real one would at best take by mistake: undeclared properties, calls without
//! `limit`, objects without class. It has the faults of the real one, too: its check for what exists
//! is not atomic with its write, what is not asked of most replicas may be old, a batch is answered
//! with 200 whatever became of its items, and numbers come back as floats.

mod objects;
mod schema;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    extract::{Query, Request, State},
    http::{Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Map, Value, json};
use tokio::{net::TcpListener, sync::oneshot};
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
    /// By class: listings so far that were not behind.
    fresh_listings: Mutex<BTreeMap<String, usize>>,
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
            fresh_listings: Mutex::default(),
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

    /// How many listings of a class have shown all of it as it was by then.
    #[allow(dead_code, reason = "not for every test program")]
    pub(crate) fn fresh_listings(&self, class: &str) -> usize {
        let counts = lock(&self.shared.fresh_listings);
        counts.get(class).copied().unwrap_or_default()
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
    let object = get(objects::read)
        .put(objects::replace)
        .delete(objects::remove)
        .head(objects::exists);
    Router::new()
        .route("/v1/.well-known/ready", get(async || StatusCode::OK))
        .route("/v1/schema", post(schema::create_class))
        .route("/v1/schema/{class}", get(schema::class))
        .route("/v1/schema/{class}/properties", post(schema::add_property))
        .route("/v1/objects", get(objects::list).post(objects::create))
        .route("/v1/objects/{class}/{id}", object)
        .route("/v1/batch/objects", post(objects::batch))
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
