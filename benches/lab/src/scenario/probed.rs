//! Waits until a router that has been started has come to rest: when each of its endpoints has been
//! probed once.

use std::time::Duration;

use crate::{error::BenchError, lab::Lab, peer::Kind, process::until};

/// First probes are spread over one interval of health checks, which is 30 s by default.
const LIMIT: Duration = Duration::from_mins(2);

/// How many probes there will have been when it has come to rest.
#[derive(Debug, Clone, Copy)]
pub(super) struct Probes {
    expected: u64,
}

impl Probes {
    /// To be made before Mirador is started on so many endpoints, which may count several times if
    /// several routers are.
    pub(super) async fn expect(lab: &Lab, endpoints: u32) -> Result<Self, BenchError> {
        let before = lab.counts(Kind::Mirador).await?.probes;
        Ok(Self {
            expected: before + u64::from(endpoints),
        })
    }

    /// Waits for them.
    pub(super) async fn wait(self, lab: &Lab) -> Result<(), BenchError> {
        let what = "all endpoints to be probed once";
        until(what, LIMIT, async || {
            Ok(lab.counts(Kind::Mirador).await?.probes >= self.expected)
        })
        .await
    }
}
