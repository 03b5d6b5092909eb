use std::{
    collections::{BTreeSet, HashSet},
    fmt::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use saphyr::{LoadableYamlNode as _, Yaml};
use serde_json::Value;

use super::{ALERT_RULES, DASHBOARDS, alert_rules, metrics};

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

/// What Prometheus itself knows of its targets.
const OF_THE_SCRAPER: [&str; 1] = ["up"];

#[test]
fn dashboards_and_alerts_use_listed_metrics_only_and_all_of_them() {
    let mut used = BTreeSet::new();
    for query in dashboard_queries().iter().chain(&alert_expressions()) {
        let found = metric_names(query);
        assert!(!found.is_empty(), "no metric in {query}");
        used.extend(found);
    }
    let listed: BTreeSet<&str> = metrics().map(|metric| metric.name).collect();
    let mut used: BTreeSet<&str> = used.iter().map(|name| family(name)).collect();
    used.retain(|name| !OF_THE_SCRAPER.contains(name));
    assert_eq!(used, listed, "left: in queries, right: in metrics.txt");
}

#[test]
fn dashboard_panels_have_distinct_ids_and_follow_the_chosen_data_source() {
    let mut uids = Vec::new();
    for dashboard in dashboards() {
        uids.push(dashboard["uid"].as_str().expect("a uid").to_owned());
        let mut ids = HashSet::new();
        for panel in list(&dashboard["panels"]) {
            assert!(ids.insert(panel["id"].as_u64().expect("an id")), "{panel}");
            if panel["type"] != "row" {
                assert_eq!(panel["datasource"]["uid"], "$ds", "{panel}");
                assert!(!list(&panel["targets"]).is_empty(), "{panel}");
                assert!(
                    panel["description"]
                        .as_str()
                        .is_some_and(|text| !text.is_empty())
                );
            }
        }
        assert_eq!(list(&dashboard["templating"]["list"])[0]["name"], "ds");
    }
    assert_eq!(
        uids,
        ["mirador-overview", "mirador-tenant", "mirador-routers"]
    );
}

/// A variable that a query names and no dashboard offers would match nothing.
#[test]
fn dashboards_use_their_own_variables_only_and_all_of_them() {
    for dashboard in dashboards() {
        let offered: BTreeSet<&str> = list(&dashboard["templating"]["list"])
            .iter()
            .filter(|variable| variable["type"] != "adhoc")
            .filter_map(|variable| variable["name"].as_str())
            .collect();
        let text = dashboard.to_string();
        let used: BTreeSet<&str> = text
            .split('$')
            .skip(1)
            .map(|after| after.trim_start_matches('{'))
            .map(|after| {
                let end = after.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
                end.map_or(after, |end| &after[..end])
            })
            .filter(|name| !name.starts_with("__"))
            .collect();
        assert_eq!(used, offered, "{}", dashboard["uid"]);
    }
}

/// Panels must neither overlap nor leave the grid: Grafana would move them about.
#[test]
fn panels_have_places_of_their_own() {
    for dashboard in dashboards() {
        let mut taken = HashSet::new();
        for panel in list(&dashboard["panels"]) {
            let [x, y, w, h] = ["x", "y", "w", "h"].map(|edge| {
                let number = panel["gridPos"][edge].as_u64();
                number.expect("a number")
            });
            assert!(x + w <= 24, "{panel}");
            for cell in (y..y + h).flat_map(|y| (x..x + w).map(move |x| (x, y))) {
                assert!(taken.insert(cell), "{} at {cell:?}", panel["title"]);
            }
        }
    }
}

#[test]
fn alerts_say_what_to_do_and_link_to_panels_and_runbooks_that_exist() {
    let panels: HashSet<(String, u64)> = dashboards()
        .iter()
        .flat_map(|dashboard| {
            let uid = dashboard["uid"].as_str().expect("a uid");
            let panels = list(&dashboard["panels"]).iter();
            panels
                .filter(|panel| panel["type"] != "row")
                .filter_map(|panel| Some((uid.to_owned(), panel["id"].as_u64()?)))
                .collect::<Vec<_>>()
        })
        .collect();
    let documents = Yaml::load_from_str(ALERT_RULES).expect("YAML");
    for rule in rules(&documents[0]) {
        let name = rule["alert"].as_str().expect("a name");
        let severity = rule["labels"]["severity"].as_str();
        assert!(
            severity.is_some_and(|s| ["info", "warning", "critical"].contains(&s)),
            "{name}"
        );
        for annotation in ["summary", "description"] {
            let text = rule["annotations"][annotation].as_str();
            assert!(text.is_some_and(|s| !s.is_empty()), "{name}");
        }
        let link = rule["annotations"]["dashboard"].as_str().expect("a link");
        let (uid, after) = link
            .strip_prefix("{{ $externalURL }}/d/")
            .and_then(|link| link.split_once("?viewPanel="))
            .expect("a link to a panel");
        let panel = after.split('&').next().and_then(|panel| panel.parse().ok());
        let panel = (uid.to_owned(), panel.expect("a number"));
        assert!(panels.contains(&panel), "{name}: {link} links to no panel");
        assert_eq!(
            rule["annotations"]["runbook_url"].as_str(),
            Some(format!("docs/runbooks/{name}.md").as_str())
        );
    }
}

/// Whoever is woken by an alert finds what it means, what it costs, where to look and what to do.
#[test]
fn every_alert_has_a_runbook_and_every_runbook_an_alert() {
    let alerts = alert_names();
    let folder = beside("../docs/runbooks");
    let mut written = BTreeSet::new();
    for entry in std::fs::read_dir(&folder).expect("the runbooks") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().and_then(|name| name.to_str());
        let name = name.expect("a name").to_owned();
        if name == "README" {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a runbook");
        assert!(text.starts_with(&format!("# {name}\n")), "{name}");
        let mut rest = text.as_str();
        for heading in ["## What it means", "## What it costs", "## Look", "## Do"] {
            let parts = rest.split_once(&format!("\n{heading}\n"));
            let (_, after) =
                parts.unwrap_or_else(|| panic!("{name} has no {heading}, or not there"));
            let body = after.split("\n## ").next().unwrap_or_default();
            assert!(body.trim().len() > 40, "{name}: {heading} says too little");
            rest = after;
        }
        written.insert(name);
    }
    assert_eq!(written, alerts, "left: docs/runbooks, right: the rules");
    let index = std::fs::read_to_string(folder.join("README.md")).expect("the index");
    for alert in &alerts {
        assert!(
            index.contains(&format!("({alert}.md)")),
            "{alert} is not in the index"
        );
    }
}

/// Runbooks name metrics, commands and keys; what they name has to be there.
#[test]
fn runbooks_name_metrics_that_exist() {
    let listed: BTreeSet<&str> = metrics().map(|metric| metric.name).collect();
    let documented = std::fs::read_to_string(beside("../docs/operations.md")).expect("the file");
    for entry in std::fs::read_dir(beside("../docs/runbooks")).expect("the runbooks") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("a runbook");
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        for word in text.split(|c| !is_name(c)) {
            if word.starts_with("mirador_") {
                let name = family(word);
                assert!(
                    listed.contains(name) || documented.contains(&format!("`{name}`")),
                    "{} names {name}",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn rules_link_to_where_one_s_own_things_are() {
    let text = alert_rules(
        Some("https://grafana.example/"),
        Some("https://wiki.example/r/"),
    );
    let documents = Yaml::load_from_str(&text).expect("YAML");
    for rule in rules(&documents[0]) {
        let name = rule["alert"].as_str().expect("a name");
        let annotation = |name: &str| rule["annotations"][name].as_str().expect("a link");
        assert!(annotation("dashboard").starts_with("https://grafana.example/d/mirador-"));
        assert_eq!(
            annotation("runbook_url"),
            format!("https://wiki.example/r/{name}.md")
        );
    }
    assert_eq!(alert_rules(None, None), ALERT_RULES);
}

/// Tiers differ in how urgent something is and for how long it may last, never in whether anybody
/// hears of it: a tier is in exactly one of the two rules of a pair.
#[test]
fn rules_by_tier_leave_no_tier_out() {
    let documents = Yaml::load_from_str(ALERT_RULES).expect("YAML");
    let mut by_tier = 0;
    for name in alert_names() {
        let matchers: Vec<String> = rules(&documents[0])
            .filter(|rule| rule["alert"].as_str() == Some(&name))
            .filter_map(|rule| {
                let (_, after) = rule["expr"].as_str()?.split_once("mirador_tenant_info{")?;
                let matchers = after.split_once('}')?.0;
                let by_tier = matchers.contains("tier");
                by_tier.then(|| matchers.replace("status=\"active\", ", ""))
            })
            .collect();
        if matchers.is_empty() {
            continue;
        }
        by_tier += 1;
        let [first, second] = matchers.as_slice() else {
            panic!("{name} has {} rules by tier", matchers.len());
        };
        assert_eq!(first.replace("=~", "!~"), *second, "{name}");
    }
    assert!(by_tier >= 5, "{by_tier}");
}

/// `mirador.test.yaml` plays series through the rules; this holds that file to all of them.
#[test]
fn every_alert_fires_when_it_should() {
    let tests = std::fs::read_to_string(beside("alerts/mirador.test.yaml")).expect("the file");
    let documents = Yaml::load_from_str(ALERT_RULES).expect("YAML");
    for rule in rules(&documents[0]) {
        let name = rule["alert"].as_str().expect("a name");
        let severity = rule["labels"]["severity"].as_str().expect("a severity");
        let expectation = format!("alertname: {name}\n        exp_alerts:\n");
        let of_alert = tests.split(&expectation).skip(1);
        let seen = of_alert
            .filter_map(|after| after.split("eval_time").next())
            .any(|expected| expected.contains(&format!("{{severity: {severity}, ")));
        assert!(seen, "{name} is never seen firing as {severity}");
    }
    promtool(
        &["check", "rules", "--lint-fatal"],
        &beside("alerts/mirador.yaml"),
    );
    promtool(&["test", "rules"], &beside("alerts/mirador.test.yaml"));
}

#[test]
fn vmalert_takes_the_rules() {
    let file = beside("alerts/mirador.yaml");
    let rule = format!("-rule={}", file.display());
    run("vmalert", &["-dryRun", &rule]);
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
    let file = file.display().to_string();
    run("promtool", &[arguments, &[&file]].concat());
}

/// Runs a real program to its end, which has to be a good one.
fn run(program: &str, arguments: &[&str]) {
    let tools = std::env::var_os("MIRADOR_TOOLS_BIN").expect(
        "MIRADOR_TOOLS_BIN is not set: run `make test`, or set it to `$(scripts/tools path)`",
    );
    let path = PathBuf::from(tools).join(program);
    let output = Command::new(&path)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| {
            panic!(
                "{} does not start ({error}): run `scripts/tools test`",
                path.display()
            )
        });
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {text}");
}

fn beside(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn dashboards() -> Vec<Value> {
    let texts = DASHBOARDS.iter();
    texts
        .map(|dashboard| serde_json::from_str(dashboard.text).expect("JSON"))
        .collect()
}

fn dashboard_queries() -> Vec<String> {
    let mut queries = Vec::new();
    for dashboard in dashboards() {
        let targets = list(&dashboard["panels"])
            .iter()
            .filter_map(|panel| panel["targets"].as_array());
        let of_panels = targets.flatten().map(|target| &target["expr"]);
        queries.extend(of_panels.map(|query| query.as_str().expect("a query").to_owned()));
    }
    queries
}

fn alert_names() -> BTreeSet<String> {
    let documents = Yaml::load_from_str(ALERT_RULES).expect("YAML");
    rules(&documents[0])
        .map(|rule| rule["alert"].as_str().expect("a name").to_owned())
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
const AGGREGATIONS: [&str; 6] = ["bottomk", "count", "max", "min", "sum", "topk"];

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
