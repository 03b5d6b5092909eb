//! What operators watch Mirador with: a Grafana dashboard, alert rules for Prometheus or vmalert,
//! and the list of metrics that both may use.
//!
//! The files stand beside this crate, to be taken as they are. This module carries them in the
//! binary and its tests keep them honest; that the router exports the metrics is the router's to
//! test.

/// The dashboard, as Grafana imports and provisions it.
pub const DASHBOARD: &str = include_str!("../grafana/dashboards/mirador.json");
/// The alert rules, as a rule file of Prometheus and vmalert.
pub const ALERT_RULES: &str = include_str!("../alerts/mirador.yaml");

const METRICS: &str = include_str!("../metrics.txt");

/// A metric that the router must export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// The name of its family, without `_bucket`, `_sum` and `_count`.
    pub name: &'static str,
    /// `counter`, `gauge` or `histogram`, as in the `# TYPE` line of an exposition.
    pub kind: &'static str,
}

/// The metrics that the dashboard and the alert rules rely on.
pub fn metrics() -> impl Iterator<Item = Metric> {
    METRICS
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(' '))
        .map(|(name, kind)| Metric { name, kind })
}

#[cfg(test)]
mod tests;
