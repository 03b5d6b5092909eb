//! What the benchmarks are tried on: heads, tenants and routes as the router meets them.
//!
//! Made through the public interfaces of the router and its stores, as `router::serve` makes them.
#![forbid(unsafe_code)]

mod heads;
mod identity;
mod world;

pub use self::{
    heads::{answer, query, query_of_host, query_of_path, write},
    identity::identity,
    world::World,
};
