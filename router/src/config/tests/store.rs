//! Where tenants are kept.

use tenant_store::repository::{
    files::FilesOptions,
    postgres::{PostgresOptions, PostgresTls},
    weaviate::WeaviateOptions,
};

use super::*;

fn faults(store: &str) -> Vec<String> {
    let (_, faults) = read(&format!("store: {{{store}}}"));
    faults.iter().map(ToString::to_string).collect()
}

/// Asserts that exactly this fault is found, and that it tells no password.
fn assert_fault(store: &str, path: &str, said: &str) {
    let told = faults(store);
    assert_eq!(told.len(), 1, "{store}: {told:?}");
    assert!(told[0].contains(path), "{path}: {told:?}");
    assert!(told[0].contains(said), "{said}: {told:?}");
    assert!(!told[0].contains("hunter2"), "{told:?}");
}

#[test]
fn a_database_is_named_in_one_place_and_never_shown() {
    let url = "postgres://mirador:hunter2@db.example:5433/mirador";
    let config = good(&format!("store: {{kind: postgres, url: \"{url}\"}}"));
    let expected = StoreConfig::Postgres {
        url: url.parse().expect("a URL"),
        tls: PostgresTls::Verified,
        options: PostgresOptions::default(),
    };
    assert_eq!(config.store, expected);
    let shown = format!("{config:?}");
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(shown.contains("db.example:5433/mirador"), "{shown}");

    let good_url = "url: \"postgres://a:hunter2@b/c\"";
    for (store, path, said) in [
        ("kind: postgres", "store.kind", "url_file, url_env or url"),
        (
            "kind: postgres, url: \"mysql://a:hunter2@b/c\"",
            "store.url",
            "expected a URL such as postgres://",
        ),
        (
            "kind: postgres, url: \"postgres://a:hunter2@b/c?sslmode=off\"",
            "store.url",
            "store.tls",
        ),
        (
            "kind: postgres, url_file: no.url",
            "store.url_file",
            "no.url can't be read",
        ),
        (
            "kind: postgres, url_env: NO_SUCH_URL",
            "store.url_env",
            "NO_SUCH_URL is not set",
        ),
        (
            &format!("kind: postgres, {good_url}, url_env: X"),
            "store",
            "exclude each other",
        ),
        (
            &format!("kind: postgres, {good_url}, max_connections: 1"),
            "store.max_connections",
            "expected 2 to 1000",
        ),
        (
            &format!("kind: postgres, {good_url}, ca_file: no.pem"),
            "store.ca_file",
            "no.pem can't be read",
        ),
        (
            &format!("kind: postgres, {good_url}, tls: maybe"),
            "store.tls",
            "expected one of `verify`, `off`",
        ),
        (
            &format!("kind: postgres, {good_url}, poll_interval: 1ms"),
            "store.poll_interval",
            "expected 100ms to 1m",
        ),
    ] {
        assert_fault(store, path, said);
    }
    // Of the wrong type, it is a secret all the same.
    for told in faults("kind: postgres, url: [\"hunter2\"]") {
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[test]
fn a_database_may_be_named_in_a_file_and_do_without_tls() {
    let directory = certificates();
    fs::write(directory.path().join("url"), "postgres://u:p@db/x\n").expect("a file");
    let load = |rest: &str| {
        let text = format!("store: {{kind: postgres, url_file: url, {rest}}}");
        let file = directory.path().join("mirador.yaml");
        fs::write(&file, text).expect("a file");
        Config::load(Some(&file), &Overrides::default()).map(|config| config.store)
    };
    let tls = |store| match store {
        StoreConfig::Postgres { tls, .. } => tls,
        other => panic!("{other:?}"),
    };
    let off = load("tls: off").expect("a configuration");
    assert_eq!(tls(off), PostgresTls::Off);
    let own = load("ca_file: a.crt").expect("a configuration");
    let expected = PostgresTls::VerifiedBy(directory.path().join("a.crt"));
    assert_eq!(tls(own), expected);
    let both = load("tls: off, ca_file: a.crt").expect_err("a fault");
    assert!(both.to_string().contains("store.ca_file"), "{both}");
}

#[test]
fn a_weaviate_is_named_by_its_url_and_its_key_is_never_shown() {
    let directory = certificates();
    fs::write(directory.path().join("key"), "hunter2\n").expect("a file");
    let load = |rest: &str| {
        let text = format!("store: {{kind: weaviate, {rest}}}");
        let file = directory.path().join("mirador.yaml");
        fs::write(&file, text).expect("a file");
        Config::load(Some(&file), &Overrides::default())
    };
    let config = load("url: \"https://weaviate.internal:8080\", api_key_file: key, ca_file: a.crt")
        .expect("a configuration");
    let shown = format!("{config:?}");
    assert!(!shown.contains("hunter2"), "{shown}");
    let StoreConfig::Weaviate {
        url,
        api_key,
        ca_file,
        options,
    } = config.store
    else {
        panic!("{shown}");
    };
    assert_eq!(url.as_str(), "https://weaviate.internal:8080/");
    assert_eq!(api_key.expect("a key").expose(), "hunter2");
    assert_eq!(ca_file, Some(directory.path().join("a.crt")));
    assert_eq!(options, WeaviateOptions::default());
    let config = load(
        "url: \"http://w/\", timeout: 3s, poll_interval: 2s, replication_factor: 3, settling: 1s, \
         class_prefix: Acme_1",
    );
    let expected = WeaviateOptions {
        timeout: Duration::from_secs(3),
        poll_interval: Duration::from_secs(2),
        replication_factor: 3,
        settling: Duration::from_secs(1),
        class_prefix: "Acme_1".into(),
    };
    match config.expect("a configuration").store {
        StoreConfig::Weaviate { options, .. } => assert_eq!(options, expected),
        other => panic!("{other:?}"),
    }
}

#[test]
fn faults_of_a_weaviate_are_told() {
    let url = "url: \"http://weaviate:8080\"";
    for (store, path, said) in [
        (String::new(), "store.kind", "url_file, url_env or url"),
        (
            "url: \"postgres://a:hunter2@b/c\"".into(),
            "store.url",
            "expected a URL such as https://weaviate.internal:8080",
        ),
        (
            "url: \"https://a:hunter2@b/c\"".into(),
            "store.url",
            "store.api_key_file",
        ),
        (
            "url: \"https://b/c?key=hunter2\"".into(),
            "store.url",
            "without `?`",
        ),
        (
            format!("{url}, api_key_file: no.key"),
            "store.api_key_file",
            "no.key can't be read",
        ),
        (
            format!("{url}, api_key_env: NO_SUCH_KEY"),
            "store.api_key_env",
            "NO_SUCH_KEY is not set",
        ),
        (
            format!("{url}, replication_factor: 0"),
            "store.replication_factor",
            "expected 1 to 100",
        ),
        (
            format!("{url}, settling: 1ms"),
            "store.settling",
            "expected 10ms to 10s",
        ),
        (
            format!("{url}, class_prefix: mirador"),
            "store.class_prefix",
            "a capital letter",
        ),
        (
            format!("{url}, poll_interval: 1h"),
            "store.poll_interval",
            "expected 100ms to 1m",
        ),
    ] {
        assert_fault(&format!("kind: weaviate, {store}"), path, said);
    }
    let directory = certificates();
    let file = directory.path().join("mirador.yaml");
    let text = format!("store: {{kind: weaviate, {url}, ca_file: a.crt}}");
    fs::write(&file, text).expect("a file");
    let clear = Config::load(Some(&file), &Overrides::default()).expect_err("a fault");
    assert!(clear.to_string().contains("begins with http"), "{clear}");
}

#[test]
fn files_are_kept_in_a_folder_and_checked_there() {
    let directory = certificates();
    let tenants = directory.path().join("tenants");
    let load = |text: &str| {
        let file = directory.path().join("mirador.yaml");
        fs::write(&file, text).expect("a file");
        check(Some(&file), &[], &Overrides::default())
    };
    let kept = "store: {kind: files, path: tenants}";
    let missing = load(kept).expect_err("no folder").to_string();
    assert!(
        missing.contains("store.path: there is no directory"),
        "{missing}"
    );
    fs::create_dir(&tenants).expect("a folder");
    fs::write(tenants.join("acme.yaml"), "id: acme").expect("a tenant");
    let report = load(kept).expect("a configuration");
    let expected = StoreConfig::Files {
        path: tenants.clone(),
        options: FilesOptions::default(),
    };
    assert_eq!(report.config.expect("a configuration").store, expected);
    assert_eq!(report.tenants.len(), 1);
    fs::write(tenants.join("bad.yaml"), "id: Globex").expect("no tenant");
    let faulty = load(kept).expect_err("a faulty tenant").to_string();
    assert!(faulty.contains("bad.yaml:1: id"), "{faulty}");

    assert_fault("kind: files", "store.kind", "needs path");
    let twice = load("store: {kind: files, path: .}\ntenants: [a.crt]");
    let told = twice.expect_err("a fault").to_string();
    assert!(
        told.contains("tenants: these are written to the store"),
        "{told}"
    );
}

/// A URL without its kind would otherwise be passed over, and tenants be looked for elsewhere.
#[test]
fn what_is_for_another_kind_is_a_fault() {
    for (store, path) in [
        ("url_env: X", "store.url_env"),
        ("url_file: X", "store.url_file"),
        ("url: \"postgres://u:hunter2@db/x\"", "store.url"),
        ("tls: off", "store.tls"),
        ("ca_file: X", "store.ca_file"),
        ("api_key_file: X", "store.api_key_file"),
        ("api_key_env: X", "store.api_key_env"),
        ("replication_factor: 3", "store.replication_factor"),
        ("settling: 1s", "store.settling"),
        ("class_prefix: Mirador", "store.class_prefix"),
    ] {
        assert_fault(store, path, "store.kind is sqlite");
    }
    assert_fault(
        "kind: postgres, url: \"postgres://u:hunter2@db/x\", path: x",
        "store.path",
        "this is for store.kind sqlite or files, and store.kind is postgres",
    );
    assert_fault(
        "kind: weaviate, url: \"http://weaviate:8080\", tls: off",
        "store.tls",
        "this is for store.kind postgres, and store.kind is weaviate",
    );
}
