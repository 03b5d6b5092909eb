//! Clients that ask all the time, and know what the answer has to be.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use parking_lot::Mutex;
use tokio::{task::JoinSet, time::Instant};

use super::ensure;
use crate::demo::{
    DemoError,
    client::Client,
    page::{Count, Took},
    samples::shop::SERVICES,
    world::World,
};

/// How many ask at the same time.
pub(super) const CLIENTS: usize = 8;

/// Running clients of acme. They stop when it is dropped.
#[derive(Debug)]
pub(super) struct Load {
    tally: Arc<Tally>,
    _clients: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Tally {
    right: AtomicU64,
    wrong: AtomicU64,
    failed: AtomicU64,
    slowest_micros: AtomicU64,
    first_fault: Mutex<Option<String>>,
}

/// A query and what it has to answer.
#[derive(Debug)]
struct Question {
    query: String,
    at: i64,
    answer: u64,
}

impl Load {
    pub(super) fn start(world: &World) -> Self {
        let questions: Arc<[_]> = questions(world).into();
        let (tally, mut clients) = (Arc::<Tally>::default(), JoinSet::new());
        for number in 0..CLIENTS {
            let (client, tenant) = (world.client.clone(), world.acme.id);
            let (questions, tally) = (Arc::clone(&questions), Arc::clone(&tally));
            clients.spawn(async move {
                for question in questions.iter().cycle().skip(number) {
                    tally.count(&client, tenant, question).await;
                }
            });
        }
        Self {
            tally,
            _clients: clients,
        }
    }

    /// How many questions were answered rightly so far.
    pub(super) fn right(&self) -> u64 {
        self.tally.right.load(Relaxed)
    }

    /// What came of all questions so far, which is an error if not all were answered rightly.
    pub(super) fn account(&self) -> Result<String, DemoError> {
        let Tally {
            right,
            wrong,
            failed,
            slowest_micros,
            first_fault,
        } = &*self.tally;
        let [right, wrong, failed, slowest] =
            [right, wrong, failed, slowest_micros].map(|counter| counter.load(Relaxed));
        let asked = Count(right + wrong + failed);
        let slowest = Took(std::time::Duration::from_micros(slowest));
        let told = format!("{asked} queries, {failed} failed, {wrong} wrong, slowest {slowest}");
        ensure(wrong + failed == 0, || {
            let fault = first_fault.lock().clone().unwrap_or_default();
            format!("{told}; the first that went wrong: {fault}")
        })?;
        Ok(told)
    }
}

impl Tally {
    async fn count(&self, client: &Client, tenant: &str, question: &Question) {
        let begun = Instant::now();
        let answer = client
            .tenant(tenant)
            .instant(&question.query, question.at)
            .await;
        let took = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.slowest_micros.fetch_max(took, Relaxed);
        match answer {
            Ok(values) if values == [question.answer] => {
                self.right.fetch_add(1, Relaxed);
            }
            Ok(values) => {
                self.wrong.fetch_add(1, Relaxed);
                self.note(|| format!("{question:?} was answered {values:?}"));
            }
            Err(error) => {
                self.failed.fetch_add(1, Relaxed);
                self.note(|| error.to_string());
            }
        }
    }

    fn note(&self, fault: impl FnOnce() -> String) {
        self.first_fault.lock().get_or_insert_with(fault);
    }
}

fn questions(world: &World) -> Vec<Question> {
    let samples = &world.acme.samples;
    let question = |service: &str| Question {
        query: format!(r#"sum(shop_requests_total{{service="{service}"}})"#),
        at: samples.end(),
        answer: samples.sum_at_end("service", service),
    };
    SERVICES.map(question).into()
}
