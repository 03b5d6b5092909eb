//! Writes that were left half done: whoever comes next carries them out.

use std::sync::Arc;

use axum::http::Method;
use tenant_store::{
    model::Revision,
    repository::{
        AuditQuery, Expect, Repository, RepositoryError, TenantRepository,
        weaviate::WeaviateOptions,
    },
};

use super::{DEADLINE, impatient, open, repository, until};
use crate::{
    double::{Manners, Weaviate},
    samples::{id, named, put, tenant},
    stopped::{Server, writes_are_whole_or_nothing},
};

/// A writer that does not get to the end of its write: whoever comes next carries it out, with its
/// event, whichever of its calls failed or only lost its answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_left_half_done_is_carried_out_by_others() {
    for carried_out in [false, true] {
        let double = Weaviate::start(Manners::default());
        let (dying, other) = (
            repository(&double, impatient()).await,
            repository(&double, impatient()).await,
        );
        put(&*dying, named("acme", "1"), Expect::Absent)
            .await
            .unwrap();
        let failing = vec![(
            Method::PUT,
            "/v1/objects/MiradorTenant/".to_owned(),
            carried_out,
        )];
        double.behave(Manners {
            failing,
            ..Manners::default()
        });
        let refused = put(&*dying, named("acme", "2"), Expect::Anything).await;
        assert!(matches!(refused, Err(RepositoryError::Unavailable { .. })));
        assert_eq!(double.count("MiradorClaim"), 1);
        drop(dying);
        double.behave(Manners::default());
        until("the end of the write", async || {
            double.count("MiradorClaim") == 0
        })
        .await;
        let found = other.get(&id("acme")).await.unwrap().unwrap();
        assert_eq!(found.tenant, named("acme", "2"));
        assert_eq!(found.revision, Revision(2));
        let events = other.audit(&AuditQuery::newest(10)).await.unwrap();
        let after: Vec<_> = events.iter().map(|event| event.after.0).collect();
        assert_eq!(after, [2, 1]);
    }
}

/// The next writer does not wait for that, but carries it out itself.
#[tokio::test(flavor = "multi_thread")]
async fn the_next_writer_carries_out_what_was_left() {
    let double = Weaviate::start(Manners::default());
    let dying = repository(&double, impatient()).await;
    put(&*dying, named("acme", "1"), Expect::Absent)
        .await
        .unwrap();
    let failing = vec![(Method::PUT, "/v1/objects/MiradorTenant/".to_owned(), false)];
    double.behave(Manners {
        failing,
        ..Manners::default()
    });
    put(&*dying, named("acme", "2"), Expect::Anything)
        .await
        .unwrap_err();
    drop(dying);
    double.behave(Manners::default());
    // It never looks by itself.
    let options = WeaviateOptions {
        poll_interval: DEADLINE * 10,
        ..impatient()
    };
    let next = open(&double.url(), None, options).await.unwrap();
    let next = Repository::new(next);
    let written = put(&next, named("acme", "3"), Expect::Anything)
        .await
        .unwrap();
    assert_eq!(written.record.revision, Revision(3));
    let events = next.audit(&AuditQuery::newest(10)).await.unwrap();
    let after: Vec<_> = events.iter().map(|event| event.after.0).collect();
    assert_eq!(after, [3, 2, 1]);
    assert_eq!(double.count("MiradorClaim"), 0);
}

/// The record is written, its event is not: that is made good.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_could_not_be_written_comes_later() {
    let double = Weaviate::start(Manners::default());
    let store = repository(&double, impatient()).await;
    // Nothing but removals of claims fails: what comes last.
    let failing = vec![(
        Method::DELETE,
        "/v1/objects/MiradorClaim/".to_owned(),
        false,
    )];
    double.behave(Manners {
        failing,
        ..Manners::default()
    });
    put(&*store, tenant("acme"), Expect::Absent).await.unwrap();
    assert_eq!(double.count("MiradorClaim"), 1);
    double.behave(Manners::default());
    // The next writer finds it so, and puts it in order first.
    put(&*store, named("acme", "2"), Expect::Anything)
        .await
        .unwrap();
    until("an end of all claims", async || {
        double.count("MiradorClaim") == 0
    })
    .await;
    assert_eq!(store.audit(&AuditQuery::newest(10)).await.unwrap().len(), 2);
}

impl Server for Weaviate {
    fn stop(&self) {
        Self::stop(self);
    }

    fn run_again(&self) {
        Self::run_again(self);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_in_the_middle_of_writes_loses_nothing() {
    let double = Arc::new(Weaviate::start(Manners::default()));
    let store = repository(&double, impatient()).await;
    writes_are_whole_or_nothing(double, store).await;
}
