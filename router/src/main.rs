//! The `mirador` binary. All it decides is the allocator.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use router::cli::{self, Cli};

/// Many small, short-lived allocations on several threads: measurably better than the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run(Cli::parse())
}
