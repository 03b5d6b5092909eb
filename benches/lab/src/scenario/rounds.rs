//! The same thing done with each peer in turn, several times over.

use serde::{Deserialize, Serialize};

use crate::{
    error::BenchError,
    lab::Lab,
    peer::{Kind, Peer, Setup},
    progress,
    stats::Spread,
};

/// What one peer showed, by round.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Rounds<T> {
    pub(crate) peer: Kind,
    pub(crate) rounds: Vec<T>,
}

impl<T> Rounds<T> {
    /// The median and the range of something that was seen in each round.
    pub(crate) fn spread(&self, of: impl Fn(&T) -> Option<f64>) -> Option<Spread> {
        Spread::of(self.rounds.iter().filter_map(of))
    }

    /// How many times as much it was as with another peer, round by round.
    pub(crate) fn multiple_of(
        &self,
        other: &Self,
        of: impl Fn(&T) -> Option<f64>,
    ) -> Option<Spread> {
        let pairs = self.rounds.iter().zip(&other.rounds);
        Spread::of(pairs.filter_map(|(own, other)| Some(of(own)? / of(other)?)))
    }

    /// How much more it was than with another peer, round by round.
    pub(crate) fn above(&self, other: &Self, of: impl Fn(&T) -> Option<f64>) -> Option<Spread> {
        let pairs = self.rounds.iter().zip(&other.rounds);
        Spread::of(pairs.filter_map(|(own, other)| Some(of(own)? - of(other)?)))
    }
}

/// Does something with each peer once per round; each round begins with another one, so that none
/// always follows the same.
pub(crate) async fn interleaved<T>(
    what: &str,
    peers: &mut [Peer],
    rounds: u32,
    mut once: impl AsyncFnMut(&mut Peer) -> Result<T, BenchError>,
) -> Result<Vec<Rounds<T>>, BenchError> {
    let mut all: Vec<Rounds<T>> = peers.iter().map(|peer| Rounds::of(peer.kind)).collect();
    for round in 1..=rounds {
        progress(&format!("{what}: round {round} of {rounds}"));
        for (peer, own) in peers.iter_mut().zip(&mut all) {
            own.rounds.push(once(peer).await?);
        }
        peers.rotate_left(1);
        all.rotate_left(1);
    }
    all.sort_by_key(|own| own.peer);
    Ok(all)
}

/// Starts each peer anew for each of its turns, for what is seen only once or leaves traces.
pub(crate) async fn restarted<T>(
    what: &str,
    kinds: &[Kind],
    rounds: u32,
    mut once: impl AsyncFnMut(Kind) -> Result<T, BenchError>,
) -> Result<Vec<Rounds<T>>, BenchError> {
    let mut kinds = kinds.to_vec();
    let mut all: Vec<Rounds<T>> = kinds.iter().map(|kind| Rounds::of(*kind)).collect();
    for round in 1..=rounds {
        progress(&format!("{what}: round {round} of {rounds}"));
        for (kind, own) in kinds.iter().zip(&mut all) {
            own.rounds.push(once(*kind).await?);
        }
        kinds.rotate_left(1);
        all.rotate_left(1);
    }
    all.sort_by_key(|own| own.peer);
    Ok(all)
}

impl<T> Rounds<T> {
    fn of(peer: Kind) -> Self {
        Self {
            peer,
            rounds: Vec::new(),
        }
    }
}

/// Starts peers with one tenant each; `set_up` makes of the usual what the scenario needs.
pub(crate) async fn start(
    lab: &Lab,
    kinds: &[Kind],
    set_up: impl Fn(&mut Setup),
) -> Result<Vec<Peer>, BenchError> {
    let mut peers = Vec::new();
    for kind in kinds {
        let mut setup = Setup::dedicated(lab, *kind, 1);
        set_up(&mut setup);
        peers.push(Peer::start(lab, *kind, &setup).await?);
    }
    Ok(peers)
}

/// Ends them.
pub(crate) async fn stop(peers: Vec<Peer>) -> Result<(), BenchError> {
    for peer in peers {
        peer.stop().await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_takes_its_turn_in_every_round() {
        let kinds = [Kind::Mirador, Kind::Haproxy, Kind::Nginx];
        let mut turns = Vec::new();
        let seen = restarted("turns", &kinds, 2, async |kind| {
            turns.push(kind);
            Ok(turns.len())
        });
        let seen = seen.await.expect("nothing fails");
        let peers: Vec<Kind> = seen.iter().map(|rounds| rounds.peer).collect();
        assert_eq!(peers, kinds);
        assert_eq!(seen[0].rounds, [1, 6], "first, then last");
        assert_eq!(seen[2].rounds, [3, 5]);
    }

    #[test]
    fn multiples_are_formed_within_a_round() {
        let rounds = |peer, rounds: &[f64]| Rounds {
            peer,
            rounds: rounds.to_vec(),
        };
        let (one, other) = (
            rounds(Kind::Nginx, &[2.0, 9.0]),
            rounds(Kind::Mirador, &[1.0, 3.0]),
        );
        let multiple = one.multiple_of(&other, |seen| Some(*seen)).expect("some");
        assert_eq!((multiple.min, multiple.max), (2.0, 3.0));
    }
}
