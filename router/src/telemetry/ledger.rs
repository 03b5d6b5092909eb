//! Where the workers' blocks of one thing are found to be added up.
//!
//! Each worker writes to a block of its own; the ledger is locked when one is opened or closed, and
//! for whoever adds them up.

use std::sync::Arc;

use parking_lot::Mutex;

/// Blocks that add up.
#[derive(Debug)]
pub(super) struct Ledger<B>(Mutex<Blocks<B>>);

#[derive(Debug)]
struct Blocks<B> {
    open: Vec<Arc<B>>,
    /// What closed blocks came to: the next worker goes on from there.
    closed: Option<Arc<B>>,
}

/// What two blocks come to.
pub(super) trait Join {
    /// Neither may have a writer.
    fn joined_by(self: Arc<Self>, other: &Self) -> Arc<Self>;
}

impl<B: Join> Ledger<B> {
    /// Opens a block: that of the workers before if it fits, or else a new one.
    pub(super) fn open(&self, fits: impl FnOnce(&B) -> bool, new: impl FnOnce() -> B) -> Arc<B> {
        let mut blocks = self.0.lock();
        let closed = blocks.closed.take_if(|closed| fits(closed));
        let block = closed.unwrap_or_else(|| Arc::new(new()));
        // Most tenants are one worker's.
        blocks.open.reserve_exact(1);
        blocks.open.push(block.clone());
        block
    }

    /// Closes a block that was opened here and has no writer any more.
    pub(super) fn close(&self, block: &Arc<B>) {
        let mut blocks = self.0.lock();
        blocks.open.retain(|open| !Arc::ptr_eq(open, block));
        blocks.closed = Some(match blocks.closed.take() {
            None => block.clone(),
            Some(closed) => closed.joined_by(block),
        });
    }

    /// Looks at all blocks.
    pub(super) fn each(&self, mut look: impl FnMut(&B)) {
        let blocks = self.0.lock();
        for block in blocks.open.iter().chain(&blocks.closed) {
            look(block);
        }
    }

    /// Counts outside of any worker.
    pub(super) fn count(&self, count: impl FnOnce(&B))
    where
        B: Default,
    {
        // Under the lock, the closed block has no other writer.
        count(self.0.lock().closed.get_or_insert_default());
    }

    #[cfg(test)]
    pub(super) fn is_open(&self) -> bool {
        !self.0.lock().open.is_empty()
    }

    #[cfg(test)]
    pub(super) fn has_closed(&self) -> bool {
        self.0.lock().closed.is_some()
    }
}

impl<B> Default for Ledger<B> {
    fn default() -> Self {
        Self(Mutex::new(Blocks {
            open: Vec::new(),
            closed: None,
        }))
    }
}
