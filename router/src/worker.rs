//! One thread with a runtime of its own: its listeners, its connections, its clock that ticks.
//!
//! Workers share nothing that is written per request. What a worker holds is `Rc` and `Cell`; what
//! it shares are snapshots, health and counters behind `Arc`.

use std::{io, rc::Rc, sync::Arc, time::Duration};

use tokio::{
    runtime::{Builder, LocalOptions},
    sync::watch,
    task::spawn_local,
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use crate::{
    control::{Control, Phase},
    listener::{Listener, Reception},
    proxy::context::{ProxyContext, Stance},
};

/// How often a worker looks at its clock, its settings and what has expired.
const TICK: Duration = Duration::from_millis(100);
/// Every how many ticks connections are looked through.
const SWEEP: u32 = 5;

/// Runs a worker on this thread until it has drained.
///
/// # Errors
/// The runtime can't be set up, or a listener can't be registered with it.
pub fn run(control: &Arc<Control>, listeners: Vec<Listener>) -> io::Result<()> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())?;
    let outcome = runtime.block_on(work(control, listeners));
    // Not waiting for names that are being resolved: a dead resolver takes its time.
    runtime.shutdown_background();
    outcome
}

/// Accepts and serves until told to close, then lets what is open end.
async fn work(control: &Arc<Control>, listeners: Vec<Listener>) -> io::Result<()> {
    let context = ProxyContext::new(
        control.tenants().clone(),
        control.telemetry().clone(),
        control.credentials().clone(),
        &control.settings(),
    );
    let context = Rc::new(context.with_public_page(control.public_page().clone()));
    let reception = Rc::new(Reception::new(context, control.phase()));
    spawn_local(tick(control.clone(), reception.clone()));
    let mut accepting = Vec::new();
    for listener in listeners {
        accepting.push(spawn_local(
            listener.open()?.accept_until_closing(reception.clone()),
        ));
    }
    live(control.phase(), &reception).await;
    for listener in accepting {
        let _ = listener.await;
    }
    let limit = control.settings().shutdown.drain;
    let _ = timeout(limit, reception.connections.all_ended()).await;
    Ok(())
}

/// Follows the life of the process until the worker drains. A phase that can't change any more
/// means that whoever controls us is gone, and counts as the end.
async fn live(mut phase: watch::Receiver<Phase>, reception: &Reception) {
    let _ = phase.wait_for(|phase| *phase >= Phase::Serving).await;
    reception.context.take_stance(Stance::Serving);
    let _ = phase.wait_for(|phase| *phase >= Phase::Draining).await;
    reception.context.take_stance(Stance::Draining);
    reception.expire(Instant::now());
}

async fn tick(control: Arc<Control>, reception: Rc<Reception>) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut count = 0_u32;
    loop {
        let now = ticks.tick().await;
        reception.context.tick(now, &control.settings());
        count = count.wrapping_add(1);
        if count.is_multiple_of(SWEEP) {
            reception.context.sweep();
            reception.expire(now);
        }
    }
}
