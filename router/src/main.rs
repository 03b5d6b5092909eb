//! The binary `mirador`: everything it does is in the library, so that tests and benches reach it.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use mimalloc::MiMalloc;
use router::cli::{self, Cli};

// glibc keeps an arena per thread and gives little back after a burst.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    cli::run(Cli::parse())
}
