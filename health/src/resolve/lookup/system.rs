//! What the system says of names: its hosts file, its servers, its search domains. Read again when
//! the files have changed.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, SystemTime},
};

use hickory_resolver::{
    Hosts, TokioResolver,
    config::{
        ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig as Servers, ResolverOpts,
    },
    lookup::Lookup,
    net::runtime::TokioRuntimeProvider,
    proto::{
        op::Query,
        rr::{Name, RecordType},
    },
    system_conf,
};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{super::ResolverConfig, LookupFailure, absolute};

/// The system's files, as they were when last looked at.
pub(super) struct System {
    config: ResolverConfig,
    state: Mutex<State>,
}

struct State {
    loaded: Option<Arc<Loaded>>,
    files: [Option<SystemTime>; 2],
    looked_at: Option<Instant>,
}

/// What names are looked up with.
pub(super) struct Loaded {
    hosts: Hosts,
    servers: Result<TokioResolver, Arc<str>>,
    search: Vec<Name>,
    ndots: usize,
}

impl System {
    pub(super) fn new(config: ResolverConfig) -> Self {
        let state = State {
            loaded: None,
            files: [None; 2],
            looked_at: None,
        };
        Self {
            config,
            state: Mutex::new(state),
        }
    }

    /// What the files say now, or said a moment ago.
    pub(super) fn loaded(&self) -> Arc<Loaded> {
        let mut state = self.state.lock();
        let now = Instant::now();
        let fresh = state.looked_at.is_some_and(|at| now < at + LOOK_EVERY);
        if let (true, Some(loaded)) = (fresh, &state.loaded) {
            return Arc::clone(loaded);
        }
        state.looked_at = Some(now);
        let files = [HOSTS, RESOLV_CONF].map(modified);
        if let (true, Some(loaded)) = (files == state.files, &state.loaded) {
            return Arc::clone(loaded);
        }
        let loaded = Arc::new(Loaded::read(&self.config));
        state.files = files;
        state.loaded = Some(Arc::clone(&loaded));
        loaded
    }
}

impl Loaded {
    fn read(config: &ResolverConfig) -> Self {
        let (servers, mut options) = match system_conf::read_system_conf() {
            Ok((servers, options)) => (Ok(servers), options),
            Err(error) => (
                Err(format!("{RESOLV_CONF} names no server: {error}")),
                ResolverOpts::default(),
            ),
        };
        let search = servers
            .as_ref()
            .map_or_else(|_| Vec::new(), |s| s.search.clone());
        let servers = match (config.servers.as_slice(), servers) {
            ([], Ok(servers)) => Ok(servers.name_servers),
            ([], Err(error)) => Err(error),
            (named, _) => Ok(named.iter().copied().map(server).collect()),
        };
        let ndots = options.ndots;
        // What is known is kept here, and shorter than most names say.
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Never;
        // Leaves time for a second try.
        options.timeout = config.timeout * 2 / 5;
        options.attempts = 2;
        let servers = servers.and_then(|servers| {
            let servers = Servers::from_parts(None, Vec::new(), servers);
            TokioResolver::builder_with_config(servers, TokioRuntimeProvider::default())
                .with_options(options)
                .build()
                .map_err(|error| error.to_string())
        });
        Self {
            hosts: Hosts::from_system().unwrap_or_default(),
            servers: servers.map_err(Into::into),
            search,
            ndots,
        }
    }

    pub(super) fn servers(&self) -> Result<&TokioResolver, LookupFailure> {
        self.servers
            .as_ref()
            .map_err(|why| LookupFailure::Unasked(Arc::clone(why)))
    }

    /// The addresses of one kind that the hosts file has for a name.
    pub(super) fn written(&self, name: &Name, kind: RecordType) -> Vec<IpAddr> {
        let query = Query::query(absolute(name), kind);
        let found = self.hosts.lookup_static_host(&query);
        let records = found.iter().flat_map(Lookup::answers);
        records.filter_map(|record| record.data.ip_addr()).collect()
    }

    /// The full names that a name may stand for, in the order in which they are asked for.
    pub(super) fn candidates(&self, name: &Name) -> Vec<Name> {
        candidates(name, &self.search, self.ndots)
    }
}

fn candidates(name: &Name, search: &[Name], ndots: usize) -> Vec<Name> {
    if name.is_fqdn() {
        return vec![name.clone()];
    }
    let within = |domain: &Name| {
        let full = name.clone().append_domain(domain).ok()?;
        Some(absolute(&full))
    };
    let mut names: Vec<Name> = search.iter().filter_map(within).collect();
    // So many dots make it likely that nothing is missing.
    let dots = name.iter().count().saturating_sub(1);
    let place = if dots >= ndots { 0 } else { names.len() };
    names.insert(place, absolute(name));
    names
}

fn server(address: SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = address.port();
        connection
    });
    NameServerConfig::new(address.ip(), true, connections.into())
}

fn modified(path: &str) -> Option<SystemTime> {
    fs::metadata(path).and_then(|file| file.modified()).ok()
}

const HOSTS: &str = "/etc/hosts";
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// However many names are looked up.
const LOOK_EVERY: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(name: &str, ndots: usize) -> Vec<String> {
        let search = ["prod.svc.cluster.local", "svc.cluster.local"];
        let search = search.map(|domain| Name::from_ascii(domain).unwrap());
        let names = candidates(&Name::from_ascii(name).unwrap(), &search, ndots);
        names.iter().map(ToString::to_string).collect()
    }

    /// As the system's own resolver does: with five dots in Kubernetes, nearly every name is one
    /// within the cluster first.
    #[test]
    fn short_names_are_looked_for_in_the_search_domains_first() {
        let within = [
            "vm.team.prod.svc.cluster.local.",
            "vm.team.svc.cluster.local.",
        ];
        let [first, second] = within;
        assert_eq!(shown("vm.team", 5), [first, second, "vm.team."]);
        assert_eq!(shown("vm.team", 1), ["vm.team.", first, second]);
        assert_eq!(shown("vm.team.", 5), ["vm.team."]);
        let service = shown("_http._tcp.vm", 5);
        assert_eq!(service[0], "_http._tcp.vm.prod.svc.cluster.local.");
    }
}
