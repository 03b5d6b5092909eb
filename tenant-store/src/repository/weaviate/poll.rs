//! Finding out what changed: there is nothing but to list everything, now and then.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};

use super::{
    PAGE, Shared, Trouble,
    client::Object,
    objects::{Claim, record_id, to_record, to_use},
};
use crate::repository::{Kind, RecordKey};

/// How much longer than a look the pause after it is at least: there may be very many records, and
/// listing them all is work for the server.
const REST: u32 = 4;

/// Looks for changes, and for writes that were left half-done, every `poll_interval`.
pub(super) async fn keep_looking(shared: Arc<Shared>, poll_interval: Duration) {
    let mut took = Duration::ZERO;
    loop {
        sleep(poll_interval.max(REST * took)).await;
        let began = Instant::now();
        // What went wrong is kept for whoever asks for changes.
        let _ = shared.look(poll_interval / 2).await;
        if let Err(error) = shared.tidy_up().await {
            tracing::debug!(%error, "abandoned writes can't be looked for");
        }
        took = began.elapsed();
    }
}

impl Shared {
    /// Lists all records, unless that was done within `fresh_for`.
    pub(super) async fn look(&self, fresh_for: Duration) -> Result<(), Trouble> {
        let mut listed = self.listed.lock().await;
        if listed.is_some_and(|at| at.elapsed() < fresh_for) {
            return Ok(());
        }
        let began = Instant::now();
        let looked = self.list_all().await;
        *listed = looked.is_ok().then_some(began);
        let reason = looked.as_ref().err().map(ToString::to_string);
        let is_news = {
            let mut unreachable = self.unreachable.write();
            let is_news = unreachable.is_some() != reason.is_some();
            *unreachable = reason;
            is_news
        };
        if is_news {
            self.stirred.send_replace(());
        }
        looked
    }

    async fn list_all(&self) -> Result<(), Trouble> {
        for kind in Kind::ALL {
            let class = self.classes.of(kind).to_owned();
            self.each(&class, |object| self.take_in(kind, &object))
                .await?;
        }
        let class = &self.classes.usage;
        let note = |object: Object| {
            if let Some((key, used_at)) = to_use(&object.properties) {
                self.mirror.write().note_use(&key, used_at);
            }
        };
        self.each(class, note).await
    }

    fn take_in(&self, kind: Kind, object: &Object) {
        let Some(id) = record_id(kind, &object.properties) else {
            tracing::error!(id = %object.id, %kind, "skipped an object that names no record");
            return;
        };
        let key = RecordKey::new(kind, id);
        match to_record(&key, &object.properties) {
            Ok(record) => self.notice(record),
            Err(error) => tracing::error!(%error, record = %key, "skipped an object"),
        }
    }

    /// Carries out writes whose writers were not seen to finish them.
    async fn tidy_up(&self) -> Result<(), Trouble> {
        let mut claims = Vec::new();
        let class = &self.classes.claim;
        let take = |object: Object| match Claim::read(&object.properties) {
            Ok(claim) => claims.push(claim),
            Err(error) => tracing::error!(%error, id = %object.id, "skipped a claim"),
        };
        self.each(class, take).await?;
        let now = Instant::now();
        let abandoned: Vec<Claim> = {
            let mut seen = self.claims.lock();
            let before = std::mem::take(&mut *seen);
            let since = |claim: &Claim| before.get(&claim.name).copied().unwrap_or(now);
            *seen = claims
                .iter()
                .map(|claim| (claim.name.clone(), since(claim)))
                .collect::<HashMap<_, _>>();
            let grace = self.grace();
            claims.retain(|claim| now - since(claim) > grace);
            claims
        };
        for claim in abandoned {
            self.carry_out(&claim).await?;
        }
        Ok(())
    }

    /// Lists the objects of a class, page by page.
    async fn each(&self, class: &str, mut take: impl FnMut(Object)) -> Result<(), Trouble> {
        let mut after = None;
        loop {
            let objects = self.client.list(class, after, PAGE).await?;
            let Some(last) = objects.last() else {
                return Ok(());
            };
            after = Some(last.id);
            objects.into_iter().for_each(&mut take);
        }
    }
}
