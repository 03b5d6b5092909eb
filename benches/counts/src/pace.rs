//! Lets the upstream send a long answer piece by piece, each when the client has the one before.
//!
//! Otherwise how much the router finds whenever it reads would be up to the system's scheduler, and
//! so would be the counts.

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use futures_util::{Stream, stream};
use hyper::body::Frame;
use tokio::sync::Semaphore;

/// Bytes of a piece: few enough to be in the socket at once.
pub(crate) const PIECE: usize = 32 << 10;

/// What upstream and client share: how many pieces may be sent.
#[derive(Debug, Clone)]
pub(crate) struct Pace(Arc<Semaphore>);

impl Pace {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    /// The client has what was sent, and waits for the next piece.
    pub(crate) fn next(&self) {
        self.0.add_permits(1);
    }

    /// Sends `data` as the client wants it.
    pub(crate) fn pieces(
        self,
        data: Bytes,
    ) -> impl Stream<Item = Result<Frame<Bytes>, Infallible>> + Send {
        stream::unfold((self, data), async |(pace, mut data)| {
            if data.is_empty() {
                return None;
            }
            // Nobody closes it.
            pace.0.acquire().await.ok()?.forget();
            let piece = data.split_to(PIECE.min(data.len()));
            Some((Ok(Frame::data(piece)), (pace, data)))
        })
    }
}
