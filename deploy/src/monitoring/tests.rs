use std::{
    collections::{BTreeSet, HashSet},
    fmt::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use saphyr::{LoadableYamlNode as _, Yaml};
use serde_json::Value;

use super::{ALERT_RULES, DASHBOARD, metrics};

#[test]
fn the_list_of_metrics_is_sorted_and_typed() {
    let names: Vec<&str> = metrics().map(|metric| metric.name).collect();
    assert!(names.len() > 20, "{names:?}");
    assert!(
        names.is_sorted_by(|a, b| a < b),
        "sorted, each once: {names:?}"
    );
    for metric in metrics() {
        assert!(
            ["counter", "gauge", "histogram"].contains(&metric.kind),
            "{metric:?}"
        );
        assert_eq!(
            metric.kind == "counter",
            metric.name.ends_with("_total"),
            "{metric:?}"
        );
    }
}

#[test]
fn dashboard_and_alerts_use_listed_metrics_only_and_all_of_them() {
    let mut used = BTreeSet::new();
    for query in dashboard_queries().iter().chain(&alert_expressions()) {
        let found = metric_names(query);
        assert!(!found.is_empty(), "no metric in {query}");
        used.extend(found);
    }
    let listed: BTreeSet<&str> = metrics().map(|metric| metric.name).collect();
    let used: BTreeSet<&str> = used.iter().map(|name| family(name)).collect();
    assert_eq!(used, listed, "left: in queries, right: in metrics.txt");
}

#[test]
fn dashboard_panels_have_distinct_ids_and_follow_the_chosen_data_source() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).expect("JSON");
    assert_eq!(dashboard["uid"], "mirador");
    let mut ids = HashSet::new();
    for panel in list(&dashboard["panels"]) {
        assert!(ids.insert(panel["id"].as_u64().expect("an id")), "{panel}");
        if panel["type"] != "row" {
            assert_eq!(panel["datasource"]["uid"], "$ds", "{panel}");
            assert!(!list(&panel["targets"]).is_empty(), "{panel}");
        }
    }
    let variables: Vec<&str> = list(&dashboard["templating"]["list"])
        .iter()
        .filter_map(|v| v["name"].as_str())
        .collect();
    assert_eq!(variables, ["ds", "job", "instance", "tenant", "adhoc"]);
}

#[test]
fn alerts_say_what_to_do_and_link_to_panels_that_exist() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).expect("JSON");
    let panels: HashSet<u64> = list(&dashboard["panels"])
        .iter()
        .filter(|panel| panel["type"] != "row")
        .filter_map(|panel| panel["id"].as_u64())
        .collect();
    let documents = Yaml::load_from_str(ALERT_RULES).expect("YAML");
    for rule in rules(&documents[0]) {
        let severity = rule["labels"]["severity"].as_str();
        assert!(
            severity.is_some_and(|s| ["info", "warning", "critical"].contains(&s)),
            "{rule:?}"
        );
        for annotation in ["summary", "description"] {
            assert!(
                rule["annotations"][annotation]
                    .as_str()
                    .is_some_and(|s| !s.is_empty()),
                "{rule:?}"
            );
        }
        let link = rule["annotations"]["dashboard"].as_str().expect("a link");
        let (_, after) = link
            .split_once("/d/mirador?viewPanel=")
            .expect("a link to the dashboard");
        let panel: u64 = after
            .split('&')
            .next()
            .expect("a number")
            .parse()
            .expect("a number");
        assert!(panels.contains(&panel), "{link} links to no panel");
    }
}

/// `mirador.test.yaml` plays series through the rules; this holds that file to all of them.
#[test]
fn every_alert_fires_when_it_should() {
    let tests = std::fs::read_to_string(beside("alerts/mirador.test.yaml")).expect("the file");
    let documents = Yaml::load_from_str(ALERT_RULES).expect("YAML");
    for rule in rules(&documents[0]) {
        let name = rule["alert"].as_str().expect("a name");
        assert!(
            tests.contains(&format!("alertname: {name}\n        exp_alerts:")),
            "{name} is never seen firing"
        );
    }
    promtool(
        &["check", "rules", "--lint-fatal"],
        &beside("alerts/mirador.yaml"),
    );
    promtool(&["test", "rules"], &beside("alerts/mirador.test.yaml"));
}

/// Prometheus itself reads each query, in the form of a recording rule.
#[test]
fn dashboard_queries_are_well_formed() {
    let mut file = String::from("groups:\n  - name: dashboard\n    rules:\n");
    for (number, query) in dashboard_queries().iter().enumerate() {
        let query = query.replace("$__rate_interval", "5m");
        let quoted = Value::from(query);
        writeln!(file, "      - {{record: \"q:{number}\", expr: {quoted}}}").expect("a String");
    }
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("dashboard.yaml");
    std::fs::write(&path, file).expect("written");
    promtool(&["check", "rules"], &path);
}

fn promtool(arguments: &[&str], file: &Path) {
    let tools = std::env::var_os("MIRADOR_TOOLS_BIN").expect(
        "MIRADOR_TOOLS_BIN is not set: run `make test`, or set it to `$(scripts/tools path)`",
    );
    let program = PathBuf::from(tools).join("promtool");
    let output = Command::new(&program)
        .args(arguments)
        .arg(file)
        .output()
        .unwrap_or_else(|error| {
            panic!(
                "{} does not start ({error}): run `scripts/tools test`",
                program.display()
            )
        });
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "promtool {arguments:?} {}: {text}",
        file.display()
    );
}

fn beside(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn dashboard_queries() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).expect("JSON");
    let targets = list(&dashboard["panels"])
        .iter()
        .filter_map(|panel| panel["targets"].as_array());
    targets
        .flatten()
        .map(|target| target["expr"].as_str().expect("a query").to_owned())
        .collect()
}

fn alert_expressions() -> Vec<String> {
    let documents = Yaml::load_from_str(ALERT_RULES).expect("YAML");
    rules(&documents[0])
        .map(|rule| rule["expr"].as_str().expect("a query").to_owned())
        .collect()
}

fn rules<'y>(file: &'y Yaml<'y>) -> impl Iterator<Item = &'y Yaml<'y>> {
    let groups = file["groups"].as_vec().expect("groups");
    groups
        .iter()
        .flat_map(|group| group["rules"].as_vec().expect("rules"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The metric's name in the list, for a name as it stands in a query.
fn family(name: &str) -> &str {
    let parts = ["_bucket", "_sum", "_count"];
    let base = parts
        .iter()
        .find_map(|part| name.strip_suffix(part))
        .unwrap_or(name);
    let is_histogram = |m: super::Metric| m.name == base && m.kind == "histogram";
    if metrics().any(is_histogram) {
        base
    } else {
        name
    }
}

/// The metric names in a `PromQL` query: all identifiers but functions, keywords and labels.
fn metric_names(query: &str) -> Vec<String> {
    const KEYWORDS: [&str; 10] = [
        "and",
        "bool",
        "by",
        "group_left",
        "group_right",
        "ignoring",
        "on",
        "or",
        "unless",
        "without",
    ];
    const WITH_LABELS: [&str; 6] = [
        "by",
        "group_left",
        "group_right",
        "ignoring",
        "on",
        "without",
    ];
    let selectors = between(query, '{', '}');
    let query = between(&selectors, '[', ']');
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let mut names = Vec::new();
    let mut rest = query.as_str();
    while let Some(start) = rest.find(is_name) {
        let tail = &rest[start..];
        let (word, after) = tail.split_at(tail.find(|c| !is_name(c)).unwrap_or(tail.len()));
        let after = after.trim_start();
        rest = after;
        if WITH_LABELS.contains(&word) {
            rest = after.split_once(')').map_or("", |(_, rest)| rest);
        } else if !word.starts_with(|c: char| c.is_ascii_digit())
            && !KEYWORDS.contains(&word)
            && !after.starts_with('(')
        {
            names.push(word.into());
        }
    }
    names.retain(|name: &String| !AGGREGATIONS.contains(&name.as_str()));
    names
}

/// These may stand before `by (…)` instead of a parenthesis.
const AGGREGATIONS: [&str; 5] = ["count", "max", "min", "sum", "topk"];

/// The text without what stands between `open` and `close`.
fn between(text: &str, open: char, close: char) -> String {
    let parts = text.split(open).enumerate();
    parts
        .map(|(number, part)| match number {
            0 => part,
            _ => part.split_once(close).map_or("", |(_, rest)| rest),
        })
        .collect()
}
