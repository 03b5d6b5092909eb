//! The text of what is counted by tenant, written straight from the counts and in pieces: a page
//! of ten thousand tenants has tens of megabytes, and never stands in memory whole.

use std::{
    fmt::{Display, Write},
    sync::Arc,
};

use super::{block::Totals, codes::CodeTotals, counts::SignalCounts, histogram::HistogramTotals};

/// Tenants' signals in one piece of text.
const PIECE: usize = 128;

/// What is told under one name.
struct Family {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    value: Value,
}

/// How a family's lines come out of what was counted.
enum Value {
    /// One number for each.
    Number(fn(&Totals) -> u64),
    Histogram(fn(&Totals) -> &HistogramTotals),
    /// By status code.
    Codes(fn(&Totals) -> &CodeTotals),
    /// By endpoint and status code.
    Answers,
}

/// In the order of their names.
const FAMILIES: [Family; 8] = [
    Family {
        name: "concurrent_requests",
        kind: "gauge",
        help: "Requests in flight.",
        value: Value::Number(Totals::in_flight),
    },
    Family {
        name: "endpoint_requests_total",
        kind: "counter",
        help: "Answers of an endpoint, by status code.",
        value: Value::Answers,
    },
    Family {
        name: "failovers_total",
        kind: "counter",
        help: "Requests that another endpoint than the first one answered.",
        value: Value::Number(|totals| totals.failovers),
    },
    Family {
        name: "request_bytes_total",
        kind: "counter",
        help: "Bytes of request bodies.",
        value: Value::Number(|totals| totals.request_bytes),
    },
    Family {
        name: "request_duration_seconds",
        kind: "histogram",
        help: "Time from a request's head to the last byte of its answer.",
        value: Value::Histogram(|totals| &totals.duration),
    },
    Family {
        name: "request_first_byte_seconds",
        kind: "histogram",
        help: "Time from a request's head to the first byte of its answer.",
        value: Value::Histogram(|totals| &totals.first_byte),
    },
    Family {
        name: "requests_total",
        kind: "counter",
        help: "Requests answered, by status code.",
        value: Value::Codes(|totals| &totals.codes),
    },
    Family {
        name: "response_bytes_total",
        kind: "counter",
        help: "Bytes of response bodies.",
        value: Value::Number(|totals| totals.response_bytes),
    },
];

/// All families, in pieces that are written when they are asked for.
pub(super) fn pieces(all: Vec<Arc<SignalCounts>>) -> impl Iterator<Item = String> + Send {
    let all: Arc<[_]> = all.into();
    FAMILIES.iter().flat_map(move |family| {
        let all = all.clone();
        let pieces = all.len().div_ceil(PIECE);
        (0..pieces).map(move |piece| {
            let mut text = String::new();
            if piece == 0 {
                family.head(&mut text);
            }
            for counts in all.iter().skip(piece * PIECE).take(PIECE) {
                family.lines(counts, &mut text);
            }
            text
        })
    })
}

/// The lines that say what the family `mirador_{name}` is.
pub(super) fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    put(
        text,
        format_args!("# HELP mirador_{name} {help}\n# TYPE mirador_{name} {kind}\n"),
    );
}

/// One line. `labels` stand in their braces.
pub(super) fn sample(text: &mut String, name: &str, labels: &str, value: impl Display) {
    put(text, format_args!("mirador_{name}{labels} {value}\n"));
}

impl Family {
    fn head(&self, text: &mut String) {
        head(text, self.name, self.kind, self.help);
    }

    fn lines(&self, counts: &SignalCounts, text: &mut String) {
        let name = self.name;
        let of_all = matches!(self.value, Value::Codes(_));
        if !of_all && !counts.is_deployed() {
            return;
        }
        let totals = counts.totals();
        let (tenant, signal) = (counts.tenant.as_str(), counts.signal);
        let who = format!("tenant=\"{tenant}\",signal=\"{signal}\"");
        match self.value {
            Value::Number(number) => {
                sample(text, name, &format!("{{{who}}}"), number(&totals));
            }
            Value::Histogram(histogram) => lines_of(histogram(&totals), name, &who, text),
            Value::Codes(codes) => {
                for (code, count) in codes(&totals).occurred() {
                    put(
                        text,
                        format_args!("mirador_{name}{{{who},code=\"{code}\"}} {count}\n"),
                    );
                }
            }
            Value::Answers => {
                for (endpoint, codes) in &totals.answers {
                    for (code, count) in codes.occurred() {
                        put(
                            text,
                            format_args!(
                                "mirador_{name}{{{who},endpoint=\"{endpoint}\",code=\"{code}\"}} {count}\n"
                            ),
                        );
                    }
                }
            }
        }
    }
}

fn lines_of(histogram: &HistogramTotals, name: &str, who: &str, text: &mut String) {
    for (bound, count) in histogram.cumulative() {
        put(
            text,
            format_args!("mirador_{name}_bucket{{{who},le=\"{bound}\"}} {count}\n"),
        );
    }
    let labels = format!("{{{who}}}");
    sample(text, &format!("{name}_sum"), &labels, histogram.seconds());
    sample(text, &format!("{name}_count"), &labels, histogram.count());
}

fn put(text: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a String can't fail.
    let _ = text.write_fmt(what);
}

#[cfg(test)]
mod tests {
    use tenant_store::model::Signal;

    use super::{super::counts::Book, *};

    #[test]
    fn each_family_has_one_head_however_many_pieces_it_has() {
        let book = Book::new(1000);
        for n in 0..300 {
            let id = format!("tenant-{n}").parse().expect("a tenant id");
            book.deployed(&id, Signal::Traces);
        }
        let pieces: Vec<_> = pieces(book.all()).collect();
        assert_eq!(pieces.len(), FAMILIES.len() * 3);
        let text = pieces.concat();
        assert_eq!(text.matches("# TYPE ").count(), FAMILIES.len());
        let in_flight = text.matches("\nmirador_concurrent_requests{").count();
        assert_eq!(in_flight, 300);
        assert!(FAMILIES.is_sorted_by_key(|family| family.name));
    }
}
