//! Addresses: their limits, their certificates, and that none is taken twice.

use std::{
    net::{IpAddr, SocketAddr},
    path::Path,
    time::Duration,
};

use tenant_store::model::{HumanDuration, Signal};

use super::{Builder, HOUR, MILLISECOND};
use crate::{
    config::{
        ClientAuthority, ListenerConfig, ListenerLimits, TlsFiles,
        raw::{
            LongListener, RawClientCertificates, RawLimits, RawListen, RawListener, RawListeners,
            RawTls,
        },
    },
    tls,
};

/// What a listener's limits are where nothing is said.
const LIMITS: ListenerLimits = ListenerLimits {
    max_connections: 10_000,
    max_headers: 100,
    max_head_bytes: 64 << 10,
    head_timeout: Duration::from_secs(10),
    idle_timeout: Duration::from_secs(75),
    write_timeout: Duration::from_mins(1),
};

impl Builder<'_, '_> {
    /// Those whose connections begin with a proxy's word need proxies that are believed.
    pub(super) fn listeners(
        &mut self,
        listen: &RawListen,
        has_trusted_proxies: bool,
    ) -> Vec<ListenerConfig> {
        let defaults = self.limits("listen.limits", &listen.limits, LIMITS);
        let groups = [
            ("listen.public", None, &listen.public),
            ("listen.metrics", Some(Signal::Metrics), &listen.metrics),
            ("listen.logs", Some(Signal::Logs), &listen.logs),
            ("listen.traces", Some(Signal::Traces), &listen.traces),
        ];
        let mut taken: Vec<(String, SocketAddr)> = Vec::new();
        let admin = listen
            .admin
            .0
            .map(|address| ("listen.admin".to_owned(), address));
        taken.extend(admin);
        let mut listeners = Vec::new();
        for (field, signal, group) in groups {
            for (path, listener) in self.with_paths(field, group) {
                let address = listener.address.0;
                if let Some((other, _)) = taken.iter().find(|(_, at)| collide(*at, address)) {
                    let message = format!("{address} is taken by {other} already");
                    self.report.fault(&path, message);
                }
                if listener.proxy_protocol && !has_trusted_proxies {
                    let message = "nobody could connect: name the proxies in trusted_proxies";
                    self.report
                        .fault(&format!("{path}.proxy_protocol"), message);
                }
                listeners.push(self.listener(&path, signal, listener, defaults));
                taken.push((path, address));
            }
        }
        if listeners.is_empty() {
            self.report
                .fault("listen.public", "expected at least one address for clients");
        }
        listeners
    }

    /// Each listener of a group, with its path.
    fn with_paths<'l>(
        &self,
        field: &str,
        group: &'l RawListeners,
    ) -> Vec<(String, &'l LongListener)> {
        match group {
            RawListeners::One(RawListener(listener)) => vec![(field.into(), listener)],
            RawListeners::Many(listeners) => {
                let all = listeners.iter().enumerate();
                all.map(|(n, RawListener(l))| (self.report.item(field, n), l))
                    .collect()
            }
        }
    }

    fn listener(
        &mut self,
        path: &str,
        signal: Option<Signal>,
        listener: &LongListener,
        defaults: ListenerLimits,
    ) -> ListenerConfig {
        ListenerConfig {
            address: listener.address.0,
            signal,
            tls: listener
                .tls
                .as_ref()
                .map(|tls| self.tls(&format!("{path}.tls"), tls)),
            proxy_protocol: listener.proxy_protocol,
            limits: self.limits(&format!("{path}.limits"), &listener.limits, defaults),
        }
    }

    fn tls(&mut self, path: &str, raw: &RawTls) -> TlsFiles {
        let mut readable = true;
        let mut file = |field: &str, file: &Path| {
            let path = format!("{path}.{field}");
            let file = self.document.resolve(&path, file);
            readable &= self.read(&path, &file).is_some();
            file
        };
        let files = TlsFiles {
            cert_file: file("cert_file", &raw.cert_file),
            key_file: file("key_file", &raw.key_file),
            clients: raw.client_ca_file.as_ref().map(|ca| ClientAuthority {
                ca_file: file("client_ca_file", ca),
                required: raw.client_certificates == Some(RawClientCertificates::Required),
            }),
        };
        if raw.client_certificates.is_some() && files.clients.is_none() {
            let message = "nobody vouches for clients: name the authority in client_ca_file";
            self.report
                .fault(&format!("{path}.client_certificates"), message);
        }
        if readable {
            tls::install_crypto();
            if let Err(error) = tls::server_config(&files) {
                self.report.fault(path, error.to_string());
            }
        }
        files
    }

    fn limits(&mut self, path: &str, raw: &RawLimits, or: ListenerLimits) -> ListenerLimits {
        let field = |name: &str| format!("{path}.{name}");
        let mut span = |name, span: Option<HumanDuration>, or| {
            span.map_or(or, |span| self.span(&field(name), span, MILLISECOND..=HOUR))
        };
        let head_timeout = span("head_timeout", raw.head_timeout, or.head_timeout);
        let idle_timeout = span("idle_timeout", raw.idle_timeout, or.idle_timeout);
        let write_timeout = span("write_timeout", raw.write_timeout, or.write_timeout);
        let mut count = |name, count: Option<u64>, or, range| {
            count.map_or(or, |count| self.count(&field(name), count, range))
        };
        ListenerLimits {
            max_connections: count(
                "max_connections",
                raw.max_connections.map(u64::from),
                or.max_connections,
                1..=1_000_000,
            ),
            max_headers: count(
                "max_headers",
                raw.max_headers.map(u64::from),
                or.max_headers,
                16..=1000,
            ),
            // The HTTP library can't do with less than 8 KiB.
            max_head_bytes: count(
                "max_head_bytes",
                raw.max_head_bytes.map(|size| size.0),
                or.max_head_bytes,
                8192..=1 << 20,
            ),
            head_timeout,
            idle_timeout,
            write_timeout,
        }
    }
}

/// Whether two addresses can't be listened on at one time. Port 0 stands for any that is free.
fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    let any = |ip: IpAddr| ip.is_unspecified();
    let same_family = a.is_ipv4() == b.is_ipv4();
    a.port() == b.port()
        && a.port() != 0
        && (a.ip() == b.ip() || (same_family && (any(a.ip()) || any(b.ip()))))
}
