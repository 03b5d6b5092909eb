//! What commands that change something take beside what they change.

use clap::Args;
use tenant_store::model::Revision;

/// Only tell what would be.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct DryRun {
    /// Let the router say what would change, and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

/// Only if it is what somebody has seen.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct At {
    /// Only if it is at this revision; otherwise whatever it is
    #[arg(long, value_name = "NUMBER")]
    revision: Option<u64>,
}

impl DryRun {
    /// As an argument of a request.
    pub(super) fn argument(self) -> (&'static str, String) {
        ("dry_run", self.dry_run.to_string())
    }

    /// What is added to an outcome that none was.
    pub(super) fn note(self) -> &'static str {
        if self.dry_run { " (dry run)" } else { "" }
    }
}

impl At {
    /// The revision, if one is asked for.
    pub(super) fn revision(self) -> Option<Revision> {
        self.revision.map(Revision)
    }

    /// As `If-Match` has it.
    pub(super) fn tag(self) -> String {
        let tag = self.revision.map(|revision| format!("\"{revision}\""));
        tag.unwrap_or_else(|| "*".into())
    }
}
