//! HTTP/2 on either side: requests become what an HTTP/1.1 backend understands, and how a reply
//! ends is told the same way in both.

use h2::Reason;
use http::{HeaderMap, HeaderValue, Request, Version};
use serde_json::json;

use crate::support::{
    acme::acme,
    h2::{H2Client, H2Reply, H2Upstream, read},
    mirador::Mirador,
    port::Port,
    tenant::Tenant,
    upstream::{Step, Upstream, ok, reply, send},
    wire::End,
};

/// An OTLP export of traces.
const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// A request of acme's.
fn of_acme(method: &str, target: &str) -> Request<()> {
    Request::builder()
        .version(Version::HTTP_2)
        .method(method)
        .uri(format!("http://mirador.test{target}"))
        .header("x-tenant-id", "acme")
        .body(())
        .expect("a request")
}

fn grpc(tenant: &'static str) -> Request<()> {
    let mut request = of_acme("POST", EXPORT);
    let headers = request.headers_mut();
    headers.insert("x-tenant-id", HeaderValue::from_static(tenant));
    headers.insert("te", HeaderValue::from_static("trailers"));
    headers.insert("content-type", HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-timeout", HeaderValue::from_static("5S"));
    headers.insert("x-request-id", HeaderValue::from_static("r-1"));
    request
}

fn text(headers: &HeaderMap, name: &str) -> String {
    let all: Vec<_> = headers.get_all(name).iter().collect();
    assert!(all.len() < 2, "{name} stands there {} times", all.len());
    let value = all.first().map(|value| value.to_str().expect("text"));
    value.unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_request_becomes_one_that_an_http1_backend_understands() {
    let upstream = Upstream::start(|_| reply(200, "Connection: x-hop\r\nX-Hop: 1\r\n", "hello"));
    let mirador = acme(&upstream, json!({})).await;
    let client = H2Client::connect(&mirador).await;

    let mut request = of_acme("GET", "/api/v1/query?query=%7B%7D&");
    for crumb in ["a=1", "b=2", "c=3"] {
        request
            .headers_mut()
            .append("cookie", HeaderValue::from_static(crumb));
    }
    let (head, body) = client.send(request, &[]).await;
    assert_eq!((head.status().as_u16(), &*body.data), (200, &b"hello"[..]));
    assert_eq!(text(head.headers(), "x-hop"), "", "{head:?}");
    let asked = &upstream.asked()[0].head;
    assert_eq!(
        asked.start_line(),
        "GET /api/v1/query?query=%7B%7D& HTTP/1.1"
    );
    assert_eq!(asked.get("x-forwarded-host"), Some("mirador.test"));
    assert_eq!(asked.get("host"), Some(&*upstream.authority()));
    assert_eq!(asked.get("cookie"), Some("a=1; b=2; c=3"));
    assert_eq!(asked.get("content-length"), None);
    assert_eq!(asked.get("transfer-encoding"), None);
    assert_eq!(asked.get("x-tenant-id"), None);
}

#[tokio::test]
async fn bodies_are_framed_anew() {
    let upstream = Upstream::saying("stored");
    let mirador = acme(&upstream, json!({})).await;
    let client = H2Client::connect(&mirador).await;
    let sized = |line: &str| {
        let mut request = of_acme("POST", line);
        let length = HeaderValue::from_static("10");
        request.headers_mut().insert("content-length", length);
        request
    };
    let body = ["hello", "world"];
    let cases = [
        // A read is held in case it has to be sent again, so its length is known.
        (of_acme("POST", "/api/v1/query"), Some("10"), None),
        (of_acme("POST", "/api/v1/write"), None, Some("chunked")),
        (sized("/api/v1/query"), Some("10"), None),
        (sized("/api/v1/write"), Some("10"), None),
    ];
    for (index, (request, length, encoding)) in cases.into_iter().enumerate() {
        let (head, answer) = client.send(request, &body).await;
        assert_eq!(
            (head.status().as_u16(), &*answer.data),
            (200, &b"stored"[..])
        );
        let asked = upstream.asked()[index].clone();
        assert_eq!(asked.head.get("content-length"), length, "{:?}", asked.head);
        assert_eq!(
            asked.head.get("transfer-encoding"),
            encoding,
            "{:?}",
            asked.head
        );
        let came = asked.body.expect("a body");
        assert_eq!(
            (came.text(), came.end),
            ("helloworld".into(), End::Complete)
        );
    }
}

#[tokio::test]
async fn many_requests_share_a_connection_without_waiting_for_each_other() {
    let go_on = std::sync::Arc::new(tokio::sync::Notify::new());
    let wait = go_on.clone();
    let upstream = Upstream::start(move |asked| match asked.target() {
        "/api/v1/export" => {
            let steps = vec![send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")];
            [steps, vec![Step::Await(wait.clone()), send("late")]].concat()
        }
        _ => reply(200, "", "prompt"),
    });
    let mirador = acme(&upstream, json!({})).await;
    let client = H2Client::connect(&mirador).await;
    let slow = client.start(of_acme("GET", "/api/v1/export"), &[]).await;
    for _ in 0..3 {
        let (_, body) = client.send(of_acme("GET", "/api/v1/query"), &[]).await;
        assert_eq!(body.data, b"prompt");
    }
    go_on.notify_one();
    let body = read(slow.expect("a head").into_body()).await;
    assert_eq!((&*body.data, body.reset), (&b"late"[..], None));
}

#[tokio::test]
async fn a_reply_that_breaks_off_is_reset_and_never_ended() {
    let upstream = Upstream::start(|asked| {
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
        let sized = "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello";
        match asked.target() {
            "/api/v1/export?fin" => vec![send(chunked), Step::Fin],
            "/api/v1/export?reset" => vec![send(chunked), Step::Reset],
            "/api/v1/export?garbled" => vec![send(chunked), send("error: lost\r\n"), Step::Fin],
            "/api/v1/export?short" => vec![send(sized), Step::Fin],
            _ => reply(200, "", "whole"),
        }
    });
    let mirador = acme(&upstream, json!({})).await;
    let client = H2Client::connect(&mirador).await;
    for how in ["fin", "reset", "garbled", "short"] {
        let request = of_acme("GET", &format!("/api/v1/export?{how}"));
        match client.start(request, &[]).await {
            Ok(reply) => {
                let body = read(reply.into_body()).await;
                assert_eq!(body.reset, Some(Reason::INTERNAL_ERROR), "{how}: {body:?}");
            }
            // The reset overtook what came before it.
            Err(error) => assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR), "{how}"),
        }
    }
    let (_, body) = client.send(of_acme("GET", "/api/v1/query"), &[]).await;
    assert_eq!(
        body.data, b"whole",
        "only the streams are broken, not their connection"
    );
}

#[tokio::test]
async fn a_client_that_gives_up_cancels_its_request_at_the_backend() {
    let upstream = Upstream::start(|_| {
        vec![
            send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
            Step::Hang,
        ]
    });
    let mirador = acme(&upstream, json!({})).await;
    let client = H2Client::connect(&mirador).await;
    let reply = client
        .start(of_acme("GET", "/select/logsql/tail"), &[])
        .await;
    drop(reply.expect("a head"));
    upstream.until_abandoned(1).await;
}

#[tokio::test]
async fn a_draining_router_says_goodbye_and_finishes_what_it_has() {
    let go_on = std::sync::Arc::new(tokio::sync::Notify::new());
    let wait = go_on.clone();
    let upstream = Upstream::start(move |_| {
        let head = send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n");
        vec![head, Step::Await(wait.clone()), send("late")]
    });
    let mut mirador = acme(&upstream, json!({})).await;
    let client = H2Client::connect(&mirador).await;
    let slow = client.start(of_acme("GET", "/api/v1/export"), &[]).await;
    mirador.terminate();
    // Refused once the GOAWAY is here; whatever is let through before that is answered.
    crate::support::eventually("a GOAWAY", async || {
        let begun = client.start(of_acme("GET", "/api/v1/query"), &[]).await;
        let error = begun.err()?;
        assert!(error.is_go_away() || error.is_io(), "{error:?}");
        Some(())
    })
    .await;
    go_on.notify_waiters();
    go_on.notify_one();
    let body = read(slow.expect("a head").into_body()).await;
    assert_eq!((&*body.data, body.reset), (&b"late"[..], None));
    client.ended().await.expect("an orderly end");
    assert!(mirador.process.exit().await.success());
}

#[tokio::test]
async fn grpc_goes_through_with_its_trailers_in_both_directions() {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    trailers.insert("grpc-message", HeaderValue::from_static("stored"));
    let upstream = H2Upstream::start(H2Reply {
        data: "\0\0\0\0\x02\x0a\0",
        trailers: trailers.clone(),
    })
    .await;
    let mirador = Mirador::start().await;
    let endpoint = json!([{"url": upstream.url(), "protocol": "http2"}]);
    let tenant = Tenant::new("acme").traces(&[upstream.url().into()]);
    let tenant = tenant.set("/deployments/traces/endpoints", endpoint).set(
        "/deployments/traces/health_check",
        json!({"enabled": false}),
    );
    mirador.apply(&tenant).await;
    let client = H2Client::connect(&mirador).await;
    for _ in 0..2 {
        let (head, body) = client.send(grpc("acme"), &["\0\0\0\0\x05", "spans"]).await;
        assert_eq!(head.status(), 200);
        assert_eq!(text(head.headers(), "content-type"), "application/grpc");
        assert_eq!(body.data, b"\0\0\0\0\x02\x0a\0");
        assert_eq!(body.trailers, Some(trailers.clone()));
        let asked = upstream.take_asked();
        let [(head, body)] = &*asked else {
            panic!("expected one request, not {asked:?}");
        };
        assert_eq!(head.uri.to_string(), format!("{}{EXPORT}", upstream.url()));
        assert_eq!(text(&head.headers, "te"), "trailers");
        assert_eq!(text(&head.headers, "grpc-timeout"), "5S");
        assert_eq!(text(&head.headers, "x-forwarded-host"), "mirador.test");
        assert_eq!(text(&head.headers, "x-tenant-id"), "");
        assert_eq!(body.data, b"\0\0\0\0\x05spans");
    }
}

#[tokio::test]
async fn grpc_is_refused_in_its_own_way() {
    let mirador = Mirador::start().await;
    let nowhere = Port::take().url();
    let no_check = json!({"enabled": false});
    let old = Tenant::new("old").traces(std::slice::from_ref(&nowhere));
    let old = old.set("/deployments/traces/health_check", no_check.clone());
    mirador.apply(&old).await;
    let endpoints = json!([{"url": nowhere, "protocol": "http2"}]);
    let acme = Tenant::new("acme").traces(&[nowhere]);
    let acme = acme.set("/deployments/traces/health_check", no_check);
    mirador
        .apply(&acme.set("/deployments/traces/endpoints", endpoints))
        .await;
    mirador.apply(&Tenant::new("bare")).await;
    mirador
        .apply(&Tenant::new("frozen").set("/status", "suspended"))
        .await;
    let client = H2Client::connect(&mirador).await;
    let unavailable = "14";
    for (tenant, status, message) in [
        (
            "acme",
            unavailable,
            "no endpoint of the tenant's traces deployment can be reached",
        ),
        (
            "old",
            unavailable,
            "no endpoint of the tenant's traces deployment is available",
        ),
        (
            "bare",
            unavailable,
            "the tenant has no deployment for traces",
        ),
        (
            "nobody",
            unavailable,
            "the tenant is not known here, or not open to this request",
        ),
        ("frozen", "7", "the tenant is suspended"),
    ] {
        let reply = client
            .start(grpc(tenant), &["\0\0\0\0\0"])
            .await
            .expect("a reply");
        assert!(reply.body().is_end_stream(), "trailers only");
        assert_eq!(reply.status(), 200, "{tenant}");
        let headers = reply.headers();
        assert_eq!(
            text(headers, "content-type"),
            "application/grpc",
            "{tenant}"
        );
        assert_eq!(text(headers, "grpc-status"), status, "{tenant}");
        let told = format!("tenant {tenant}: {message} (request r-1)");
        assert_eq!(text(headers, "grpc-message"), told);
        assert_eq!(text(headers, "x-request-id"), "r-1");
    }
    let mut unnamed = grpc("acme");
    unnamed.headers_mut().remove("x-tenant-id");
    let reply = client
        .start(unnamed, &["\0\0\0\0\0"])
        .await
        .expect("a reply");
    assert_eq!(text(reply.headers(), "grpc-status"), "3");
}

/// Nobody tries to connect to what is drained.
#[tokio::test]
async fn grpc_does_not_go_to_an_endpoint_that_is_drained() {
    let mirador = Mirador::start().await;
    let nowhere = Port::take().url();
    let drained = json!([{"url": nowhere, "protocol": "http2", "drain": true}]);
    let acme = Tenant::new("acme").traces(&[nowhere]);
    let acme = acme.set("/deployments/traces/endpoints", drained);
    mirador.apply(&acme).await;
    let client = H2Client::connect(&mirador).await;
    let reply = client.start(grpc("acme"), &["\0\0\0\0\0"]).await;
    let reply = reply.expect("a reply");
    assert_eq!(text(reply.headers(), "grpc-status"), "14");
    let message = text(reply.headers(), "grpc-message");
    assert!(message.contains("is available"), "{message}");
}

/// A health check of a tenant asks for both, as one does not stand in for the other.
#[tokio::test]
async fn a_health_check_wants_an_endpoint_for_grpc_and_one_for_all_else() {
    let http1 = Upstream::start(|_| ok("here"));
    let http2 = H2Upstream::start(H2Reply {
        data: "",
        trailers: HeaderMap::new(),
    })
    .await;
    let nowhere = Port::take().url();
    let mirador = Mirador::start().await;
    let check = async |first: &str, second: &str| {
        let endpoints = json!([{"url": first}, {"url": second, "protocol": "http2"}]);
        let no_check = json!({"enabled": false});
        let acme = Tenant::new("acme").traces(&[first.to_owned()]);
        let acme = acme
            .set("/deployments/traces/endpoints", endpoints)
            .set("/deployments/traces/health_check", no_check);
        mirador.apply(&acme).await;
        let client = H2Client::connect(&mirador).await;
        let get = async |target: &str| client.send(of_acme("GET", target), &[]).await.0.status();
        // Both are asked, so that the router finds out who is there.
        let found = get("/vt/select/jaeger/api/services").await;
        assert_eq!(found, if first == nowhere { 503 } else { 200 });
        let (head, _) = client.send(grpc("acme"), &["\0\0\0\0\0"]).await;
        assert_eq!(head.status(), 200);
        get("/vt/health").await
    };
    assert_eq!(check(&http1.url(), http2.url()).await, 200);
    assert_eq!(check(&nowhere, http2.url()).await, 503);
    assert_eq!(check(&http1.url(), &nowhere).await, 503);
}
