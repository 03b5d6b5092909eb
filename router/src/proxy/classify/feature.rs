//! Which switch of its own a path has, beside those of its signal and operation.

use tenant_store::model::{Feature, Signal};

use super::{Operation, canonical::canonical, operation::metrics_path};

/// The feature that a raw path (without query and without our own prefix) belongs to.
///
/// Only asked of tenants that have features switched off: others don't pay for it.
pub fn feature_of(raw_path: &str, signal: Signal, operation: Operation) -> Option<Feature> {
    if operation == Operation::Tail {
        return Some(Feature::Tails);
    }
    let canonical = canonical(raw_path)?;
    match signal {
        Signal::Metrics => of_metrics(metrics_path(&canonical), operation),
        Signal::Logs | Signal::Traces => {
            let pages = canonical.starts_with("/select/vmui");
            pages.then_some(Feature::Vmui)
        }
    }
}

fn of_metrics(path: &str, operation: Operation) -> Option<Feature> {
    let pages = path.starts_with("/vmui")
        || path
            .strip_prefix("/graph")
            .is_some_and(|rest| !rest.starts_with("ite"));
    match operation {
        Operation::Export if path == "/federate" => Some(Feature::Federation),
        Operation::Export => Some(Feature::Exports),
        _ if pages => Some(Feature::Vmui),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::classify::{Served, Verdict, classify};

    fn feature(path: &str) -> Option<Feature> {
        let classified = classify(path, Served::default());
        let Verdict::Forward { operation, strip } = classified.verdict else {
            unreachable!("{path} is forwarded");
        };
        feature_of(&path[strip..], classified.signal?, operation)
    }

    #[test]
    fn paths_belong_to_their_feature_however_they_are_written() {
        let cases = [
            ("/federate", Some(Feature::Federation)),
            ("/vm/federate", Some(Feature::Federation)),
            ("/prometheus/federate/", Some(Feature::Federation)),
            ("//fed%65rate", Some(Feature::Federation)),
            ("/api/v1/export", Some(Feature::Exports)),
            ("/prometheus/api/v1/export/native", Some(Feature::Exports)),
            ("/vmui", Some(Feature::Vmui)),
            ("/vm/vmui/index.js", Some(Feature::Vmui)),
            ("/graph", Some(Feature::Vmui)),
            ("/vl/select/vmui/", Some(Feature::Vmui)),
            ("/vt/select/vmui/", Some(Feature::Vmui)),
            ("/select/logsql/tail", Some(Feature::Tails)),
            ("/select/logsql/query", None),
            ("/graphite/render", None),
            ("/api/v1/query", None),
            ("/api/v1/write", None),
            ("/insert/jsonline", None),
        ];
        for (path, expected) in cases {
            assert_eq!(feature(path), expected, "{path}");
        }
    }
}
