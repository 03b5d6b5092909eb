//! Each step of a request by itself, in the order of the line: see `router::proxy`.

use std::{hint::black_box, net::Ipv4Addr, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use futures_util::FutureExt as _;
use http::{HeaderName, HeaderValue};
use jiff::Timestamp;
use micro::{Caller, World};
use router::{
    connection::framing::Framing,
    proxy::{
        admit::admit,
        classify::{Served, classify},
        identify::{Asked, Identity},
        pick::Tried,
        rewrite::{self, BodyLength, Forward, Hop},
        route::{DeploymentRoute, TenantRoute},
    },
    telemetry::{Finished, Overflow, Service},
};
use tenant_store::{
    cache::Known,
    model::{Access, Signal},
};

const TENANT: &str = "tenant-00042";
/// Tenants in the cache.
const TENANTS: u32 = 10_000;

criterion_group!(
    steps,
    frame,
    classifies,
    identifies,
    authenticates,
    opens,
    looks_up,
    admits,
    picks,
    rewrites,
    counts,
    builds
);
criterion_main!(steps);

/// The raw bytes of a client, as they come.
fn frame(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("framing");
    let query = "GET /api/v1/query?query=up HTTP/1.1\r\nHost: mirador.test\r\n\
                 User-Agent: Grafana/12.0.0\r\nAccept-Encoding: gzip\r\nX-Tenant-ID: acme\r\n\r\n";
    let body = "x".repeat(16 << 10);
    let write = format!(
        "POST /api/v1/write HTTP/1.1\r\nHost: mirador.test\r\nX-Tenant-ID: acme\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    for (name, text) in [("query", query), ("write of 16 KiB", &write)] {
        group.throughput(Throughput::Bytes(text.len() as u64));
        let mut framing = Framing::default();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                framing.feed(black_box(text.as_bytes()));
                framing.take_head()
            });
        });
    }
    group.finish();
}

fn classifies(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("classify");
    for path in [
        "/api/v1/query",
        "/api/v1/label/__name__/values",
        "/api/v1/write",
        "/vm/api/v1/query_range",
        "/select/logsql/query",
        "/select/jaeger/api/traces/0af7651916cd43dd8448eb211c80319c",
        "/insert/opentelemetry/v1/traces",
        "/api//v1/%71uery",
        "/an/unknown/path",
    ] {
        group.bench_function(path, |bencher| {
            bencher.iter(|| classify(black_box(path), Served::default()));
        });
    }
    group.finish();
}

/// Which tenant a request names, by each way that it may.
fn identifies(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("identify");
    let sources = [
        ("header", "{sources: [header]}", micro::query(TENANT)),
        (
            "subdomain",
            "{sources: [subdomain], subdomains: [obs.example.com]}",
            micro::query_of_host(&format!("{TENANT}.obs.example.com:8427")),
        ),
        (
            "path",
            "{sources: [path]}",
            micro::query_of_path(&format!("/t/{TENANT}/api/v1/query?query=up")),
        ),
    ];
    for (name, section, head) in &sources {
        let identity = micro::identity(section);
        group.bench_function(*name, |bencher| {
            bencher.iter(|| {
                let head = black_box(head);
                let path = identity.divide(head.uri.path());
                let asked = Asked {
                    head,
                    path,
                    client: None,
                    peer: Ipv4Addr::LOCALHOST.into(),
                    certificate: None,
                };
                let who = identity.identify(&asked).now_or_never();
                assert!(matches!(who, Some(Ok(_))), "it is named");
            });
        });
    }
    group.finish();
}

/// What a request's API key costs, of as many as there are tenants.
fn opens(criterion: &mut Criterion) {
    let world = World::new();
    let (ring, tokens) = world.keys(TENANTS);
    let now = Timestamp::UNIX_EPOCH;
    let token = tokens[tokens.len() / 2].as_str();
    let mut forged = token.to_owned();
    let last = forged.pop();
    forged.push(if last == Some('A') { 'B' } else { 'A' });
    let unknown = format!("mir_{}_{}", "0".repeat(12), "A".repeat(43));
    let mut group = criterion.benchmark_group("API key");
    for (name, token, opens) in [
        ("right", token, true),
        ("of another secret", &forged, false),
        ("unknown", &unknown, false),
        ("no key at all", "Basic aGk6aG8=", false),
    ] {
        let granted = ring.load().authenticate(token, now).is_ok();
        assert_eq!(granted, opens, "{name}");
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let keys = ring.load();
                let grant = keys.authenticate(black_box(token), now);
                grant.map(|grant| grant.permits("tenant-05000", Signal::Logs, Access::Read))
            });
        });
    }
    group.finish();
}

/// Who is asking, by each credential: one that this worker has met, and a token that it has not.
fn authenticates(criterion: &mut Criterion) {
    let world = World::new();
    let basic = |key: &str| {
        let encoded = STANDARD.encode(format!("me:{key}"));
        ("authorization", format!("Basic {encoded}"))
    };
    let bearer = |key: &str| ("authorization", format!("Bearer {key}"));
    let own = |key: &str| ("x-api-key", key.to_owned());
    let callers = [
        ("token", Caller::with_token(&world, TENANT, "ES256")),
        ("long token", Caller::with_token(&world, TENANT, "RS256")),
        ("API key, bearer", Caller::with_key(&world, TENANTS, bearer)),
        ("API key, basic", Caller::with_key(&world, TENANTS, basic)),
        (
            "API key, own header",
            Caller::with_key(&world, TENANTS, own),
        ),
        ("certificate", Caller::with_certificate(TENANT)),
    ];
    let mut group = criterion.benchmark_group("authenticate");
    for (name, caller) in &callers {
        let identity = caller.identity();
        group.bench_function(*name, |bencher| {
            bencher.iter(|| identify(&identity, black_box(caller)));
        });
    }
    for algorithm in ["ES256", "ES384", "EdDSA", "RS256", "PS512"] {
        let caller = Caller::with_token(&world, TENANT, algorithm);
        group.bench_function(format!("new token, {algorithm}"), |bencher| {
            bencher.iter_batched(
                || caller.identity(),
                |identity| identify(&identity, black_box(&caller)),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

fn identify(identity: &Identity, caller: &Caller) {
    let asked = Asked {
        head: &caller.head,
        path: identity.divide(caller.head.uri.path()),
        client: None,
        peer: Ipv4Addr::LOCALHOST.into(),
        certificate: caller.certificate.as_ref(),
    };
    let who = identity.identify(&asked).now_or_never();
    assert!(matches!(who, Some(Ok(_))), "it is good: {who:?}");
}

fn looks_up(criterion: &mut Criterion) {
    let world = World::new();
    let tenants = world.tenants(TENANTS);
    let context = world.context(tenants.clone());
    let mut group = criterion.benchmark_group("tenant");
    group.bench_function("held by the worker", |bencher| {
        bencher.iter(|| {
            let route = context.route(black_box(TENANT)).now_or_never();
            assert!(matches!(route, Some(Ok(Some(_)))), "it is known");
        });
    });
    group.bench_function("held by the cache", |bencher| {
        bencher.iter(|| {
            let known = tenants.known(black_box(TENANT));
            assert!(matches!(known, Known::Tenant(_)), "it is known");
        });
    });
    group.finish();
}

fn admits(criterion: &mut Criterion) {
    let world = World::new();
    let route = world.route(TENANT, 1);
    criterion.bench_function("admit", |bencher| {
        bencher.iter(|| admit(black_box(&route), Signal::Metrics).is_ok());
    });
}

fn picks(criterion: &mut Criterion) {
    let world = World::new();
    let mut group = criterion.benchmark_group("pick");
    for endpoints in [1, 2, 8] {
        let route = world.route(TENANT, endpoints);
        let deployment = metrics_of(&route);
        group.bench_function(BenchmarkId::new("endpoints", endpoints), |bencher| {
            bencher.iter(|| black_box(deployment).pick(Tried::default(), false));
        });
    }
    group.finish();
}

fn rewrites(criterion: &mut Criterion) {
    let world = World::new();
    let route = world.route(TENANT, 1);
    let deployment = metrics_of(&route);
    let upstream = deployment.endpoints()[0].upstream();
    let identity = [
        HeaderName::from_static("x-tenant-id"),
        HeaderName::from_static("x-scope-orgid"),
    ];
    let peer = HeaderValue::from_static("192.0.2.1");
    let request_id = HeaderValue::from_static("0123456789abcdef0123456789abcdef");
    let hop = Hop {
        peer: &peer,
        trusted: false,
        secure: false,
    };
    let mut group = criterion.benchmark_group("rewrite");
    for (name, head) in [
        ("query", micro::query(TENANT)),
        ("write", micro::write(TENANT)),
    ] {
        let forward = || Forward::new(black_box(&head), 0, hop, &identity, &request_id);
        group.bench_function(BenchmarkId::new("for HTTP/1.1", name), |bencher| {
            bencher.iter(|| forward().http1(upstream.addressee(), BodyLength::Known(0)));
        });
        group.bench_function(BenchmarkId::new("for HTTP/2", name), |bencher| {
            bencher.iter(|| forward().http2(upstream.addressee(), ()));
        });
    }
    group.bench_function("reply", |bencher| {
        bencher.iter_batched_ref(
            micro::answer,
            |headers| rewrite::reply(headers, &request_id),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

/// What a request that went well adds to the metrics.
fn counts(criterion: &mut Criterion) {
    let world = World::new();
    let route = world.route(TENANT, 1);
    let counts = metrics_of(&route).open_counts(&Overflow::new());
    let finished = Finished {
        code: 200,
        took: Duration::from_millis(12),
        first_byte: Some(Duration::from_millis(11)),
        moved_on: false,
        service: Service::Served,
        request_bytes: 0,
        response_bytes: 1024,
    };
    criterion.bench_function("count", |bencher| {
        bencher.iter(|| {
            let counts = black_box(&counts);
            counts.begin();
            counts.answered(0, 200);
            counts.finish(&finished);
        });
    });
}

/// A tenant's route, which is built once per revision.
fn builds(criterion: &mut Criterion) {
    let world = World::new();
    let record = world.record(TENANT, 2);
    let before = world.route(TENANT, 2);
    let mut group = criterion.benchmark_group("build a route of 3 × 2 endpoints");
    group.bench_function("first", |bencher| {
        bencher.iter(|| world.builder().build(black_box(&record), None));
    });
    group.bench_function("next revision", |bencher| {
        bencher.iter(|| world.builder().build(black_box(&record), Some(&before)));
    });
    group.finish();
}

#[expect(clippy::expect_used, reason = "all routes here have all signals")]
fn metrics_of(route: &TenantRoute) -> &DeploymentRoute {
    route.deployment(Signal::Metrics).expect("a deployment")
}
