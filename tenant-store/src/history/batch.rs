//! What is written at one time.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{Bucket, NewEntry, Tally};
use crate::model::{Signal, TenantId};

/// Changes, or counts, that one batch should have at most, and changes that a page may have.
pub const BATCH_MAX: u16 = 1000;

/// What a router writes at one time. Written again, it is the same batch and counts once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The process that writes it.
    pub writer: Uuid,
    /// Its number among that process's batches, from 1, rising.
    pub number: u64,
    /// Changes, oldest first.
    pub entries: Vec<NewEntry>,
    /// Counts to be added, each to its bucket and the coarser ones.
    pub counts: Vec<CountRow>,
}

/// Requests of one tenant's signal in one span of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountRow {
    /// Whose.
    pub tenant: TenantId,
    /// Of which deployment.
    pub signal: Signal,
    /// When.
    pub bucket: Bucket,
    /// How many.
    pub tally: Tally,
}

impl Batch {
    /// What is to be added to each bucket, in an order that all writers have in common, so that
    /// they wait for each other in turn and never in a circle.
    pub(crate) fn additions(&self) -> Vec<CountRow> {
        let mut sums: BTreeMap<(&TenantId, Bucket, Signal), Tally> = BTreeMap::new();
        for row in &self.counts {
            let mut bucket = Some(row.bucket);
            while let Some(one) = bucket {
                *sums.entry((&row.tenant, one, row.signal)).or_default() += row.tally;
                bucket = one.coarser();
            }
        }
        let rows = sums.into_iter().filter(|(_, tally)| !tally.is_empty());
        rows.map(|((tenant, bucket, signal), tally)| CountRow {
            tenant: tenant.clone(),
            signal,
            bucket,
            tally,
        })
        .collect()
    }

    /// The tenants that have changes in it, each once.
    pub(crate) fn changed(&self) -> Vec<TenantId> {
        let mut tenants: Vec<_> = self.entries.iter().map(|new| new.tenant.clone()).collect();
        tenants.sort_unstable();
        tenants.dedup();
        tenants
    }
}
