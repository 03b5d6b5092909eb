//! Clients that never rest, and notice every request that got no answer.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{net::TcpStream, task::JoinSet};

use super::{
    client::{RawClient, RawReply},
    eventually,
    wire::End,
};

/// Clients at work.
#[derive(Debug)]
pub(crate) struct Load {
    clients: JoinSet<Tally>,
    answered: Arc<AtomicUsize>,
    enough: Arc<AtomicBool>,
}

/// What became of their requests.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Requests answered in full.
    pub(crate) answered: usize,
    /// How long these took.
    pub(crate) took: Vec<Duration>,
    /// Of these, with the remark to use another connection for the next one.
    pub(crate) told_to_leave: usize,
    /// New connections that were reset before anything came back. The kernel does that to one
    /// that it has queued and that nobody will accept any more.
    pub(crate) turned_away: usize,
    /// What else happened to a request.
    pub(crate) lost: Vec<String>,
}

/// How a client uses its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Habit {
    /// One after another, as long as it is let.
    Keep,
    /// One for each request.
    Fresh,
}

impl Load {
    /// Sets clients to work: so many that keep their connections, and so many that take a new one
    /// for each request. They repeat `request`, and stop when connecting is refused.
    pub(crate) fn start(address: SocketAddr, keep: usize, fresh: usize, request: &str) -> Self {
        let answered = Arc::new(AtomicUsize::new(0));
        let enough = Arc::new(AtomicBool::new(false));
        let mut clients = JoinSet::new();
        let habits = [(Habit::Keep, keep), (Habit::Fresh, fresh)];
        for (habit, count) in habits {
            for _ in 0..count {
                let (request, answered) = (request.to_owned(), Arc::clone(&answered));
                let enough = Arc::clone(&enough);
                clients.spawn(work(address, habit, request, answered, enough));
            }
        }
        Self {
            clients,
            answered,
            enough,
        }
    }

    /// Waits until so many more requests have been answered.
    pub(crate) async fn until_answered(&self, count: usize) {
        let answered = || self.answered.load(Ordering::SeqCst);
        let enough = answered() + count;
        eventually("answers", async || (answered() >= enough).then_some(())).await;
    }

    /// Lets each of them take the answer it waits for, and adds up. The router goes on, so none of
    /// them may have been turned away.
    pub(crate) async fn stop(self) -> Tally {
        self.enough.store(true, Ordering::SeqCst);
        let tally = self.end().await;
        assert_eq!(tally.turned_away, 0, "{tally:?}");
        tally
    }

    /// Waits until connecting is refused to all of them, and adds up.
    pub(crate) async fn end(self) -> Tally {
        let tallies = self.clients.join_all().await;
        let mut sum = Tally::default();
        for tally in tallies {
            sum.answered += tally.answered;
            sum.took.extend(tally.took);
            sum.told_to_leave += tally.told_to_leave;
            sum.turned_away += tally.turned_away;
            sum.lost.extend(tally.lost);
        }
        sum
    }
}

async fn work(
    address: SocketAddr,
    habit: Habit,
    request: String,
    answered: Arc<AtomicUsize>,
    enough: Arc<AtomicBool>,
) -> Tally {
    let mut tally = Tally::default();
    while !enough.load(Ordering::SeqCst)
        && let Ok(io) = TcpStream::connect(address).await
    {
        let mut client = RawClient::over(io);
        let mut is_new = true;
        loop {
            let began = Instant::now();
            client.send(&request).await;
            let reply = client.reply().await;
            let goes_on = tally.note(reply, is_new, began.elapsed());
            is_new = false;
            answered.fetch_add(1, Ordering::SeqCst);
            if habit == Habit::Fresh || !goes_on || enough.load(Ordering::SeqCst) {
                break;
            }
        }
    }
    tally
}

impl Tally {
    /// The time that all but one in a hundred of those answered stayed below.
    pub(crate) fn p99(&self) -> Duration {
        let mut took = self.took.clone();
        took.sort_unstable();
        let rank = took.len() - took.len() / 100;
        took[rank - 1]
    }

    /// Takes down what came back; tells whether the connection may be used again.
    fn note(&mut self, reply: Result<RawReply, End>, is_new: bool, took: Duration) -> bool {
        match reply {
            Ok(reply) if reply.status() == 200 && reply.body.end == End::Complete => {
                self.answered += 1;
                self.took.push(took);
                let leave = reply.head.get("connection") == Some("close");
                self.told_to_leave += usize::from(leave);
                !leave
            }
            Err(End::Reset) if is_new => {
                self.turned_away += 1;
                false
            }
            other => {
                self.lost.push(format!("{other:?}"));
                false
            }
        }
    }
}
