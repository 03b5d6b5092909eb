mod dns;
mod files;
mod identify;
mod notify;
mod operators;
mod picking;
mod reference;
mod store;

use std::fs;

use clap::Parser;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

/// Overrides as they are typed.
#[derive(Debug, Parser)]
struct CommandLine {
    #[command(flatten)]
    overrides: Overrides,
}

fn overrides(line: &str) -> Overrides {
    let words = std::iter::once("mirador").chain(line.split_whitespace());
    CommandLine::try_parse_from(words)
        .expect("a command line")
        .overrides
}

fn defaults() -> Config {
    Config::load(None, &Overrides::default()).expect("the defaults")
}

/// Reads a text as if it stood in a file that is not there.
fn read(text: &str) -> (Option<Config>, Faults) {
    match Document::parse(None, text) {
        Ok(document) => {
            let overrides = Overrides::default();
            Config::from_source(Source {
                path: None,
                overrides,
                document,
            })
        }
        Err(faults) => (None, faults),
    }
}

fn good(text: &str) -> Config {
    let (config, faults) = read(text);
    assert!(faults.is_empty(), "{faults}");
    config.expect("a configuration")
}

/// Whose a token is.
fn holder<'c>(config: &'c Config, token: &str) -> Option<&'c str> {
    let operator = config.settings.operators.by_token(token)?;
    Some(&operator.name)
}

/// Asserts that exactly these faults are found: line, path, part of the message.
fn assert_faults(text: &str, expected: &[(u32, &str, &str)]) {
    let (_, faults) = read(text);
    let shown = faults.to_string();
    assert_eq!(faults.len(), expected.len(), "{shown}");
    for (fault, (line, path, message)) in faults.iter().zip(expected) {
        assert_eq!(
            (fault.line, fault.path.as_str()),
            (Some(*line), *path),
            "{shown}"
        );
        assert!(fault.message.contains(message), "{message}: {fault}");
    }
}

/// A directory with a certificate `a.crt`, its key `a.key`, and another key `b.key`.
fn certificates() -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| {
        fs::write(directory.path().join(name), text).expect("a file");
    };
    let names = || vec!["localhost".to_owned()];
    let made = rcgen::generate_simple_self_signed(names()).expect("a certificate");
    write("a.crt", &made.cert.pem());
    write("a.key", &made.signing_key.serialize_pem());
    let other = rcgen::generate_simple_self_signed(names()).expect("a certificate");
    write("b.key", &other.signing_key.serialize_pem());
    directory
}

#[test]
fn without_a_file_the_documented_defaults_hold() {
    let config = defaults();
    let public = ListenerConfig {
        proxy_protocol: false,
        address: ([127, 0, 0, 1], 8427).into(),
        signal: None,
        tls: None,
        limits: ListenerLimits {
            max_connections: 10_000,
            max_headers: 100,
            max_head_bytes: 65_536,
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            write_timeout: Duration::from_mins(1),
        },
    };
    assert_eq!(config.listeners, [public]);
    assert_eq!(config.admin_listen, Some(([127, 0, 0, 1], 9427).into()));
    assert_eq!(config.cache, CacheConfig::default());
    assert_eq!(config.health, MonitorConfig::default());
    assert!(config.settings.operators.is_empty());
    assert!(config.workers > 0);
    let path = PathBuf::from("mirador.db");
    assert_eq!(
        config.store,
        StoreConfig::Sqlite {
            path,
            busy_timeout: Duration::from_secs(1),
            poll_interval: Duration::from_secs(1),
        }
    );
}

#[test]
fn listeners_come_in_every_form() {
    let config = good(
        "listen:
  public: [\"127.0.0.1:1\", {address: \"[::1]:1\", limits: {max_headers: 50, head_timeout: 5s}}]
  admin: none
  logs: 127.0.0.1:9428
  traces: {address: 127.0.0.1:10428}
  limits: {max_headers: 20, max_head_bytes: 16KiB}
",
    );
    let told: Vec<_> = config
        .listeners
        .iter()
        .map(|l| {
            (
                l.address.to_string(),
                l.signal,
                l.limits.max_headers,
                l.limits.max_head_bytes,
            )
        })
        .collect();
    let told: Vec<_> = told
        .iter()
        .map(|(at, signal, n, size)| (at.as_str(), *signal, *n, *size))
        .collect();
    assert_eq!(
        told,
        [
            ("127.0.0.1:1", None, 20, 16_384),
            ("[::1]:1", None, 50, 16_384),
            ("127.0.0.1:9428", Some(Signal::Logs), 20, 16_384),
            ("127.0.0.1:10428", Some(Signal::Traces), 20, 16_384),
        ]
    );
    assert_eq!(config.admin_listen, None);
}

#[test]
fn every_fault_is_told_at_once_with_its_line() {
    assert_faults(
        "listen:
  public: [127.0.0.1:8427, {address: 0.0.0.0:9427, tls: {cert_file: no.crt, key_file: no.key}}]
  logs: localhost:9428
  limits: {max_head_bytes: 1KiB, max_conections: 5}
admin: {token_file: no.token}
store: {kind: mongo, path: /nowhere/at/all/mirador.db}
workers: 0
log: {format: xml, level: inof, access: {success: 2}}
identify: {headers: [X-Tenant-ID, Host, x-tenant-id]}
trusted_proxies: [10.0.0.1/8]
cache: {soft_ttl: 1h, hard_ttl: 1m}
upstream: {idle_timeout: 60s, retry_window: 17MiB}
health: {ejection: {base: 1m}}
metrics: {max_tenants: 0}
shutdown: {delay: soon}
tenants: [no-such-directory]
",
        &[
            (
                2,
                "listen.public[1]",
                "0.0.0.0:9427 is taken by listen.admin already",
            ),
            (2, "listen.public[1].tls.cert_file", "no.crt can't be read"),
            (2, "listen.public[1].tls.key_file", "no.key can't be read"),
            (
                3,
                "listen.logs",
                "such as 127.0.0.1:8427 or [::]:8427, not \"localhost:9428\"",
            ),
            (
                4,
                "listen.limits.max_conections",
                "did you mean `max_connections`?",
            ),
            (
                4,
                "listen.limits.max_head_bytes",
                "expected 8192 to 1048576",
            ),
            (5, "admin.token_file", "no.token can't be read"),
            (
                6,
                "store.kind",
                "expected one of `sqlite`, `postgres`, `weaviate`, `files`, not \"mongo\"",
            ),
            (6, "store.path", "there is no directory /nowhere/at/all"),
            (7, "workers", "expected auto or a number of 1 to 256, not 0"),
            (8, "log.format", "expected one of `json`, `logfmt`, `text`"),
            (8, "log.level", "not \"inof\""),
            (8, "log.access.success", "0 to 1, not 2"),
            (9, "identify.headers[1]", "a meaning of its own"),
            (9, "identify.headers[2]", "twice"),
            (10, "trusted_proxies[0]", "expected 10.0.0.0/8"),
            (11, "cache.hard_ttl", "at least cache.soft_ttl (1h)"),
            (12, "upstream.idle_timeout", "expected less than 60s"),
            (12, "upstream.retry_window", "expected 0 to 16777216"),
            (
                13,
                "health.ejection.max",
                "at least health.ejection.base (1m)",
            ),
            (14, "metrics.max_tenants", "expected 1 to 100000"),
            (15, "shutdown.delay", "expected a duration such as 30s"),
            (16, "tenants[0]", "no-such-directory can't be read"),
        ],
    );
}

#[test]
fn addresses_that_exclude_each_other_are_faults() {
    for (text, taken) in [
        ("listen: {public: [\"[::1]:1\", \"[::1]:1\"]}", true),
        ("listen: {public: 127.0.0.1:9427}", true),
        ("listen: {public: 127.0.0.1:1, logs: 0.0.0.0:1}", true),
        ("listen: {public: 127.0.0.1:1, logs: 127.0.0.2:1}", false),
        ("listen: {public: [127.0.0.1:0, 127.0.0.1:0]}", false),
    ] {
        let (_, faults) = read(text);
        assert_eq!(
            faults
                .iter()
                .any(|fault| fault.message.contains("is taken")),
            taken,
            "{text}"
        );
    }
    assert_faults(
        "listen: {public: []}",
        &[(1, "listen.public", "at least one address")],
    );
    assert_eq!(
        good("listen: {public: [], logs: 127.0.0.1:0}")
            .listeners
            .len(),
        1
    );
}

#[test]
fn a_certificate_must_fit_its_key() {
    let directory = certificates();
    let load = |key: &str| {
        let text = format!(
            "listen: {{public: {{address: 127.0.0.1:0, tls: {{cert_file: a.crt, key_file: {key}}}}}}}"
        );
        let file = directory.path().join("mirador.yaml");
        fs::write(&file, text).expect("a file");
        Config::load(Some(&file), &Overrides::default())
    };
    let config = load("a.key").expect("a configuration");
    let tls = config.listeners[0].tls.as_ref().expect("TLS");
    assert_eq!(tls.cert_file, directory.path().join("a.crt"));
    let faults = load("b.key").expect_err("faults");
    assert!(
        faults
            .to_string()
            .contains("mirador.yaml:1: listen.public.tls: "),
        "{faults}"
    );
    let faults = load("a.crt").expect_err("faults");
    assert_eq!(faults.len(), 1, "{faults}");
}

proptest! {
    /// Whatever a size is written as, it is read as what it says.
    #[test]
    fn sizes_are_read_as_written(kib in 8_u64..=1024) {
        let sizes = [format!("{kib}KiB"), format!("{}", kib << 10), format!("{kib} KiB")];
        for size in sizes {
            let config = good(&format!("listen: {{limits: {{max_head_bytes: {size}}}}}"));
            prop_assert_eq!(config.listeners[0].limits.max_head_bytes as u64, kib << 10);
        }
    }

    /// No text in any place panics; it is read or told.
    #[test]
    fn any_value_anywhere_is_read_or_told(
        key in prop::sample::select(reference::keys()),
        value in "[ -~]{0,24}",
    ) {
        let mut document = Document::empty();
        document.set(&key, serde_json::json!(value), "test");
        let source = Source { path: None, overrides: Overrides::default(), document };
        let (config, faults) = Config::from_source(source);
        prop_assert!(config.is_some() || !faults.is_empty());
    }
}
