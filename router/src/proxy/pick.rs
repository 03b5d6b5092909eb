//! Which endpoint is tried next: healthy before doubtful, by the deployment's policy.
//!
//! Pure but for one counter of the deployment, which gives `round_robin` its turn.

use health::Availability;
use tenant_store::model::BalancingPolicy;

/// What picking looks at in one endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Whether it gets requests.
    pub availability: Availability,
    /// Lower is preferred.
    pub priority: u16,
    /// Share among equals, at least 1.
    pub weight: u16,
    /// Requests in flight there; looked at under `least_loaded` only.
    pub in_flight: usize,
}

/// The endpoints of one deployment that a request has tried already: at most 64, by position.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tried(u64);

impl Tried {
    /// Marks the endpoint at `position` as tried.
    pub fn mark(&mut self, position: usize) {
        self.0 |= 1 << position;
    }

    /// Whether the endpoint at `position` was tried.
    pub fn contains(self, position: usize) -> bool {
        self.0 & (1 << position) != 0
    }

    /// How many were tried.
    pub fn count(self) -> u32 {
        self.0.count_ones()
    }
}

/// Picks the position of the endpoint to try next; `None` if no further one is worth trying.
///
/// Endpoints that are up come first. One that is half-open comes before them if `trial` is set:
/// somebody has to try it. Ejected ones, which did answer, though badly, are the last resort but
/// for half-open ones. One that is down is never picked: nothing can be sent there.
pub fn pick(
    candidates: &[Candidate],
    tried: Tried,
    policy: BalancingPolicy,
    turn: impl FnOnce() -> u32,
    trial: bool,
) -> Option<usize> {
    let eligible = |availability: Availability| {
        move |(position, candidate): &(usize, &Candidate)| {
            !tried.contains(*position) && candidate.availability == availability
        }
    };
    if trial
        && let Some((position, _)) = candidates
            .iter()
            .enumerate()
            .find(eligible(Availability::HalfOpen))
    {
        return Some(position);
    }
    let availability = [
        Availability::Up,
        Availability::Ejected,
        Availability::HalfOpen,
    ]
    .into_iter()
    .find(|state| candidates.iter().enumerate().any(|c| eligible(*state)(&c)))?;
    let best = candidates
        .iter()
        .enumerate()
        .filter(eligible(availability))
        .map(|(_, candidate)| candidate.priority)
        .min()?;
    let equals = || {
        candidates
            .iter()
            .enumerate()
            .filter(eligible(availability))
            .filter(move |(_, candidate)| candidate.priority == best)
    };
    match policy {
        BalancingPolicy::FirstAvailable => equals().next(),
        BalancingPolicy::RoundRobin => by_weight(equals, turn()),
        BalancingPolicy::LeastLoaded => less_loaded_of_two(equals, turn()),
    }
    .map(|(position, _)| position)
}

/// The endpoint whose share of the wheel `turn` falls into.
fn by_weight<'c, I>(equals: impl Fn() -> I, turn: u32) -> Option<(usize, &'c Candidate)>
where
    I: Iterator<Item = (usize, &'c Candidate)>,
{
    let wheel: u32 = equals()
        .map(|(_, candidate)| u32::from(candidate.weight))
        .sum();
    let mut place = turn.checked_rem(wheel)?;
    equals().find(
        |(_, candidate)| match place.checked_sub(u32::from(candidate.weight)) {
            Some(rest) => {
                place = rest;
                false
            }
            None => true,
        },
    )
}

/// The less loaded of two endpoints drawn by `turn` (the power of two choices).
fn less_loaded_of_two<'c, I>(equals: impl Fn() -> I, turn: u32) -> Option<(usize, &'c Candidate)>
where
    I: Iterator<Item = (usize, &'c Candidate)>,
{
    let count = equals().count();
    // Fibonacci hashing spreads successive turns evenly over both draws.
    let draw = turn.wrapping_mul(0x9E37_79B9) as usize;
    let first = draw.checked_rem(count)?;
    let second = match count {
        1 => first,
        _ => (first + 1 + (draw >> 16) % (count - 1)) % count,
    };
    let (one, other) = (equals().nth(first)?, equals().nth(second)?);
    let load = |candidate: &Candidate| {
        candidate.in_flight.saturating_mul(1000) / usize::from(candidate.weight.max(1))
    };
    Some(if load(other.1) < load(one.1) {
        other
    } else {
        one
    })
}

#[cfg(test)]
mod tests;
