//! `mirador.yaml` and what it becomes: every value already a type.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use http::HeaderName;
use ipnet::IpNet;
use tenant_store::model::Signal;

use crate::proxy::route::RetryPolicy;

/// What one client connection of a listener may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenerLimits {
    /// Connections open at one time, on all workers.
    pub max_connections: usize,
    /// Header fields in one head.
    pub max_headers: usize,
    /// Bytes in one head.
    pub max_head_bytes: usize,
    /// From a head's first byte to its last; also for TLS handshakes.
    pub head_timeout: Duration,
    /// Between an answer and the next request.
    pub idle_timeout: Duration,
    /// How long a client may leave what is written to it unread.
    pub write_timeout: Duration,
}

/// How requests go to backends. May change by a reload.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UpstreamSettings {
    /// For a connection, TLS included.
    pub connect_timeout: Duration,
    /// How long an idle connection is kept; below 60 s, after which the backends close it.
    pub idle_timeout: Duration,
    /// Idle connections per endpoint and worker.
    pub max_idle_per_endpoint: usize,
    /// Idle connections per worker.
    pub max_idle: usize,
    /// Bytes of a read's body held to send it again.
    pub retry_window: usize,
    /// Silence that ends an export or import.
    pub stream_idle_timeout: Duration,
    /// How many requests may be sent again.
    pub retry: RetryPolicy,
}

/// Which share of requests is logged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AccessLog {
    /// Of those that went well, 0 to 1.
    pub success: f64,
    /// Of those that did not, 0 to 1.
    pub errors: f64,
}

/// What a reload may change.
#[derive(Debug)]
pub struct Settings {
    pub identify: Identify,
    pub trusted_proxies: Vec<IpNet>,
    pub upstream: UpstreamSettings,
    pub log: LogSettings,
    pub shutdown: Shutdown,
    pub admin_token: Option<Secret>,
}
#[derive(Debug)]
pub struct Identify {
    pub headers: Vec<HeaderName>,
}
#[derive(Debug)]
pub struct LogSettings {
    pub access: AccessLog,
    pub level: String,
    pub format: LogFormat,
}
#[derive(Debug, Clone, Copy)]
pub struct Shutdown {
    pub delay: Duration,
    pub drain: Duration,
}
#[derive(Debug, Clone)]
pub struct Secret(String);
impl Secret {
    pub fn expose(&self) -> &str {
        &self.0
    }
}
#[derive(Debug, Clone, Copy)]
pub enum LogFormat {
    Json,
    Logfmt,
    Text,
}
#[derive(Debug)]
pub struct TlsFiles {
    pub cert_file: PathBuf,
    pub key_file: PathBuf,
}
#[derive(Debug)]
pub struct ListenerConfig {
    pub address: SocketAddr,
    pub signal: Option<Signal>,
    pub tls: Option<TlsFiles>,
    pub limits: ListenerLimits,
}
#[derive(Debug)]
pub enum StoreConfig {
    Sqlite {
        path: PathBuf,
        busy_timeout: Duration,
    },
}
#[derive(Debug)]
pub struct Config {
    pub listeners: Vec<ListenerConfig>,
    pub admin_listen: Option<SocketAddr>,
    pub store: StoreConfig,
    pub workers: usize,
    pub cache: tenant_store::cache::CacheConfig,
    pub health: health::MonitorConfig,
    pub max_tenants: usize,
    pub tenants: Vec<PathBuf>,
    pub settings: std::sync::Arc<Settings>,
}
impl Config {
    pub fn read_again(&self) -> Result<Self, tenant_store::document::Faults> {
        unimplemented!()
    }
    pub fn restart_only_differences(&self, _: &Self) -> Vec<String> {
        unimplemented!()
    }
    pub fn is_same_text(&self, _: &Self) -> bool {
        unimplemented!()
    }
}
