//! Whose tokens are believed, by the router and by its admin API alike.

use url::Url;

use super::{Builder, DAY, MILLISECOND, MINUTE, SECOND, ZERO};
use crate::config::{KeyLocation, KeySource, TokenTrust, raw::RawTrust};

impl Builder<'_, '_> {
    /// What stands at `path` of an issuer, of which the `earlier` ones stand before it.
    pub(super) fn trust<'t>(
        &mut self,
        path: &str,
        raw: &RawTrust<'_>,
        mut earlier: impl Iterator<Item = &'t TokenTrust>,
    ) -> TokenTrust {
        let field = |name: &str| format!("{path}.{name}");
        if earlier.any(|other| other.issuer == raw.issuer) {
            let message = format!("the issuer {} stands in this list twice", raw.issuer);
            self.report.fault(&field("issuer"), message);
        }
        for (name, is_empty) in [
            ("issuer", raw.issuer.is_empty()),
            ("audiences", raw.audiences.is_empty()),
            ("algorithms", raw.algorithms.is_empty()),
        ] {
            if is_empty {
                let message = "expected something: without, no token could be believed";
                self.report.fault(&field(name), message);
            }
        }
        TokenTrust {
            issuer: raw.issuer.to_owned(),
            audiences: raw.audiences.to_vec(),
            algorithms: raw.algorithms.to_vec(),
            keys: self.key_source(path, raw),
            leeway: self.span(&field("leeway"), raw.leeway, ZERO..=5 * MINUTE),
        }
    }

    fn key_source(&mut self, path: &str, raw: &RawTrust<'_>) -> KeySource {
        let field = |name: &str| format!("{path}.{name}");
        let location = self.key_location(path, raw);
        let ca_file = raw.ca_file.map(|file| {
            let path = field("ca_file");
            let file = self.document.resolve(&path, file);
            self.read(&path, &file);
            file
        });
        KeySource {
            location,
            ca_file,
            interval: self.span(
                &field("refresh_interval"),
                raw.refresh_interval,
                SECOND..=DAY,
            ),
            cooldown: self.span(
                &field("refresh_cooldown"),
                raw.refresh_cooldown,
                100 * MILLISECOND..=DAY,
            ),
        }
    }

    /// A JWKS is in a file, at a URL, or where the issuer says.
    fn key_location(&mut self, path: &str, raw: &RawTrust<'_>) -> KeyLocation {
        let discovery = || KeyLocation::Discovery(raw.issuer.to_owned());
        let file_path = format!("{path}.jwks_file");
        let (url_path, url) = match (raw.jwks_file, raw.jwks_url) {
            (Some(_), Some(_)) => {
                let message = "jwks_file and jwks_url exclude each other, name one";
                self.report.fault(&file_path, message);
                return discovery();
            }
            (Some(file), None) => {
                let file = self.document.resolve(&file_path, file);
                self.read(&file_path, &file);
                return KeyLocation::File(file);
            }
            (None, Some(url)) => (format!("{path}.jwks_url"), url),
            (None, None) => (format!("{path}.issuer"), raw.issuer),
        };
        match Url::parse(url) {
            Ok(parsed) if matches!(parsed.scheme(), "http" | "https") && parsed.has_host() => {
                if raw.jwks_url.is_some() {
                    return KeyLocation::Url(parsed);
                }
            }
            _ => {
                let message = format!(
                    "expected a URL such as https://login.example.com, where keys are found, not \
                     {url:?}"
                );
                self.report.fault(&url_path, message);
            }
        }
        discovery()
    }
}
