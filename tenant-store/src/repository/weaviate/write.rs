//! Writing where there is no compare-and-set and no transaction.
//!
//! Whoever wants to write revision 7 of a record first creates a claim: an object whose id is made
//! of the record's and that revision, so that there can be one only, and which holds the whole write
//! with its audit event. The server's own check is not atomic, and two may be told that they created
//! it; the later one's is what stays. So the writer waits until that is settled, and reads whose it
//! is. Then the record is written, then the event, and the claim is removed.
//!
//! A writer that dies leaves its claim. It is carried out by whoever finds it: the next who wants
//! that revision, or any router that lists claims, after it has seen the claim for so long that the
//! writer can't be at it any more. A write is there whole, with its event, or it never was.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use super::{
    Shared, Trouble,
    objects::{Claim, Intent, object_id, of_event, of_record, of_use, slot},
    usage_id,
};
use crate::{
    model::Revision,
    repository::{Author, Committed, Kind, Record, RecordKey, RecordWrite},
};

/// Between looks at somebody else's claim.
const PAUSE: Duration = Duration::from_millis(20);

/// How often what follows a written record is tried, before it is left to others.
const ATTEMPTS: u32 = 3;

impl Shared {
    /// Carries out a write if the record is as it was decided on.
    pub(super) async fn commit(
        &self,
        write: &RecordWrite,
        by: &Author,
    ) -> Result<Committed, Trouble> {
        let key = &write.record.key;
        let _turn = self.turn(key).lock().await;
        // Others of this router may have written while it waited for its turn.
        let known = self.mirror.read().record(key).map(|held| held.revision);
        if known > write.before {
            return Ok(Committed::Overtaken);
        }
        let began = Instant::now();
        let claim = Claim::new(Intent::new(write, by, self.next_sequence()));
        let properties = claim.properties().map_err(|source| Trouble::Corrupt {
            key: key.clone(),
            source,
        })?;
        let revision = write.record.revision;
        let class = &self.classes.claim;
        let id = object_id(class, &slot(key, revision));
        if !self.client.create(class, id, &properties).await? {
            self.outlast(key, revision).await?;
            return Ok(Committed::Overtaken);
        }
        sleep(self.options.settling).await;
        match self.claimed(&claim).await {
            Ok(true) => {}
            Ok(false) => return Ok(Committed::Overtaken),
            Err(trouble) => {
                // Not carried out by others either, if that can be helped.
                let _ = self.client.delete(class, id).await;
                return Err(trouble);
            }
        }
        if began.elapsed() > self.patience() {
            self.client.delete(class, id).await?;
            return Err(Trouble::Late("it took too long to claim the write"));
        }
        self.put(&write.record, &claim.name).await?;
        self.notice(write.record.clone());
        self.finish_somehow(&claim).await;
        Ok(Committed::Done)
    }

    /// Whether it is ours to write: the claim is ours, and the record is what it is meant for. If
    /// only the first is so, the claim is removed.
    async fn claimed(&self, claim: &Claim) -> Result<bool, Trouble> {
        let intent = &claim.intent;
        let key = intent.key();
        let before = async {
            match intent.before() {
                Some(before) => self.claim(&key, before).await,
                None => Ok(None),
            }
        };
        let (ours, held, before) = tokio::join!(
            self.claim(&key, intent.revision()),
            self.record(&key),
            before,
        );
        if ours?.is_none_or(|found| found.name != claim.name) {
            return Ok(false);
        }
        let held = held?;
        let revision = held.as_ref().map(|(record, _)| record.revision);
        if revision != intent.before() {
            self.remove(claim).await?;
            return Ok(false);
        }
        // The last writer has not come to its end. Nobody may write on before its event is there.
        if let Some(before) = before? {
            match held {
                Some((_, writer)) if writer == before.name => self.finish(&before).await?,
                _ => self.remove(&before).await?,
            }
        }
        Ok(true)
    }

    /// Waits until a claim of somebody else's is gone, and carries it out if that takes too long.
    async fn outlast(&self, key: &RecordKey, revision: Revision) -> Result<(), Trouble> {
        let began = Instant::now();
        let mut seen: Option<String> = None;
        let mut since = began;
        while let Some(claim) = self.claim(key, revision).await? {
            if seen.as_ref() != Some(&claim.name) {
                seen = Some(claim.name.clone());
                since = Instant::now();
            }
            if since.elapsed() > self.grace() {
                return self.carry_out(&claim).await;
            }
            sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Does what the writer of an abandoned claim would have done.
    pub(super) async fn carry_out(&self, claim: &Claim) -> Result<(), Trouble> {
        let intent = &claim.intent;
        let held = self.record(&intent.key()).await?;
        let revision = held.as_ref().map(|(record, _)| record.revision);
        match held {
            _ if revision == intent.before() => {
                let record = intent.record().map_err(|source| Trouble::Corrupt {
                    key: intent.key(),
                    source,
                })?;
                tracing::info!(record = %record.key, revision = %record.revision,
                    "carrying out a write that its writer did not come to the end of");
                self.put(&record, &claim.name).await?;
                self.notice(record);
                self.finish(claim).await
            }
            Some((_, writer)) if writer == claim.name => self.finish(claim).await,
            // It came too late for its revision.
            _ => self.remove(claim).await,
        }
    }

    /// Notes a use of a key.
    pub(super) async fn touch(&self, key: &RecordKey, used_at: Timestamp) -> Result<(), Trouble> {
        // Nothing else is used.
        if key.kind != Kind::Key || self.record_object(key).await?.is_none() {
            return Ok(());
        }
        if self
            .used_at(key)
            .await?
            .is_some_and(|noted| noted >= used_at)
        {
            return Ok(());
        }
        let class = &self.classes.usage;
        let id = usage_id(class, key);
        self.client.upsert(class, id, &of_use(key, used_at)).await?;
        self.mirror.write().note_use(key, used_at);
        Ok(())
    }

    /// How long whoever has claimed a write may take to begin it.
    fn patience(&self) -> Duration {
        self.options.settling + self.options.timeout
    }

    /// How long a claim must have been seen before it counts as abandoned: until its writer has
    /// given up for certain, and whatever it sent last has been answered.
    pub(super) fn grace(&self) -> Duration {
        self.patience() + 2 * self.options.timeout
    }

    async fn claim(&self, key: &RecordKey, revision: Revision) -> Result<Option<Claim>, Trouble> {
        let class = &self.classes.claim;
        let id = object_id(class, &slot(key, revision));
        let Some(properties) = self.client.get(class, id).await? else {
            return Ok(None);
        };
        let claim = Claim::read(&properties).map_err(|source| Trouble::Corrupt {
            key: key.clone(),
            source,
        })?;
        Ok(Some(claim))
    }

    /// Writes the object of a record, whether or not there is one.
    async fn put(&self, record: &Record, claim: &str) -> Result<(), Trouble> {
        let class = self.classes.of(record.key.kind);
        let id = object_id(class, &record.key.id);
        let properties = of_record(record, claim);
        let is_new = record.revision == Revision(1);
        if is_new && self.client.create(class, id, &properties).await? {
            return Ok(());
        }
        if !self.client.replace(class, id, &properties).await? {
            self.client.create(class, id, &properties).await?;
        }
        Ok(())
    }

    /// What follows a written record: its event, and the end of the claim. Can be done twice.
    async fn finish(&self, claim: &Claim) -> Result<(), Trouble> {
        let intent = &claim.intent;
        let class = &self.classes.event;
        let id = object_id(class, &slot(&intent.key(), intent.revision()));
        let properties = of_event(intent.event()).map_err(|source| Trouble::Corrupt {
            key: intent.key(),
            source,
        })?;
        self.client.create(class, id, &properties).await?;
        self.remove(claim).await
    }

    /// The record is written, and that is what is answered: if the rest fails it is done later.
    async fn finish_somehow(&self, claim: &Claim) {
        for attempt in 1..=ATTEMPTS {
            match self.finish(claim).await {
                Ok(()) => return,
                Err(error) if attempt == ATTEMPTS => {
                    tracing::warn!(%error, "an audit event is written later, when the store answers");
                }
                Err(_) => sleep(PAUSE).await,
            }
        }
    }

    async fn remove(&self, claim: &Claim) -> Result<(), Trouble> {
        let class = &self.classes.claim;
        let intent = &claim.intent;
        let id = object_id(class, &slot(&intent.key(), intent.revision()));
        Ok(self.client.delete(class, id).await?)
    }
}
