//! `mirador demo`: two tenants with real servers of their own, and the router before them, on
//! loopback.
//!
//! Decides what the demo consists of and in which order it happens. All that it starts lives in a
//! `sandbox`, which is cleared however the demo ends. It speaks to the router as any client does,
//! over HTTP and by the command line, and deliberately knows nothing of its insides.

mod backend;
mod client;
mod error;
mod feed;
mod guide;
mod page;
mod port;
mod programs;
mod samples;
mod sandbox;
mod tour;
mod wait;
mod world;

use std::path::PathBuf;

use tokio::signal::unix::{Signal, SignalKind, signal};

pub use self::error::DemoError;
use self::{page::Page, programs::Programs, sandbox::Sandbox, world::World};

/// What the demo is asked to do.
#[derive(Debug, Clone, Default)]
pub struct DemoOptions {
    /// Walk the tour, tell what was seen, and end; otherwise stay until told to stop.
    pub check: bool,
    /// Where to look for the backends' programs before `PATH`.
    pub tools: Option<PathBuf>,
}

/// Starts the demo and sees it through: the tour, or staying until SIGINT, SIGTERM or SIGHUP.
///
/// # Errors
/// A backend's program is missing, something did not start, a step of the tour went otherwise than
/// it should, or a signal came before the tour's end.
pub async fn run(options: DemoOptions) -> Result<(), DemoError> {
    // Before anything is started, so that nothing is left behind.
    let mut signals = Signals::listen()?;
    let programs = Programs::find(options.tools.as_deref())?;
    let mut sandbox = Sandbox::new()?;
    let mut page = Page::new();
    let outcome = tokio::select! {
        outcome = Box::pin(show(options.check, programs, &mut sandbox, &mut page)) => outcome,
        () = signals.any() => if options.check { Err(DemoError::Interrupted) } else { Ok(()) },
    };
    sandbox.clear().await.and(outcome)?;
    page.line("Nothing is left behind.")
}

async fn show(
    check: bool,
    programs: Programs,
    sandbox: &mut Sandbox,
    page: &mut Page,
) -> Result<(), DemoError> {
    page.line("Two tenants with servers of their own, and Mirador before them.")?;
    let world = World::start(programs, sandbox, page).await?;
    if check {
        tour::walk(&world, sandbox, page).await
    } else {
        guide::write(&world, sandbox, page)?;
        feed::keep_alive(&world, sandbox, page).await
    }
}

/// The signals that end the demo.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    fn listen() -> Result<Self, DemoError> {
        let listen =
            |kind| signal(kind).map_err(|error| DemoError::io("listen for signals", error));
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    async fn any(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => (),
            _ = self.terminate.recv() => (),
            _ = self.hang_up.recv() => (),
        }
    }
}
