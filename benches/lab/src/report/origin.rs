//! Where and when figures come from: told once for most, and beside those that differ.

use super::Table;
use crate::{
    peer::Kind,
    record::{Conditions, Record},
    scenario::Records,
};

/// When and under what something was measured.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    began: jiff::Timestamp,
    date: String,
    conditions: Conditions,
}

impl Origin {
    fn of<Extent, Figures>(record: &Record<Extent, Figures>) -> Self {
        Self {
            began: record.began,
            date: record.date(),
            conditions: record.conditions.clone(),
        }
    }

    /// That of most scenarios; of the latest of them among equals. `None` of nothing.
    pub(super) fn of_most(records: &Records) -> Option<Self> {
        let mut all = all(records);
        all.sort_by_key(|one| one.began);
        let alike = |one: &Self| all.iter().filter(|other| one.is_like(other)).count();
        all.iter().max_by_key(|one| alike(one)).cloned()
    }

    /// Whether nothing needs to be told of it beside the other. Loads and commands may differ.
    fn is_like(&self, other: &Self) -> bool {
        self.date == other.date && self.differences(other).is_empty()
    }

    fn differences(&self, other: &Self) -> Vec<String> {
        let (own, usual) = (&self.conditions, &other.conditions);
        let mut all = Vec::new();
        let mut tell = |what: &str, own: &str, usual: &str| {
            if own != usual {
                all.push(format!("{what} {own}"));
            }
        };
        tell("commit", &own.commit, &usual.commit);
        tell("processors", &processors(own), &processors(usual));
        tell("memory", &own.memory_gib, &usual.memory_gib);
        tell("Linux", &own.kernel, &usual.kernel);
        tell("system", &own.system, &usual.system);
        tell("compiler", &own.built, &usual.built);
        tell("bound to", &own.bound, &usual.bound);
        for (kind, version) in &own.versions {
            let usual = usual.versions.get(kind);
            tell(kind.name(), version, usual.map_or("", String::as_str));
        }
        all
    }

    /// The table at the top.
    pub(super) fn setting(&self) -> String {
        let of = &self.conditions;
        let mut table = Table::new(["", ""]);
        table.row(["Date", &self.date]);
        table.row(["Commit", &of.commit]);
        table.row(["Command", &of.command]);
        table.row(["Processors", &processors(of)]);
        table.row(["Memory", &format!("{} GiB", of.memory_gib)]);
        let system = format!("{}, Linux {}", of.system, of.kernel);
        table.row(["System", &system]);
        table.row(["Compiler", &of.built]);
        for kind in [
            Kind::Mirador,
            Kind::Haproxy,
            Kind::Nginx,
            Kind::Envoy,
            Kind::Vmauth,
        ] {
            let version = of.versions.get(&kind).map(String::as_str);
            table.row([kind.name(), version.unwrap_or("unknown")]);
        }
        table.row(["Bound to", &of.bound]);
        table.row(["Load average before", &of.load]);
        table.to_string()
    }

    /// What is to be told beside a table when this is where most others come from.
    pub(super) fn note<Extent, Figures>(&self, record: &Record<Extent, Figures>) -> Option<String> {
        let own = Self::of(record);
        if own.is_like(self) {
            return None;
        }
        let differences = own.differences(self);
        let unlike = if differences.is_empty() {
            String::new()
        } else {
            format!("; unlike most others: {}", differences.join(", "))
        };
        Some(format!("*Measured on {}{unlike}.*\n", own.date))
    }
}

fn processors(of: &Conditions) -> String {
    format!("{} × {}", of.processors, of.processor)
}

fn all(records: &Records) -> Vec<Origin> {
    fn one<Extent, Figures>(record: Option<&Record<Extent, Figures>>) -> Option<Origin> {
        record.map(Origin::of)
    }
    [
        one(records.throughput.as_ref()),
        one(records.latency.as_ref()),
        one(records.tenants.as_ref()),
        one(records.reload.as_ref()),
        one(records.memory.as_ref()),
        one(records.soak.as_ref()),
        one(records.beyond.as_ref()),
        one(records.change.as_ref()),
        one(records.streaming.as_ref()),
        one(records.tls.as_ref()),
        one(records.http2.as_ref()),
        one(records.connections.as_ref()),
        one(records.tails.as_ref()),
        one(records.failover.as_ref()),
        one(records.start.as_ref()),
        one(records.scaling.as_ref()),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{record::tests::record, scenario::throughput};

    #[test]
    fn only_what_differs_from_most_is_told() {
        let extent = throughput::Extent::FULL;
        let mut records = Records::default();
        assert!(Origin::of_most(&records).is_none());
        records.throughput = Some(record(0, extent, Vec::new()));
        records.tenants = Some(record(
            0,
            crate::scenario::tenants::Extent::FULL,
            Vec::new(),
        ));
        let mut later = record(9, crate::scenario::memory::Extent::FULL, Vec::new());
        later.conditions.commit = "fff".into();
        records.memory = Some(later);
        let most = Origin::of_most(&records).expect("something");
        assert_eq!(most.date, "2023-11-14");
        let usual = records.throughput.as_ref().expect("there");
        assert_eq!(most.note(usual), None);
        let unusual = most.note(records.memory.as_ref().expect("there"));
        assert_eq!(
            unusual.as_deref(),
            Some("*Measured on 2023-11-23; unlike most others: commit fff.*\n")
        );
    }
}
