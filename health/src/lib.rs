//! Is an address alive: probes and what live requests saw go in, availability and transitions
//! come out.
//!
//! A [`Monitor`] probes every [`Target`] that somebody holds, and a request path reads the shared
//! [`EndpointHealth`] with one atomic load. Two kinds of evidence meet there:
//!
//! * **active**: HTTP probes with thresholds both ways ([`ProbeSpec`]);
//! * **passive**: what live requests met ([`Failure`]), with exponential back-off
//!   ([`EjectionPolicy`], [`OutlierPolicy`]).
//!
//! | availability | meaning for the request path | left by |
//! |---|---|---|
//! | [`Up`](Availability::Up) | use it | failed probes, a failed connect, a streak of failures |
//! | [`HalfOpen`](Availability::HalfOpen) | one trial request ([`EndpointHealth::try_trial`]) | the outcome of that trial |
//! | [`Ejected`](Availability::Ejected) | last resort only | after the back-off: a good probe, or `HalfOpen` without probing |
//! | [`Down`](Availability::Down) | don't use it | good probes, or `HalfOpen` without probing |
//!
//! A [`DeepCheck`] looks more closely and less often: at product, query, ingestion, disk and clock.
//! Its [`Findings`] leave availability alone; they are for people.
//!
//! A [`Resolver`] keeps the addresses of names current in the background ([`WatchedName`]), so that
//! each address can be an endpoint of its own.
//!
//! The crate knows endpoints only: no tenants, no deployments, no balancing policy. It never
//! decides where a request goes.
#![forbid(unsafe_code)]

mod cause;
mod counter;
mod deep;
mod ejection;
mod endpoint;
mod finding;
mod found;
mod jitter;
mod load;
mod machine;
mod monitor;
mod outlier;
mod probe;
mod probe_url;
mod product;
mod resolve;
mod rules;
mod schedule;
mod site;
mod snapshot;
mod state;
mod stats;
mod target;
mod terms;
mod transition;

pub use crate::{
    cause::Cause,
    deep::{DeepCheck, DeepSnapshot},
    ejection::EjectionPolicy,
    endpoint::{EndpointHealth, InFlight},
    finding::{Finding, Findings},
    found::Found,
    monitor::{Monitor, MonitorConfig},
    outlier::OutlierPolicy,
    probe::{ProbeFailure, client_builder},
    probe_url::ProbeUrl,
    product::{MetricsPage, Product},
    resolve::{
        Family, Known, LookupCounts, LookupFailure, MOST_PLACES, NameSnapshot, NameStats, Place,
        Question, Resolver, ResolverConfig, ServiceTarget, WatchedName,
    },
    snapshot::{HealthSnapshot, ProbeSnapshot},
    stats::{MonitorStats, ProbeCounts},
    target::{ProbeSpec, Target},
    terms::ProbeTerms,
    transition::{Availability, Failure, Reason, Transition},
};
