//! Where tenants are kept.

use std::{
    env,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::Duration,
};

use tenant_store::{
    model::HumanDuration,
    repository::{
        files::FilesOptions,
        postgres::{PostgresOptions, PostgresTls, PostgresUrl},
        weaviate::WeaviateOptions,
    },
};
use url::Url;

use super::{Builder, MILLISECOND, MINUTE};
use crate::config::{
    StoreConfig,
    raw::{RawStore, RawStoreKind, RawStoreTls},
};

/// How often a store may be looked into.
const POLL: RangeInclusive<Duration> = Duration::from_millis(100)..=MINUTE;

/// How long a claim may be left to settle.
const SETTLING: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(10);

impl Builder<'_, '_> {
    /// The store; with faults, which are reported, perhaps the default one.
    pub(super) fn store(&mut self, raw: &RawStore) -> StoreConfig {
        self.belongs_elsewhere(raw);
        match raw.kind {
            RawStoreKind::Sqlite => self.sqlite(raw),
            RawStoreKind::Postgres => self.postgres(raw).unwrap_or_default(),
            RawStoreKind::Weaviate => self.weaviate(raw).unwrap_or_default(),
            RawStoreKind::Files => self.files(raw).unwrap_or_default(),
        }
    }

    /// What says where another kind of store is would be passed over in silence, and tenants be
    /// looked for in the wrong place.
    fn belongs_elsewhere(&mut self, raw: &RawStore) {
        use RawStoreKind::{Files, Postgres, Sqlite, Weaviate};
        for (key, is_set, kinds) in [
            ("store.path", raw.path.is_some(), &[Sqlite, Files][..]),
            ("store.url", raw.url.is_some(), &[Postgres, Weaviate]),
            (
                "store.url_file",
                raw.url_file.is_some(),
                &[Postgres, Weaviate],
            ),
            (
                "store.url_env",
                raw.url_env.is_some(),
                &[Postgres, Weaviate],
            ),
            ("store.tls", raw.tls.is_some(), &[Postgres]),
            (
                "store.ca_file",
                raw.ca_file.is_some(),
                &[Postgres, Weaviate],
            ),
            (
                "store.api_key_file",
                raw.api_key_file.is_some(),
                &[Weaviate],
            ),
            ("store.api_key_env", raw.api_key_env.is_some(), &[Weaviate]),
            (
                "store.replication_factor",
                raw.replication_factor.is_some(),
                &[Weaviate],
            ),
            ("store.settling", raw.settling.is_some(), &[Weaviate]),
            (
                "store.class_prefix",
                raw.class_prefix.is_some(),
                &[Weaviate],
            ),
        ] {
            if is_set && !kinds.contains(&raw.kind) {
                let kinds: Vec<_> = kinds.iter().map(|kind| kind.as_str()).collect();
                let (kinds, kind) = (kinds.join(" or "), raw.kind.as_str());
                let message = format!(
                    "this is for store.kind {kinds}, and store.kind is {kind}: leave it out, or \
                     change that"
                );
                self.report.fault(key, message);
            }
        }
    }

    fn sqlite(&mut self, raw: &RawStore) -> StoreConfig {
        let path = raw.path.as_deref().unwrap_or(Path::new("mirador.db"));
        let path = self.document.resolve("store.path", path);
        self.in_a_directory("store.path", &path);
        StoreConfig::Sqlite {
            path,
            busy_timeout: self.span("store.busy_timeout", raw.busy_timeout, MILLISECOND..=MINUTE),
            poll_interval: self.poll_interval(raw, 1),
        }
    }

    fn postgres(&mut self, raw: &RawStore) -> Option<StoreConfig> {
        let options = PostgresOptions {
            max_connections: self.count("store.max_connections", raw.max_connections, 2..=1000),
            connect_timeout: self.span("store.timeout", raw.timeout, MILLISECOND..=MINUTE),
            poll_interval: self.poll_interval(raw, 5),
        };
        let ca_file = raw.ca_file.as_deref();
        let ca_file = ca_file.and_then(|file| self.readable("store.ca_file", file));
        let tls = match (raw.tls.unwrap_or(RawStoreTls::Verify), ca_file) {
            (RawStoreTls::Verify, None) => PostgresTls::Verified,
            (RawStoreTls::Verify, Some(file)) => PostgresTls::VerifiedBy(file),
            (RawStoreTls::Off, None) => PostgresTls::Off,
            (RawStoreTls::Off, Some(_)) => {
                let message = "store.tls is off: there is no certificate to verify";
                self.report.fault("store.ca_file", message);
                PostgresTls::Off
            }
        };
        let (place, url) = self.store_url(raw)?;
        match url.parse::<PostgresUrl>() {
            Ok(url) => Some(StoreConfig::Postgres { url, tls, options }),
            Err(error) => {
                self.report.fault(place, error.to_string());
                None
            }
        }
    }

    fn weaviate(&mut self, raw: &RawStore) -> Option<StoreConfig> {
        let default = WeaviateOptions::default();
        let options = WeaviateOptions {
            timeout: self.span("store.timeout", raw.timeout, MILLISECOND..=MINUTE),
            poll_interval: self.poll_interval(raw, 5),
            replication_factor: match raw.replication_factor {
                None => default.replication_factor,
                Some(factor) => self.count("store.replication_factor", factor, 1..=100),
            },
            settling: match raw.settling {
                None => default.settling,
                Some(settling) => self.span("store.settling", settling, SETTLING),
            },
            class_prefix: match &raw.class_prefix {
                None => default.class_prefix,
                Some(prefix) => self.class_prefix(prefix),
            },
        };
        let api_key = self.held(
            "store.api_key",
            raw.api_key_file.as_deref(),
            raw.api_key_env.as_deref(),
        );
        let ca_file = raw.ca_file.as_deref();
        let ca_file = ca_file.and_then(|file| self.readable("store.ca_file", file));
        let (place, url) = self.store_url(raw)?;
        let url = self.weaviate_url(place, &url)?;
        if ca_file.is_some() && url.scheme() != "https" {
            let message = "the URL begins with http: there is no certificate to verify";
            self.report.fault("store.ca_file", message);
        }
        Some(StoreConfig::Weaviate {
            url,
            api_key,
            ca_file,
            options,
        })
    }

    /// Where a Weaviate is. Nothing of a URL at fault is repeated: there may be a password in it.
    fn weaviate_url(&mut self, place: &str, text: &str) -> Option<Url> {
        let url = Url::parse(text).ok().filter(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.has_host()
                && url.query().is_none()
                && url.fragment().is_none()
        });
        let Some(url) = url else {
            let message =
                "expected a URL such as https://weaviate.internal:8080, without `?` and `#`";
            self.report.fault(place, message);
            return None;
        };
        if !url.username().is_empty() || url.password().is_some() {
            let message = "expected a URL without user and password; store.api_key_file or \
                           store.api_key_env says who we are";
            self.report.fault(place, message);
            return None;
        }
        Some(url)
    }

    fn class_prefix(&mut self, prefix: &str) -> String {
        let fits = prefix.len() <= 64
            && prefix.starts_with(|first: char| first.is_ascii_uppercase())
            && prefix
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !fits {
            let message = format!(
                "expected up to 64 letters, digits and `_`, the first a capital letter, as names \
                 of classes begin, not {prefix:?}"
            );
            self.report.fault("store.class_prefix", message);
        }
        prefix.to_owned()
    }

    fn files(&mut self, raw: &RawStore) -> Option<StoreConfig> {
        let Some(path) = &raw.path else {
            let message = "store.kind is files, which needs path, the folder they are in";
            self.report.fault("store.kind", message);
            return None;
        };
        let path = self.document.resolve("store.path", path);
        if !path.is_dir() {
            let message = format!("there is no directory {}", path.display());
            self.report.fault("store.path", message);
        }
        let poll_interval = self.poll_interval(raw, 1);
        let options = FilesOptions { poll_interval };
        Some(StoreConfig::Files { path, options })
    }

    /// The URL, and the key that led to it. Nothing of it is ever repeated: there may be a password
    /// in it.
    fn store_url(&mut self, raw: &RawStore) -> Option<(&'static str, String)> {
        match (&raw.url, &raw.url_file, &raw.url_env) {
            (Some(url), None, None) => Some(("store.url", url.0.expose().to_owned())),
            (None, Some(file), None) => {
                let key = "store.url_file";
                let text = self.read(key, &self.document.resolve(key, file))?;
                Some((key, String::from_utf8_lossy(&text).trim_end().to_owned()))
            }
            (None, None, Some(name)) => {
                let key = "store.url_env";
                let text = env::var(name).ok();
                if text.is_none() {
                    let message = format!("the variable {name} is not set, or not text");
                    self.report.fault(key, message);
                }
                Some((key, text?))
            }
            (None, None, None) => {
                let kind = raw.kind.as_str();
                let message = format!("store.kind is {kind}, which needs url_file, url_env or url");
                self.report.fault("store.kind", message);
                None
            }
            _ => {
                let message = "url, url_file and url_env exclude each other, name one";
                self.report.fault("store", message);
                None
            }
        }
    }

    /// How often to look for changes that nobody told of.
    fn poll_interval(&mut self, raw: &RawStore, default_seconds: u64) -> Duration {
        let default = HumanDuration::from_secs(default_seconds);
        let interval = raw.poll_interval.unwrap_or(default);
        self.span("store.poll_interval", interval, POLL)
    }

    /// A file that can be read.
    fn readable(&mut self, key: &str, file: &Path) -> Option<PathBuf> {
        let file = self.document.resolve(key, file);
        self.read(key, &file)?;
        Some(file)
    }
}
