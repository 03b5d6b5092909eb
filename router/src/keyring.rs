//! The keys that tokens are verified by: fetched in the background, read by every worker.
//!
//! A [`Keyring`] follows one place where keys are published, and holds the last good set of them
//! however long that place fails. A worker that meets a key it does not know may ask for another
//! look, which is had at most once in each cooldown, whoever asks and however often.

mod fetch;
mod key_set;

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
    time::{Duration, Instant, timeout},
};

pub use self::key_set::{KeyFault, KeySet, KeySetFault, Signed};
use crate::config::{KeySource, TokenIssuer};

/// How long a request waits for keys to be read.
const PATIENCE: Duration = Duration::from_secs(3);

/// All keyrings that the configuration in force names.
#[derive(Debug, Default)]
pub struct Keyrings(Mutex<Vec<Followed>>);

/// A keyring and the task that keeps it current.
#[derive(Debug)]
struct Followed {
    keyring: Arc<Keyring>,
    task: JoinHandle<()>,
}

/// The keys of one source.
#[derive(Debug)]
pub struct Keyring {
    source: KeySource,
    keys: ArcSwapOption<KeySet>,
    /// Somebody wants another look.
    wanted: Notify,
    readings: watch::Sender<Readings>,
}

/// What became of reading a source.
#[derive(Debug, Clone, Copy, Default)]
struct Readings {
    /// How often it was done.
    done: u64,
    /// Since when it is being done, if it is, or else when it ended last.
    since: Option<Instant>,
    running: bool,
}

impl Keyrings {
    /// Follows the sources of these issuers and no others. What is known of those that stay is
    /// kept, while each is read again soon. Has to be called on the control plane's runtime.
    pub fn follow(&self, issuers: &[TokenIssuer]) {
        let mut followed = self.0.lock();
        let is_wanted = |one: &Followed| issuers.iter().any(|i| i.keys == one.keyring.source);
        followed.retain(is_wanted);
        for issuer in issuers {
            match followed
                .iter()
                .find(|one| one.keyring.source == issuer.keys)
            {
                Some(one) => one.keyring.wanted.notify_one(),
                None => followed.push(Followed::start(issuer.keys.clone())),
            }
        }
    }

    /// The keyring of a source; an empty one if nobody follows it.
    pub fn of(&self, source: &KeySource) -> Arc<Keyring> {
        let followed = self.0.lock();
        let known = followed.iter().find(|one| one.keyring.source == *source);
        known.map_or_else(
            || Arc::new(Keyring::new(source.clone())),
            |one| one.keyring.clone(),
        )
    }
}

impl Followed {
    fn start(source: KeySource) -> Self {
        let keyring = Arc::new(Keyring::new(source));
        let task = tokio::spawn(fetch::keep_current(keyring.clone()));
        Self { keyring, task }
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Keyring {
    /// An empty one.
    pub fn new(source: KeySource) -> Self {
        Self {
            source,
            keys: ArcSwapOption::empty(),
            wanted: Notify::new(),
            readings: watch::Sender::default(),
        }
    }

    /// The keys that were read last; `None` if none ever were.
    pub fn keys(&self) -> Option<Arc<KeySet>> {
        self.keys.load_full()
    }

    /// Whether the set of this number is still the one.
    pub fn is_current(&self, number: u64) -> bool {
        let keys = self.keys.load();
        keys.as_ref().is_some_and(|keys| keys.number() == number)
    }

    /// Takes in a set of keys. One that says the same is not news to those who verified by it.
    pub fn take(&self, keys: KeySet) {
        let current = self.keys.load_full();
        if current.is_none_or(|current| *current != keys) {
            self.keys.store(Some(Arc::new(keys)));
        }
    }

    /// Has the source read again and waits for that, a few seconds at most. False if it was read
    /// too lately to be read again, or takes too long.
    pub async fn refresh(&self) -> bool {
        let mut readings = self.readings.subscribe();
        let before = *readings.borrow_and_update();
        if !before.running {
            if before
                .since
                .is_some_and(|end| end.elapsed() < self.source.cooldown)
            {
                return false;
            }
            self.wanted.notify_one();
        }
        let done = readings.wait_for(|now| now.done > before.done);
        matches!(timeout(PATIENCE, done).await, Ok(Ok(_)))
    }

    fn begin(&self) {
        self.readings.send_modify(|readings| {
            readings.running = true;
            readings.since = Some(Instant::now());
        });
    }

    fn end(&self) {
        self.readings.send_modify(|readings| {
            readings.running = false;
            readings.since = Some(Instant::now());
            readings.done += 1;
        });
    }
}

#[cfg(test)]
mod tests;
