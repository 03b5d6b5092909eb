//! The admin API as the CLI calls it.

use std::{env, fs, io, path::PathBuf, sync::Arc, time::Duration};

use clap::Args;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use rustls::{ClientConfig, RootCertStore};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use thiserror::Error;
use url::Url;

use crate::tls;

/// Which router, and with which credentials.
#[derive(Debug, Args)]
pub(super) struct ServerArgs {
    /// The admin listener of a router
    #[arg(
        long,
        global = true,
        env = "MIRADOR_SERVER",
        value_name = "URL",
        default_value = "http://127.0.0.1:9427",
        value_parser = read_server
    )]
    server: Url,
    #[arg(
        long,
        global = true,
        env = "MIRADOR_TOKEN_FILE",
        value_name = "FILE",
        help = "File with an operator's token, or the admin token; without it the variable MIRADOR_TOKEN is used"
    )]
    token_file: Option<PathBuf>,
}

/// Why the admin API did not do as asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(super) enum AdminError {
    #[error("can't read the token file {}: {source}", path.display())]
    TokenFile { path: PathBuf, source: io::Error },
    #[error("the token in {0} is empty, or has characters that no header can carry")]
    Token(String),
    #[error("no token: name a file with --token-file, or set MIRADOR_TOKEN")]
    NoToken,
    #[error("can't set up the connection: {0}")]
    Setup(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error(
        "can't reach the admin listener {server}: {reason}; is the router running there? (--server, MIRADOR_SERVER)"
    )]
    Unreachable { server: String, reason: String },
    #[error("{server} answered {status}: {error}{}", Faults(.faults))]
    Refused {
        server: String,
        status: StatusCode,
        error: String,
        faults: Vec<Fault>,
    },
    #[error("{server} answered what this version of mirador does not understand: {reason}")]
    Strange { server: String, reason: String },
}

impl AdminError {
    /// Whether what was asked is at fault, rather than the server or the way to it.
    pub(super) fn is_input(&self) -> bool {
        match self {
            Self::TokenFile { .. } | Self::Token(_) | Self::NoToken => true,
            Self::Refused { status, .. } => matches!(
                *status,
                StatusCode::BAD_REQUEST
                    | StatusCode::UNPROCESSABLE_ENTITY
                    | StatusCode::UNSUPPORTED_MEDIA_TYPE
                    | StatusCode::PAYLOAD_TOO_LARGE
            ),
            Self::Setup(_) | Self::Unreachable { .. } | Self::Strange { .. } => false,
        }
    }

    /// The status of a refusal.
    pub(super) fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether the next request would be refused the same way.
    pub(super) fn ends_all(&self) -> bool {
        match self {
            Self::Refused { status, .. } => {
                matches!(
                    *status,
                    StatusCode::UNAUTHORIZED
                        | StatusCode::FORBIDDEN
                        | StatusCode::TOO_MANY_REQUESTS
                ) || status.is_server_error()
            }
            _ => true,
        }
    }
}

/// What the server says is wrong with one field.
#[derive(Debug, Deserialize)]
pub(super) struct Fault {
    field: String,
    value: Option<String>,
    message: String,
}

struct Faults<'a>(&'a [Fault]);

impl std::fmt::Display for Faults<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for Fault {
            field,
            value,
            message,
        } in self.0
        {
            match value {
                Some(value) => write!(f, "\n  {field}: {message} (found {value:?})")?,
                None => write!(f, "\n  {field}: {message}")?,
            }
        }
        Ok(())
    }
}

/// A connection to one router's admin API.
pub(super) struct AdminClient {
    http: reqwest::Client,
    server: Url,
    token: String,
}

/// A request that changes something.
pub(super) struct Change<'c> {
    pub(super) method: Method,
    pub(super) path: &'c [&'c str],
    pub(super) query: &'c [(&'c str, String)],
    pub(super) condition: Condition<'c>,
    pub(super) body: Body<'c>,
}

/// What has to be so for a change to be made.
pub(super) enum Condition<'c> {
    None,
    /// It is there, at this `ETag`; `*` for any.
    Match(&'c str),
    /// It is not there.
    Absent,
}

/// What a change says.
pub(super) enum Body<'c> {
    None,
    Json(&'c Value),
    Patch(&'c str),
    Yaml(&'c str),
}

/// What came of a change.
pub(super) struct Changed {
    /// `created`, `updated`, `unchanged`, `deleted` and their kin; empty if it was none of these.
    pub(super) outcome: String,
    pub(super) body: Value,
}

/// Items asked for at a time.
const PAGE: usize = 1000;

/// Deadline for one answer: longer than the router's own, which explains itself. An import has no
/// other.
const TIMEOUT: Duration = Duration::from_mins(5);

/// For answers that go on as long as somebody looks.
const ENDLESS: Duration = Duration::from_hours(24 * 365);

impl AdminClient {
    pub(super) fn new(args: &ServerArgs) -> Result<Self, AdminError> {
        let token = token(args.token_file.as_ref())?;
        Self::with_token(args.server.clone(), token)
    }

    /// Goes to the listener straight: it is an internal address that proxies don't know.
    pub(super) fn with_token(server: Url, token: String) -> Result<Self, AdminError> {
        let roots = match server.scheme() {
            "https" => tls::system_roots(),
            _ => RootCertStore::empty(),
        };
        let tls = tls::client_config(&Arc::new(roots), None, b"http/1.1")
            .map_err(|error| AdminError::Setup(error.into()))?;
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT)
            .tls_backend_preconfigured(ClientConfig::clone(&tls))
            .build()
            .map_err(|error| AdminError::Setup(error.into()))?;
        Ok(Self {
            http,
            server,
            token,
        })
    }

    /// Reads one thing.
    pub(super) async fn read<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, String)],
    ) -> Result<T, AdminError> {
        let request = self.request(Method::GET, path).query(query);
        self.decoded(self.sent(request).await?).await
    }

    /// Follows server-sent events; `last` is the id of the last one that was received. The answer
    /// has no end, and no deadline but the connection's.
    pub(super) async fn events(
        &self,
        query: &[(&str, String)],
        last: Option<&str>,
    ) -> Result<Response, AdminError> {
        let request = self.request(Method::GET, &["events"]).query(query);
        let request = match last {
            Some(last) => request.header("Last-Event-ID", last),
            None => request,
        };
        self.sent(request.timeout(ENDLESS)).await
    }

    /// Reads a text.
    pub(super) async fn text(&self, path: &[&str]) -> Result<String, AdminError> {
        let response = self.sent(self.request(Method::GET, path)).await?;
        response
            .text()
            .await
            .map_err(|error| self.strange(root_cause(&error)))
    }

    /// Reads a list, page by page. `field` holds the items of a page, and `next` goes into
    /// `cursor`.
    pub(super) async fn pages<T: DeserializeOwned>(
        &self,
        path: &[&str],
        field: &str,
        cursor: &str,
        query: &[(&str, String)],
        most: Option<usize>,
    ) -> Result<Vec<T>, AdminError> {
        let mut items: Vec<T> = Vec::new();
        let mut next: Option<String> = None;
        loop {
            let left = most.map_or(PAGE, |most| PAGE.min(most - items.len()));
            let mut query = query.to_vec();
            query.push(("limit", left.to_string()));
            query.extend(next.take().map(|next| (cursor, next)));
            let mut page: Map<String, Value> = self.read(path, &query).await?;
            let list = page.remove(field).unwrap_or_default();
            let list: Vec<T> =
                serde_json::from_value(list).map_err(|error| self.strange(error.to_string()))?;
            items.extend(list);
            next = match page.remove("next") {
                Some(Value::String(next)) => Some(next),
                Some(Value::Number(next)) => Some(next.to_string()),
                _ => None,
            };
            if next.is_none() || most.is_some_and(|most| items.len() >= most) {
                return Ok(items);
            }
        }
    }

    /// Changes something, and tells what came of it.
    pub(super) async fn change(&self, change: Change<'_>) -> Result<Changed, AdminError> {
        let Change {
            method,
            path,
            query,
            condition,
            body,
        } = change;
        let mut request = self.request(method, path).query(query);
        request = match condition {
            Condition::None => request,
            Condition::Match(tag) => request.header("If-Match", tag),
            Condition::Absent => request.header("If-None-Match", "*"),
        };
        request = match body {
            Body::None => request,
            Body::Json(value) => request.json(value),
            Body::Patch(text) => request
                .header("Content-Type", "application/merge-patch+json")
                .body(text.to_owned()),
            Body::Yaml(text) => request
                .header("Content-Type", "application/yaml")
                .body(text.to_owned()),
        };
        let response = self.sent(request).await?;
        let outcome = header(&response, "x-mirador-outcome").to_owned();
        let text = response
            .text()
            .await
            .map_err(|error| self.strange(root_cause(&error)))?;
        let body = serde_json::from_str(&text).unwrap_or_default();
        Ok(Changed { outcome, body })
    }

    fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        let mut url = self.server.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["api", "v1"]).extend(path);
        }
        self.http.request(method, url).bearer_auth(&self.token)
    }

    async fn sent(&self, request: RequestBuilder) -> Result<Response, AdminError> {
        let response = request
            .send()
            .await
            .map_err(|error| AdminError::Unreachable {
                server: self.name(),
                reason: root_cause(&error),
            })?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let text = response.text().await.unwrap_or_default();
        let Problem { detail, errors } = serde_json::from_str(&text).unwrap_or_else(|_| Problem {
            detail: text.trim().to_owned(),
            errors: Vec::new(),
        });
        Err(AdminError::Refused {
            server: self.name(),
            status,
            error: detail,
            faults: errors,
        })
    }

    async fn decoded<T: DeserializeOwned>(&self, response: Response) -> Result<T, AdminError> {
        response
            .json()
            .await
            .map_err(|error| self.strange(root_cause(&error)))
    }

    /// The server, as people write it.
    fn name(&self) -> String {
        self.server.as_str().trim_end_matches('/').into()
    }

    fn strange(&self, reason: String) -> AdminError {
        AdminError::Strange {
            server: self.name(),
            reason,
        }
    }
}

#[derive(Deserialize)]
struct Problem {
    detail: String,
    #[serde(default)]
    errors: Vec<Fault>,
}

fn header<'r>(response: &'r Response, name: &str) -> &'r str {
    let value = response.headers().get(name);
    value
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

fn token(file: Option<&PathBuf>) -> Result<String, AdminError> {
    let (text, origin) = if let Some(path) = file {
        let text = fs::read_to_string(path).map_err(|source| AdminError::TokenFile {
            path: path.clone(),
            source,
        })?;
        (text, path.display().to_string())
    } else {
        let text = env::var("MIRADOR_TOKEN").map_err(|_| AdminError::NoToken)?;
        (text, "MIRADOR_TOKEN".to_owned())
    };
    let token = text.trim();
    if token.is_empty() || !token.chars().all(|c| c.is_ascii_graphic()) {
        return Err(AdminError::Token(origin));
    }
    Ok(token.to_owned())
}

fn read_server(text: &str) -> Result<Url, String> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        _ => Err("expected a URL such as http://127.0.0.1:9427".into()),
    }
}

/// The innermost error says what happened; the outer ones only that something did.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
