//! Files, flags over them, reading them again, and checking them.

use super::*;

/// The file that newcomers are shown.
const SHOWN: &str = "\
listen:
  public: 127.0.0.1:8427   # or a list
  admin: 127.0.0.1:9427
  # metrics, logs, traces: one-signal listeners
admin:
  token_file: admin.token
store:
  kind: sqlite
  path: mirador.db
workers: auto
log: {format: json, level: info}
";

#[test]
fn the_documented_files_read() {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("admin.token"), "secret").expect("a file");
    let file = directory.path().join("mirador.yaml");
    let reference = reference::REFERENCE
        .split("```yaml\n")
        .nth(1)
        .expect("an example");
    let reference = reference.split("```").next().expect("its end");
    for text in [SHOWN, reference] {
        fs::write(&file, text).expect("a file");
        let config = Config::load(Some(&file), &Overrides::default()).expect("a configuration");
        assert_eq!(holder(&config, "secret"), Some("admin-token"));
        let path = directory.path().join("mirador.db");
        assert_eq!(
            config.store,
            StoreConfig::Sqlite {
                path,
                busy_timeout: Duration::from_secs(1),
                poll_interval: Duration::from_secs(1),
            }
        );
        assert_eq!(config.listeners, defaults().listeners);
    }
}

#[test]
fn flags_go_before_the_file_and_answer_for_their_faults() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("mirador.yaml");
    fs::write(
        &file,
        "workers: 1\nlog: {level: warn}\nstore: {path: a.db}\n",
    )
    .expect("a file");
    let load = |line: &str| Config::load(Some(&file), &overrides(line));

    let config = load("--workers 3 --listen-public 127.0.0.1:1,127.0.0.1:2 --shutdown-delay 5s")
        .expect("a configuration");
    assert_eq!((config.workers, config.listeners.len()), (3, 2));
    assert_eq!(config.settings.shutdown.delay, Duration::from_secs(5));
    assert_eq!(config.settings.log.level, "warn");
    let path_of = |config: &Config| match &config.store {
        StoreConfig::Sqlite { path, .. } => path.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(path_of(&config), directory.path().join("a.db"));
    let here = load("--store-path b.db").expect("a configuration");
    assert_eq!(
        path_of(&here),
        Path::new("b.db"),
        "a flag's path is relative to where it is typed"
    );

    let faults = load("--workers many --log-level loud")
        .expect_err("faults")
        .to_string();
    assert!(
        faults.contains("--workers (or MIRADOR_WORKERS): workers: expected auto or a number"),
        "{faults}"
    );
    assert!(
        faults.contains("--log-level (or MIRADOR_LOG_LEVEL): log.level: "),
        "{faults}"
    );
}

#[test]
fn a_token_given_by_a_flag_replaces_the_other_way_in_the_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("mirador.yaml");
    fs::write(&file, "admin: {token_file: not-there}\n").expect("a file");
    let config = Config::load(Some(&file), &overrides("--admin-token-env CARGO_PKG_NAME"));
    let config = config.expect("a configuration");
    assert!(!config.settings.operators.is_empty());
    let both = "mirador --admin-token-env A --admin-token-file b".split(' ');
    assert!(CommandLine::try_parse_from(both).is_err());
}

#[test]
fn a_reload_tells_what_is_the_same_and_what_needs_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("mirador.yaml");
    let token = directory.path().join("t");
    fs::write(&token, "one").expect("a file");
    fs::write(&file, "admin: {token_file: t}\n").expect("a file");
    let first = Config::load(Some(&file), &overrides("--workers 2")).expect("a configuration");
    let again = first.read_again().expect("a configuration");
    assert!(first.is_same_text(&again));
    assert_eq!(again.workers, 2, "flags hold for the process");

    fs::write(&token, "two").expect("a file");
    let renewed = first.read_again().expect("a configuration");
    assert!(!first.is_same_text(&renewed), "the token has changed");
    assert!(first.restart_only_differences(&renewed).is_empty());

    let live = "log: {level: debug, access: {success: 1}}\nidentify: {headers: [X-T]}\n\
        trusted_proxies: [10.0.0.0/8]\nupstream: {connect_timeout: 1s, retry_window: 0}\n\
        shutdown: {delay: 1s}\n";
    fs::write(&file, live).expect("a file");
    let changed = first.read_again().expect("a configuration");
    assert!(!first.is_same_text(&changed));
    let restart = first.restart_only_differences(&changed);
    assert!(restart.is_empty(), "{restart:?}");

    let heavy = "listen: {public: 127.0.0.1:1, logs: 127.0.0.1:2, admin: none}\nlog: {format: text}\n\
        store: {path: other.db}\ncache: {capacity: 1}\nhealth: {max_concurrent_probes: 1}\n\
        history: {keep_for: 1d}\nmetrics: {max_tenants: 1}\ntenants: [.]\n";
    fs::write(&file, heavy).expect("a file");
    let changed = first.read_again().expect("a configuration");
    assert_eq!(
        first.restart_only_differences(&changed),
        [
            "listen.public",
            "listen.logs",
            "listen.admin",
            "store",
            "log.format",
            "cache",
            "health",
            "history",
            "metrics.max_tenants",
            "tenants",
        ]
    );
    fs::write(&file, "").expect("a file");
    assert!(
        first.read_again().is_err(),
        "an emptied file is no configuration"
    );
}

#[test]
fn check_reads_the_configuration_and_every_tenant_it_names() {
    let directory = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        fs::write(&path, text).expect("a file");
        path
    };
    let file = write("mirador.yaml", "tenants: [tenants]\n");
    let acme = write("tenants/acme.yaml", "id: acme\n");
    let globex = write("globex.yaml", "id: globex\n");
    let none = Overrides::default();
    let report = check(Some(&file), &[globex.clone(), acme], &none).expect("all is well");
    let ids: Vec<_> = report
        .tenants
        .iter()
        .map(|source| source.tenant.id.as_str())
        .collect();
    assert_eq!(ids, ["acme", "globex"]);
    assert_eq!(report.warnings.len(), 1, "no token is worth a word");

    write("mirador.yaml", "tenants: [tenants]\nworkers: 0\n");
    write("globex.yaml", "id: acme\n");
    write("tenants/x.yaml", "id: x\n");
    let faults = check(Some(&file), &[globex], &none)
        .expect_err("faults")
        .to_string();
    assert_eq!(faults.lines().count(), 3, "{faults}");
    assert!(faults.contains("mirador.yaml:2: workers"), "{faults}");
    assert!(
        faults.contains("x.yaml:1: id: a tenant id has 2 to 63 characters"),
        "{faults}"
    );
}
