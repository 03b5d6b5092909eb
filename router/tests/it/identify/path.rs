//! A tenant named by the beginning of the path, as a browser can.

use reqwest::{Method, header};
use serde_json::{Value, json};

use crate::support::{
    acme::request,
    client::ask,
    mirador::Mirador,
    tenant::Tenant,
    upstream::{Upstream, reply},
    victoria::Victoria,
};

fn by_path() -> Value {
    json!({"identify": {"sources": ["header", "path"]}})
}

/// Sends a GET of this raw target without a tenant header.
async fn get(mirador: &Mirador, target: &str, headers: &str) -> (u16, String) {
    let bytes = request(&format!("GET {target}"), headers, "");
    let reply = ask(mirador.address(), bytes).await;
    let reply = reply.unwrap_or_else(|end| panic!("{target} ended with {end:?}"));
    (reply.status(), reply.body.text())
}

#[tokio::test]
async fn what_follows_the_prefix_is_the_path_for_every_signal() {
    let upstream = Upstream::saying("acme");
    let mirador = Mirador::with(by_path()).await;
    mirador
        .apply(&Tenant::new("acme").everything(&[upstream.url()]))
        .await;
    let cases = [
        ("/t/acme/api/v1/query?query=1", "/api/v1/query?query=1"),
        ("/t/acme/vl/select/logsql/hits", "/select/logsql/hits"),
        ("/t/acme/vt/select/vmui/", "/select/vmui/"),
        ("/t/acme//api/v1/%71uery", "//api/v1/%71uery"),
        ("/t/acme/", "/"),
        ("/t/acme", "/"),
        ("/t/acme?x=/t/globex", "/?x=/t/globex"),
    ];
    for (asked, forwarded) in cases {
        assert_eq!(
            get(&mirador, asked, "").await,
            (200, "acme".into()),
            "{asked}"
        );
        let last = upstream.asked().pop().expect("a request");
        assert_eq!(last.target(), forwarded, "{asked}");
    }
    let (status, text) = get(&mirador, "/t/acme/health", "").await;
    assert_eq!((status, &*text), (200, "OK"), "the tenant's health");
    assert_eq!(get(&mirador, "/t/nobody/health", "").await.0, 403);
    assert_eq!(
        get(&mirador, "/health", "").await.0,
        200,
        "the router's own"
    );
}

#[tokio::test]
async fn no_spelling_of_a_path_reaches_another_tenant_or_a_path_that_is_denied() {
    let (ours, theirs) = (Upstream::saying("acme"), Upstream::saying("globex"));
    let mirador = Mirador::with(by_path()).await;
    for (id, backend) in [("acme", &ours), ("globex", &theirs)] {
        mirador
            .apply(&Tenant::new(id).everything(&[backend.url()]))
            .await;
    }
    for (target, status) in [
        ("/t/acme/../globex/api/v1/query", 400),
        ("/t/acme/%2e%2e/globex/api/v1/query", 400),
        ("/t/acme/.%2E/globex/api/v1/query", 400),
        ("/t/acme%2f..%2fglobex/api/v1/query", 400),
        ("/t/acme/..%2fglobex/api/v1/query", 400),
        ("/t/acme/./../globex/api/v1/query", 400),
        ("/t/../t/globex/api/v1/query", 400),
        ("/t/./globex/api/v1/query", 400),
        ("//t/globex/api/v1/query", 400),
        ("/t//globex/api/v1/query", 400),
        ("/%74/globex/api/v1/query", 400),
        ("/t%2fglobex/api/v1/query", 400),
        ("/t/GLOBEX/api/v1/query", 400),
        ("/t/glo%62ex/api/v1/query", 400),
        ("/t/globex%20/api/v1/query", 400),
        ("/t//api/v1/query", 400),
        ("/t", 400),
        ("/t/acme/internal/force_flush", 403),
        ("/t/acme//internal/force_flush", 403),
        ("/t/acme/%69nternal/force_flush", 403),
        ("/t/acme/vl/internal/force_flush", 403),
        ("/t/acme/metrics", 403),
        ("/api/v1/query", 400),
    ] {
        let (found, text) = get(&mirador, target, "").await;
        assert_eq!(found, status, "{target}: {text}");
    }
    let header = "X-Tenant-ID: acme\r\n";
    for target in ["/t/globex/api/v1/query", "/%74/globex/x", "//t/globex/x"] {
        let (found, text) = get(&mirador, target, header).await;
        assert_eq!(found, 400, "{target} beside a header: {text}");
    }
    assert!(ours.asked().is_empty() && theirs.asked().is_empty());
}

#[tokio::test]
async fn redirects_and_cookies_come_back_below_the_prefix() {
    let upstream = Upstream::start(|asked| {
        let place = match asked.target() {
            "/absolute" => format!(
                "http://{}/vmui/",
                asked.head.get("host").unwrap_or_default()
            ),
            _ => "/vmui/?g0.expr=up".into(),
        };
        let headers = format!(
            "Location: {place}\r\nSet-Cookie: a=1; Path=/; HttpOnly\r\nSet-Cookie: b=2; Path=/vmui\r\n"
        );
        reply(302, &headers, "")
    });
    let mirador = Mirador::with(by_path()).await;
    mirador
        .apply(&Tenant::new("acme").metrics(&[upstream.url()]))
        .await;
    let places = async |path: &str, tenant: Option<&str>| {
        let mut request = mirador.http.request(Method::GET, mirador.url(path));
        if let Some(tenant) = tenant {
            request = request.header("X-Tenant-ID", tenant);
        }
        let reply = request.send().await.expect("an answer");
        let all = |name: header::HeaderName| -> Vec<String> {
            let values = reply.headers().get_all(name).iter();
            values
                .map(|value| value.to_str().expect("text").to_owned())
                .collect()
        };
        (all(header::LOCATION), all(header::SET_COOKIE))
    };
    let (location, cookies) = places("/t/acme/vmui", None).await;
    assert_eq!(location, ["/t/acme/vmui/?g0.expr=up"]);
    assert_eq!(
        cookies,
        ["a=1; HttpOnly; Path=/t/acme/", "b=2; Path=/t/acme/vmui"]
    );
    let (location, _) = places("/t/acme/absolute", None).await;
    assert_eq!(location, ["/t/acme/vmui/"]);
    let (location, _) = places("/t/acme/vm/vmui", None).await;
    assert_eq!(location, ["/t/acme/vm/vmui/?g0.expr=up"]);
    let (location, cookies) = places("/vmui", Some("acme")).await;
    assert_eq!(
        location,
        ["/vmui/?g0.expr=up"],
        "without a prefix, as it was"
    );
    assert_eq!(cookies, ["a=1; Path=/; HttpOnly", "b=2; Path=/vmui"]);
}

#[tokio::test]
async fn a_browser_finds_the_page_of_a_real_backend_and_what_it_asks() {
    let (metrics, logs) = tokio::join!(Victoria::metrics(), Victoria::logs());
    let mirador = Mirador::with(by_path()).await;
    let acme = Tenant::new("acme")
        .metrics(&[metrics.url()])
        .logs(&[logs.url()]);
    mirador.apply(&acme).await;
    metrics.import_metrics("of_acme{a=\"b\"} 1\n").await;
    // Follows redirects, as browsers do.
    let browser = reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a client");
    // Whether the page itself is built into a backend or not: where its redirect leads, the answer
    // is the one that the backend gives there.
    for (asked, reached, backend, path) in [
        ("/t/acme/vmui", "/t/acme/vmui/", &metrics, "/vmui/"),
        (
            "/t/acme/vl/select/vmui",
            "/t/acme/vl/select/vmui/",
            &logs,
            "/select/vmui/",
        ),
        ("/t/acme/", "/t/acme/", &metrics, "/"),
    ] {
        let through = browser.get(mirador.url(asked)).send().await;
        let through = through.expect("an answer");
        assert_eq!(through.url().path(), reached, "{asked}");
        let direct = browser.get(backend.url() + path).send().await;
        let direct = direct.expect("an answer");
        assert_eq!(through.status(), direct.status(), "{asked}");
        let (through, direct) = (through.text().await, direct.text().await);
        assert_eq!(through.expect("a page"), direct.expect("a page"), "{asked}");
    }
    let url = mirador.url("/t/acme/prometheus/api/v1/series?match[]=of_acme");
    let reply = browser.get(url).send().await.expect("an answer");
    let series: Value = reply.json().await.expect("JSON");
    assert_eq!(series["data"][0]["a"], "b", "{series}");
}
