use std::{collections::HashSet, path::Path};

use saphyr::{LoadableYamlNode as _, Yaml};
use tenant_store::{
    document,
    model::{Signal, Tenant, TenantId},
};

use super::{
    Identification, MetricsPlugin, Router, TenantAccess, UID_LENGTH, datasource_uid, key_variable,
    provisioning,
};

fn id(text: &str) -> TenantId {
    text.parse().expect("a tenant id")
}

fn access(name: &str, display_name: &str) -> TenantAccess {
    TenantAccess {
        id: id(name),
        display_name: display_name.into(),
        signals: Signal::ALL.into(),
    }
}

fn parse(text: &str) -> Yaml<'_> {
    let mut documents = Yaml::load_from_str(text).expect("well-formed YAML");
    assert_eq!(documents.len(), 1, "one document: {text}");
    documents.remove(0)
}

/// A string scalar of the first data source; a number or null is a failure.
fn field<'y>(file: &'y Yaml<'_>, path: &[&str]) -> &'y str {
    let source = &file["datasources"][0];
    let value = path.iter().fold(source, |node, key| &node[*key]);
    value
        .as_str()
        .unwrap_or_else(|| panic!("{path:?} is no string: {value:?}"))
}

#[test]
fn the_file_is_what_grafana_documents() {
    let expected = r#"apiVersion: 1
prune: true
datasources:
  # ACME Corp
  - name: "acme metrics"
    uid: "acme-metrics"
    type: prometheus
    access: proxy
    url: "http://127.0.0.1:8427"
    jsonData:
      httpMethod: POST
      prometheusType: Prometheus
      prometheusVersion: 2.24.0
      timeInterval: 15s
      httpHeaderName1: "X-Tenant-ID"
    secureJsonData:
      httpHeaderValue1: "acme"
  - name: "acme logs"
    uid: "acme-logs"
    type: victoriametrics-logs-datasource
    access: proxy
    url: "http://127.0.0.1:8427"
    jsonData:
      httpHeaderName1: "X-Tenant-ID"
    secureJsonData:
      httpHeaderValue1: "acme"
  - name: "acme traces"
    uid: "acme-traces"
    type: jaeger
    access: proxy
    url: "http://127.0.0.1:8427/select/jaeger"
    jsonData:
      httpHeaderName1: "X-Tenant-ID"
    secureJsonData:
      httpHeaderValue1: "acme"
"#;
    assert_eq!(
        provisioning(
            &[access("acme", "ACME Corp")],
            &Router::at("http://127.0.0.1:8427/")
        ),
        expected
    );
}

/// With keys, the file names variables that Grafana fills in, and no secret.
#[test]
fn keys_come_from_the_environment_of_grafana() {
    let router = Router {
        identification: Identification::ApiKey {
            prefix: "MIRADOR_KEY_".into(),
        },
        metrics: MetricsPlugin::VictoriaMetrics,
        organisation: Some(7),
        ..Router::at("http://r")
    };
    let text = provisioning(&[access("acme-eu", "ACME")], &router);
    let file = parse(&text);
    assert_eq!(
        field(&file, &["type"]),
        "victoriametrics-metrics-datasource"
    );
    assert_eq!(field(&file, &["jsonData", "httpHeaderName1"]), "X-API-Key");
    assert_eq!(
        field(&file, &["secureJsonData", "httpHeaderValue1"]),
        "${MIRADOR_KEY_ACME_EU}"
    );
    assert_eq!(file["datasources"][2]["orgId"].as_integer(), Some(7));
    assert_ne!(
        key_variable("K_", &id("a-b")),
        key_variable("K_", &id("ab"))
    );
}

#[test]
fn ids_that_yaml_takes_for_other_types_stay_text() {
    for name in [
        "null",
        "true",
        "no",
        "12",
        "1e5",
        "0x1f",
        "2026-01-01",
        "1-",
    ] {
        let text = provisioning(&[access(name, name)], &Router::at("http://r"));
        let file = parse(&text);
        assert_eq!(field(&file, &["secureJsonData", "httpHeaderValue1"]), name);
        assert_eq!(field(&file, &["uid"]), format!("{name}-metrics"));
    }
}

/// Neither a display name nor a URL can add keys, end a comment or pull in a variable.
#[test]
fn no_text_leaves_its_place() {
    for hostile in [
        "a\n    url: http://evil",
        "a\r\n- b",
        "a\u{85}b: c",
        "a\u{2028}b: c",
        "\"\\",
        "a\0b\u{feff}",
        "#'{[&*!|>%@`",
    ] {
        let text = provisioning(
            &[access("acme", hostile)],
            &Router::at(&format!("http://r/{hostile}")),
        );
        let file = parse(&text);
        assert_eq!(
            file["datasources"].as_vec().map(Vec::len),
            Some(3),
            "{text}"
        );
        assert_eq!(field(&file, &["url"]), format!("http://r/{hostile}"));
        assert_eq!(
            text.lines().filter(|line| line.starts_with("  #")).count(),
            1,
            "{text}"
        );
    }
    let text = provisioning(&[access("acme", "ACME")], &Router::at("http://r/$HOME"));
    assert_eq!(field(&parse(&text), &["url"]), "http://r/$$HOME");
}

#[test]
fn a_tenant_without_signals_has_no_sources() {
    let bare = TenantAccess {
        signals: Vec::new(),
        ..access("bare", "Bare")
    };
    let empty = provisioning(std::slice::from_ref(&bare), &Router::at("http://r"));
    assert_eq!(parse(&empty)["datasources"].as_vec().map(Vec::len), Some(0));

    let logs_only = TenantAccess {
        signals: vec![Signal::Logs],
        ..access("acme", "ACME")
    };
    let text = provisioning(&[bare, logs_only], &Router::at("http://r"));
    let file = parse(&text);
    assert_eq!(file["datasources"].as_vec().map(Vec::len), Some(1));
    assert_eq!(field(&file, &["uid"]), "acme-logs");
}

#[test]
fn uids_fit_and_never_meet() {
    let mut names: Vec<String> = (2..=63).map(|length| "a".repeat(length)).collect();
    // Long ids that differ in the last character only.
    names.extend(('a'..='z').map(|last| format!("{}{last}", "b".repeat(62))));
    // An id that ends like another one's data source.
    names.extend([
        "acme".into(),
        "acme-logs".into(),
        "acme-logs-metrics".into(),
    ]);

    let mut seen = HashSet::new();
    for name in &names {
        for signal in Signal::ALL {
            let uid = datasource_uid(&id(name), signal);
            assert!(uid.len() <= UID_LENGTH, "{uid} is too long");
            assert!(
                uid.chars()
                    .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)),
                "{uid} has characters that Grafana refuses"
            );
            assert!(
                seen.insert(uid.clone()),
                "{uid} is given twice, at last to {name}"
            );
        }
    }
}

/// A dashboard links to data sources by uid, so these must never change.
#[test]
fn uids_are_stable_across_releases() {
    assert_eq!(datasource_uid(&id("acme"), Signal::Metrics), "acme-metrics");
    assert_eq!(
        datasource_uid(&id(&"a".repeat(63)), Signal::Traces),
        "aaaaaaaaaaaa_pu7hjic5pwyvxtsk3hwa-traces"
    );
}

/// The compose file's Grafana shows exactly the tenants that its router serves.
#[test]
fn the_compose_file_provisions_its_tenants() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("compose");
    let tenants = document::tenants(&directory.join("tenants")).expect("tenant files");
    let access: Vec<TenantAccess> = tenants.iter().map(access_to).collect();
    let provisioned = std::fs::read_to_string(directory.join("grafana/datasources/tenants.yaml"));

    assert_eq!(
        provisioning(&access, &Router::at("http://router:8427")),
        provisioned.expect("the file")
    );
    assert_eq!(access.len(), 2);
}

fn access_to(tenant: &Tenant) -> TenantAccess {
    let has_deployment = |signal: &Signal| tenant.deployments[*signal].is_some();
    TenantAccess {
        id: tenant.id.clone(),
        display_name: tenant.display_name.clone().unwrap_or_default(),
        signals: Signal::ALL.into_iter().filter(has_deployment).collect(),
    }
}
