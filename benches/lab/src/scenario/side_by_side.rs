//! The same load on each peer in turn, several times over: figures are compared only within such
//! an interleaved run, as machines have better and worse minutes.

use crate::{
    error::BenchError,
    lab::Lab,
    peer::{Kind, Measured, Peer, Volume},
    progress,
};

/// What one peer showed, by round.
#[derive(Debug)]
pub(crate) struct Runs {
    pub(crate) peer: Kind,
    pub(crate) rounds: Vec<Measured>,
}

/// Measures each peer once per round; each round begins with another one, so that none always
/// follows the same.
pub(crate) async fn measure(
    lab: &Lab,
    what: &str,
    peers: &mut [Peer],
    volume: Volume,
    rounds: u32,
) -> Result<Vec<Runs>, BenchError> {
    let mut runs: Vec<Runs> = peers
        .iter()
        .map(|peer| Runs {
            peer: peer.kind,
            rounds: Vec::new(),
        })
        .collect();
    for round in 1..=rounds {
        progress(&format!("{what}: round {round} of {rounds}"));
        for (peer, runs) in peers.iter_mut().zip(&mut runs) {
            runs.rounds.push(peer.measure(lab, volume).await?);
        }
        peers.rotate_left(1);
        runs.rotate_left(1);
    }
    runs.sort_by_key(|runs| runs.peer);
    Ok(runs)
}
