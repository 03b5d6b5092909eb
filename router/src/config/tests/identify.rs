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
