use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn refused() -> ProbeFailure {
    ProbeFailure::Connect("connection refused".into())
}

fn silent() -> ProbeFailure {
    ProbeFailure::Timeout(SECOND)
}

/// All wait, at ten seconds when certain and one second in doubt.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    clippy::unnecessary_wraps,
    reason = "as turns ask for it"
)]
fn pace(id: &usize) -> Option<Pace> {
    Some(Pace {
        now: 10 * SECOND,
        in_doubt: SECOND,
        id: *id,
    })
}

#[expect(clippy::needless_pass_by_value, reason = "made for it")]
fn learn(turns: &mut Turns<usize>, from: usize, result: Result<(), ProbeFailure>) -> Option<Told> {
    let snapshot = ProbeSnapshot {
        at: jiff::Timestamp::UNIX_EPOCH,
        ok: result.is_ok(),
        error: None,
        latency_ms: 1.0,
        shared: false,
    };
    turns.learn(from, &result, &snapshot)
}

#[expect(clippy::unnecessary_wraps, reason = "as it is learnt")]
fn alive(recovered: bool) -> Option<Told> {
    Some(Told::Alive { recovered })
}

/// One at a time, in the order they came, the urgent first, and none before its pace allows.
#[test]
fn turns_are_taken_one_by_one() {
    let (mut turns, start) = (Turns::default(), Instant::now());
    for id in [1, 2, 3] {
        turns.enqueue(id, false);
    }
    turns.enqueue(4, true);
    assert_eq!(turns.next(start, pace), Turn::Of(4));
    turns.start(start);
    assert_eq!(turns.next(start, pace), Turn::Nobody, "one is at it");
    turns.end();
    let due = start + 10 * SECOND;
    assert_eq!(turns.next(start + SECOND, pace), Turn::Not(due));
    turns.enqueue(5, true);
    assert_eq!(turns.next(due, pace), Turn::Of(5));
    turns.end();
    for id in [1, 2, 3] {
        assert_eq!(turns.next(due, pace), Turn::Of(id));
        turns.end();
    }
    assert_eq!(turns.next(due, pace), Turn::Nobody);
}

/// Who doesn't wait any more is passed over.
#[test]
fn those_who_left_lose_their_turn() {
    let mut turns = Turns::default();
    for id in [1, 2, 3] {
        turns.enqueue(id, false);
    }
    let of_three = |id: &usize| (*id == 3).then(|| pace(id)).flatten();
    assert_eq!(turns.next(Instant::now(), of_three), Turn::Of(3));
    assert!(turns.waiting.is_empty());
}

/// Silence met by one is told to nobody until another meets it, which is asked soon.
#[test]
fn silence_wants_a_second_opinion() {
    let (mut turns, start) = (Turns::default(), Instant::now());
    turns.start(start);
    assert_eq!(learn(&mut turns, 1, Err(silent())), None);
    turns.enqueue(1, true);
    turns.enqueue(2, false);
    let soon = start + SECOND;
    assert_eq!(turns.next(start, pace), Turn::Not(soon));
    assert_eq!(turns.next(soon, pace), Turn::Of(2), "not the same again");
    turns.end();
    let mut private = turns;
    assert_eq!(learn(&mut private, 2, Ok(())), alive(false));

    let mut turns = Turns::<usize>::default();
    learn(&mut turns, 1, Err(silent()));
    assert_eq!(learn(&mut turns, 1, Err(silent())), None);
    assert_eq!(
        learn(&mut turns, 2, Err(silent())),
        Some(Told::Dead(silent()))
    );
    assert_eq!(
        learn(&mut turns, 2, Err(silent())),
        Some(Told::Dead(silent()))
    );
    assert_eq!(learn(&mut turns, 2, Ok(())), alive(true));
}

/// With nobody else waiting, the one that doubts is asked again.
#[test]
fn a_doubter_is_asked_again_if_alone() {
    let mut turns = Turns::default();
    learn(&mut turns, 1, Err(silent()));
    turns.enqueue(1, true);
    assert_eq!(turns.next(Instant::now(), pace), Turn::Of(1));
}

/// A refused connection is everybody's; a status, a body or a certificate is one's own.
#[test]
fn what_is_told_to_the_others() {
    let mut turns = Turns::<usize>::default();
    assert_eq!(
        learn(&mut turns, 1, Err(refused())),
        Some(Told::Dead(refused()))
    );
    for own in [
        ProbeFailure::Status(503),
        ProbeFailure::Body("OK".into()),
        ProbeFailure::Tls("expired".into()),
        ProbeFailure::Redirected,
    ] {
        assert_eq!(learn(&mut turns, 1, Err(own)), None);
    }
    assert_eq!(learn(&mut turns, 1, Ok(())), alive(true));
    assert_eq!(learn(&mut turns, 1, Ok(())), alive(false));
}
