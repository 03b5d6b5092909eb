//! A double of `VictoriaTraces`, which no package registry carries: the Jaeger query API, ingestion by
//! OTLP over HTTP and, on a port of its own, over gRPC. As strict as the real one about methods,
//! content types and the headers that choose a tenant.

pub(crate) mod otlp;
mod real;

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    fmt::Write as _,
    future::Future,
    sync::Arc,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use http_body_util::{BodyExt as _, Full, combinators::BoxBody};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinSet};

use self::otlp::Span;
pub(crate) use self::real::RealTraces;

const GRPC_EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// A running double. Stops when dropped.
#[derive(Debug)]
pub(crate) struct Traces {
    http: String,
    grpc: String,
    spans: Arc<Spans>,
    _serving: JoinSet<()>,
}

/// The tenant of a backend: `AccountID` and `ProjectID`.
type Account = (u32, u32);

#[derive(Debug, Default)]
struct Spans(Mutex<BTreeMap<Account, Vec<Span>>>);

impl Traces {
    /// Starts one without spans.
    pub(crate) async fn start() -> Self {
        let spans = Arc::new(Spans::default());
        let mut serving = JoinSet::new();
        let http = bind().await;
        let grpc = bind().await;
        let (http_url, grpc_url) = (url(&http), url(&grpc));
        let shared = Arc::clone(&spans);
        serving.spawn(accept(http, move |request| {
            let spans = Arc::clone(&shared);
            async move { answer_http(&spans, request).await }
        }));
        let shared = Arc::clone(&spans);
        serving.spawn(accept(grpc, move |request| {
            let spans = Arc::clone(&shared);
            async move { answer_grpc(&spans, request).await }
        }));
        Self {
            http: http_url,
            grpc: grpc_url,
            spans,
            _serving: serving,
        }
    }

    /// Where it answers queries and takes OTLP over HTTP.
    pub(crate) fn url(&self) -> String {
        self.http.clone()
    }

    /// Where it takes OTLP over gRPC: HTTP/2 in clear, and nothing else.
    pub(crate) fn grpc_url(&self) -> String {
        self.grpc.clone()
    }

    /// What it holds for a tenant of its own.
    pub(crate) fn spans(&self, account: u32, project: u32) -> Vec<Span> {
        let all = self.spans.0.lock();
        all.get(&(account, project)).cloned().unwrap_or_default()
    }
}

async fn bind() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("a port")
}

fn url(listener: &TcpListener) -> String {
    format!("http://{}", listener.local_addr().expect("an address"))
}

type Reply = Response<BoxBody<Bytes, Infallible>>;

async fn accept<F, A>(listener: TcpListener, answer: F)
where
    F: Fn(Request<Incoming>) -> A + Clone + Send + 'static,
    A: Future<Output = Reply> + Send + 'static,
{
    let mut open = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let answer = answer.clone();
        open.spawn(async move {
            let service = service_fn(move |request| {
                let reply = answer(request);
                async move { Ok::<_, Infallible>(reply.await) }
            });
            let server = auto::Builder::new(TokioExecutor::new());
            // Fails when the peer leaves, which is its right.
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
        });
        while open.try_join_next().is_some() {}
    }
}

async fn answer_http(spans: &Spans, request: Request<Incoming>) -> Reply {
    let path = request.uri().path().to_owned();
    let mut reply = match account(request.headers()) {
        Err(text) => plain(StatusCode::BAD_REQUEST, text),
        Ok(account) => match path.as_str() {
            "/health" => plain(StatusCode::OK, "OK"),
            "/insert/opentelemetry/v1/traces" => insert(spans, account, request).await,
            _ => match path.strip_prefix("/select/jaeger/api/") {
                Some(rest) => jaeger(spans, account, rest, request.uri().query()),
                None => plain(StatusCode::BAD_REQUEST, "unsupported path requested"),
            },
        },
    };
    let name = HeaderValue::from_static("victoria-traces-0");
    reply.headers_mut().insert("x-server-hostname", name);
    reply
}

/// The tenant that the headers choose; 0 and 0 where they choose none.
fn account(headers: &HeaderMap) -> Result<Account, &'static str> {
    let number = |name| match headers.get(name) {
        None => Some(0),
        Some(value) => value.to_str().ok()?.parse().ok(),
    };
    let both = (number("accountid"), number("projectid"));
    let (Some(account), Some(project)) = both else {
        return Err("cannot parse tenant headers");
    };
    Ok((account, project))
}

async fn insert(spans: &Spans, account: Account, request: Request<Incoming>) -> Reply {
    if request.method() != Method::POST {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "use POST");
    }
    let kind = request.headers().get(header::CONTENT_TYPE);
    if kind.is_none_or(|kind| kind != "application/x-protobuf") {
        let text = "json encoding isn't supported for opentelemetry format";
        return plain(StatusCode::BAD_REQUEST, text);
    }
    let Ok(body) = request.into_body().collect().await else {
        return plain(StatusCode::BAD_REQUEST, "the body broke off");
    };
    match otlp::read_spans(&body.to_bytes()) {
        Some(new) => {
            spans.0.lock().entry(account).or_default().extend(new);
            plain(StatusCode::OK, "")
        }
        None => plain(StatusCode::BAD_REQUEST, "cannot unmarshal the request"),
    }
}

fn jaeger(spans: &Spans, account: Account, rest: &str, query: Option<&str>) -> Reply {
    let all = spans.0.lock();
    let mine = all.get(&account).map(Vec::as_slice).unwrap_or_default();
    let segments: Vec<&str> = rest.trim_end_matches('/').split('/').collect();
    let data = match *segments.as_slice() {
        ["services"] => names(mine.iter().map(|span| &span.service)),
        ["services", service, "operations"] => {
            let of_service = mine.iter().filter(|span| span.service == service);
            names(of_service.map(|span| &span.name))
        }
        ["traces"] => {
            let pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
            let Some((_, service)) = pairs.into_iter().find(|(key, _)| key == "service") else {
                return failed(StatusCode::BAD_REQUEST, "service name is required");
            };
            traces(mine, |span| span.service == service)
        }
        ["traces", id] => match traces(mine, |span| span.trace_id == id) {
            found if found.is_empty() => {
                return failed(StatusCode::NOT_FOUND, "trace not found");
            }
            found => found,
        },
        _ => return plain(StatusCode::BAD_REQUEST, "unsupported path requested"),
    };
    let page = json!({"total": data.len(), "limit": 0, "offset": 0, "errors": null, "data": data});
    reply_json(StatusCode::OK, &page)
}

fn names<'a>(all: impl Iterator<Item = &'a String>) -> Vec<Value> {
    let distinct: BTreeSet<&String> = all.collect();
    distinct.into_iter().map(|name| json!(name)).collect()
}

fn traces(spans: &[Span], wanted: impl Fn(&Span) -> bool) -> Vec<Value> {
    let ids: BTreeSet<&str> = spans
        .iter()
        .filter(|span| wanted(span))
        .map(|span| &*span.trace_id)
        .collect();
    let trace = |id: &str| {
        let of_trace = || spans.iter().filter(move |span| span.trace_id == id);
        let processes: BTreeMap<&str, Value> = of_trace()
            .map(|span| {
                (
                    &*span.service,
                    json!({"serviceName": span.service, "tags": []}),
                )
            })
            .collect();
        let spans: Vec<Value> = of_trace()
            .map(|span| {
                json!({
                    "traceID": id,
                    "spanID": span.id,
                    "operationName": span.name,
                    "processID": span.service,
                })
            })
            .collect();
        json!({"traceID": id, "spans": spans, "processes": processes})
    };
    ids.into_iter().map(trace).collect()
}

/// A gRPC server tells what went wrong by trailers, and says 200 all the same.
async fn answer_grpc(spans: &Spans, request: Request<Incoming>) -> Reply {
    let (head, body) = request.into_parts();
    if head.version != Version::HTTP_2 {
        return plain(StatusCode::HTTP_VERSION_NOT_SUPPORTED, "speak HTTP/2");
    }
    if head.uri.path() != GRPC_EXPORT {
        return grpc(12, "unknown service or method");
    }
    let is_grpc = head
        .headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    let is_strict = head.method == Method::POST
        && is_grpc
        && head
            .headers
            .get(header::TE)
            .is_some_and(|te| te == "trailers");
    let Ok(account) = account(&head.headers) else {
        return grpc(3, "cannot parse tenant headers");
    };
    let Ok(body) = body.collect().await else {
        return grpc(13, "the body broke off");
    };
    match otlp::unframe(&body.to_bytes()).and_then(otlp::read_spans) {
        Some(new) if is_strict => {
            spans.0.lock().entry(account).or_default().extend(new);
            grpc(0, "")
        }
        _ => grpc(3, "not an export of spans"),
    }
}

fn grpc(status: u16, message: &'static str) -> Reply {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from(status));
    trailers.insert("grpc-message", HeaderValue::from_static(message));
    // An empty ExportTraceServiceResponse.
    let message = if status == 0 { &[0_u8; 5][..] } else { &[] };
    let body = Full::new(Bytes::from_static(message))
        .with_trailers(async move { Some(Ok(trailers)) })
        .boxed();
    reply(StatusCode::OK, "application/grpc", body)
}

fn failed(status: StatusCode, message: &str) -> Reply {
    let errors = json!([{"code": status.as_u16(), "msg": message}]);
    reply_json(status, &json!({"data": null, "errors": errors}))
}

fn reply_json(status: StatusCode, page: &Value) -> Reply {
    let body = Full::new(Bytes::from(page.to_string())).boxed();
    reply(status, "application/json", body)
}

fn plain(status: StatusCode, text: &'static str) -> Reply {
    let body = Full::new(Bytes::from_static(text.as_bytes())).boxed();
    reply(status, "text/plain; charset=utf-8", body)
}

fn reply(status: StatusCode, kind: &'static str, body: BoxBody<Bytes, Infallible>) -> Reply {
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, kind)
        .body(body)
        .expect("a reply")
}

/// Bytes as OTLP's ids are shown: in hexadecimal.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
