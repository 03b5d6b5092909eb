//! What deep checks of real servers find, and who hears of it.

use super::{server::empty, *};

fn deep(interval: Duration) -> Arc<DeepCheck> {
    Arc::new(DeepCheck {
        interval,
        product: Product::VictoriaMetrics,
        min_version: Some("v1.150".into()),
        query: "/base/api/v1/query?query=1".into(),
        ingestion: (Method::POST, "/base/api/v1/import/prometheus".into()),
        min_free_disk_percent: 10,
        max_clock_skew: Duration::from_secs(10),
    })
}

pub(super) fn looked_at(address: SocketAddr) -> Target {
    Target {
        deep: Some(deep(Duration::from_secs(1))),
        authorization: Some(Arc::new(HeaderValue::from_static("Bearer s3cret"))),
        ..target(address, Some(RARE))
    }
}

fn page(date: &str, lines: &str) -> String {
    let length = lines.len();
    format!("HTTP/1.1 200 OK\r\ndate: {date}\r\ncontent-length: {length}\r\n\r\n{lines}")
}

fn now() -> String {
    let now = jiff::Timestamp::now();
    now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

const WELL: &str = "vm_app_version{version=\"victoria-metrics-20260101-v1.150.3\"} 1\n\
                    vm_free_disk_space_bytes{path=\"/d\"} 50\n\
                    vm_data_size_bytes{type=\"storage/big\"} 50\n";

async fn looked(health: &EndpointHealth) {
    let before = health.snapshot().deep.map(|deep| deep.at);
    eventually("a deep check", || {
        health
            .snapshot()
            .deep
            .is_some_and(|deep| Some(deep.at) != before)
    })
    .await;
}

/// One of all faults at one time, told in words; and when they are gone, that is told, too.
#[tokio::test]
async fn faults_are_found_and_go() {
    let ill = "vm_app_version{version=\"victoria-metrics-20260101-v1.15.0\"} 1\n\
               vm_free_disk_space_bytes{path=\"/d\"} 3221225472\n\
               vm_data_size_bytes{type=\"storage/big\"} 96636764160\n\
               vm_storage_is_read_only{path=\"/d\"} 1\n";
    let server = Server::start(Conduct::ByPath(vec![
        ("/metrics", page("Sat, 28 Nov 2020 23:58:37 GMT", ill)),
        ("/base/api/v1/query", empty("401 Unauthorized")),
        ("/base/api/v1/import/prometheus", empty("503 Unavailable")),
    ]))
    .await;
    let (monitor, _task) = start(config());
    let health = monitor.watch(looked_at(server.address));
    looked(&health).await;
    let all_but_product = Finding::ALL
        .into_iter()
        .filter(|finding| *finding != Finding::WrongProduct)
        .collect::<Findings>();
    assert_eq!(health.findings(), all_but_product);
    assert_eq!(health.availability(), Availability::Up);
    let snapshot = health.snapshot().deep.unwrap();
    let told: Vec<_> = snapshot
        .found
        .iter()
        .map(|found| &found.detail[..])
        .collect();
    assert!(told[0].contains("s behind the router's"), "{told:?}");
    assert_eq!(
        told[1..],
        [
            "it is victoria-metrics-20260101-v1.15.0, expected v1.150 or newer",
            "its storage is read-only, it takes no data",
            "3.2 % (3.00 GiB) of its disk are free, expected 10 %",
            "a trivial query was answered 401 Unauthorized",
            "an empty write was answered 503 Service Unavailable",
        ]
    );
    let requests = server.requests();
    let asked = |head: &str| requests.iter().any(|request| request.starts_with(head));
    assert!(asked("GET /base/api/v1/query?query=1 HTTP/1.1"));
    assert!(asked("POST /base/api/v1/import/prometheus HTTP/1.1"));
    let credentials = |request: &String| request.contains("authorization: Bearer s3cret");
    assert!(requests.iter().all(credentials));

    looked(&health).await;
    let again = health.snapshot().deep.unwrap();
    assert_eq!(again.found[0].since, snapshot.found[0].since);
    server.behave(Conduct::ByPath(vec![("/metrics", page(&now(), WELL))]));
    eventually("no findings", || health.findings().is_empty()).await;
    let deep = health.snapshot().deep.unwrap();
    assert_eq!(deep.product, Product::VictoriaMetrics);
    assert_eq!(
        deep.version.as_deref(),
        Some("victoria-metrics-20260101-v1.150.3")
    );
}

/// Another product is a finding; one that doesn't tell, and one that is too busy, are none.
#[tokio::test]
async fn what_cannot_be_told_is_no_finding() {
    let server = Server::start(Conduct::ByPath(vec![
        ("/metrics", empty("401 Unauthorized")),
        ("/base/api/v1/query", empty("429 Too Many Requests")),
        ("/base/api/v1/import/prometheus", empty("400 Bad Request")),
    ]))
    .await;
    let (monitor, _task) = start(config());
    let health = monitor.watch(looked_at(server.address));
    looked(&health).await;
    assert_eq!(health.findings(), Findings::default());
    let logs = page(&now(), "vl_rows 1\n");
    server.behave(Conduct::ByPath(vec![("/metrics", logs)]));
    eventually("the wrong product", || {
        health.findings().contains(Finding::WrongProduct)
    })
    .await;
    assert_eq!(
        health.snapshot().deep.unwrap().found[0].detail,
        "it is VictoriaLogs, expected VictoriaMetrics"
    );
}

/// However many share a backend, it is looked at once per interval; what is wrong with it is
/// everybody's, what is wrong with a path or credentials isn't.
#[tokio::test]
async fn one_look_serves_a_crowd() {
    let read_only = page(&now(), "vm_storage_is_read_only{path=\"/d\"} 1\n");
    let server = Server::start(Conduct::ByPath(vec![
        ("/metrics", read_only),
        ("/base/api/v1/query", empty("500 Internal Server Error")),
    ]))
    .await;
    let (monitor, _task) = start(config());
    let base = Target {
        deep: Some(deep(Duration::from_hours(1))),
        ..looked_at(server.address)
    };
    let held: Vec<_> = (0..100)
        .map(|identity| {
            monitor.watch(Target {
                identity,
                ..base.clone()
            })
        })
        .collect();
    // Half a minute from now, where all times are exact: has the first of them looked at once.
    for health in &held {
        if let Some(look) = health.start_look() {
            look.run().await;
        }
    }
    let pages = |request: &&String| request.starts_with("GET /metrics ");
    assert_eq!(server.requests().iter().filter(pages).count(), 1);
    let logs = monitor.watch(Target {
        deep: Some(Arc::new(DeepCheck {
            product: Product::VictoriaLogs,
            ..DeepCheck::clone(base.deep.as_ref().unwrap())
        })),
        ..base
    });
    let look = logs.start_look();
    look.expect("who expects something else looks for itself")
        .run()
        .await;
    let found = |finding| {
        held.iter()
            .filter(|h| h.findings().contains(finding))
            .count()
    };
    assert_eq!(found(Finding::ReadOnly), 100);
    assert_eq!(found(Finding::QueryFails), 1);
}

/// Nothing is asked of an endpoint that is down, nor where probing is off.
#[tokio::test]
async fn the_dead_are_left_alone() {
    let (monitor, _task) = start(config_without_retries());
    let down = monitor.watch(looked_at(refusing().1));
    eventually("its first probe", || monitor.stats().probes.connect > 0).await;
    down.report_failure(Failure::Connect);
    assert!(down.start_look().is_none());
    let unprobed = monitor.watch(Target {
        probe: None,
        ..looked_at(refusing().1)
    });
    assert!(unprobed.start_look().is_none());
}
