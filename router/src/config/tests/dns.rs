//! How names of endpoints are looked up.

use health::{Family, ResolverConfig};

use super::*;

#[test]
fn names_are_looked_up_as_the_system_does_unless_told_otherwise() {
    assert_eq!(defaults().dns, ResolverConfig::default());
    let config = good(
        "dns: {refresh: 5s, timeout: 500ms, family: ipv6, servers: ['10.96.0.10:53', '[fd00::a]:53']}",
    );
    let dns = config.dns.clone();
    assert_eq!(dns.refresh, Duration::from_secs(5));
    assert_eq!(dns.timeout, Duration::from_millis(500));
    assert_eq!(dns.family, Family::Ipv6);
    let servers: Vec<_> = dns.servers.iter().map(ToString::to_string).collect();
    assert_eq!(servers, ["10.96.0.10:53", "[fd00::a]:53"]);
    assert_eq!(config.restart_only_differences(&defaults()), ["dns"]);
}

#[test]
fn what_is_no_resolver_is_a_fault_with_its_place() {
    assert_faults(
        "dns:
  refresh: 100ms
  timeout: 2m
  servers: ['10.96.0.10:0', '0.0.0.0:53']
",
        &[
            (2, "dns.refresh", "expected 1s to 1d"),
            (3, "dns.timeout", "expected 10ms to 1m"),
            (4, "dns.servers[0]", "not 10.96.0.10:0"),
            (4, "dns.servers[1]", "not 0.0.0.0:53"),
        ],
    );
    assert_faults(
        "dns: {family: v4}",
        &[(1, "dns.family", "expected one of `auto`, `ipv4`, `ipv6`")],
    );
    assert_faults(
        "dns: {servers: [ns.example.com]}",
        &[(1, "dns.servers[0]", "expected an address and a port")],
    );
}
