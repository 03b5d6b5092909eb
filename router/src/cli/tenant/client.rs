//! The admin API as the CLI calls it.

use std::{env, fs, io, path::PathBuf, sync::Arc, time::Duration};

use clap::Args;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use rustls::{ClientConfig, RootCertStore};
use serde::{
    Deserialize,
    de::{self, DeserializeOwned, IntoDeserializer},
};
use tenant_store::{
    model::{Status, Tenant, TenantId, TenantRecord},
    repository::Outcome,
};
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
        help = "File with the admin token; without it the variable MIRADOR_TOKEN is used"
    )]
    token_file: Option<PathBuf>,
}

/// Why the admin API did not do as asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(in crate::cli) enum AdminError {
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
    pub(in crate::cli) fn is_input(&self) -> bool {
        match self {
            Self::TokenFile { .. } | Self::Token(_) | Self::NoToken => true,
            Self::Refused { status, .. } => *status == StatusCode::BAD_REQUEST,
            Self::Setup(_) | Self::Unreachable { .. } | Self::Strange { .. } => false,
        }
    }

    /// Whether the next request would be refused the same way.
    pub(super) fn ends_all(&self) -> bool {
        match self {
            Self::Refused { status, .. } => {
                matches!(*status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
                    || status.is_server_error()
            }
            _ => true,
        }
    }
}

/// What the server says is wrong with one field.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct Fault {
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

/// Deadline for one answer: longer than the router's own, which explains itself.
const TIMEOUT: Duration = Duration::from_secs(40);

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

    /// All tenants, page by page.
    pub(super) async fn list(
        &self,
        status: Option<Status>,
    ) -> Result<Vec<TenantRecord>, AdminError> {
        let mut records = Vec::new();
        let mut after: Option<TenantId> = None;
        loop {
            let mut query = vec![("limit", "1000".to_owned())];
            query.extend(status.map(|status| ("status", status.as_str().to_owned())));
            query.extend(after.iter().map(|after| ("after", after.to_string())));
            let request = self.request(Method::GET, &["tenants"]).query(&query);
            let page: Page = self.decoded(self.sent(request).await?).await?;
            records.extend(page.tenants);
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(records),
            }
        }
    }

    pub(super) async fn get(&self, id: &TenantId) -> Result<TenantRecord, AdminError> {
        let request = self.request(Method::GET, &["tenants", id.as_str()]);
        self.decoded(self.sent(request).await?).await
    }

    pub(super) async fn put(&self, tenant: &Tenant, dry_run: bool) -> Result<Outcome, AdminError> {
        let request = self.request(Method::PUT, &["tenants", tenant.id.as_str()]);
        let request = request.query(&[("dry_run", dry_run)]).json(tenant);
        self.outcome(&self.sent(request).await?)
    }

    pub(super) async fn delete(&self, id: &TenantId, dry_run: bool) -> Result<Outcome, AdminError> {
        let request = self.request(Method::DELETE, &["tenants", id.as_str()]);
        self.outcome(&self.sent(request.query(&[("dry_run", dry_run)])).await?)
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
        let ErrorBody { error, faults } =
            serde_json::from_str(&text).unwrap_or_else(|_| ErrorBody {
                error: text.trim().to_owned(),
                faults: Vec::new(),
            });
        Err(AdminError::Refused {
            server: self.name(),
            status,
            error,
            faults,
        })
    }

    async fn decoded<T: DeserializeOwned>(&self, response: Response) -> Result<T, AdminError> {
        response
            .json()
            .await
            .map_err(|error| self.strange(root_cause(&error)))
    }

    fn outcome(&self, response: &Response) -> Result<Outcome, AdminError> {
        let header = response.headers().get("x-mirador-outcome");
        let name = header
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        Outcome::deserialize(name.into_deserializer())
            .map_err(|error: de::value::Error| self.strange(error.to_string()))
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
struct Page {
    tenants: Vec<TenantRecord>,
    next: Option<TenantId>,
}

#[derive(Deserialize)]
struct ErrorBody {
    error: String,
    #[serde(default)]
    faults: Vec<Fault>,
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
