//! The failures of `docs/failover.md` once more, with all that picks and repeats switched on:
//! `nearest`, hedging, ejection by row and by share, slow start. What clients get is the same or
//! better, and nothing is sent twice that must not be.

use serde_json::{Value, json};

use super::{READ, WRITE, asked, broken::Swallowing, health, reason, serving, unprobed};
use crate::support::{
    client::RawReply,
    tenant::Tenant,
    upstream::{Step, Upstream, ok, reply, send},
    wire::End,
};

/// For requests that nobody answers.
const TIMEOUT: &str = "1s";

fn everything_on() -> Value {
    json!({
        "zone": "a",
        "upstream": {
            "connect_timeout": "300ms",
            "hedge": {"enabled": true, "initial_delay": "40ms", "budget_burst": 1000},
        },
        "health": {
            "ejection": {"base": "10m", "max": "10m"},
            "slow_start": "10s",
        },
    })
}

/// Acme with one endpoint in the router's zone, which fails, and one elsewhere.
fn tenant(near: &str, far: &str) -> Tenant {
    unprobed(&[])
        .set(
            "/deployments/metrics/endpoints",
            json!([{"url": far, "zone": "b"}, {"url": near, "zone": "a"}]),
        )
        .set("/deployments/metrics/policy", "nearest")
        .set("/deployments/metrics/timeout", TIMEOUT)
}

/// What clients get of it.
#[derive(Debug, Clone, Copy)]
enum Seen {
    /// The answer of the far endpoint.
    Other,
    /// That of the near one, whatever its status.
    Own(u16),
    /// The router's own, with this reason.
    Error(u16, &'static str),
    /// One that breaks off.
    Broken,
}

fn check(name: &str, line: &str, reply: &RawReply, expected: Seen) {
    let seen = match expected {
        Seen::Other => reply.status() == 200 && reply.body.text() == "other",
        Seen::Own(status) => reply.status() == status && reply.body.text() == "own",
        Seen::Error(status, expected) => reply.status() == status && reason(reply) == expected,
        Seen::Broken => reply.status() == 200 && reply.body.end != End::Complete,
    };
    assert!(seen, "{name}, {line}: expected {expected:?}, not {reply:?}");
}

struct Case {
    name: &'static str,
    steps: Vec<Step>,
    write: Seen,
    read: Seen,
    /// Whether five of it in a row eject.
    ejects: bool,
}

/// One after the other failures of reads that another endpoint answers, and of writes that none does.
fn failing() -> Vec<Case> {
    let broken = (502, "upstream_broken");
    let late = (504, "upstream_timeout");
    let garbage = (502, "upstream_protocol");
    let half = || send("HTTP/1.1 200 O");
    let cases = [
        ("reset", vec![Step::Reset], broken),
        (
            "reset after the body",
            vec![Step::ReadBody, Step::Reset],
            broken,
        ),
        (
            "closed after the body",
            vec![Step::ReadBody, Step::Fin],
            broken,
        ),
        (
            "half a head",
            vec![Step::ReadBody, half(), Step::Fin],
            broken,
        ),
        (
            "half a head, then nothing",
            vec![Step::ReadBody, half(), Step::Hang],
            late,
        ),
        (
            "garbage",
            vec![Step::ReadBody, send("220 mail ESMTP\r\n\r\n"), Step::Fin],
            garbage,
        ),
        ("hangs", vec![Step::ReadBody, Step::Hang], late),
        ("does not even read", vec![Step::Hang], late),
    ];
    cases
        .map(|(name, steps, (status, reason))| Case {
            name,
            steps,
            write: Seen::Error(status, reason),
            read: Seen::Other,
            ejects: true,
        })
        .into()
}

/// Answers that have begun are the client's, whatever they are.
fn answering() -> Vec<Case> {
    let half = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf";
    let truncated = vec![Step::ReadBody, send(half), Step::Fin];
    let answer = |name, steps, seen, ejects| Case {
        name,
        steps,
        write: seen,
        read: seen,
        ejects,
    };
    let mut cases = vec![answer(
        "breaks off its answer",
        truncated,
        Seen::Broken,
        true,
    )];
    for (status, ejects) in [
        (502, true),
        (504, true),
        (429, false),
        (500, false),
        (503, false),
    ] {
        let steps = reply(status, "", "own");
        cases.push(answer("a status", steps, Seen::Own(status), ejects));
    }
    cases
}

#[tokio::test]
async fn each_failure_costs_what_it_did_or_less() {
    for Case {
        name,
        steps,
        write,
        read,
        ejects,
    } in failing().into_iter().chain(answering())
    {
        let failing = Upstream::start(move |_| steps.clone());
        let other = Upstream::saying("other");
        let mirador = serving(&tenant(&failing.url(), &other.url()), everything_on()).await;
        check(name, WRITE, &asked(&mirador, WRITE).await, write);
        assert_eq!(
            (failing.asked().len(), other.asked().len()),
            (1, 0),
            "{name}: a write is sent once"
        );
        for nth in 1..8 {
            // The write was the first of five failures.
            let expected = if ejects && nth >= 5 {
                Seen::Other
            } else {
                read
            };
            check(name, READ, &asked(&mirador, READ).await, expected);
        }
        let state = health(&mirador, 1).await["state"].take();
        assert_eq!(state, if ejects { "ejected" } else { "up" }, "{name}");
        let sent = failing.asked().len();
        assert_eq!(sent, if ejects { 5 } else { 8 }, "{name}");
        let expected = if ejects { Seen::Other } else { write };
        check(name, WRITE, &asked(&mirador, WRITE).await, expected);
    }
}

#[tokio::test]
async fn who_cannot_be_connected_to_costs_neither_reads_nor_writes_anything() {
    let (mut refusing, other) = (Upstream::saying("own"), Upstream::saying("other"));
    refusing.stop().await;
    let swallowing = Swallowing::start().await;
    for near in [refusing.url(), swallowing.port.url()] {
        for first in [READ, WRITE] {
            let mirador = serving(&tenant(&near, &other.url()), everything_on()).await;
            for line in [first, READ, WRITE, READ] {
                check(&near, line, &asked(&mirador, line).await, Seen::Other);
            }
        }
    }
    assert_eq!(refusing.asked().len(), 0);
}

#[tokio::test]
async fn the_last_endpoint_is_asked_whatever_is_held_against_it() {
    let failing = Upstream::start(|asked| match asked.nth {
        0..10 => vec![Step::ReadBody, Step::Reset],
        _ => ok("own"),
    });
    let mut other = Upstream::saying("other");
    other.stop().await;
    let mirador = serving(&tenant(&failing.url(), &other.url()), everything_on()).await;
    for _ in 0..10 {
        let expected = Seen::Error(502, "upstream_broken");
        check("both", WRITE, &asked(&mirador, WRITE).await, expected);
    }
    for line in [READ, WRITE] {
        check("both", line, &asked(&mirador, line).await, Seen::Own(200));
    }
    let metrics = mirador.metrics().await;
    assert!(metrics.sum("mirador_panic_picks_total", &[]) > 6.5);
}
