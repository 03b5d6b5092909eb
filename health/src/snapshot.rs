//! What an operator is shown of one endpoint. Built on demand; nothing decides by it.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use crate::{
    deep::DeepSnapshot,
    finding::Findings,
    transition::{Availability, Failure, Reason},
};

/// An endpoint's health at one moment, for the admin API.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Serialize)]
pub struct HealthSnapshot {
    /// `host:port`.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub endpoint: Arc<str>,
    /// The state now.
    pub state: Availability,
    /// Since when it is in this state.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub since: Timestamp,
    /// What brought it into this state, in words.
    pub reason: String,
    /// The same, for whoever tells it in words of its own.
    #[serde(skip)]
    pub why: Reason,
    /// What deep checks found.
    #[serde(skip)]
    pub findings: Findings,
    /// How the last of the live requests failed that failed in a row.
    #[serde(skip)]
    pub last_failure: Option<Failure>,
    /// Whether probes are sent at all.
    pub probing: bool,
    /// The last finished probe.
    pub last_probe: Option<ProbeSnapshot>,
    /// Successful probes in a row; 0 if the last one failed.
    pub consecutive_probe_successes: u32,
    /// Failed probes in a row; 0 if the last one succeeded.
    pub consecutive_probe_failures: u32,
    /// Live requests that failed in a row while the endpoint was up.
    pub consecutive_request_failures: u32,
    /// How often live requests took it out of use since it is being watched.
    pub ejections: u64,
    /// What remains of the back-off before it may return.
    pub back_off_remaining_ms: Option<u64>,
    /// How long its answers take until they begin, in milliseconds, as a moving average; only where
    /// the balancing policy goes by it.
    pub latency_ms: Option<f64>,
    /// The last deep check, once there was one.
    pub deep: Option<DeepSnapshot>,
    /// Requests counted at this moment; stays 0 unless the balancing policy counts them.
    pub in_flight: usize,
}

/// The outcome of one probe.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Serialize)]
pub struct ProbeSnapshot {
    /// When it finished.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub at: Timestamp,
    /// Whether it found the endpoint healthy.
    pub ok: bool,
    /// What was wrong, if it didn't.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How long it took, in milliseconds.
    pub latency_ms: f64,
    /// It was the probe of another endpoint on the same port, and says as much about this one.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(feature = "openapi", schema(required = false))]
    pub shared: bool,
}
