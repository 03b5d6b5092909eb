//! Failed attempts to authenticate, counted by address: guessing has to be slow.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// Addresses remembered at one time; those beyond share one count.
const ADDRESSES: usize = 10_000;

/// Failures of one address are forgiven one by one, all of them in this time.
const WINDOW: Duration = Duration::from_mins(1);

/// How often those that are forgiven make room, at most: with many addresses it is work, and others
/// wait meanwhile.
const SWEEP: Duration = Duration::from_secs(1);

/// Who failed how often, of late.
#[derive(Debug, Default)]
pub struct Attempts(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    by_address: HashMap<IpAddr, Failures>,
    swept: Option<Instant>,
}

/// Failures that are not forgiven yet, as of some moment.
#[derive(Debug, Clone, Copy)]
struct Failures {
    count: f64,
    at: Instant,
}

impl Attempts {
    /// How long `address` has to wait before it may try again; `None` if it may.
    pub fn wait(&self, address: IpAddr, most: u32, now: Instant) -> Option<Duration> {
        let known = self.0.lock();
        let failures = known.by_address.get(&known.key(address))?;
        let excess = failures.left(most, now) - f64::from(most) + 1.0;
        (excess > 0.0).then(|| WINDOW.mul_f64(excess / f64::from(most)))
    }

    /// Counts a failure of `address`, of which it has `most` in a minute.
    pub fn failed(&self, address: IpAddr, most: u32, now: Instant) {
        let mut known = self.0.lock();
        known.make_room(most, now);
        let key = known.key(address);
        let failures = known.by_address.entry(key).or_insert(Failures {
            count: 0.0,
            at: now,
        });
        *failures = Failures {
            count: (failures.left(most, now) + 1.0).min(f64::from(most)),
            at: now,
        };
    }
}

impl Failures {
    fn left(self, most: u32, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(self.at).as_secs_f64() / WINDOW.as_secs_f64();
        (self.count - passed * f64::from(most)).max(0.0)
    }
}

impl Known {
    /// Drops those that are forgiven, if there is no room and that was not just tried.
    fn make_room(&mut self, most: u32, now: Instant) {
        let is_due = |swept| now.saturating_duration_since(swept) >= SWEEP;
        if self.by_address.len() >= ADDRESSES && self.swept.is_none_or(is_due) {
            self.by_address
                .retain(|_, failures| failures.left(most, now) > 0.0);
            self.swept = Some(now);
        }
    }

    /// What stands for an address: for IPv6 its network, of which anybody has many addresses; for
    /// those there is no room for, the unspecified address.
    fn key(&self, address: IpAddr) -> IpAddr {
        let key = match address.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
        };
        if self.by_address.len() < ADDRESSES || self.by_address.contains_key(&key) {
            key
        } else {
            IpAddr::V6(Ipv6Addr::UNSPECIFIED)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(number: u32) -> IpAddr {
        std::net::Ipv4Addr::from_bits(0x0a00_0000 + number).into()
    }

    #[test]
    fn the_limit_holds_and_is_forgiven_in_a_minute() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        for _ in 0..60 {
            assert_eq!(attempts.wait(v4(1), 60, now), None);
            attempts.failed(v4(1), 60, now);
        }
        let wait = attempts.wait(v4(1), 60, now).expect("refused");
        assert_eq!(wait, Duration::from_secs(1));
        assert_eq!(attempts.wait(v4(2), 60, now), None, "another address");
        let later = now + wait + Duration::from_millis(1);
        assert_eq!(attempts.wait(v4(1), 60, later), None);
        attempts.failed(v4(1), 60, later);
        assert!(attempts.wait(v4(1), 60, later).is_some());
        assert_eq!(attempts.wait(v4(1), 60, later + WINDOW), None);
    }

    #[test]
    fn addresses_of_one_network_count_as_one() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let address = |text: &str| text.parse().expect("an address");
        attempts.failed(address("2001:db8::1"), 1, now);
        assert!(attempts.wait(address("2001:db8::2"), 1, now).is_some());
        assert!(attempts.wait(address("2001:db8:1::1"), 1, now).is_none());
        attempts.failed(address("::ffff:10.0.0.1"), 1, now);
        assert!(attempts.wait(v4(1), 1, now).is_some());
    }

    /// However many addresses fail, memory is bounded, and those beyond are limited together.
    #[test]
    fn memory_is_bounded() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        for number in 0..20_000 {
            attempts.failed(v4(number), 5, now);
        }
        assert!(attempts.0.lock().by_address.len() <= ADDRESSES + 1);
        assert!(attempts.wait(v4(30_000), 5, now).is_some());
        assert!(attempts.wait(v4(30_000), 5, now + WINDOW).is_none());
        attempts.failed(v4(1), 5, now + WINDOW);
        assert_eq!(attempts.0.lock().by_address.len(), 1);
    }
}
