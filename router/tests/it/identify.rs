//! Who is asking: a request names one tenant, in one way, or is refused.

mod certificate;
mod key;
mod network;
mod path;
mod subdomain;
mod token;

use serde_json::{Value, json};

use crate::support::{
    acme::{acme, request},
    client::ask,
    eventually,
    mirador::Mirador,
    tenant::Tenant,
    upstream::Upstream,
};

/// A query with these header lines, as bytes: some of them are no text.
fn query(headers: &[u8]) -> Vec<u8> {
    let whole = request("GET /api/v1/query?query=1", "", "");
    let head = whole.strip_suffix("\r\n").expect("an empty line");
    [head.as_bytes(), headers, b"\r\n"].concat()
}

/// Sends a query that has to be refused; answers the reason and the message.
async fn refusal(mirador: &Mirador, headers: &[u8]) -> (String, String) {
    let shown = String::from_utf8_lossy(headers);
    let reply = ask(mirador.address(), query(headers)).await;
    let reply = reply.unwrap_or_else(|end| panic!("{shown:?} ended with {end:?}"));
    assert_eq!(reply.status(), 400, "{shown:?}");
    let body: Value = serde_json::from_slice(&reply.body.kept).expect("JSON");
    assert_eq!(body["errorType"], "bad_data", "{shown:?}");
    let text = |field: &str| body[field].as_str().expect("a text").to_owned();
    (text("reason"), text("error"))
}

#[tokio::test]
async fn a_request_that_names_no_tenant_or_not_clearly_is_refused_and_told_why() {
    let (ours, theirs) = (Upstream::saying("acme"), Upstream::saying("globex"));
    let mirador = acme(&ours, json!({})).await;
    mirador
        .apply(&Tenant::new("globex").everything(&[theirs.url()]))
        .await;
    let long = format!("X-Tenant-ID: {}\r\n", "a".repeat(64));
    let repeated = "the header x-tenant-id is there more than once";
    let no_tenant = "the header x-tenant-id names no tenant";
    let missing = "send the header x-tenant-id or the header x-scope-orgid";
    let cases: [(&[u8], &str, &str); 18] = [
        (b"", "missing_tenant", missing),
        (b"X-Tenant: acme\r\n", "missing_tenant", missing),
        (b"X-Tenant-ID:\r\n", "malformed_tenant", "is empty"),
        (b"X-Tenant-ID:   \r\n", "malformed_tenant", "is empty"),
        (
            b"X-Scope-OrgID: \r\n",
            "malformed_tenant",
            "x-scope-orgid is empty",
        ),
        (b"X-Tenant-ID: ACME\r\n", "malformed_tenant", no_tenant),
        (b"X-Tenant-ID: a\r\n", "malformed_tenant", no_tenant),
        (b"X-Tenant-ID: -acme\r\n", "malformed_tenant", no_tenant),
        (
            b"X-Tenant-ID: acme globex\r\n",
            "malformed_tenant",
            no_tenant,
        ),
        (b"X-Tenant-ID: acme,acme\r\n", "malformed_tenant", no_tenant),
        (
            b"X-Tenant-ID: acme|globex\r\n",
            "malformed_tenant",
            no_tenant,
        ),
        (b"X-Tenant-ID: ../globex\r\n", "malformed_tenant", no_tenant),
        (b"X-Tenant-ID: \"acme\"\r\n", "malformed_tenant", no_tenant),
        (
            b"X-Tenant-ID: acm\xc3\xa9\r\n",
            "malformed_tenant",
            "plain ASCII",
        ),
        (long.as_bytes(), "malformed_tenant", no_tenant),
        (
            b"X-Tenant-ID: acme\r\nX-Tenant-ID: acme\r\n",
            "malformed_tenant",
            repeated,
        ),
        (
            b"X-Tenant-ID: acme\r\nx-tenant-id: globex\r\n",
            "malformed_tenant",
            repeated,
        ),
        (
            b"X-Tenant-ID: acme\r\nX-Scope-OrgID: globex\r\n",
            "malformed_tenant",
            "two different tenants",
        ),
    ];
    for (headers, reason, message) in cases {
        let shown = String::from_utf8_lossy(headers);
        let (found, told) = refusal(&mirador, headers).await;
        assert_eq!(found, reason, "{shown:?}: {told}");
        assert!(told.contains(message), "{shown:?} was told {told:?}");
    }
    assert!(ours.asked().is_empty() && theirs.asked().is_empty());
}

#[tokio::test]
async fn the_alias_will_do_alone_and_beside_the_same_tenant() {
    let upstream = Upstream::saying("acme");
    let mirador = acme(&upstream, json!({})).await;
    for headers in [
        "X-Tenant-ID: acme\r\n",
        "x-tenant-id:acme\r\n",
        "X-Scope-OrgID: acme\r\n",
        "X-Scope-OrgID: acme\r\nX-Tenant-ID: acme\r\n",
    ] {
        let reply = ask(mirador.address(), query(headers.as_bytes())).await;
        let reply = reply.expect("a reply");
        assert_eq!(
            (reply.status(), reply.body.text()),
            (200, "acme".into()),
            "{headers:?}"
        );
    }
    assert_eq!(upstream.asked().len(), 4);
}

#[tokio::test]
async fn only_the_configured_headers_name_a_tenant() {
    let upstream = Upstream::saying("acme");
    let headers = json!({"identify": {"headers": ["X-Customer"]}});
    let mirador = acme(&upstream, headers).await;

    let (reason, told) = refusal(&mirador, b"X-Tenant-ID: acme\r\n").await;
    assert_eq!(reason, "missing_tenant");
    assert!(told.contains("send the header x-customer"), "{told}");

    let both = b"X-Customer: acme\r\nX-Tenant-ID: globex\r\nX-Scope-OrgID: 7\r\n";
    let reply = ask(mirador.address(), query(both)).await.expect("a reply");
    assert_eq!(reply.status(), 200);
    let head = upstream.only().head;
    for name in ["x-customer", "x-tenant-id", "x-scope-orgid"] {
        assert_eq!(head.get(name), None, "{name} reached the backend");
    }
}

#[tokio::test]
async fn health_paths_are_the_routers_own_without_a_tenant_and_a_check_of_it_with_one() {
    let upstream = Upstream::saying("acme");
    let mirador = acme(&upstream, json!({})).await;
    let status = async |tenant: &str, path: &str| {
        let bytes = request(&format!("GET {path}"), tenant, "");
        ask(mirador.address(), bytes)
            .await
            .expect("a reply")
            .status()
    };
    upstream.until_probed(1).await;
    upstream.set_health(503);
    // Each signal's endpoint is watched for itself, as different products are expected there.
    for path in ["/vm/health", "/vl/health", "/vt/health"] {
        eventually("acme to be found ill", async || {
            (status("X-Tenant-ID: acme\r\n", path).await == 503).then_some(())
        })
        .await;
    }
    for path in [
        "/health",
        "/-/healthy",
        "/-/ready",
        "/ready",
        "/vm/health",
        "/vl/health",
    ] {
        assert_eq!(status("", path).await, 200, "{path} of the router");
        assert_eq!(
            status("X-Tenant-ID: acme\r\n", path).await,
            503,
            "{path} of acme"
        );
        assert_eq!(
            status("X-Scope-OrgID: acme\r\n", path).await,
            503,
            "{path} of acme"
        );
        assert_eq!(
            status("X-Tenant-ID: nobody\r\n", path).await,
            403,
            "{path} of nobody"
        );
        assert_eq!(
            status("X-Tenant-ID: No Body\r\n", path).await,
            400,
            "{path}"
        );
    }
    upstream.set_health(200);
    eventually("acme to be found well", async || {
        (status("X-Tenant-ID: acme\r\n", "/health").await == 200).then_some(())
    })
    .await;
    assert!(
        upstream.asked().is_empty(),
        "no check is the backend's to answer"
    );
}

#[tokio::test]
async fn a_refused_health_check_says_which_tenant_why_and_under_which_id() {
    let upstream = Upstream::saying("acme");
    let mirador = Mirador::with(json!({})).await;
    // One deployment: of several behind one endpoint, the check may meet the first before the
    // endpoint is found ill and the second after, and then names the second.
    mirador
        .apply(&Tenant::new("acme").metrics(&[upstream.url()]))
        .await;
    upstream.set_health(0);
    let told = eventually("acme to be found ill", async || {
        let bytes = request(
            "GET /health",
            "X-Tenant-ID: acme\r\nX-Request-ID: check-7\r\n",
            "",
        );
        let reply = ask(mirador.address(), bytes).await.expect("a reply");
        (reply.status() == 503).then_some(reply)
    })
    .await;
    assert_eq!(
        told.body.text(),
        "tenant acme: no endpoint of the tenant's metrics deployment is available (request check-7)\n",
    );
    assert_eq!(told.head.get("retry-after"), Some("1"));
    assert_eq!(told.head.get("x-request-id"), Some("check-7"));
}
