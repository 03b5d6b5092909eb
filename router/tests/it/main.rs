//! End-to-end tests: the real binary, real backends and clients where they can be had, and raw
//! sockets where the exact bytes matter. Nothing here looks inside the router.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test fails by panicking; clippy's own exemption stops at helper functions"
)]

mod admin;
mod alerts;
mod answers;
mod bodies;
mod clients;
mod demo;
mod dns;
mod drain;
mod failover;
mod headers;
mod history;
mod http2;
mod identify;
mod isolation;
mod limits;
mod metrics;
mod notify;
mod pages;
mod probing;
mod reload;
mod resting;
mod smuggling;
mod standing;
mod store;
mod streaming;
mod support;
mod tls;
