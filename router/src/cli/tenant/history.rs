//! What is remembered of a tenant: how its health changed, and how many requests were served.

use clap::Args;
use jiff::Timestamp;
use tenant_store::{
    history::HistoryEntry,
    model::{Signal, TenantId},
};

use crate::{
    cli::{
        Failure,
        audit::read_moment,
        client::AdminClient,
        output::{Format, Terminal},
    },
    history::{Availability, WindowAvailability},
};

/// Show how a tenant's health changed, newest first
#[derive(Debug, Args)]
pub(super) struct History {
    /// The tenant's id
    id: TenantId,
    /// Only changes of this kind: endpoint, deployment, tenant, failover, maintenance or findings
    #[arg(long)]
    kind: Option<String>,
    /// Only changes of this deployment and its endpoints: metrics, logs or traces
    #[arg(long, value_name = "SIGNAL")]
    signal: Option<String>,
    /// Only changes since then: a time, or how long ago
    #[arg(long, value_name = "TIME|DURATION", value_parser = read_moment)]
    since: Option<Timestamp>,
    /// Only changes before then: a time, or how long ago
    #[arg(long, value_name = "TIME|DURATION", value_parser = read_moment)]
    until: Option<Timestamp>,
    /// How many changes at most
    #[arg(long, value_name = "NUMBER", default_value = "50")]
    limit: usize,
    /// How to write them
    #[arg(short, long, value_enum, default_value = "table")]
    output: Format,
}

impl History {
    /// Reads them page by page, and writes them.
    pub(super) async fn run(
        self,
        client: &AdminClient,
        terminal: &mut Terminal<'_>,
    ) -> Result<(), Failure> {
        let path = ["tenants", self.id.as_str(), "health", "history"];
        let query = self.query();
        let changes: Vec<HistoryEntry> = client
            .pages(&path, "changes", "before", &query, Some(self.limit))
            .await?;
        match self.output {
            Format::Json => terminal.say_json(&serde_json::json!({ "changes": changes })),
            Format::Yaml => terminal.say_yaml(&changes),
            Format::Table => {
                let head = ["AT", "ROUTER", "WHAT", "FROM", "TO", "CAUSE", "SENTENCE"];
                let rows: Vec<_> = changes.iter().map(row).collect();
                terminal.say_table(head, &rows)
            }
        }
    }

    fn query(&self) -> Vec<(&'static str, String)> {
        let selected = [
            ("kind", self.kind.clone()),
            ("signal", self.signal.clone()),
            ("since", self.since.map(|time| time.to_string())),
            ("until", self.until.map(|time| time.to_string())),
        ];
        let selected = selected.into_iter();
        selected
            .filter_map(|(name, value)| Some((name, value?)))
            .collect()
    }
}

/// Writes how many of a tenant's requests were served.
pub(super) async fn availability(
    client: &AdminClient,
    id: &TenantId,
    output: Format,
    terminal: &mut Terminal<'_>,
) -> Result<(), Failure> {
    let path = ["tenants", id.as_str(), "availability"];
    let found: Availability = client.read(&path, &[]).await?;
    match output {
        Format::Json => terminal.say_json(&found),
        Format::Yaml => terminal.say_yaml(&found),
        Format::Table => {
            let mut rows = Vec::new();
            for (signal, of_signal) in &found.signals {
                let windows = of_signal.windows.iter();
                rows.extend(windows.map(|window| window_row(*signal, window)));
            }
            let head = [
                "SIGNAL",
                "WINDOW",
                "SERVED",
                "NOT",
                "AVAILABILITY",
                "BURN RATE",
            ];
            terminal.say_table(head, &rows)?;
            let Some(objective) = found.objective else {
                return terminal.say(&"no objective: neither the tenant nor its tier has one");
            };
            for (signal, of_signal) in &found.signals {
                if let Some(budget) = &of_signal.error_budget {
                    terminal.say(&format_args!(
                        "{signal}: objective {objective} over 30d, {} left of the error budget \
                         ({} of {:.1} failed): {}",
                        percent(budget.remaining),
                        budget.spent,
                        budget.allowed,
                        budget.state.as_str(),
                    ))?;
                }
            }
            Ok(())
        }
    }
}

fn row(change: &HistoryEntry) -> [String; 7] {
    let signal = change.signal.map(Signal::as_str);
    let what = [
        Some(change.kind.as_str()),
        signal,
        change.endpoint.as_deref(),
    ];
    let what: Vec<_> = what.into_iter().flatten().collect();
    [
        format!("{:.0}", change.at),
        change.router.clone(),
        what.join(" "),
        change.from.clone(),
        change.to.clone(),
        change.cause.clone(),
        change.sentence.clone(),
    ]
}

fn window_row(signal: Signal, window: &WindowAvailability) -> [String; 6] {
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".into());
    [
        signal.to_string(),
        window.window.clone(),
        window.good.to_string(),
        window.bad.to_string(),
        or_none(window.availability.map(percent)),
        or_none(window.burn_rate.map(|rate| format!("{rate:.2}"))),
    ]
}

/// A share of one as text. What is short of all never reads as all.
fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let shown = format!("{percent:.3}");
    if share < 1.0 && shown == "100.000" {
        return "99.999%".into();
    }
    let shown = shown.trim_end_matches('0').trim_end_matches('.');
    format!("{shown}%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_short_and_never_rounded_up_to_all() {
        let cases = [
            (1.0, "100%"),
            (0.999, "99.9%"),
            (0.999_999_9, "99.999%"),
            (0.123_456, "12.346%"),
            (0.0, "0%"),
            (-0.5, "-50%"),
        ];
        for (share, expected) in cases {
            assert_eq!(percent(share), expected);
        }
    }
}
