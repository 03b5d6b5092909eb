//! Addresses: their limits, their certificates, and that none is taken twice.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use tenant_store::model::{HumanDuration, Signal};

use super::{Builder, HOUR, MILLISECOND};
use crate::{
    config::{
        ListenerConfig, ListenerLimits, TlsFiles,
        raw::{LongListener, RawLimits, RawListen, RawListener, RawListeners, RawTls},
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
    pub(super) fn listeners(&mut self, listen: &RawListen) -> Vec<ListenerConfig> {
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
            limits: self.limits(&format!("{path}.limits"), &listener.limits, defaults),
        }
    }

    fn tls(&mut self, path: &str, tls: &RawTls) -> TlsFiles {
        let [cert_file, key_file] = [("cert_file", &tls.cert_file), ("key_file", &tls.key_file)]
            .map(|(field, file)| {
                let path = format!("{path}.{field}");
                let file = self.document.resolve(&path, file);
                let readable = self.read(&path, &file).is_some();
                (file, readable)
            });
        if cert_file.1 && key_file.1 {
            tls::install_crypto();
            if let Err(error) = tls::server_config(&cert_file.0, &key_file.0) {
                self.report.fault(path, error.to_string());
            }
        }
        TlsFiles {
            cert_file: cert_file.0,
            key_file: key_file.0,
        }
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
