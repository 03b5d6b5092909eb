//! The `mirador` binary. All it decides is the allocator.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use router::cli::{self, Cli};

/// What a router holds after weeks, whichever thread took it and whichever gave it back: see
/// `docs/adr/0018-the-allocator-is-jemalloc.md`, and `.cargo/config.toml` for how it is set up.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    cli::run(Cli::parse())
}
