//! What operators watch Mirador with: Grafana dashboards, alert rules for Prometheus or vmalert, and
//! the list of metrics that both may use.
//!
//! The files stand beside this crate, to be taken as they are. This module carries them in the
//! binary and its tests keep them honest; that the router exports the metrics is the router's to
//! test.

/// A dashboard, as Grafana imports and provisions it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dashboard {
    /// The name of its file.
    pub file: &'static str,
    /// Its JSON.
    pub text: &'static str,
}

/// The dashboards: all tenants, one tenant, the routers.
pub const DASHBOARDS: [Dashboard; 3] = [
    Dashboard {
        file: "overview.json",
        text: include_str!("../grafana/dashboards/overview.json"),
    },
    Dashboard {
        file: "tenant.json",
        text: include_str!("../grafana/dashboards/tenant.json"),
    },
    Dashboard {
        file: "routers.json",
        text: include_str!("../grafana/dashboards/routers.json"),
    },
];

/// The alert rules, as a rule file of Prometheus and vmalert.
pub const ALERT_RULES: &str = include_str!("../alerts/mirador.yaml");

/// Where the rules look for Grafana: Prometheus and vmalert put a URL of their own there.
const GRAFANA: &str = "{{ $externalURL }}";
/// Where the rules look for runbooks: beside the sources.
const RUNBOOKS: &str = "docs/runbooks";

/// The alert rules, with links to Grafana at one URL and to runbooks under another one, where these
/// are given.
pub fn alert_rules(grafana: Option<&str>, runbooks: Option<&str>) -> String {
    let mut rules = ALERT_RULES.to_owned();
    for (from, to) in [(GRAFANA, grafana), (RUNBOOKS, runbooks)] {
        if let Some(to) = to {
            rules = rules.replace(from, to.trim_end_matches('/'));
        }
    }
    rules
}

const METRICS: &str = include_str!("../metrics.txt");

/// A metric that the router must export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// The name of its family, without `_bucket`, `_sum` and `_count`.
    pub name: &'static str,
    /// `counter`, `gauge` or `histogram`, as in the `# TYPE` line of an exposition.
    pub kind: &'static str,
}

/// The metrics that the dashboards and the alert rules rely on.
pub fn metrics() -> impl Iterator<Item = Metric> {
    METRICS
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(' '))
        .map(|(name, kind)| Metric { name, kind })
}

#[cfg(test)]
mod tests;
