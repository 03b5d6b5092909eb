//! What every store must do, run against each of them. A new store brings a [`Store`] and one line
//! of [`conformance!`].
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "the demands are tests, though not marked as such one by one"
)]

mod audit;
mod changes;
#[path = "../support/weaviate/double.rs"]
mod double;
mod files;
mod history;
mod injection;
mod kinds;
mod memory;
mod paging;
mod postgres;
mod samples;
#[path = "../support/postgres.rs"]
mod server;
mod sqlite;
mod stopped;
mod text;
mod tombstones;
mod upgrade;
mod weaviate;
mod writes;

use std::sync::Arc;

use tenant_store::repository::Repository;

/// A store of a test's own, empty at first.
pub(crate) trait Store {
    /// A repository on the same data, as another process would open it.
    async fn open(&self) -> Arc<Repository>;
}

/// Makes one test of each demand, for the store that `$store` makes.
macro_rules! conformance {
    ($store:expr; $($group:ident::{$($demand:ident),+ $(,)?}),+ $(,)?) => {
        $($(
            #[tokio::test(flavor = "multi_thread")]
            async fn $demand() {
                let store = $store;
                crate::$group::$demand(&store).await;
            }
        )+)+
    };
    ($store:expr) => {
        conformance! {
            $store;
            audit::{
                each_write_has_its_audit_event, audit_is_paged_newest_first,
                audit_is_filtered, audit_tells_what_changed,
                a_refused_write_leaves_no_trace, a_dropped_write_is_whole_or_nothing,
            },
            changes::{
                names_what_changed_after_a_position, a_write_wakes_who_waits,
                sees_writes_of_another_instance, an_unchanged_put_is_no_change,
                waits_no_longer_than_told, position_before_a_listing_misses_nothing,
                names_records_of_every_kind,
            },
            kinds::{
                kinds_do_not_meet, tiers_are_built_in_until_defined, keeps_keys,
                keys_are_listed_by_tenant, a_use_is_noted_and_changes_nothing,
                tiers_and_keys_go_by_revisions, tiers_and_keys_are_listed_in_pages,
                one_of_many_writers_wins_each_revision_of_a_key,
            },
            injection::{
                no_text_of_a_tenant_means_anything, no_text_of_a_tier_means_anything,
                no_text_of_a_key_means_anything, no_id_that_is_asked_for_means_anything,
            },
            paging::{
                lists_by_status, lists_by_tier_and_label, caps_the_limit,
            },
            text::{
                keeps_any_text_of_a_tenant, keeps_any_text_of_an_author, keeps_every_field,
            },
            writes::{
                creates_gets_and_updates, refuses_what_is_not_as_expected,
                an_equal_put_changes_nothing, deleting_leaves_a_tombstone,
                a_tombstone_is_succeeded, deleting_what_never_was_is_an_error,
                one_of_many_writers_wins_each_revision, survives_closing,
                refuses_what_would_not_read_back,
            },
            tombstones::{
                a_tombstone_is_restored_as_it_was, only_tombstones_are_restored,
                what_was_purged_is_gone, only_tombstones_are_purged_unless_told,
                what_was_purged_never_comes_back, racing_ends_leave_one_truth,
            },
        }
    };
}
pub(crate) use conformance;
