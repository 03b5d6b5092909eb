//! What flags and environment variables say before the file does.

use clap::Args;
use serde_json::{Value, json};
use tenant_store::document::Document;

/// The keys that a flag, or else a variable, sets instead of the file.
///
/// An empty value is no value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Configuration (goes before the file)")]
pub struct Overrides {
    /// Where clients connect; several with commas between
    #[arg(
        long,
        env = "MIRADOR_LISTEN_PUBLIC",
        value_name = "ADDRESS",
        value_delimiter = ','
    )]
    pub listen_public: Vec<String>,
    /// Where the admin API, metrics and health are; `none` for nowhere
    #[arg(long, env = "MIRADOR_LISTEN_ADMIN", value_name = "ADDRESS")]
    pub listen_admin: Option<String>,
    /// Where clients connect for metrics only
    #[arg(
        long,
        env = "MIRADOR_LISTEN_METRICS",
        value_name = "ADDRESS",
        value_delimiter = ','
    )]
    pub listen_metrics: Vec<String>,
    /// Where clients connect for logs only
    #[arg(
        long,
        env = "MIRADOR_LISTEN_LOGS",
        value_name = "ADDRESS",
        value_delimiter = ','
    )]
    pub listen_logs: Vec<String>,
    /// Where clients connect for traces only
    #[arg(
        long,
        env = "MIRADOR_LISTEN_TRACES",
        value_name = "ADDRESS",
        value_delimiter = ','
    )]
    pub listen_traces: Vec<String>,
    /// The file that holds the admin API's token
    #[arg(
        long,
        env = "MIRADOR_ADMIN_TOKEN_FILE",
        value_name = "FILE",
        conflicts_with = "admin_token_env"
    )]
    pub admin_token_file: Option<String>,
    /// The variable that holds the admin API's token
    #[arg(long, env = "MIRADOR_ADMIN_TOKEN_ENV", value_name = "NAME")]
    pub admin_token_env: Option<String>,
    /// The embedded store's file
    #[arg(long, env = "MIRADOR_STORE_PATH", value_name = "FILE")]
    pub store_path: Option<String>,
    /// Worker threads: a number, or auto for one per core
    #[arg(long, env = "MIRADOR_WORKERS", value_name = "COUNT")]
    pub workers: Option<String>,
    /// How log lines are written: json, logfmt or text
    #[arg(long, env = "MIRADOR_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<String>,
    /// What is logged: error, warn, info, debug, trace, or a filter
    #[arg(long, env = "MIRADOR_LOG_LEVEL", value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// Networks whose X-Forwarded-* headers are believed; several with commas between
    #[arg(
        long,
        env = "MIRADOR_TRUSTED_PROXIES",
        value_name = "CIDR",
        value_delimiter = ','
    )]
    pub trusted_proxies: Vec<String>,
    /// How long to serve on after SIGTERM, no longer ready, before connections are closed
    #[arg(long, env = "MIRADOR_SHUTDOWN_DELAY", value_name = "DURATION")]
    pub shutdown_delay: Option<String>,
    /// How long requests in flight may take after that
    #[arg(long, env = "MIRADOR_SHUTDOWN_DRAIN", value_name = "DURATION")]
    pub shutdown_drain: Option<String>,
    /// Tenant files, or directories of them, to apply at start; several with commas between
    #[arg(
        long,
        env = "MIRADOR_TENANTS",
        value_name = "PATH",
        value_delimiter = ','
    )]
    pub tenants: Vec<String>,
}

impl Overrides {
    /// Writes what is set over the file.
    pub(super) fn apply(&self, document: &mut Document) {
        for (path, value) in self.values() {
            let name = path.replace(['.', '_'], "-");
            let variable = name.replace('-', "_").to_uppercase();
            let origin = format!("--{name} (or MIRADOR_{variable})");
            // The one way to the token that is named here is meant instead of the file's.
            match path {
                "admin.token_file" => document.set("admin.token_env", Value::Null, &origin),
                "admin.token_env" => document.set("admin.token_file", Value::Null, &origin),
                _ => {}
            }
            document.set(path, value, &origin);
        }
    }

    /// What is set, by its path in the file. The flag's name is the path's, with dashes.
    fn values(&self) -> Vec<(&'static str, Value)> {
        let Self {
            listen_public,
            listen_admin,
            listen_metrics,
            listen_logs,
            listen_traces,
            admin_token_file,
            admin_token_env,
            store_path,
            workers,
            log_format,
            log_level,
            trusted_proxies,
            shutdown_delay,
            shutdown_drain,
            tenants,
        } = self;
        let texts = [
            ("listen.admin", listen_admin),
            ("admin.token_file", admin_token_file),
            ("admin.token_env", admin_token_env),
            ("store.path", store_path),
            ("workers", workers),
            ("log.format", log_format),
            ("log.level", log_level),
            ("shutdown.delay", shutdown_delay),
            ("shutdown.drain", shutdown_drain),
        ];
        let lists = [
            ("listen.public", listen_public),
            ("listen.metrics", listen_metrics),
            ("listen.logs", listen_logs),
            ("listen.traces", listen_traces),
            ("trusted_proxies", trusted_proxies),
            ("tenants", tenants),
        ];
        let texts = texts.into_iter().filter_map(|(path, text)| {
            text.as_ref()
                .filter(|text| !text.is_empty())
                .map(|text| (path, json!(text)))
        });
        let lists = lists.into_iter().filter_map(|(path, list)| {
            let list: Vec<_> = list.iter().filter(|item| !item.is_empty()).collect();
            (!list.is_empty()).then(|| (path, json!(list)))
        });
        texts.chain(lists).collect()
    }
}
