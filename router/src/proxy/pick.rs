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
    /// In thousandths, how many of the requests that it is picked for it gets: less than all while
    /// it has come back a short while ago.
    pub share: u16,
    /// Whether it stands in the router's own zone; looked at under `nearest` only.
    pub is_near: bool,
    /// What one more request there costs, compared to others: requests in flight, or the time they
    /// take. Looked at under `least_loaded` and `nearest` only.
    pub cost: u64,
}

/// How a deployment's endpoints are picked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    /// Which of equals.
    pub policy: BalancingPolicy,
    /// Which part of the endpoints may be out of use before those that are ejected are used as if
    /// they weren't, 0.0 to 1.0. One may always be.
    pub max_ejected: f64,
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

    /// Those of both.
    #[must_use]
    pub fn with(self, others: Self) -> Self {
        Self(self.0 | others.0)
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
/// for half-open ones; where too many are out, those that are left would be overrun, and ejected
/// ones share the load as if they were up. One that is down is never picked: nothing can be sent
/// there.
pub fn pick(
    candidates: &[Candidate],
    tried: Tried,
    rules: Rules,
    turn: &impl Fn() -> u32,
    trial: bool,
) -> Option<usize> {
    let untried = |wanted: Standing| {
        move |(position, candidate): &(usize, &Candidate)| {
            !tried.contains(*position) && wanted.includes(candidate.availability)
        }
    };
    if trial
        && let Some((position, _)) = candidates
            .iter()
            .enumerate()
            .find(untried(Standing::HalfOpen))
    {
        return Some(position);
    }
    let best = best(candidates, rules);
    let standing = [best, Standing::Ejected, Standing::HalfOpen]
        .into_iter()
        .find(|standing| {
            candidates
                .iter()
                .enumerate()
                .any(|c| untried(*standing)(&c))
        })?;
    let position = of_equals(candidates, rules.policy, turn, untried(standing))?;
    let share = candidates[position].share;
    if share < FULL_SHARE && standing == best {
        let mut without = tried;
        without.mark(position);
        let others = pick(candidates, without, rules, turn, false);
        let other = others.filter(|other| best.includes(candidates[*other].availability));
        if other.is_some() && is_drawn(turn(), FULL_SHARE - share) {
            return other;
        }
    }
    Some(position)
}

/// Where requests go by turns, `unfit` endpoints aside: the positions that [`pick`] answers for the
/// first attempt of a request that is nobody's trial. What one that has come back a short while ago
/// leaves to others for now is left out.
pub fn serving(candidates: &[Candidate], unfit: Tried, rules: Rules) -> Tried {
    let fit = || {
        let candidates = candidates.iter().enumerate();
        candidates.filter(|(position, _)| !unfit.contains(*position))
    };
    let standings = [
        best(candidates, rules),
        Standing::Ejected,
        Standing::HalfOpen,
    ];
    let is_there = |standing: &Standing| fit().any(|(_, c)| standing.includes(c.availability));
    let mut serving = Tried::default();
    let Some(standing) = standings.into_iter().find(is_there) else {
        return serving;
    };
    let usable = || fit().filter(|(_, candidate)| standing.includes(candidate.availability));
    let first = usable().map(|(_, c)| rank(c, rules.policy)).min();
    let equals = usable().filter(|(_, c)| Some(rank(c, rules.policy)) == first);
    let most = match rules.policy {
        BalancingPolicy::FirstAvailable => 1,
        BalancingPolicy::RoundRobin | BalancingPolicy::LeastLoaded | BalancingPolicy::Nearest => {
            usize::MAX
        }
    };
    equals
        .take(most)
        .for_each(|(position, _)| serving.mark(position));
    serving
}

/// Which of the candidates that are left, by priority and policy.
fn of_equals(
    candidates: &[Candidate],
    policy: BalancingPolicy,
    turn: impl Fn() -> u32,
    is_left: impl Fn(&(usize, &Candidate)) -> bool,
) -> Option<usize> {
    let left = || candidates.iter().enumerate().filter(&is_left);
    let best = left().map(|(_, candidate)| rank(candidate, policy)).min()?;
    let equals = || left().filter(move |(_, candidate)| rank(candidate, policy) == best);
    match policy {
        BalancingPolicy::FirstAvailable => equals().next(),
        BalancingPolicy::RoundRobin => by_weight(equals, turn()),
        BalancingPolicy::LeastLoaded | BalancingPolicy::Nearest => cheaper_of_two(equals, turn()),
    }
    .map(|(position, _)| position)
}

/// What comes before the policy, the lowest first: priority, and the zone where that matters.
fn rank(candidate: &Candidate, policy: BalancingPolicy) -> (u16, bool) {
    let is_far = policy == BalancingPolicy::Nearest && !candidate.is_near;
    (candidate.priority, is_far)
}

/// The share of an endpoint that gets all requests it is picked for.
pub const FULL_SHARE: u16 = 1_000;

/// What an endpoint's availability has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Up,
    UpOrEjected,
    Ejected,
    HalfOpen,
}

impl Standing {
    fn includes(self, availability: Availability) -> bool {
        match self {
            Self::Up => availability == Availability::Up,
            Self::UpOrEjected => {
                matches!(availability, Availability::Up | Availability::Ejected)
            }
            Self::Ejected => availability == Availability::Ejected,
            Self::HalfOpen => availability == Availability::HalfOpen,
        }
    }
}

/// Which endpoints are used first.
fn best(candidates: &[Candidate], rules: Rules) -> Standing {
    if is_panic(candidates, rules) {
        Standing::UpOrEjected
    } else {
        Standing::Up
    }
}

/// Whether so many endpoints are out of use that those left would have to carry too much. Where one
/// gets all requests anyway, it doesn't matter how many there are.
fn is_panic(candidates: &[Candidate], rules: Rules) -> bool {
    if rules.policy == BalancingPolicy::FirstAvailable {
        return false;
    }
    let is_up = |candidate: &&Candidate| candidate.availability == Availability::Up;
    let out = candidates.len() - candidates.iter().filter(is_up).count();
    out > 1 && f64::from(small(out)) > rules.max_ejected * f64::from(small(candidates.len()))
}

/// There are at most 64 endpoints.
fn small(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
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

/// The cheaper of two endpoints drawn by `turn` (the power of two choices).
fn cheaper_of_two<'c, I>(equals: impl Fn() -> I, turn: u32) -> Option<(usize, &'c Candidate)>
where
    I: Iterator<Item = (usize, &'c Candidate)>,
{
    let count = equals().count();
    let draw = draw(turn) as usize;
    let first = draw.checked_rem(count)?;
    let second = match count {
        1 => first,
        _ => (first + 1 + (draw >> 16) % (count - 1)) % count,
    };
    let (one, other) = (equals().nth(first)?, equals().nth(second)?);
    let cost = |candidate: &Candidate| {
        candidate.cost.saturating_mul(1000) / u64::from(candidate.weight.max(1))
    };
    Some(if cost(other.1) < cost(one.1) {
        other
    } else {
        one
    })
}

/// Whether `turn` is among `thousandths` of all turns.
fn is_drawn(turn: u32, thousandths: u16) -> bool {
    (u64::from(draw(turn)) * 1_000) >> 32 < u64::from(thousandths)
}

/// Fibonacci hashing spreads successive turns evenly over all draws.
fn draw(turn: u32) -> u32 {
    turn.wrapping_mul(0x9E37_79B9)
}

#[cfg(test)]
mod tests;
