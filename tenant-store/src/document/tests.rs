use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::Deserialize;
use serde_json::json;

use super::*;
use crate::model::{
    BalancingPolicy, EndpointProtocol, HumanDuration, SecretSource, Status, Tenant, UpstreamAuth,
};

const ACME: &str = r#"id: acme
display_name: ACME Corp
admin_email: sre@acme.example
tier: pro
status: active
deployments:
  metrics:
    endpoints:            # or bare URLs
      - {url: "http://127.0.0.1:18428", zone: a, priority: 0}
      - {url: "http://127.0.0.1:18429", zone: b, priority: 1}
    timeout: 30s          # a bare number is milliseconds
    policy: first_available
    health_check: {path: /health, interval: 30s, timeout: 5s,
                   healthy_after: 2, unhealthy_after: 3}
  logs: {endpoints: ["http://127.0.0.1:19428"]}
  traces: {endpoints: ["http://127.0.0.1:11428"]}
"#;

/// A line, a path, and a part of the message.
type Told = (u32, &'static str, &'static str);

/// `line path: message` of every fault.
fn told(result: Result<Tenant, Faults>) -> Vec<String> {
    let faults = result.expect_err("faults");
    let line = |fault: &Fault| fault.line.map_or("-".into(), |line| line.to_string());
    faults
        .iter()
        .map(|f| format!("{} {}: {}", line(f), f.path, f.message))
        .collect()
}

fn assert_told(text: &str, expected: &[Told]) {
    let told = told(tenant(text));
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for (told, (line, path, message)) in told.iter().zip(expected) {
        assert!(
            told.starts_with(&format!("{line} {path}: ")),
            "{line} {path}: {told}"
        );
        assert!(told.contains(message), "{message}: {told}");
    }
}

#[test]
fn the_documented_tenant_file_reads() {
    let acme = tenant(ACME).expect("a tenant");
    assert_eq!((acme.id.as_str(), acme.status), ("acme", Status::Active));
    let metrics = acme.deployments.metrics.as_ref().expect("metrics");
    assert_eq!(metrics.endpoints[1].zone.as_deref(), Some("b"));
    assert_eq!(metrics.endpoints[1].priority, 1);
    assert_eq!(metrics.health_check.interval, HumanDuration::from_secs(30));
    let logs = acme.deployments.logs.as_ref().expect("logs");
    assert_eq!(logs.endpoints[0].url.authority(), "127.0.0.1:19428");
    assert_eq!(logs.endpoints[0].protocol, EndpointProtocol::Http1);
    assert_eq!(logs.policy, BalancingPolicy::FirstAvailable);
}

#[test]
fn what_is_written_as_json_reads_back_with_the_stores_notes() {
    let acme = tenant(ACME).expect("a tenant");
    let mut json = serde_json::to_value(&acme).expect("JSON");
    json["revision"] = json!(3);
    json["created_at"] = json!("2026-01-01T00:00:00Z");
    assert_eq!(tenant(&json.to_string()).expect("a tenant"), acme);
}

const FAULTY: &str = r#"id: Acme Corp
display_nam: ACME
admin_email: nobody
status: aktive
tier: [pro]
labels: {team: 7}
quotas: {requests_per_second: -1}
deployments:
  metrics:
    endpoints:
      - http://10.0.0.1:8428
      - ftp://10.0.0.2
      - {url: "http://10.0.0.3", weight: 0, priority: high}
      - {zone: c}
      - http://10.0.0.1:8428/
    timeout: fast
    namespace: Acme_1
    health_check:
      interval: 1ms
      path: health
    auth: {basic: {username: "a:b", password: hunter2}}
    tls:
      cert_file: /etc/acme.crt
  logs:
    policy: random
  metric:
    endpoints: []
"#;

/// What is wrong with `FAULTY`.
const FAULTS: &[Told] = &[
    (1, "id", "found 'A' at position 1"),
    (2, "display_nam", "(did you mean `display_name`?)"),
    (3, "admin_email", "an e-mail address"),
    (4, "status", "(did you mean `active`?)"),
    (5, "tier", "expected a text, not a list"),
    (
        6,
        "labels.team",
        "expected a text, not 7 (put it in quotes)",
    ),
    (
        7,
        "quotas.requests_per_second",
        "expected a whole number of 0 to 4294967295, not -1",
    ),
    (
        12,
        "deployments.metrics.endpoints[1]",
        "http:// or https://",
    ),
    (
        13,
        "deployments.metrics.endpoints[2].weight",
        "1 to 1000, not 0",
    ),
    (
        13,
        "deployments.metrics.endpoints[2].priority",
        "not \"high\"",
    ),
    (14, "deployments.metrics.endpoints[3].url", "missing"),
    (
        15,
        "deployments.metrics.endpoints[4]",
        "stands in this list twice",
    ),
    (
        16,
        "deployments.metrics.timeout",
        "expected a duration such as 30s",
    ),
    (17, "deployments.metrics.namespace", "1 to 63 characters"),
    (
        19,
        "deployments.metrics.health_check.interval",
        "at least 100ms, not 1ms",
    ),
    (
        20,
        "deployments.metrics.health_check.path",
        "a path such as /health",
    ),
    (21, "deployments.metrics.auth.basic.username", "without `:`"),
    (
        21,
        "deployments.metrics.auth.basic.password",
        "expected one of `file`, `env`",
    ),
    (
        22,
        "deployments.metrics.tls",
        "go together, only cert_file is here",
    ),
    (24, "deployments.logs.endpoints", "this field is missing"),
    (25, "deployments.logs.policy", "`first_available`"),
    (26, "deployments.metric", "(did you mean `metrics`?)"),
];

#[test]
fn every_fault_is_told_at_once_with_its_line() {
    assert_told(FAULTY, FAULTS);
    let shown = tenant(FAULTY).expect_err("faults").to_string();
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn what_only_follows_from_a_fault_is_not_told() {
    let cases: [(&str, &[Told]); 5] = [
        ("id: a b\n", &[(1, "id", "found ' '")]),
        (
            "id: acme\ndeployments: {logs: {endpoint: [\"http://a\"]}}\n",
            &[(2, "deployments.logs.endpoint", "did you mean `endpoints`")],
        ),
        (
            "id: acme\ndeployments: {logs: {endpoints: [5]}}\n",
            &[(2, "deployments.logs.endpoints[0]", "not 5")],
        ),
        (
            "id: acme\ndeployments: {logs: {endpoints: [\"http://a\"], tls: \n  {cert_file: /c, key_file: 5}}}\n",
            &[(3, "deployments.logs.tls.key_file", "not 5")],
        ),
        ("id: acme\nid: globex\n", &[(2, "id", "twice")]),
    ];
    for (text, expected) in cases {
        assert_told(text, expected);
    }
}

#[test]
fn what_is_empty_or_too_much_is_one_fault() {
    for (text, message) in [
        ("", "nothing in it"),
        ("# only a comment\n---\n", "nothing in it"),
        (
            "id: acme\n---\nid: globex\n",
            "a second document begins here",
        ),
        ("just a text", "expected a map"),
        ("- id: acme\n", "expected a map, not a list"),
        ("5", "expected a map, not 5"),
    ] {
        let told = told(tenant(text));
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains(message), "{told:?}");
    }
    assert_eq!(
        told(tenant("deployments:\n"))[0],
        "1 id: this field is missing"
    );
}

#[test]
fn an_overlay_wins_and_its_faults_name_it() {
    #[derive(Debug, Deserialize)]
    struct Sample {
        a: BTreeMap<String, u8>,
    }
    let mut document = Document::parse(Some(Path::new("dir/a.yaml")), "a: {x: 1, y: 2}\n").unwrap();
    document.set("a.x", json!(3), "--x");
    document.set("a.z", json!(4), "--z");
    assert_eq!(document.decode::<Sample>().unwrap().a["x"], 3);
    assert_eq!(document.resolve("a.y", Path::new("f")), Path::new("dir/f"));
    assert_eq!(document.resolve("a.z", Path::new("f")), Path::new("f"));
    document.set("a.x", json!(300), "--x");
    let faults = document.decode::<Sample>().unwrap_err();
    assert_eq!(
        faults.to_string(),
        "--x: a.x: expected a whole number of 0 to 255, not 300"
    );
}

#[test]
fn rules_over_several_fields_join_the_report_unless_their_fields_are_faulty() {
    let document = Document::parse(None, "id: acme\ntier: 5\nlabels: {a: b}\n").unwrap();
    let (tenant, mut report) = document.decode_partly::<Tenant>();
    report.fault("labels.a", "not this one");
    report.fault("tier", "follows from the other");
    let faults = report.finish(tenant).unwrap_err();
    assert_eq!(
        faults.to_string(),
        "line 2: tier: expected a text, not 5 (put it in quotes)\nline 3: labels.a: not this one (found b)"
    );
}

#[test]
fn items_are_known_by_their_place_in_the_document() {
    let document = Document::parse(None, "[1, x, 3]").unwrap();
    let (numbers, report) = document.decode_partly::<Vec<u8>>();
    assert_eq!(numbers.as_deref(), Some([1, 3].as_slice()));
    assert_eq!(
        (report.item("", 0), report.item("", 1)),
        ("[0]".into(), "[2]".into())
    );
}

#[test]
fn bytes_that_are_not_utf_8_are_told_with_their_line() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.yaml");
    std::fs::write(&file, b"id: acme\nname: \xff\n").unwrap();
    let faults = Document::read(&file).unwrap_err();
    assert!(
        faults.to_string().contains("a.yaml:2: expected UTF-8"),
        "{faults}"
    );
    let missing = Document::read(&directory.path().join("none.yaml")).unwrap_err();
    assert!(missing.to_string().contains("can't be read"), "{missing}");
}

#[test]
fn a_directory_is_read_in_order_with_file_names_resolved_and_doubles_found() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    let auth =
        "deployments: {logs: {endpoints: [\"http://a\"], auth: {bearer: {token: {file: t}}}}}";
    write("b.yml", "id: b1\n---\nid: b2\n---\n");
    write("a.yaml", &format!("id: a1\n{auth}\n"));
    write("c.json", "{\"id\": \"c1\"}");
    write("notes.txt", "not a tenant");
    write(".hidden.yaml", "not: a tenant");
    let read = tenants(directory.path()).unwrap();
    let ids: Vec<_> = read.iter().map(|tenant| tenant.id.as_str()).collect();
    assert_eq!(ids, ["a1", "b1", "b2", "c1"]);
    let logs = read[0].deployments.logs.as_ref().unwrap();
    let Some(UpstreamAuth::Bearer {
        token: SecretSource::File(file),
    }) = &logs.auth
    else {
        panic!("{logs:?}")
    };
    assert_eq!(*file, directory.path().join("t"));

    let both = [directory.path().to_owned(), directory.path().join("a.yaml")];
    assert_eq!(
        tenant_sources(&both).unwrap().len(),
        4,
        "a file named twice is read once"
    );

    write("d.yaml", "\nid: b2\n");
    let faults = tenants(directory.path()).unwrap_err();
    assert_eq!(faults.len(), 1, "{faults}");
    let shown = faults.to_string();
    assert!(
        shown.contains("d.yaml:2: id: the tenant b2 is described twice"),
        "{shown}"
    );
    assert!(shown.contains("b.yml:3"), "{shown}");
}

#[test]
fn a_request_must_give_absolute_file_names() {
    let text = |file: &str| {
        format!(
            "id: acme\ndeployments:\n  logs:\n    endpoints: [\"https://a\"]\n    tls: {{ca_file: {file}}}\n"
        )
    };
    assert!(tenant(&text("/etc/ca.pem")).is_ok());
    assert_told(
        &text("ca.pem"),
        &[(5, "deployments.logs.tls.ca_file", "absolute path")],
    );
    let read = tenants_in(&text("ca.pem"), Some(Path::new("/srv"))).unwrap();
    let logs = read[0].deployments.logs.as_ref().unwrap();
    let ca = logs.tls.as_ref().and_then(|tls| tls.ca_file.as_deref());
    assert_eq!(ca, Some(Path::new("/srv/ca.pem")));
}

proptest! {
    /// Whatever line of a good file is spoiled, nothing panics, and what is told is told of a line
    /// of the file.
    #[test]
    fn any_damage_is_told_without_panic(line in 0_usize..17, junk in "[ -~]{0,20}") {
        let lines = ACME.lines().count();
        let spoiled: Vec<_> = ACME
            .lines()
            .enumerate()
            .map(|(at, text)| if at == line { junk.as_str() } else { text })
            .collect();
        if let Err(faults) = tenant(&spoiled.join("\n")) {
            prop_assert!(!faults.is_empty());
            for fault in &faults {
                prop_assert!(fault.line.is_none_or(|line| (line as usize) <= lines + 1), "{fault}");
            }
        }
    }
}
