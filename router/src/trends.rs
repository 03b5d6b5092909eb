//! The last half hour of each tenant's traffic, for charts on pages: what a router can tell without
//! a Prometheus. Bounded in time and in number, read from what is counted anyway.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use parking_lot::Mutex;
use tenant_store::model::{Signal, TenantId};
use tokio::time::{self, MissedTickBehavior};

use crate::telemetry::{Stretch, Telemetry, Traffic};

/// Time between two points.
pub const EVERY: Duration = Duration::from_secs(10);

/// Points kept: half an hour.
const POINTS: usize = 180;

/// Tenants' signals that are kept at one time, at 3 KiB each. A busy one takes the place of one that
/// has been idle for all the time that is kept; while all are busy, there is none for more.
const MOST: usize = 1_000;

/// Traffic by tenant and signal.
#[derive(Debug, Default)]
pub struct Trends(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// When each point ends, in seconds since 1970.
    at: VecDeque<i64>,
    series: HashMap<(TenantId, Signal), Series>,
    /// Whether there was ever no room: then a series that begins is not that of a tenant that does.
    was_full: bool,
}

/// The points of one, the last of them at the last time.
#[derive(Debug)]
struct Series {
    before: Traffic,
    points: VecDeque<Stretch>,
}

/// The traffic of one tenant's one signal.
#[derive(Debug, Clone, PartialEq)]
pub struct Trend {
    /// When each point ends, in seconds since 1970.
    pub at: Vec<i64>,
    /// What came in the [`EVERY`] before; as many as there are times.
    pub points: Vec<Stretch>,
}

impl Trends {
    /// Takes a point every [`EVERY`], for as long as it is let.
    pub async fn follow(self: Arc<Self>, telemetry: Arc<Telemetry>) {
        let mut ticks = time::interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.take(telemetry.fresh_traffic(), Timestamp::now().as_second());
        }
    }

    /// The trend of one, if it has had requests of late.
    pub fn of(&self, tenant: &TenantId, signal: Signal) -> Option<Trend> {
        let kept = self.0.lock();
        let series = kept.series.get(&(tenant.clone(), signal))?;
        if series.is_idle() {
            return None;
        }
        let missing = kept.at.len() - series.points.len();
        Some(Trend {
            at: kept.at.iter().skip(missing).copied().collect(),
            points: series.points.iter().copied().collect(),
        })
    }

    /// Takes a point of all there are; those that `busy` leaves out were answered nothing.
    fn take(&self, busy: impl Iterator<Item = (TenantId, Signal, Traffic)>, now: i64) {
        let mut kept = self.0.lock();
        let kept = &mut *kept;
        push(&mut kept.at, now);
        kept.make_room();
        for series in kept.series.values_mut() {
            push(&mut series.points, Stretch::IDLE);
        }
        for (tenant, signal, traffic) in busy {
            let key = (tenant, signal);
            match kept.series.get_mut(&key) {
                Some(series) => series.take(traffic),
                None => kept.begin(key, traffic),
            }
        }
    }
}

impl Kept {
    fn make_room(&mut self) {
        if self.series.len() < MOST {
            return;
        }
        self.was_full = true;
        self.series.retain(|_, series| !series.is_idle());
    }

    /// Begins a series, if there is room.
    fn begin(&mut self, key: (TenantId, Signal), traffic: Traffic) {
        if self.series.len() >= MOST {
            return;
        }
        let before = if self.was_full {
            traffic.clone()
        } else {
            Traffic::default()
        };
        let mut series = Series {
            before,
            points: [Stretch::IDLE].into(),
        };
        series.take(traffic);
        self.series.insert(key, series);
    }
}

impl Series {
    /// Puts what came in the place of the last point.
    fn take(&mut self, traffic: Traffic) {
        if let Some(last) = self.points.back_mut() {
            *last = traffic.since(&self.before);
        }
        self.before = traffic;
    }

    fn is_idle(&self) -> bool {
        self.points.iter().all(|point| point.answered == 0)
    }
}

fn push<T>(points: &mut VecDeque<T>, point: T) {
    if points.len() == POINTS {
        points.pop_front();
    }
    points.push_back(point);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{Finished, Overflow, Service};

    fn tenant(n: usize) -> TenantId {
        format!("t{n}").parse().expect("an id")
    }

    fn answer(telemetry: &Telemetry, tenant: &TenantId, code: u16) {
        let endpoint: [Arc<str>; 1] = ["vm:1".into()];
        let counts = telemetry.deployed(tenant, Signal::Logs);
        let local = counts.open(endpoint.iter(), &Overflow::new());
        local.begin();
        local.finish(&Finished {
            code,
            took: Duration::from_millis(2),
            first_byte: Some(Duration::from_millis(2)),
            moved_on: false,
            service: Service::Silent,
            request_bytes: 0,
            response_bytes: 0,
        });
    }

    #[test]
    fn points_are_what_came_between_and_go_after_a_while() {
        let (trends, telemetry) = (Trends::default(), Telemetry::new(10).expect("metrics"));
        let mut now = 0;
        let mut take = || {
            now += 10;
            trends.take(telemetry.fresh_traffic(), now);
        };
        let acme = tenant(1);
        let counts = || {
            let trend = trends.of(&acme, Signal::Logs)?;
            assert_eq!(trend.at.len(), trend.points.len());
            let points = trend.points.iter();
            Some((
                trend.at[0],
                points.map(|p| (p.answered, p.failed)).collect::<Vec<_>>(),
            ))
        };
        take();
        assert_eq!(counts(), None, "no request yet");
        answer(&telemetry, &acme, 200);
        answer(&telemetry, &acme, 503);
        take();
        assert_eq!(counts(), Some((20, vec![(2, 1)])));
        take();
        answer(&telemetry, &acme, 200);
        take();
        assert_eq!(counts(), Some((20, vec![(2, 1), (0, 0), (1, 0)])));
        assert_eq!(trends.of(&acme, Signal::Metrics), None);
        for _ in 0..POINTS {
            take();
        }
        assert_eq!(counts(), None, "idle for all that is kept");
    }

    #[test]
    fn the_number_kept_is_bounded_and_the_idle_make_room() {
        let (trends, telemetry) = (Trends::default(), Telemetry::new(2_000).expect("metrics"));
        for n in 0..MOST {
            answer(&telemetry, &tenant(n), 200);
        }
        trends.take(telemetry.fresh_traffic(), 10);
        let late = tenant(MOST);
        answer(&telemetry, &late, 200);
        trends.take(telemetry.fresh_traffic(), 20);
        assert_eq!(trends.of(&late, Signal::Logs), None, "no room");
        for step in 0..=POINTS {
            answer(&telemetry, &tenant(0), 200);
            answer(&telemetry, &late, 200);
            trends.take(
                telemetry.fresh_traffic(),
                30 + i64::try_from(step).expect("few"),
            );
        }
        let kept = trends.of(&late, Signal::Logs).expect("room by now");
        assert!(kept.points.len() < POINTS && kept.points[0].answered == 0);
        assert!(trends.of(&tenant(0), Signal::Logs).is_some());
        assert!(trends.0.lock().series.len() <= MOST);
    }
}
