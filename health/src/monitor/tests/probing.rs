//! What probes of real servers find.

use super::*;

/// A healthy endpoint is probed again and again, politely, and nothing is announced.
#[tokio::test]
async fn a_healthy_endpoint_stays_up() {
    let server = Server::start(Conduct::status("204 No Content")).await;
    let (monitor, _task) = start(config());
    let mut transitions = monitor.transitions();
    let authorization = Some(Arc::new(HeaderValue::from_static("Bearer s3cret")));
    let health = monitor.watch(Target {
        authorization,
        ..target(server.address, Some(QUICK))
    });
    eventually("three probes", || monitor.stats().probes.ok >= 3).await;

    assert_eq!(health.availability(), Availability::Up);
    assert!(transitions.try_recv().is_err());
    let request = &server.requests()[0];
    assert!(request.starts_with("GET /health HTTP/1.1\r\n"), "{request}");
    assert!(
        request.contains("authorization: Bearer s3cret\r\n"),
        "{request}"
    );
    assert!(request.contains("user-agent: mirador-health/"), "{request}");
    let snapshot = health.snapshot();
    assert!(
        snapshot
            .last_probe
            .is_some_and(|probe| probe.ok && probe.error.is_none())
    );
    assert!(snapshot.consecutive_probe_successes >= 3);
    assert!(monitor.stats().probe_time > Duration::ZERO);
}

/// Many thousand endpoints must not keep a connection each between two probes.
#[tokio::test]
async fn probes_leave_no_connection_behind() {
    let server = Server::start(Conduct::status("200 OK")).await;
    let (monitor, _task) = start(config());
    let _health = monitor.watch(target(server.address, Some(RARE)));
    eventually("the first probe", || monitor.stats().probes.ok == 1).await;
    eventually("the end of its connection", || server.open() == 0).await;
}

/// An endpoint that answers 503 is down at the threshold, and up again when it answers 200.
#[tokio::test]
async fn a_failing_endpoint_goes_down_and_returns() {
    let server = Server::start(Conduct::status("503 Service Unavailable")).await;
    let (monitor, _task) = start(config());
    let mut transitions = monitor.transitions();
    let health = monitor.watch(target(server.address, Some(QUICK)));
    let down = next(&mut transitions).await;
    assert_eq!(down.reason, Reason::ProbeFailed(ProbeFailure::Status(503)));
    assert_eq!(*down.endpoint, *server.address.to_string());
    assert_eq!(health.availability(), Availability::Down);
    assert_eq!(
        health.snapshot().reason,
        "probe failed: unexpected status 503"
    );

    server.behave(Conduct::status("200 OK"));
    let up = next(&mut transitions).await;
    assert_eq!((up.from, up.to), (Availability::Down, Availability::Up));
    assert_eq!(up.reason, Reason::ProbesSucceeded);
    assert_eq!(health.availability(), Availability::Up);
    assert_eq!(monitor.stats().transitions, 2);
}

/// Nothing listens: down by refused connects. Something listens again: up.
#[tokio::test]
async fn a_refusing_endpoint_goes_down_and_returns() {
    let (socket, address) = refusing();
    let (monitor, _task) = start(config());
    let mut transitions = monitor.transitions();
    let _health = monitor.watch(target(address, Some(QUICK)));
    let Reason::ProbeFailed(ProbeFailure::Connect(cause)) = next(&mut transitions).await.reason
    else {
        panic!("expected a failed connect");
    };
    assert!(cause.contains("refused"), "{cause}");
    let _server = Server::listen(socket.listen(8).unwrap(), Conduct::status("200 OK"));
    assert_eq!(next(&mut transitions).await.to, Availability::Up);
    assert!(monitor.stats().probes.connect >= 3);
}

/// Accepting connections isn't being alive.
#[tokio::test]
async fn a_hung_endpoint_goes_down_by_timeout() {
    let timeout = Duration::from_millis(50);
    let reason = failure_of(Conduct::Hang, ProbeSpec { timeout, ..QUICK }).await;
    assert_eq!(reason, Reason::ProbeFailed(ProbeFailure::Timeout(timeout)));
}

/// Neither is talking without making sense, or hanging up.
#[tokio::test]
async fn a_broken_endpoint_goes_down() {
    for conduct in [
        Conduct::Reset,
        Conduct::Answer("SSH-2.0-OpenSSH_9.2\r\n".into()),
    ] {
        let reason = failure_of(conduct, QUICK).await;
        assert!(
            matches!(&reason, Reason::ProbeFailed(ProbeFailure::Broken(_))),
            "{reason}"
        );
    }
}

/// An HTTPS endpoint is probed by TLS, on its own port, and only a certificate that the client
/// trusts makes it healthy.
#[tokio::test]
async fn https_is_probed_with_verification() {
    let issued = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let root = Certificate::from_der(issued.cert.der()).unwrap();
    let server = Server::start_tls(Conduct::status("200 OK"), &issued).await;
    let https = Target {
        url: format!("https://{}/health", server.address)
            .parse()
            .unwrap(),
        client: builder().tls_certs_only([root]).build().unwrap(),
        ..target(server.address, None)
    };
    assert_eq!(crate::probe::probe(&https, DEADLINE).await, Ok(()));

    let trusting_nobody = Target {
        client: builder().tls_certs_only([]).build().unwrap(),
        ..https
    };
    let Err(ProbeFailure::Tls(cause)) = crate::probe::probe(&trusting_nobody, DEADLINE).await
    else {
        panic!("expected a failed handshake");
    };
    assert!(cause.contains("certificate"), "{cause}");
}

/// A redirect says nothing about who answers behind it, so it isn't followed.
#[tokio::test]
async fn redirects_are_failures() {
    let elsewhere = Server::start(Conduct::status("200 OK")).await;
    let redirect = Conduct::Answer(format!(
        "HTTP/1.1 302 Found\r\nlocation: http://{}/\r\ncontent-length: 0\r\n\r\n",
        elsewhere.address
    ));
    let reason = failure_of(redirect.clone(), QUICK).await;
    assert_eq!(reason, Reason::ProbeFailed(ProbeFailure::Status(302)));
    assert!(elsewhere.requests().is_empty());

    let server = Server::start(redirect).await;
    let following = builder()
        .redirect(redirect::Policy::limited(3))
        .build()
        .unwrap();
    let target = Target {
        client: following,
        ..target(server.address, None)
    };
    let result = crate::probe::probe(&target, DEADLINE).await;
    assert_eq!(
        result,
        Err(ProbeFailure::Redirected),
        "even by a client that follows them"
    );
}

/// The terms of a health check: headers sent with it, the statuses it takes, and what it wants to
/// read in the body, however the answer is cut into pieces.
#[tokio::test]
async fn probes_follow_their_terms() {
    let body = format!("{}all is well", "x".repeat(40_000));
    let answer = |status: &str, body: &str| {
        let length = body.len();
        Conduct::Answer(format!(
            "HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}"
        ))
    };
    let server = Server::start(answer("401 Unauthorized", &body)).await;
    let terms = ProbeTerms {
        headers: vec![(
            HeaderName::from_static("x-probe"),
            HeaderValue::from_static("mirador"),
        )],
        statuses: vec![204..=204, 401..=403],
        body: Some("all is well".into()),
        ..ProbeTerms::default()
    };
    let target = Target {
        terms: Some(Arc::new(terms)),
        ..target(server.address, None)
    };
    let probe = async || crate::probe::probe(&target, DEADLINE).await;
    assert_eq!(probe().await, Ok(()));
    assert!(server.requests()[0].contains("x-probe: mirador\r\n"));

    server.behave(answer("200 OK", &body));
    assert_eq!(probe().await, Err(ProbeFailure::Status(200)));
    server.behave(answer("401 Unauthorized", "all is ill"));
    let Err(missing @ ProbeFailure::Body(_)) = probe().await else {
        panic!("expected the body to be looked at");
    };
    let told = missing.to_string();
    assert_eq!(told, "the first 64 KiB of the body lack \"all is well\"");
    let far = format!("{}all is well", "x".repeat(64 << 10));
    server.behave(answer("401 Unauthorized", &far));
    assert_eq!(probe().await, Err(missing), "it isn't read without end");
}

/// A body that doesn't come is no answer.
#[tokio::test]
async fn a_body_that_hangs_is_a_timeout() {
    let server = Server::start(Conduct::Answer(
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nall".into(),
    ))
    .await;
    let terms = ProbeTerms {
        body: Some("all is well".into()),
        ..ProbeTerms::default()
    };
    let target = Target {
        terms: Some(Arc::new(terms)),
        ..target(server.address, None)
    };
    let timeout = Duration::from_millis(50);
    let result = crate::probe::probe(&target, timeout).await;
    assert_eq!(result, Err(ProbeFailure::Timeout(timeout)));
}

/// An endpoint that starts late is probed closely, and isn't down meanwhile.
#[tokio::test]
async fn a_starting_endpoint_is_waited_for() {
    let server = Server::start(Conduct::status("503 Service Unavailable")).await;
    let (monitor, _task) = start(config());
    let mut transitions = monitor.transitions();
    let terms = ProbeTerms {
        start_grace: Duration::from_hours(1),
        ..ProbeTerms::default()
    };
    let health = monitor.watch(Target {
        terms: Some(Arc::new(terms)),
        ..target(server.address, Some(QUICK))
    });
    eventually("many failed probes", || monitor.stats().probes.status >= 6).await;
    assert_eq!(health.availability(), Availability::Up);
    server.behave(Conduct::status("200 OK"));
    eventually("its start", || monitor.stats().probes.ok > 0).await;
    assert!(transitions.try_recv().is_err());
    server.behave(Conduct::status("503 Service Unavailable"));
    assert_eq!(next(&mut transitions).await.to, Availability::Down);
}

/// Slow is not dead.
#[tokio::test]
async fn a_slow_endpoint_stays_up() {
    let server = Server::start(Conduct::Slow(Duration::from_millis(30))).await;
    let (monitor, _task) = start(config());
    let health = monitor.watch(target(server.address, Some(QUICK)));
    eventually("three probes", || monitor.stats().probes.ok >= 3).await;
    assert_eq!(health.availability(), Availability::Up);
    assert_eq!(monitor.stats().probes.total(), monitor.stats().probes.ok);
    assert!(health.snapshot().last_probe.unwrap().latency_ms >= 30.0);
}

/// Watches a server that behaves like this from the start; tells what took it down.
async fn failure_of(conduct: Conduct, spec: ProbeSpec) -> Reason {
    let server = Server::start(conduct).await;
    let (monitor, _task) = start(config());
    let mut transitions = monitor.transitions();
    let health = monitor.watch(target(server.address, Some(spec)));
    let transition = next(&mut transitions).await;
    assert_eq!(
        (transition.from, transition.to),
        (Availability::Up, Availability::Down)
    );
    // Not before the threshold; on a busy machine the next probe may have been quick.
    assert!(health.snapshot().consecutive_probe_failures >= u32::from(spec.unhealthy_after));
    transition.reason
}
