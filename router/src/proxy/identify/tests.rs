//! Which tenant a request names, and what is never believed.

use futures_util::FutureExt as _;
use http::{HeaderValue, Request};
use proptest::prelude::*;

use super::*;
use crate::proxy::classify::canonical;

/// An identity by these sources, each with what it needs.
fn identity(sources: &[SourceKind]) -> Identity {
    let names = ["x-tenant-id", "x-scope-orgid"];
    let domain = |text: &str| serde_json::from_value(text.into()).expect("a domain");
    let config = Identify {
        sources: sources.into(),
        headers: names.map(HeaderName::from_static).into(),
        subdomains: vec![domain("eu.obs.example.com"), domain("obs.example.com")],
        path_prefix: PathPrefix::default(),
        authentication: Authentication::TrustedNetwork(Vec::new()),
        issuers: Vec::new(),
        certificate: None,
        max_failures_per_minute: 60,
    };
    Identity::new(&config, &Arc::default())
}

fn by_header() -> Identity {
    identity(&[SourceKind::Header])
}

/// The tenant that a head names to an identity.
fn tenant_of<'h>(head: &'h Parts, identity: &Identity) -> Result<&'h str, IdentifyError> {
    let asked = Asked {
        head,
        path: identity.divide(head.uri.path()),
        client: None,
        peer: [127, 0, 0, 1].into(),
        certificate: None,
    };
    let who = identity.identify(&asked).now_or_never();
    match who.expect("nothing to wait for")?.tenant {
        TenantName::Named(tenant) => Ok(tenant),
        TenantName::Sole(principal) => panic!("{principal:?} without a credential"),
    }
}

fn head(headers: &[(&'static str, &[u8])]) -> Parts {
    let (mut head, ()) = Request::new(()).into_parts();
    for (name, value) in headers {
        let value = HeaderValue::from_bytes(value).expect("a header value");
        head.headers.append(*name, value);
    }
    head
}

#[test]
fn either_header_names_the_tenant_and_both_may_if_they_agree() {
    for headers in [
        &[("x-tenant-id", b"acme".as_slice())][..],
        &[("x-scope-orgid", b"acme")],
        &[("x-tenant-id", b"acme"), ("x-scope-orgid", b"acme")],
    ] {
        assert_eq!(tenant_of(&head(headers), &by_header()), Ok("acme"));
    }
}

type Headers = &'static [(&'static str, &'static [u8])];

#[test]
fn what_names_no_tenant_or_two_is_told_apart() {
    let tenant = HeaderName::from_static("x-tenant-id");
    let cases: [(Headers, IdentifyError); 4] = [
        (
            &[],
            IdentifyError::Missing {
                expected: "the header x-tenant-id or the header x-scope-orgid".into(),
            },
        ),
        (
            &[("x-tenant-id", b"acme"), ("x-tenant-id", b"acme")],
            IdentifyError::Repeated(tenant.clone()),
        ),
        (
            &[("x-tenant-id", b"")],
            IdentifyError::Empty("the header x-tenant-id".into()),
        ),
        (
            &[("x-tenant-id", b"acme"), ("x-scope-orgid", b"globex")],
            IdentifyError::Conflict {
                first: "the header x-tenant-id".into(),
                second: "the header x-scope-orgid".into(),
            },
        ),
    ];
    for (headers, expected) in cases {
        assert_eq!(tenant_of(&head(headers), &by_header()), Err(expected));
    }
}

#[test]
fn a_bad_second_source_is_not_overlooked() {
    let head = head(&[("x-tenant-id", b"acme"), ("x-scope-orgid", b"acme|globex")]);
    assert!(matches!(
        tenant_of(&head, &by_header()),
        Err(IdentifyError::Malformed { place, .. }) if place == "the header x-scope-orgid"
    ));
}

proptest! {
    #[test]
    fn only_slugs_are_ever_believed(value in prop::collection::vec(any::<u8>(), 0..80)) {
        let Ok(value) = HeaderValue::from_bytes(&value) else { return Ok(()) };
        let (mut head, ()) = Request::new(()).into_parts();
        head.headers.append("x-tenant-id", value);
        if let Ok(tenant) = tenant_of(&head, &by_header()) {
            prop_assert!((2..=63).contains(&tenant.len()));
            prop_assert!(!tenant.starts_with('-'));
            prop_assert!(tenant
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
        }
    }
}

/// A head that asks this host, in the target if `absolute`, and otherwise by header.
fn asking(host: &[u8], absolute: bool) -> Option<Parts> {
    let uri = if absolute {
        format!("http://{}/x", std::str::from_utf8(host).ok()?)
    } else {
        "/x".into()
    };
    let (mut head, ()) = Request::get(uri).body(()).ok()?.into_parts();
    if !absolute {
        let host = HeaderValue::from_bytes(host).ok()?;
        head.headers.insert(http::header::HOST, host);
    }
    Some(head)
}

#[test]
fn the_label_below_a_base_domain_names_the_tenant() {
    let identity = identity(&[SourceKind::Subdomain]);
    for (host, tenant) in [
        ("acme.obs.example.com", Some("acme")),
        ("acme.obs.example.com:8427", Some("acme")),
        ("acme.eu.obs.example.com", Some("acme")),
        ("obs.example.com", None),
        ("eu.obs.example.com", None),
        ("obs.example.com.", None),
        ("OBS.example.com", None),
        ("other.example.com", None),
        ("acmeobs.example.com", None),
        ("acme.obs.example.com.evil.test", None),
        ("127.0.0.1:8427", None),
        ("[::1]:8427", None),
    ] {
        for absolute in [false, true] {
            let head = asking(host.as_bytes(), absolute).expect("a head");
            let found = tenant_of(&head, &identity);
            match tenant {
                Some(tenant) => assert_eq!(found, Ok(tenant), "{host}"),
                None => assert!(
                    matches!(found, Err(IdentifyError::Missing { .. })),
                    "{host}: {found:?}"
                ),
            }
        }
    }
}

#[test]
fn a_host_in_any_other_form_is_refused_and_not_corrected() {
    use HostFault::{Form, International, NotAHost, UserInfo};
    let identity = identity(&[SourceKind::Header, SourceKind::Subdomain]);
    for (host, fault) in [
        ("ACME.obs.example.com", Form),
        ("acme.OBS.example.com", Form),
        ("acme.obs.example.com.", Form),
        ("acme.obs.example.com.:80", Form),
        ("xn--acm-zma.obs.example.com", International),
        ("acm\u{e9}.obs.example.com", NotAHost),
        ("acme.obs.example.com:", NotAHost),
        ("acme.obs.example.com:80:80", NotAHost),
        ("acme.obs.example.com:+80", NotAHost),
        ("acme.obs.example.com:99999", NotAHost),
        ("acme%2eobs.example.com", NotAHost),
        ("acme.obs.example.com/x", NotAHost),
        ("acme obs.example.com", NotAHost),
        ("acme.obs.example.com, globex.obs.example.com", NotAHost),
        ("user@acme.obs.example.com", UserInfo),
        ("globex.obs.example.com:80@acme.obs.example.com", UserInfo),
    ] {
        let mut head = asking(host.as_bytes(), false).expect("a head");
        head.headers
            .insert("x-tenant-id", HeaderValue::from_static("acme"));
        assert_eq!(tenant_of(&head, &identity), Err(fault.into()), "{host}");
    }
    for host in [
        "a.acme.obs.example.com",
        "a.obs.example.com",
        "-a.obs.example.com",
        ".obs.example.com",
        "_a.obs.example.com",
    ] {
        let head = asking(host.as_bytes(), false).expect("a head");
        let found = tenant_of(&head, &identity);
        let refused = matches!(found, Err(IdentifyError::Malformed { .. }))
            || (host.starts_with('.') && found.is_err());
        assert!(refused, "{host}: {found:?}");
    }
}

#[test]
fn two_hosts_are_one_too_many() {
    let identity = identity(&[SourceKind::Subdomain]);
    let mut head = asking(b"acme.obs.example.com", false).expect("a head");
    let same = HeaderValue::from_static("acme.obs.example.com");
    head.headers.append(http::header::HOST, same.clone());
    assert_eq!(tenant_of(&head, &identity), Err(HostFault::Several.into()));

    let mut head = asking(b"acme.obs.example.com", true).expect("a head");
    head.headers.insert(http::header::HOST, same);
    assert_eq!(tenant_of(&head, &identity), Ok("acme"));
    let other = HeaderValue::from_static("globex.obs.example.com");
    head.headers.insert(http::header::HOST, other);
    assert_eq!(tenant_of(&head, &identity), Err(HostFault::Several.into()));
}

#[test]
fn a_path_prefix_names_the_tenant_and_is_parted_from_the_rest() {
    let identity = identity(&[SourceKind::Path]);
    for (raw, tenant, rest) in [
        ("/t/acme/api/v1/query", Some("acme"), "/api/v1/query"),
        (
            "/t/acme/vl/select/logsql/query",
            Some("acme"),
            "/vl/select/logsql/query",
        ),
        ("/t/acme", Some("acme"), "/"),
        ("/t/acme/", Some("acme"), "/"),
        ("/t/acme//api", Some("acme"), "//api"),
        ("/t/acme/t/globex/x", Some("acme"), "/t/globex/x"),
        ("/t/acme/../globex/x", Some("acme"), "/../globex/x"),
        ("/api/v1/query", None, "/api/v1/query"),
        ("/tags/x", None, "/tags/x"),
        ("/T/acme/x", None, "/T/acme/x"),
        ("/x/t/acme", None, "/x/t/acme"),
    ] {
        let path = identity.divide(raw);
        assert_eq!(path.rest(), rest, "{raw}");
        assert_eq!(path.tenant(&PathPrefix::default()), Ok(tenant), "{raw}");
    }
}

#[test]
fn no_spelling_of_the_prefix_is_overlooked_and_no_segment_is_read_twice() {
    let identity = identity(&[SourceKind::Header, SourceKind::Path]);
    for raw in [
        "/t/acme%2f..%2fglobex/x",
        "/t/acme%2Fx",
        "/t/%61cme/x",
        "/t/acme%00/x",
        "/t/ACME/x",
        "/t/../t/acme/x",
        "/t/./acme/x",
        "/t/%2e%2e/x",
        "/t/acme;x/y",
        "/t//acme/x",
        "/t/",
        "/t",
        "//t/acme/x",
        "/%74/acme/x",
        "/t%2facme/x",
        "/%2ft/acme/x",
    ] {
        let mut head = head(&[("x-tenant-id", b"acme")]);
        head.uri = raw.parse().expect("a path");
        let found = tenant_of(&head, &identity);
        let refused = matches!(
            found,
            Err(IdentifyError::Malformed { .. }
                | IdentifyError::Empty(_)
                | IdentifyError::Disguised(_))
        );
        assert!(refused, "{raw}: {found:?}");
    }
}

#[test]
fn sources_that_disagree_are_refused_in_whatever_order_they_stand() {
    use SourceKind::{Header, Path, Subdomain};
    for sources in [
        [Header, Subdomain, Path],
        [Path, Header, Subdomain],
        [Subdomain, Path, Header],
    ] {
        let identity = identity(&sources);
        let made = |header: &'static str, host: &str, path: &str| {
            let mut head = asking(host.as_bytes(), false).expect("a head");
            head.uri = path.parse().expect("a path");
            head.headers
                .insert("x-tenant-id", HeaderValue::from_static(header));
            tenant_of(&head, &identity).map(str::to_owned)
        };
        let agreed = made("acme", "acme.obs.example.com", "/t/acme/x");
        assert_eq!(agreed, Ok("acme".into()));
        for (header, host, path) in [
            ("globex", "acme.obs.example.com", "/t/acme/x"),
            ("acme", "globex.obs.example.com", "/t/acme/x"),
            ("acme", "acme.obs.example.com", "/t/globex/x"),
        ] {
            let refused = made(header, host, path);
            assert!(
                matches!(refused, Err(IdentifyError::Conflict { .. })),
                "{refused:?}"
            );
        }
    }
}

proptest! {
    /// Whatever a host is, a tenant that is believed stands in it as it should be written.
    #[test]
    fn a_believed_host_has_one_form(
        host in prop_oneof![
            "[ -~]{0,40}",
            "[a-zA-Z0-9.@:%_-]{0,12}\\.?(obs\\.example\\.com|OBS\\.example\\.com)[.:0-9]{0,4}",
        ],
        absolute: bool,
    ) {
        let Some(head) = asking(host.as_bytes(), absolute) else { return Ok(()) };
        let identity = identity(&[SourceKind::Subdomain]);
        if let Ok(tenant) = tenant_of(&head, &identity) {
            let authority = host.split('/').next().unwrap_or_default();
            let name = authority.split(':').next().unwrap_or_default();
            let expected = [
                format!("{tenant}.obs.example.com"),
                format!("{tenant}.eu.obs.example.com"),
            ];
            prop_assert!(expected.contains(&name.to_owned()), "{host}");
        }
    }

    /// Whatever a path is, a tenant that is believed is its second segment as it stands, and no
    /// byte of what follows is lost or added.
    #[test]
    fn a_believed_path_is_its_parts(raw in "(/|/t|/t/|//t/|/%74/)?[a-zA-Z0-9/%._;~-]{0,24}") {
        let identity = identity(&[SourceKind::Path]);
        let path = identity.divide(&raw);
        match path.tenant(&PathPrefix::default()) {
            Ok(Some(tenant)) => {
                let whole = format!("/t/{tenant}{}", path.rest());
                let same = raw == whole || whole.strip_suffix('/') == Some(&*raw);
                prop_assert!(same, "{}", raw);
                prop_assert_eq!(path.length(), tenant.len() + 3);
            }
            Ok(None) => {
                prop_assert_eq!((path.rest(), path.length()), (&*raw, 0));
                let seen = canonical(&raw);
                prop_assert!(!seen.is_some_and(|seen| seen.starts_with("/t/")), "{raw}");
            }
            Err(_) => {}
        }
    }
}

/// A credential for these tenants; all if there are none.
fn principal(tenants: &[&str], scopes: &str) -> Rc<Principal> {
    let ids = tenants.iter().map(|id| id.parse().expect("an id"));
    Rc::new(Principal {
        kind: CredentialKind::Token,
        subject: "alice".into(),
        tenants: Tenants::listed(ids.collect()).unwrap_or(Tenants::All),
        scopes: scopes.parse().expect("scopes"),
        owner: None,
    })
}

/// What is decided for a name and credentials: the tenant, or the refusal.
fn decision(named: Option<&str>, principals: &[Rc<Principal>]) -> Result<String, String> {
    let identity = by_header();
    let principals = principals.iter().cloned().collect();
    let who = identity.decide(named, principals, None);
    who.map(|who| who.tenant.as_str().to_owned())
        .map_err(|error| error.to_string())
}

#[test]
fn every_credential_has_to_be_good_for_the_tenant_that_is_named() {
    let (acme, globex) = (principal(&["acme"], "all"), principal(&["globex"], "all"));
    let both = principal(&["acme", "globex"], "all");
    let all = principal(&[], "all");
    for (named, principals, tenant) in [
        (None, vec![acme.clone()], Some("acme")),
        (Some("acme"), vec![acme.clone()], Some("acme")),
        (Some("globex"), vec![both.clone()], Some("globex")),
        (Some("initech"), vec![all.clone()], Some("initech")),
        (None, vec![both.clone(), acme.clone()], Some("acme")),
        (None, vec![all.clone(), globex.clone()], Some("globex")),
        (Some("acme"), vec![both.clone(), all.clone()], Some("acme")),
        (None, vec![acme.clone(), globex.clone()], None),
        (Some("globex"), vec![acme.clone()], None),
        (Some("globex"), vec![both.clone(), acme.clone()], None),
        (Some("acme"), vec![acme, globex], None),
        (None, vec![both.clone()], None),
        (None, vec![both, all], None),
    ] {
        let found = decision(named, &principals);
        assert_eq!(found.as_deref().ok(), tenant, "{named:?} {principals:?}");
    }
}

#[test]
fn two_credentials_may_do_together_what_each_may() {
    let identity = by_header();
    let principals = [
        principal(&["acme"], "read"),
        principal(&["acme"], "logs:all"),
    ];
    let who = identity.decide(None, principals.into_iter().collect(), None);
    let scopes: Vec<_> = who.expect("acme").scopes.iter().collect();
    let told: Vec<_> = scopes.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["logs:read"]);
}

proptest! {
    /// Whatever is named and shown: who gets through is allowed by all that was shown.
    #[test]
    fn nobody_gets_a_tenant_that_a_credential_does_not_allow(
        named in prop::option::of("(acme|globex|initech)"),
        shown in prop::collection::vec(prop::collection::vec("(acme|globex|initech)", 1..3), 1..3),
    ) {
        let each = shown.iter().map(|tenants| {
            let tenants: Vec<_> = tenants.iter().map(String::as_str).collect();
            principal(&tenants, "all")
        });
        let principals: Vec<_> = each.collect();
        if let Ok(tenant) = decision(named.as_deref(), &principals) {
            prop_assert!(shown.iter().all(|tenants| tenants.contains(&tenant)));
            prop_assert!(named.is_none_or(|named| named == tenant));
        }
    }
}
