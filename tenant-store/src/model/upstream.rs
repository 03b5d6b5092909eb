//! What a deployment's endpoints ask of the router: credentials and TLS.

use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;

use super::field::checked_text;

/// What the router presents to endpoints. The secret itself never stands beside the tenant: only
/// where it is found, on the router's machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum UpstreamAuth {
    /// `Authorization: Basic`.
    Basic {
        /// The user name, not empty, without `:` and control characters.
        #[serde(deserialize_with = "username")]
        username: String,
        /// Where the password is found.
        password: SecretSource,
    },
    /// `Authorization: Bearer`.
    Bearer {
        /// Where the token is found.
        token: SecretSource,
    },
}

/// Where a secret is found on the router's machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum SecretSource {
    /// A file; one trailing line end is not part of the secret.
    File(PathBuf),
    /// An environment variable: letters, digits and `_`, not beginning with a digit.
    Env(#[serde(deserialize_with = "variable")] String),
}

/// TLS towards HTTPS endpoints. Verification can't be switched off.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "WrittenTls")]
pub struct UpstreamTls {
    /// PEM file of the authorities to trust instead of the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// PEM file of the client certificate chain; goes with `key_file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_file: Option<PathBuf>,
    /// PEM file of the client certificate's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// The name to verify (and to send as SNI) instead of the URL's host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
}

/// TLS as it is written, before the fields are compared.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WrittenTls {
    ca_file: Option<PathBuf>,
    cert_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
    server_name: Option<String>,
}

/// A client certificate without its key, or the other way round.
#[derive(Debug, Error)]
#[error("cert_file and key_file go together, only {0} is here")]
struct HalfAnIdentity(&'static str);

impl TryFrom<WrittenTls> for UpstreamTls {
    type Error = HalfAnIdentity;

    fn try_from(written: WrittenTls) -> Result<Self, HalfAnIdentity> {
        let WrittenTls {
            ca_file,
            cert_file,
            key_file,
            server_name,
        } = written;
        match (&cert_file, &key_file) {
            (Some(_), None) => Err(HalfAnIdentity("cert_file")),
            (None, Some(_)) => Err(HalfAnIdentity("key_file")),
            _ => Ok(Self {
                ca_file,
                cert_file,
                key_file,
                server_name,
            }),
        }
    }
}

fn username<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    checked_text(
        deserializer,
        "a user name without `:` and control characters",
        |name| !name.is_empty() && !name.contains(|c: char| c == ':' || c.is_control()),
    )
}

fn variable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    checked_text(
        deserializer,
        "the name of an environment variable such as ACME_TOKEN",
        |name| {
            !name.is_empty()
                && !name.starts_with(|c: char| c.is_ascii_digit())
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        },
    )
}
