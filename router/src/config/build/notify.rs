//! Who is told of changes of health.

use std::fs;

use url::Url;

use super::{Builder, DAY, HOUR, MILLISECOND, MINUTE, SECOND, ZERO};
use crate::config::{
    NotifySettings, ReceiverConfig, ReceiverUrl,
    notify::LABELS_OF_ALERTS,
    raw::{RawNotify, RawReceiver},
};

impl Builder<'_, '_> {
    pub(super) fn notify(&mut self, raw: &RawNotify) -> NotifySettings {
        let mut receivers: Vec<ReceiverConfig> = Vec::new();
        for (n, receiver) in raw.receivers.iter().enumerate() {
            let path = self.report.item("notify.receivers", n);
            let Some(receiver) = self.receiver(&path, receiver) else {
                continue;
            };
            if receivers.contains(&receiver) {
                let message = "it stands in this list twice, and would be told everything twice";
                self.report.fault(&path, message);
            }
            receivers.push(receiver);
        }
        if raw.conditions.is_empty() && !raw.receivers.is_empty() {
            let message = "expected at least one of unhealthy and degraded: without, nobody is \
                           told anything";
            self.report.fault("notify.conditions", message);
        }
        self.labels(raw);
        NotifySettings {
            receivers,
            conditions: raw.conditions.clone(),
            tiers: raw.tiers.clone(),
            labels: raw.labels.clone(),
            instance: raw.instance.clone().unwrap_or_else(host_name),
            wait: self.span("notify.wait", raw.wait, ZERO..=HOUR),
            interval: self.span("notify.interval", raw.interval, SECOND..=DAY),
            repeat: self.span("notify.repeat", raw.repeat, MINUTE..=30 * DAY),
            page_url: raw
                .page_url
                .as_ref()
                .and_then(|url| self.web_url("notify.page_url", url)),
        }
    }

    fn labels(&mut self, raw: &RawNotify) {
        for (name, value) in &raw.labels {
            let path = format!("notify.labels.{name}");
            if LABELS_OF_ALERTS.contains(&name.as_str()) {
                let message = "alerts have this label already, with a value of their own";
                self.report.fault(&path, message);
            } else if !is_label(name) {
                let message = "expected a letter or `_` first, then letters, digits and `_`";
                self.report.fault(&path, message);
            } else if value.is_empty() {
                self.report
                    .fault(&path, "expected a value: without, there is no label");
            }
        }
    }

    fn receiver(&mut self, path: &str, raw: &RawReceiver) -> Option<ReceiverConfig> {
        let url = self.receiver_url(path, raw);
        let token = self.held(
            &format!("{path}.token"),
            raw.token_file.as_deref(),
            raw.token_env.as_deref(),
        );
        let ca_file = raw.ca_file.as_ref().map(|file| {
            let path = format!("{path}.ca_file");
            let file = self.document.resolve(&path, file);
            self.read(&path, &file);
            file
        });
        let timeout = self.span(
            &format!("{path}.timeout"),
            raw.timeout,
            10 * MILLISECOND..=5 * MINUTE,
        );
        Some(ReceiverConfig {
            kind: raw.kind,
            url: url?,
            token,
            ca_file,
            timeout,
        })
    }

    /// Its faults are told of the whole receiver: they would show a URL that may be a secret.
    fn receiver_url(&mut self, path: &str, raw: &RawReceiver) -> Option<ReceiverUrl> {
        let held = raw.url_file.is_some() || raw.url_env.is_some();
        let (place, text) = match &raw.url {
            Some(_) if held => {
                let message = "url, url_file and url_env exclude each other, name one";
                self.report.fault(path, message);
                return None;
            }
            None if !held => {
                let message = "expected one of url, url_file and url_env";
                self.report.fault(path, message);
                return None;
            }
            Some(url) => (path.to_owned(), url.0.expose().to_owned()),
            None => {
                let (file, variable) = (raw.url_file.as_deref(), raw.url_env.as_deref());
                let held = self.held(&format!("{path}.url"), file, variable)?;
                let key = if file.is_some() {
                    "url_file"
                } else {
                    "url_env"
                };
                (format!("{path}.{key}"), held.expose().to_owned())
            }
        };
        self.web_url(&place, &text).map(ReceiverUrl)
    }

    fn web_url(&mut self, path: &str, text: &str) -> Option<Url> {
        let fits = |url: &Url| {
            matches!(url.scheme(), "http" | "https")
                && url.has_host()
                && url.username().is_empty()
                && url.password().is_none()
                && url.fragment().is_none()
        };
        let url = Url::parse(text.trim()).ok().filter(fits);
        if url.is_none() {
            let message = "expected a URL such as http://alertmanager:9093, without a user";
            self.report.fault(path, message);
        }
        url
    }
}

fn is_label(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// What the system calls itself; where it does not say, all routers are one.
fn host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "mirador".into(),
        name => name.to_owned(),
    }
}
