//! `identify`: every source with what it needs, and nothing that no source reads.

use super::*;

#[test]
fn a_source_and_what_it_reads_go_together() {
    assert_faults(
        "identify:
  sources: [header, header, cookie]
  headers: []
  subdomains: [obs.example.com]
",
        &[
            (2, "identify.sources[2]", "expected one of `header`"),
            (2, "identify.sources[1]", "header stands in this list twice"),
            (3, "identify.headers", "expected at least one header"),
            (
                4,
                "identify.subdomains",
                "add `subdomain` to identify.sources",
            ),
        ],
    );
    assert_faults(
        "identify: {sources: [subdomain], subdomains: []}",
        &[(1, "identify.subdomains", "names `subdomain`")],
    );
    assert_faults(
        "identify: {sources: []}",
        &[(1, "identify.sources", "at least one source")],
    );
}

#[test]
fn a_base_domain_is_one_and_a_prefix_takes_no_path_of_the_backends() {
    for domain in [
        "Obs.example.com",
        "obs.example.com.",
        ".example.com",
        "obs..example.com",
        "*.example.com",
        "obs.example.com:80",
        "-obs.example.com",
        "10.0.0.1",
        "",
    ] {
        let text = format!("identify: {{sources: [subdomain], subdomains: ['{domain}']}}");
        assert_faults(
            &text,
            &[(
                1,
                "identify.subdomains[0]",
                "expected a domain in lower case",
            )],
        );
    }
    for (prefix, fault) in [
        ("t", "expected a path"),
        ("/", "expected a path"),
        ("/t/", "expected a path"),
        ("/t//x", "expected a path"),
        ("/t/..", "expected a path"),
        ("/%74", "expected a path"),
        ("/api", "a meaning without a tenant"),
        ("/select/t", "a meaning without a tenant"),
        ("/vm", "a meaning without a tenant"),
    ] {
        let text = format!("identify: {{path_prefix: '{prefix}'}}");
        assert_faults(&text, &[(1, "identify.path_prefix", fault)]);
    }
    let config = good(
        "identify: {sources: [path, subdomain], path_prefix: /for/tenant, \
         subdomains: [example.com, obs.example.com]}",
    );
    let identify = &config.settings.identify;
    assert_eq!(identify.sources, [SourceKind::Path, SourceKind::Subdomain]);
    assert_eq!(identify.path_prefix.as_str(), "/for/tenant");
    let domains: Vec<_> = identify.subdomains.iter().map(BaseDomain::as_str).collect();
    assert_eq!(domains, ["obs.example.com", "example.com"], "longest first");
}

#[test]
fn an_issuer_says_whose_tokens_are_believed_and_what_they_mean() {
    let config = good(
        "identify:
  sources: [header, jwt]
  authentication: required
  jwt:
    issuer: https://login.example.com/realms/obs
    audiences: [mirador]
    tenant_claim: org.\"tenant.id\"
    scopes: {view: [read], push: ['metrics:write']}
    scope_claim: scope
",
    );
    let [issuer] = &config.settings.identify.issuers[..] else {
        panic!("one issuer");
    };
    let discovery = KeyLocation::Discovery("https://login.example.com/realms/obs".into());
    assert_eq!(issuer.keys.location, discovery);
    assert_eq!(issuer.algorithms, Algorithm::ALL);
    assert_eq!(issuer.tenant_claim.to_string(), "org.\"tenant.id\"");
    assert_eq!(
        config.settings.identify.authentication,
        Authentication::Required
    );
}

#[test]
fn what_no_token_could_be_believed_by_is_a_fault() {
    let jwt = |jwt: &str| format!("identify: {{sources: [jwt], jwt: {{{jwt}}}}}");
    for (text, path, fault) in [
        ("audiences: [a]", "issuer", "missing"),
        ("issuer: 'https://a.test'", "audiences", "missing"),
        (
            "issuer: 'https://a.test', audiences: []",
            "audiences",
            "expected something",
        ),
        ("issuer: a, audiences: [b]", "issuer", "expected a URL"),
        (
            "issuer: a, audiences: [b], jwks_url: 'ftp://a.test/'",
            "jwks_url",
            "expected a URL",
        ),
        (
            "issuer: a, audiences: [b], jwks_url: 'http://a.test/', jwks_file: keys.json",
            "jwks_file",
            "exclude each other",
        ),
        (
            "issuer: a, audiences: [b], jwks_file: /no/keys.json",
            "jwks_file",
            "can't be read",
        ),
        (
            "issuer: 'https://a.test', audiences: [b], algorithms: [HS256]",
            "algorithms[0]",
            "RS256",
        ),
        (
            "issuer: 'https://a.test', audiences: [b], algorithms: []",
            "algorithms",
            "expected something",
        ),
        (
            "issuer: 'https://a.test', audiences: [b], tenant_claim: $.a",
            "tenant_claim",
            "expected a claim",
        ),
        (
            "issuer: 'https://a.test', audiences: [b], leeway: 1h",
            "leeway",
            "expected 0s to 5m",
        ),
        (
            "issuer: 'https://a.test', audiences: [b], scopes: {a: [read]}",
            "scopes",
            "scope_claim",
        ),
    ] {
        let path = format!("identify.jwt.{path}");
        assert_faults(&jwt(text), &[(1, &path, fault)]);
    }
    let twice = "{issuer: 'https://a.test', audiences: [b]}";
    assert_faults(
        &format!("identify: {{sources: [jwt], jwt: [{twice}, {twice}]}}"),
        &[(1, "identify.jwt[1].issuer", "stands in this list twice")],
    );
}

#[test]
fn what_nobody_could_pass_is_a_fault() {
    for (text, path, fault) in [
        (
            "{authentication: required}",
            "identify.authentication",
            "nobody could get in",
        ),
        (
            "{sources: [header], jwt: {issuer: 'https://a.test', audiences: [b]}}",
            "identify.jwt",
            "add `jwt` to identify.sources",
        ),
        ("{sources: [jwt]}", "identify.jwt", "names `jwt`"),
        (
            "{sources: [certificate], certificate: {field: san_dns, pattern: '{tenant}.test'}}",
            "identify.certificate",
            "no listener asks",
        ),
        (
            "{trusted_networks: [10.0.0.1/8]}",
            "identify.trusted_networks[0]",
            "10.0.0.0/8",
        ),
        (
            "{max_failures_per_minute: 0}",
            "identify.max_failures_per_minute",
            "expected 1",
        ),
    ] {
        assert_faults(&format!("identify: {text}"), &[(1, path, fault)]);
    }
    assert_faults(
        "identify: {sources: [certificate], certificate: {field: san_dns, pattern: acme}}",
        &[(1, "identify.certificate.pattern", "one {tenant} in it")],
    );
    assert_faults(
        "identify:
  sources: [jwt]
  authentication: required
  trusted_networks: [10.0.0.0/8]
  jwt: {issuer: 'https://a.test', audiences: [b]}",
        &[(4, "identify.trusted_networks", "no network is trusted")],
    );
    assert_faults(
        "listen: {public: {address: '127.0.0.1:0', proxy_protocol: true}}",
        &[(1, "listen.public.proxy_protocol", "name the proxies")],
    );
}
