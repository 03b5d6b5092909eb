use http::{HeaderMap, Request};
use proptest::prelude::*;

use super::*;

static PEER: HeaderValue = HeaderValue::from_static("192.0.2.7");
static ID: HeaderValue = HeaderValue::from_static("request-1");

fn head(uri: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).expect("a request").into_parts().0
}

fn hop(trusted: bool) -> Hop<'static> {
    Hop {
        peer: &PEER,
        trusted,
        secure: false,
    }
}

/// What an endpoint sees of a head: its headers, and the target.
fn forwarded(head: &Parts, strip: usize, trusted: bool) -> (HeaderMap, String) {
    let identity = [HeaderName::from_static("x-org")];
    let forward = Forward::new(head, strip, hop(trusted), &identity, &ID);
    let mut headers = HeaderMap::new();
    forward.each_header(None, |name, value| {
        headers.append(name, HeaderValue::from_bytes(value).expect("a value"));
    });
    (headers, forward.target.to_string())
}

fn prepared(
    uri: &str,
    headers: &[(&str, &str)],
    strip: usize,
    trusted: bool,
) -> (HeaderMap, String) {
    forwarded(&head(uri, headers), strip, trusted)
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).map(|value| value.to_str().expect("text"))
}

/// The head as an endpoint below `base_path` reads it.
fn http1(head: &Parts, base_path: &str, length: BodyLength) -> Result<String, TargetTooLong> {
    let authority = Authority::from_static("db:8428");
    let authorization = HeaderValue::from_static("Basic eDp5");
    let to = Addressee {
        base_path,
        authority: &authority,
        secure: false,
        authorization: Some(&authorization),
    };
    let written = Forward::new(head, 0, hop(false), &[], &ID).http1(to, length)?;
    Ok(String::from_utf8(written).expect("text"))
}

#[test]
fn path_and_query_go_on_byte_for_byte() {
    let odd = "/api//v1/query%5Frange?query=up%7Bjob%3D%22a%22%7D&x=%zz+&&";
    assert_eq!(prepared(odd, &[], 0, false).1, odd);
    assert_eq!(
        prepared("/vl/select/logsql/query?query=*", &[], 3, false).1,
        "/select/logsql/query?query=*"
    );
    assert_eq!(prepared("/vm?a=b", &[], 3, false).1, "/?a=b");
    assert_eq!(prepared("/vm", &[], 3, false).1, "/");
    assert_eq!(prepared("*", &[], 0, false).1, "*");
    assert_eq!(prepared("http://mirador.example", &[], 0, false).1, "/");
}

#[test]
fn a_head_is_written_as_its_endpoint_expects_it() {
    let head = head(
        "http://mirador.example/api/v1/query?a",
        &[("Authorization", "Bearer of the client"), ("Accept", "*/*")],
    );
    assert_eq!(
        http1(&head, "/select/0/prometheus", BodyLength::Known(0)).expect("short enough"),
        "GET /select/0/prometheus/api/v1/query?a HTTP/1.1\r\n\
         host: db:8428\r\n\
         accept: */*\r\n\
         authorization: Basic eDp5\r\n\
         x-forwarded-for: 192.0.2.7\r\n\
         x-forwarded-proto: http\r\n\
         x-forwarded-host: mirador.example\r\n\
         x-request-id: request-1\r\n\r\n"
    );
}

#[test]
fn the_end_of_a_body_is_told_once_and_in_the_routers_words() {
    let framing = |method: Method, headers: &[(&str, &str)], length| {
        let mut head = head("/", headers);
        head.method = method;
        let written = http1(&head, "", length).expect("short enough");
        let told: Vec<String> = written
            .lines()
            .filter(|line| line.starts_with("content-length") || line.starts_with("transfer-"))
            .map(ToOwned::to_owned)
            .collect();
        told.join(",")
    };
    let none = BodyLength::Known(0);
    assert_eq!(framing(Method::GET, &[], none), "");
    assert_eq!(framing(Method::POST, &[], none), "content-length: 0");
    let told = [("content-length", "0")];
    assert_eq!(framing(Method::DELETE, &told, none), "content-length: 0");
    // What was chunked may have been read ahead, and have a length now.
    let chunked = [("transfer-encoding", "chunked")];
    let five = BodyLength::Known(5);
    assert_eq!(framing(Method::GET, &chunked, five), "content-length: 5");
    let length = [("content-length", "5")];
    assert_eq!(framing(Method::POST, &length, five), "content-length: 5");
    assert_eq!(
        framing(Method::POST, &chunked, BodyLength::Chunked),
        "transfer-encoding: chunked"
    );
}

#[test]
fn a_target_too_long_for_its_base_path_goes_nowhere() {
    let head = head(&format!("/{}", "a".repeat(65_533)), &[]);
    let none = BodyLength::Known(0);
    assert!(http1(&head, "", none).is_ok());
    assert_eq!(
        http1(&head, "/select/7/prometheus", none),
        Err(TargetTooLong)
    );
}

#[test]
fn nothing_that_chooses_a_backend_tenant_or_carries_credentials_gets_through() {
    let (head, _) = prepared(
        "/",
        &[
            ("Authorization", "Bearer secret"),
            ("AccountID", "7"),
            ("projectid", "8"),
            ("X-Scope-OrgID", "other"),
            ("X-Tenant-ID", "acme"),
            ("x-org", "acme"),
            ("Expect", "100-continue"),
            ("User-Agent", "Grafana/11"),
            ("Accept-Encoding", "gzip"),
            ("traceparent", "00-1-2-01"),
        ],
        0,
        false,
    );
    for gone in [
        "authorization",
        "accountid",
        "projectid",
        "x-scope-orgid",
        "x-tenant-id",
        "x-org",
        "expect",
    ] {
        assert_eq!(text(&head, gone), None, "{gone}");
    }
    for (kept, value) in [
        ("user-agent", "Grafana/11"),
        ("accept-encoding", "gzip"),
        ("traceparent", "00-1-2-01"),
    ] {
        assert_eq!(text(&head, kept), Some(value), "{kept}");
    }
    assert_eq!(text(&head, "x-request-id"), Some("request-1"));
}

#[test]
fn only_a_trusted_peer_is_believed_about_those_before_it() {
    let claims = [
        ("Host", "mirador.example"),
        ("X-Forwarded-For", "10.1.1.1"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "grafana.example"),
        ("Forwarded", "for=10.1.1.1"),
        ("X-Real-IP", "10.1.1.1"),
    ];
    let (untrusted, _) = prepared("/", &claims, 0, false);
    assert_eq!(text(&untrusted, "x-forwarded-for"), Some("192.0.2.7"));
    assert_eq!(text(&untrusted, "x-forwarded-proto"), Some("http"));
    assert_eq!(
        text(&untrusted, "x-forwarded-host"),
        Some("mirador.example")
    );
    assert_eq!(text(&untrusted, "forwarded"), None);
    assert_eq!(text(&untrusted, "x-real-ip"), None);
    let (trusted, _) = prepared("/", &claims, 0, true);
    assert_eq!(
        text(&trusted, "x-forwarded-for"),
        Some("10.1.1.1, 192.0.2.7")
    );
    assert_eq!(text(&trusted, "x-forwarded-proto"), Some("https"));
    assert_eq!(text(&trusted, "x-forwarded-host"), Some("grafana.example"));
    assert_eq!(text(&trusted, "forwarded"), Some("for=10.1.1.1"));
}

#[test]
fn crumbs_of_a_cookie_are_joined_for_http1() {
    let mut head = head(
        "https://mirador.example/",
        &[("cookie", "a=1"), ("cookie", "b=2")],
    );
    head.version = Version::HTTP_2;
    let (headers, _) = forwarded(&head, 0, false);
    assert_eq!(text(&headers, "cookie"), Some("a=1; b=2"));
    assert_eq!(text(&headers, "x-forwarded-host"), Some("mirador.example"));
}

/// Cookies don't know ports: whoever is logged in to the health pages shows that to every listener.
#[test]
fn an_operators_session_is_not_for_backends() {
    for (cookies, left) in [
        (&["mirador_session=secret"][..], None),
        (&["a=1; mirador_session=secret; b=2"], Some("a=1; b=2")),
        (&["mirador_session=secret", "a=1"], Some("a=1")),
        (&["a=1;mirador_session =x"], Some("a=1")),
        (
            &["a=mirador_session=x;b=2"],
            Some("a=mirador_session=x;b=2"),
        ),
        (&["not_mirador_session=1"], Some("not_mirador_session=1")),
    ] {
        let lines: Vec<_> = cookies.iter().map(|line| ("cookie", *line)).collect();
        let (headers, _) = forwarded(&head("/", &lines), 0, false);
        assert_eq!(text(&headers, "cookie"), left, "{cookies:?}");
    }
}

#[test]
fn replies_lose_what_tells_of_the_backend() {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("x-server-hostname", "vm-acme-0"),
        ("accountid", "7"),
        ("keep-alive", "timeout=5"),
        ("x-request-id", "of the backend"),
        ("vl-request-duration-seconds", "0.1"),
        ("content-encoding", "zstd"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    reply(&mut headers, &ID);
    let mut left: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
    left.sort_unstable();
    assert_eq!(
        left,
        [
            "content-encoding",
            "vl-request-duration-seconds",
            "x-request-id"
        ]
    );
    assert_eq!(headers["x-request-id"], "request-1");
}

#[test]
fn request_ids_of_clients_are_kept_if_they_are_harmless() {
    let kept = |id: &str| request_id(&head("/", &[("x-request-id", id)]).headers).is_some();
    assert!(kept("4bf92f3577b34da6"));
    assert!(!kept(""));
    assert!(!kept("two words"));
    assert!(!kept(&"x".repeat(129)));
}

fn headers() -> impl Strategy<Value = Vec<(String, String)>> {
    const NAMES: &[&str] = &[
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "proxy-authorization",
        "accountid",
        "authorization",
        "x-scope-orgid",
        "x-own",
        "content-length",
        "accept",
        "x-forwarded-for",
    ];
    const VALUES: &[&str] = &[
        "close",
        "x-own",
        "X-Own, accept",
        "keep-alive, te",
        "trailers",
        "chunked",
        "5",
        ",",
    ];
    let header = (prop::sample::select(NAMES), prop::sample::select(VALUES))
        .prop_map(|(name, value)| (name.to_owned(), value.to_owned()));
    prop::collection::vec(header, 0..12)
}

proptest! {
    #[test]
    fn no_hop_by_hop_header_survives_and_doing_it_twice_changes_nothing(headers in headers()) {
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let declared: Vec<String> = headers
            .iter()
            .filter(|(name, _)| *name == "connection")
            .flat_map(|(_, value)| value.split(',').map(|name| name.trim().to_lowercase()))
            .collect();
        let (once, _) = prepared("/", &headers, 0, false);
        for name in once.keys().map(HeaderName::as_str).filter(|name| *name != "x-request-id") {
            prop_assert!(!is_hop_by_hop(name) && !is_not_for_backends(name), "{}", name);
        }
        for name in declared.iter().filter(|name| *name == "x-own" || *name == "accept") {
            prop_assert!(!once.contains_key(name.as_str()), "{}", name);
        }
        let mut again = head("/", &[]);
        again.headers = once.clone();
        let (twice, _) = forwarded(&again, 0, false);
        prop_assert_eq!(once, twice);
    }
}
