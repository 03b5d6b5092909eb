//! What stands around Mirador: [Grafana data sources](grafana) for tenants, and the shipped
//! [dashboard and alert rules](monitoring) for Mirador itself.
//!
//! This crate renders texts. It opens no connection and knows nothing of a running router.
#![forbid(unsafe_code)]

pub mod grafana;
pub mod monitoring;
