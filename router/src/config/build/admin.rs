//! The admin API: its token, its operators, its certificate.

use std::{env, path::Path};

use super::Builder;
use crate::{
    config::{
        AdminTls, AuditLogConfig, CertificateName, Credential, Operator, OperatorIssuer, Operators,
        Secret, TokenHash,
        raw::{
            RawAdmin, RawArgocd, RawAuditLog, RawCertificate, RawIssuers, RawKeys, RawOperator,
            RawOperatorIssuer,
        },
    },
    keys::KeySecret,
    tls,
};

/// Fewest characters of a secret that goes into hashes.
const SHORTEST_SECRET: usize = 32;

impl Builder<'_, '_> {
    pub(super) fn operators(&mut self, admin: &RawAdmin) -> Operators {
        let token = self.held(
            "admin.token",
            admin.token_file.as_deref(),
            admin.token_env.as_deref(),
        );
        let authority = admin
            .tls
            .as_ref()
            .and_then(|tls| tls.client_ca_file.as_ref());
        let mut operators: Vec<Operator> = Vec::new();
        for (n, raw) in admin.operators.iter().enumerate() {
            let path = self.report.item("admin.operators", n);
            let Some(operator) = self.operator(&path, raw, authority.is_some()) else {
                continue;
            };
            if operators
                .iter()
                .any(|other| other.credential == operator.credential)
            {
                let message = "another operator is known by the same credential";
                self.report.fault(&path, message);
            }
            operators.push(operator);
        }
        let issuers = self.operator_issuers(&admin.jwt);
        Operators::new(operators, token.as_ref(), issuers)
    }

    fn operator_issuers(&mut self, raw: &RawIssuers<RawOperatorIssuer>) -> Vec<OperatorIssuer> {
        let mut issuers: Vec<OperatorIssuer> = Vec::new();
        for (path, raw) in raw.each("admin.jwt", |path, n| self.report.item(path, n)) {
            let earlier = issuers.iter().map(|issuer| &issuer.trust);
            let trust = self.trust(&path, &raw.trust(), earlier);
            if raw.roles.is_empty() {
                let message = "expected at least one: without, no token shows an operator";
                self.report.fault(&format!("{path}.roles"), message);
            }
            issuers.push(OperatorIssuer {
                trust,
                name_claim: raw.name_claim.clone(),
                role_claim: raw.role_claim.clone(),
                roles: raw.roles.clone(),
            });
        }
        issuers
    }

    pub(super) fn argocd_token(&mut self, argocd: &RawArgocd) -> Option<TokenHash> {
        let token = self.held(
            "admin.argocd.token",
            argocd.token_file.as_deref(),
            argocd.token_env.as_deref(),
        );
        token.map(|token| TokenHash::of(token.expose()))
    }

    pub(super) fn audit_log(&mut self, RawAuditLog(written): &RawAuditLog) -> AuditLogConfig {
        match written.to_str() {
            Some("none") => AuditLogConfig::None,
            Some("stdout") => AuditLogConfig::Stdout,
            _ => {
                let file = self.document.resolve("audit.log", written);
                if file
                    .parent()
                    .is_some_and(|folder| !folder.as_os_str().is_empty() && !folder.is_dir())
                    || file.is_dir()
                {
                    let message = "expected none, stdout, or a file in a directory that is there";
                    self.report.fault("audit.log", message);
                }
                AuditLogConfig::File(file)
            }
        }
    }

    pub(super) fn admin_tls(&mut self, admin: &RawAdmin) -> Option<AdminTls> {
        let raw = admin.tls.as_ref()?;
        let mut readable = true;
        let mut file = |field: &str, file: &Path| {
            let path = format!("admin.tls.{field}");
            let file = self.document.resolve(&path, file);
            readable &= self.read(&path, &file).is_some();
            file
        };
        let tls = AdminTls {
            cert_file: file("cert_file", &raw.cert_file),
            key_file: file("key_file", &raw.key_file),
            client_ca_file: raw
                .client_ca_file
                .as_ref()
                .map(|path| file("client_ca_file", path)),
        };
        if readable {
            tls::install_crypto();
            if let Err(error) = tls::admin_config(&tls) {
                self.report.fault("admin.tls", error.to_string());
            }
        }
        Some(tls)
    }

    fn operator(&mut self, path: &str, raw: &RawOperator, by_tls: bool) -> Option<Operator> {
        let fits = (1..=64).contains(&raw.name.len())
            && raw
                .name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '@' | '-'));
        if !fits || raw.name == Operators::ADMIN_TOKEN {
            let message = "expected 1 to 64 letters, digits, `.`, `_`, `@` or `-`, and not \
                           `admin-token`, the holder of admin.token_file";
            self.report.fault(&format!("{path}.name"), message);
        }
        let credential = self.credential(path, raw, by_tls)?;
        Some(Operator {
            name: raw.name.as_str().into(),
            role: raw.role,
            credential,
        })
    }

    fn credential(&mut self, path: &str, raw: &RawOperator, by_tls: bool) -> Option<Credential> {
        match (&raw.token_sha256, &raw.certificate) {
            (Some(hash), None) => {
                let hash = TokenHash::from_hex(hash);
                if hash.is_none() {
                    let message = "expected the SHA-256 of a token, 64 hexadecimal digits; \
                                   `mirador operator token` makes both";
                    self.report.fault(&format!("{path}.token_sha256"), message);
                }
                hash.map(Credential::Token)
            }
            (None, Some(RawCertificate { common_name, san })) => {
                let path = format!("{path}.certificate");
                if !by_tls {
                    let message = "certificates are asked for with admin.tls.client_ca_file only";
                    self.report.fault(&path, message);
                }
                let name = match (common_name, san) {
                    (Some(name), None) => CertificateName::CommonName(name.clone()),
                    (None, Some(name)) => CertificateName::AlternativeName(name.clone()),
                    _ => {
                        self.report
                            .fault(&path, "expected one of common_name and san");
                        return None;
                    }
                };
                Some(Credential::Certificate(name))
            }
            _ => {
                self.report
                    .fault(path, "expected one of token_sha256 and certificate");
                None
            }
        }
    }

    pub(super) fn key_secret(&mut self, keys: &RawKeys) -> Option<KeySecret> {
        let RawKeys {
            secret_file,
            secret_env,
        } = keys;
        let secret = self.held("keys.secret", secret_file.as_deref(), secret_env.as_deref())?;
        if secret.expose().len() < SHORTEST_SECRET {
            let path = if secret_file.is_some() {
                "keys.secret_file"
            } else {
                "keys.secret_env"
            };
            let message = format!("the secret there is shorter than {SHORTEST_SECRET} characters");
            self.report.fault(path, message);
        }
        Some(KeySecret::new(secret.expose()))
    }

    /// The secret that a file or a variable holds: `prefix`_file and `prefix`_env name them.
    pub(super) fn held(
        &mut self,
        prefix: &str,
        file: Option<&Path>,
        variable: Option<&str>,
    ) -> Option<Secret> {
        let by_variable = format!("{prefix}_env");
        match (file, variable) {
            (None, None) => None,
            (Some(_), Some(_)) => {
                let name = prefix.rsplit('.').next().unwrap_or(prefix);
                let message = format!("{name}_file and {name}_env exclude each other, name one");
                self.report.fault(&by_variable, message);
                None
            }
            (Some(file), None) => {
                let path = format!("{prefix}_file");
                let text = self.read(&path, &self.document.resolve(&path, file))?;
                self.secret(&path, &String::from_utf8_lossy(&text))
            }
            (None, Some(name)) => {
                let Ok(text) = env::var(name) else {
                    let message = format!("the variable {name} is not set, or not text");
                    self.report.fault(&by_variable, message);
                    return None;
                };
                self.secret(&by_variable, &text)
            }
        }
    }

    fn secret(&mut self, path: &str, text: &str) -> Option<Secret> {
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        if !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic()) {
            return Some(Secret::new(text.into()));
        }
        let message = "the token there is empty, or not one line of visible ASCII characters";
        self.report.fault(path, message);
        None
    }
}
