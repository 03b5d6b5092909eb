//! What is remembered of health: changes of it, and how many requests were served well.
//!
//! Written in batches by each router for itself, and never while a request waits. A batch that is
//! written twice counts once, so whoever does not know whether it got through may send it again.
//! Everything is bounded: changes by number per tenant and by age, counts by age and by the
//! coarser [`Span`]s they are kept in.
//!
//! Knows neither health nor requests: what changed is told in words, what was served in numbers.

mod batch;
mod entry;
mod memory;
pub(crate) mod rows;
mod store;
mod tally;

pub use self::{
    batch::{BATCH_MAX, Batch, CountRow},
    entry::{CursorError, HistoryCursor, HistoryEntry, HistoryPage, HistoryQuery, NewEntry},
    memory::MemoryHistory,
    store::{HistoryStore, Horizon, Since, Sum},
    tally::{Bucket, Span, Tally},
};
