//! What the benchmarks are tried on: heads, tenants and routes as the router meets them.
//!
//! Made through the public interfaces of the router and its stores, as `router::serve` makes them.
#![forbid(unsafe_code)]

mod heads;
mod identity;
#[path = "../../../router/tests/it/support/signer.rs"]
#[allow(
    dead_code,
    clippy::expect_used,
    clippy::panic,
    reason = "of the end-to-end tests; nothing can be measured without keys"
)]
mod signer;
mod world;

pub use self::{
    heads::{answer, query, query_of_host, query_of_path, write},
    identity::{Caller, identity},
    world::World,
};
