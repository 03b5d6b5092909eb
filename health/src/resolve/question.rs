//! What is asked for: the addresses of a host, or the places of a service.

use std::{fmt, net::IpAddr, sync::Arc};

/// What to look up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Question {
    /// The addresses of a host.
    Host(Arc<str>),
    /// The hosts and ports of a service, by its SRV records, and their addresses.
    Service(Arc<str>),
}

impl Question {
    /// What is to be asked about a URL's host; `None` where that is an address, or `localhost`,
    /// which never leaves the machine.
    pub fn of_host(host: &str) -> Option<Self> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = bare.trim_end_matches('.');
        let is_local = name.eq_ignore_ascii_case("localhost")
            || name.to_ascii_lowercase().ends_with(".localhost");
        if name.is_empty() || is_local || bare.parse::<IpAddr>().is_ok() {
            return None;
        }
        Some(Self::Host(host.to_ascii_lowercase().into()))
    }

    /// What is to be asked about a service such as `_http._tcp.vm-acme.prod.svc`.
    pub fn of_service(name: &str) -> Self {
        Self::Service(name.to_ascii_lowercase().into())
    }

    /// The name itself.
    pub fn name(&self) -> &str {
        match self {
            Self::Host(name) | Self::Service(name) => name,
        }
    }
}

impl fmt::Display for Question {
    /// As it stands in a URL.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(name) => f.write_str(name),
            Self::Service(name) => write!(f, "srv+{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_the_machine_itself_are_not_asked_for() {
        for host in [
            "10.0.0.1",
            "::1",
            "[2001:db8::1]",
            "localhost",
            "LOCALHOST.",
            "vm.localhost",
            "",
        ] {
            assert_eq!(Question::of_host(host), None, "{host}");
        }
        for (host, asked) in [
            ("VM-acme.prod.svc", "vm-acme.prod.svc"),
            ("vm.example.com.", "vm.example.com."),
            ("localhost.example.com", "localhost.example.com"),
        ] {
            let question = Question::of_host(host);
            assert_eq!(question, Some(Question::Host(asked.into())), "{host}");
        }
        let service = Question::of_service("_http._tcp.vm");
        assert_eq!(service.to_string(), "srv+_http._tcp.vm");
    }
}
