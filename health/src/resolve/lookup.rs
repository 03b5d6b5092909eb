//! One question put to the system: its hosts file, then its servers through its search domains.
//!
//! Goes through search domains itself, so that a server that fails is not taken for one that knows
//! no such name, and one family that fails is not taken for one without addresses.

mod system;

use std::{collections::BTreeSet, net::IpAddr, sync::Arc, time::Duration};

use hickory_resolver::{
    net::{DnsError, NetError},
    proto::{
        op::ResponseCode,
        rr::{Name, RData, RecordType, rdata::SRV},
    },
};
use thiserror::Error;

use self::system::{Loaded, System};
use super::{
    ResolverConfig,
    answer::{Answer, Place, ServiceTarget, scaled},
    question::Question,
};

/// Which addresses of a name count: one kind of them, so that whoever has both is there once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Family {
    /// IPv4 where there are any, else IPv6.
    #[default]
    Auto,
    /// IPv4 only.
    Ipv4,
    /// IPv6 only.
    Ipv6,
}

impl Family {
    /// In the order in which they are asked for.
    const fn records(self) -> &'static [RecordType] {
        match self {
            Self::Auto => &[RecordType::A, RecordType::AAAA],
            Self::Ipv4 => &[RecordType::A],
            Self::Ipv6 => &[RecordType::AAAA],
        }
    }
}

/// Why a lookup came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LookupFailure {
    /// There is no such name, or nothing is there.
    #[error("there is no such name, or it has no address")]
    Empty,
    /// No answer in time.
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// A server answered, and not with what was asked.
    #[error("no usable answer: {0}")]
    Refused(Arc<str>),
    /// Nobody could be asked.
    #[error("nobody can be asked: {0}")]
    Unasked(Arc<str>),
}

/// Asks the system.
pub(super) struct Dns {
    system: System,
    family: Family,
    timeout: Duration,
}

impl Dns {
    pub(super) fn new(config: ResolverConfig) -> Self {
        Self {
            family: config.family,
            timeout: config.timeout,
            system: System::new(config),
        }
    }

    pub(super) async fn ask(&self, question: &Question) -> Result<Answer, LookupFailure> {
        let loaded = self.system.loaded();
        let places = match question {
            Question::Host(name) => {
                let addresses = self.host(&loaded, &parse(name)?).await?;
                let plain = |address| Place {
                    service: None,
                    address,
                };
                addresses.into_iter().map(plain).collect()
            }
            Question::Service(name) => self.service(&loaded, &parse(name)?).await?,
        };
        Answer::of(places).ok_or(LookupFailure::Empty)
    }

    /// The addresses of a host; at least one.
    async fn host(&self, loaded: &Loaded, name: &Name) -> Result<Vec<IpAddr>, LookupFailure> {
        for record in self.family.records() {
            let written = loaded.written(name, *record);
            if !written.is_empty() {
                return Ok(written);
            }
        }
        let mut failure = LookupFailure::Empty;
        for name in loaded.candidates(name) {
            for record in self.family.records() {
                match self.records(loaded, &name, *record).await {
                    Ok(found) => {
                        let addresses: Vec<_> = found.iter().filter_map(RData::ip_addr).collect();
                        if !addresses.is_empty() {
                            return Ok(addresses);
                        }
                    }
                    // No records of any kind.
                    Err(LookupFailure::Empty) => break,
                    // The next domain may be one that the server answers for.
                    Err(refused @ LookupFailure::Refused(_)) => {
                        failure = refused;
                        break;
                    }
                    Err(other) => return Err(other),
                }
            }
        }
        Err(failure)
    }

    /// The hosts of a service, with the addresses of each. One that can't be looked up just now
    /// spoils all: left out, it would be taken out of use.
    async fn service(&self, loaded: &Loaded, name: &Name) -> Result<Vec<Place>, LookupFailure> {
        let targets = self.targets(loaded, name).await?;
        let heaviest = targets.iter().map(|target| target.weight).max();
        let heaviest = heaviest.unwrap_or_default();
        let hosts: BTreeSet<&Name> = targets.iter().map(|target| &target.target).collect();
        let mut places = Vec::new();
        for host in hosts {
            let addresses = match self.host(loaded, &absolute(host)).await {
                Ok(addresses) => addresses,
                Err(LookupFailure::Empty) => continue,
                Err(failure) => return Err(failure),
            };
            let shown = host.to_ascii().to_ascii_lowercase();
            let shown: Arc<str> = shown.trim_end_matches('.').into();
            for target in targets.iter().filter(|target| target.target == *host) {
                let service = ServiceTarget {
                    priority: target.priority,
                    host: Arc::clone(&shown),
                    port: target.port,
                    weight: scaled(target.weight, heaviest),
                };
                places.extend(addresses.iter().map(|address| Place {
                    service: Some(service.clone()),
                    address: *address,
                }));
            }
        }
        Ok(places)
    }

    async fn targets(&self, loaded: &Loaded, name: &Name) -> Result<Vec<SRV>, LookupFailure> {
        let mut failure = LookupFailure::Empty;
        for name in loaded.candidates(name) {
            match self.records(loaded, &name, RecordType::SRV).await {
                Ok(found) => {
                    let targets: Vec<_> = found
                        .into_iter()
                        .filter_map(|record| match record {
                            // The root for a target says that there is no such service.
                            RData::SRV(target) if !target.target.is_root() => Some(target),
                            _ => None,
                        })
                        .collect();
                    if !targets.is_empty() {
                        return Ok(targets);
                    }
                }
                Err(LookupFailure::Empty) => {}
                Err(refused @ LookupFailure::Refused(_)) => failure = refused,
                Err(other) => return Err(other),
            }
        }
        Err(failure)
    }

    /// The records of one kind of a full name; `Empty` if there is no such name.
    async fn records(
        &self,
        loaded: &Loaded,
        name: &Name,
        kind: RecordType,
    ) -> Result<Vec<RData>, LookupFailure> {
        let servers = loaded.servers()?;
        match servers.lookup(name.clone(), kind).await {
            Ok(found) => Ok(found
                .answers()
                .iter()
                .map(|record| record.data.clone())
                .collect()),
            Err(error) => self.judge(&error),
        }
    }

    fn judge(&self, error: &NetError) -> Result<Vec<RData>, LookupFailure> {
        match error {
            NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
                ResponseCode::NoError => Ok(Vec::new()),
                ResponseCode::NXDomain => Err(LookupFailure::Empty),
                code => Err(LookupFailure::Refused(code.to_string().into())),
            },
            NetError::Dns(DnsError::ResponseCode(code)) => {
                Err(LookupFailure::Refused(code.to_string().into()))
            }
            NetError::Timeout => Err(LookupFailure::Timeout(self.timeout)),
            other => Err(LookupFailure::Unasked(other.to_string().into())),
        }
    }
}

fn parse(name: &str) -> Result<Name, LookupFailure> {
    Name::from_ascii(name)
        .map_err(|error| LookupFailure::Unasked(format!("{name:?} is no name: {error}").into()))
}

fn absolute(name: &Name) -> Name {
    let mut name = name.clone();
    name.set_fqdn(true);
    name
}
