//! One worker's sense of time: a clock that moves on its tick, and alarms that ring on it.
//!
//! A timer of the runtime per request costs more than all of identify, classify and pick together,
//! and what requests wait for (deadlines of seconds, a look around every quarter of one) needs no
//! such precision. Belongs to one thread: nothing here is locked.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    task::{Context, Poll, Waker},
};

use slab::Slab;
use tokio::time::Instant;

/// A worker's clock. Clones are the same clock.
#[derive(Debug, Clone)]
pub struct Clock(Rc<Dial>);

#[derive(Debug)]
struct Dial {
    now: Cell<Instant>,
    alarms: RefCell<Slab<Set>>,
}

/// An alarm that is set.
#[derive(Debug)]
struct Set {
    due: Instant,
    waker: Waker,
}

/// Wakes whoever polls it once a moment has come; late by a tick at most.
#[derive(Debug)]
pub struct Alarm {
    clock: Clock,
    due: Instant,
    /// Its place among those that are set.
    key: Option<usize>,
}

impl Clock {
    /// A clock that shows the time.
    pub fn new() -> Self {
        Self(Rc::new(Dial {
            now: Cell::new(Instant::now()),
            alarms: RefCell::default(),
        }))
    }

    /// The time, at most a tick old.
    pub fn now(&self) -> Instant {
        self.0.now.get()
    }

    /// Moves the clock, and wakes those whose alarms are due.
    pub fn tick(&self, now: Instant) {
        self.0.now.set(now);
        for (_, set) in self.0.alarms.borrow().iter() {
            if set.due <= now {
                set.waker.wake_by_ref();
            }
        }
    }

    /// An alarm for a moment. It is set when it is first polled.
    pub fn alarm(&self, due: Instant) -> Alarm {
        Alarm {
            clock: self.clone(),
            due,
            key: None,
        }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

impl Alarm {
    /// Ready once its moment has come.
    pub fn poll(&mut self, cx: &Context<'_>) -> Poll<()> {
        if self.clock.now() >= self.due {
            return Poll::Ready(());
        }
        let mut alarms = self.clock.0.alarms.borrow_mut();
        match self.key.and_then(|key| alarms.get_mut(key)) {
            Some(set) => {
                set.due = self.due;
                set.waker.clone_from(cx.waker());
            }
            None => {
                self.key = Some(alarms.insert(Set {
                    due: self.due,
                    waker: cx.waker().clone(),
                }));
            }
        }
        Poll::Pending
    }

    /// Moves it to another moment.
    pub fn reset(&mut self, due: Instant) {
        self.due = due;
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.clock.0.alarms.borrow_mut().try_remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicU32, Ordering},
        },
        task::Wake,
        time::Duration,
    };

    use super::*;

    #[derive(Default)]
    struct Rings(AtomicU32);

    impl Wake for Rings {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn an_alarm_rings_when_its_moment_has_come_and_not_before() {
        let (clock, rings) = (Clock::new(), Arc::new(Rings::default()));
        let waker = Waker::from(rings.clone());
        let cx = Context::from_waker(&waker);
        let begin = clock.now();
        let due = begin + Duration::from_millis(250);
        let mut alarm = clock.alarm(due);
        assert!(alarm.poll(&cx).is_pending());
        clock.tick(begin + Duration::from_millis(200));
        assert_eq!(rings.0.load(Ordering::Relaxed), 0);
        assert!(alarm.poll(&cx).is_pending());
        clock.tick(begin + Duration::from_millis(300));
        assert_eq!(rings.0.load(Ordering::Relaxed), 1);
        assert!(alarm.poll(&cx).is_ready());

        alarm.reset(begin + Duration::from_millis(400));
        assert!(alarm.poll(&cx).is_pending());
        clock.tick(begin + Duration::from_millis(350));
        assert_eq!(
            rings.0.load(Ordering::Relaxed),
            1,
            "the old moment is forgotten"
        );
        clock.tick(begin + Duration::from_millis(400));
        assert_eq!(rings.0.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn an_alarm_that_is_gone_wakes_nobody() {
        let (clock, rings) = (Clock::new(), Arc::new(Rings::default()));
        let waker = Waker::from(rings.clone());
        let mut alarm = clock.alarm(clock.now() + Duration::from_millis(1));
        assert!(alarm.poll(&Context::from_waker(&waker)).is_pending());
        drop(alarm);
        clock.tick(clock.now() + Duration::from_secs(1));
        assert_eq!(rings.0.load(Ordering::Relaxed), 0);
        assert!(clock.0.alarms.borrow().is_empty());
    }
}
