//! Who may use the admin API, and how operators are known.

use super::*;

#[test]
fn the_token_comes_from_a_file_or_a_variable_and_is_never_shown() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("mirador.yaml");
    let load = |text: &str, token: &str| {
        fs::write(&file, text).expect("a file");
        fs::write(directory.path().join("admin.token"), token).expect("a file");
        Config::load(Some(&file), &Overrides::default())
    };
    let config = load("admin: {token_file: admin.token}", "s3cret\n").expect("a configuration");
    assert_eq!(holder(&config, "s3cret"), Some("admin-token"));
    assert!(!format!("{config:?}").contains("s3cret"), "{config:?}");

    for token in ["", "\n", "two\nlines", "with space", "\u{e9}"] {
        let faults = load("admin: {token_file: admin.token}", token).expect_err("faults");
        assert!(
            faults
                .to_string()
                .contains("admin.token_file: the token there"),
            "{faults}"
        );
    }
    let (config, faults) = read("admin: {token_env: CARGO_PKG_NAME}");
    assert!(faults.is_empty(), "{faults}");
    let config = config.expect("a configuration");
    assert_eq!(holder(&config, env!("CARGO_PKG_NAME")), Some("admin-token"));
    assert_faults(
        "admin: {token_env: MIRADOR_NOT_SET}",
        &[(1, "admin.token_env", "is not set")],
    );
    assert_faults(
        "admin: {token_env: PATH, token_file: t}",
        &[(1, "admin.token_env", "exclude")],
    );
    assert_faults(
        "admin: {token: s3cret}",
        &[(1, "admin.token", "`token_file`")],
    );
}

#[test]
fn operators_are_known_by_token_or_certificate() {
    let directory = certificates();
    let file = directory.path().join("mirador.yaml");
    let hash = TokenHash::of("t0ken");
    let text = format!(
        "admin:
  tls: {{cert_file: a.crt, key_file: a.key, client_ca_file: a.crt}}
  operators:
    - {{name: alice, role: viewer, token_sha256: {hash}}}
    - {{name: ci, role: operator, certificate: {{san: \"spiffe://acme/ci\"}}}}
    - {{name: ops@acme, role: admin, certificate: {{common_name: ops}}}}
"
    );
    fs::write(&file, text).expect("a file");
    let config = Config::load(Some(&file), &Overrides::default()).expect("a configuration");
    assert_eq!(holder(&config, "t0ken"), Some("alice"));
    assert_eq!(holder(&config, &hash.to_string()), None);
    let named = |wanted: CertificateName| {
        let operators = &config.settings.operators;
        let operator = operators.by_certificate(|name| *name == wanted)?;
        Some((operator.name.to_string(), operator.role))
    };
    assert_eq!(
        named(CertificateName::AlternativeName("spiffe://acme/ci".into())),
        Some(("ci".into(), Role::Operator))
    );
    assert_eq!(
        named(CertificateName::CommonName("ops".into())),
        Some(("ops@acme".into(), Role::Admin))
    );
    assert_eq!(named(CertificateName::CommonName("ci".into())), None);
    let tls = config.admin_tls.as_ref().expect("TLS");
    assert_eq!(tls.client_ca_file, Some(directory.path().join("a.crt")));
    assert!(!format!("{config:?}").contains("t0ken"));
}

#[test]
fn an_issuer_of_operators_says_what_its_words_entitle_to() {
    let config = good(
        "admin:
  jwt:
    issuer: https://login.example.com
    audiences: [mirador-admin]
    role_claim: realm_access.roles
    roles: {obs-admins: admin, staff: viewer}
",
    );
    let operators = &config.settings.operators;
    let [issuer] = operators.issuers() else {
        panic!("one issuer");
    };
    assert!(!operators.is_empty(), "nobody else is needed");
    assert_eq!(issuer.name_claim.to_string(), "sub");
    assert_eq!(issuer.role_claim.to_string(), "realm_access.roles");
    assert_eq!(issuer.roles["obs-admins"], Role::Admin);
    let sources: Vec<_> = config.settings.key_sources().collect();
    assert_eq!(sources, [&issuer.trust.keys], "its keys are followed");
    assert!(config.settings.identify.issuers.is_empty());
}

#[test]
fn an_issuer_that_could_show_no_operator_is_a_fault() {
    let jwt = |more: &str| format!("admin: {{jwt: {{issuer: 'https://a.test', {more}}}}}");
    for (text, path, fault) in [
        ("audiences: [a], roles: {x: admin}", "role_claim", "missing"),
        ("audiences: [a], role_claim: r", "roles", "missing"),
        (
            "audiences: [a], role_claim: r, roles: {}",
            "roles",
            "expected at least one",
        ),
        (
            "audiences: [a], role_claim: r, roles: {x: root}",
            "roles.x",
            "viewer",
        ),
        (
            "audiences: [], role_claim: r, roles: {x: admin}",
            "audiences",
            "expected something",
        ),
        (
            "audiences: [a], role_claim: a..b, roles: {x: admin}",
            "role_claim",
            "claim",
        ),
        (
            "audiences: [a], role_claim: r, roles: {x: admin}, tenant_claim: t",
            "tenant_claim",
            "no such field",
        ),
        (
            "audiences: [a], role_claim: r, roles: {x: admin}, algorithms: [HS256]",
            "algorithms[0]",
            "RS256",
        ),
    ] {
        assert_faults(&jwt(text), &[(1, &format!("admin.jwt.{path}"), fault)]);
    }
    let one = "{issuer: 'https://a.test', audiences: [a], role_claim: r, roles: {x: admin}}";
    assert_faults(
        &format!("admin: {{jwt: [{one}, {one}]}}"),
        &[(1, "admin.jwt[1].issuer", "twice")],
    );
}

#[test]
fn faulty_operators_are_told() {
    let hash = TokenHash::of("a");
    assert_faults(
        &format!(
            "admin:
  max_failures_per_minute: 0
  operators:
    - {{name: a b, role: viewer, token_sha256: {hash}}}
    - {{name: c, role: root, token_sha256: {hash}}}
    - {{name: d, role: admin, token_sha256: {hash}}}
    - {{name: e, role: admin, token_sha256: abc}}
    - {{name: f, role: admin}}
    - {{name: g, role: admin, certificate: {{san: x}}}}
    - {{name: admin-token, role: admin, certificate: {{}}}}
"
        ),
        &[
            (2, "admin.max_failures_per_minute", "expected 1 to 1000000"),
            (4, "admin.operators[0].name", "expected 1 to 64 letters"),
            (5, "admin.operators[1].role", "viewer"),
            (6, "admin.operators[2]", "same credential"),
            (7, "admin.operators[3].token_sha256", "64 hexadecimal"),
            (8, "admin.operators[4]", "token_sha256 and certificate"),
            (9, "admin.operators[5].certificate", "client_ca_file"),
            (10, "admin.operators[6].name", "not `admin-token`"),
            (10, "admin.operators[6].certificate", "client_ca_file"),
            (10, "admin.operators[6].certificate", "one of common_name"),
        ],
    );
    assert_faults(
        "admin: {tls: {cert_file: no.crt, key_file: no.key}}",
        &[
            (1, "admin.tls.cert_file", "no.crt can't be read"),
            (1, "admin.tls.key_file", "no.key can't be read"),
        ],
    );
}
