use super::*;

fn parsed(line: &[u8]) -> Value {
    serde_json::from_slice(line).expect("a line of JSON")
}

fn now() -> Timestamp {
    "2025-06-01T12:00:03Z".parse().expect("a timestamp")
}

#[test]
fn what_a_query_has_to_answer_is_what_was_loaded() {
    let shop = shop::samples(now());
    let lines: Vec<_> = shop.lines().iter().map(|line| parsed(line)).collect();
    assert_eq!(lines.len() as u64, shop.series_count());
    let values = lines
        .iter()
        .map(|line| line["values"].as_array().map_or(0, Vec::len) as u64);
    assert_eq!(values.sum::<u64>(), shop.sample_count());

    let last = |line: &Value| line["values"].as_array()?.last()?.as_u64();
    let carts = lines
        .iter()
        .filter(|line| line["metric"]["service"] == "cart");
    let sum: Option<u64> = carts.map(last).sum();
    assert_eq!(sum, Some(shop.sum_at_end("service", "cart")));
    let end = lines[0]["timestamps"]
        .as_array()
        .and_then(|all| all.last()?.as_i64());
    assert_eq!(end, Some(shop.end() * 1_000));
}

#[test]
fn samples_fed_later_go_on_where_the_loaded_ones_end() {
    for samples in [shop::samples(now()), wind_farm::samples(now())] {
        let loaded = parsed(&samples.lines()[0]);
        let at = Timestamp::from_second(samples.end()).expect("in range");
        let fed = samples.lines_at(at);
        let fed = parsed(fed.lines().next().expect("a series").as_bytes());
        assert_eq!(fed["metric"], loaded["metric"]);
        for field in ["values", "timestamps"] {
            assert_eq!(
                fed[field][0],
                *loaded[field]
                    .as_array()
                    .and_then(|all| all.last())
                    .expect("one")
            );
        }
    }
}

#[test]
fn the_tenants_share_no_series_name() {
    let names = |samples: &Samples| {
        samples
            .series
            .iter()
            .map(|one| one.name)
            .collect::<Vec<_>>()
    };
    assert!(
        names(&shop::samples(now()))
            .iter()
            .all(|name| name.starts_with("shop_"))
    );
    assert!(
        names(&wind_farm::samples(now()))
            .iter()
            .all(|name| name.starts_with("turbine_"))
    );
}

#[test]
fn every_log_line_has_its_stream_fields_and_a_time_of_its_own() {
    for samples in [shop::samples(now()), wind_farm::samples(now())] {
        let text = samples.log_lines();
        let lines: Vec<_> = text.lines().map(|line| parsed(line.as_bytes())).collect();
        assert_eq!(lines.len() as u64, u64::from(samples.log_count));
        let fields = || samples.stream_fields.split(',');
        assert!(
            lines
                .iter()
                .all(|line| fields().all(|field| line[field].is_string()))
        );
        let times: std::collections::BTreeSet<_> = lines
            .iter()
            .filter_map(|line| line["_time"].as_str())
            .collect();
        assert_eq!(times.len(), lines.len());
        assert!(
            times
                .last()
                .is_some_and(|last| *last == "2025-06-01T11:59:00Z"),
            "{times:?}"
        );
    }
}
