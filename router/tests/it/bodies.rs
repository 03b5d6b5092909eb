//! Bodies in both directions: when they are asked for, how they are framed, and that nobody touches
//! them.

use serde_json::json;

use crate::support::{
    acme::{acme, of_acme, request},
    client::{RawClient, ask},
    upstream::{Step, Upstream, send},
    wire::End,
};

#[tokio::test]
async fn a_client_that_waits_for_a_go_ahead_gets_it_once_it_is_admitted() {
    let upstream = Upstream::saying("stored");
    let mirador = acme(&upstream, json!({})).await;
    let lines = [
        "POST /api/v1/write",
        "POST /api/v1/query",
        "POST /select/logsql/tail",
    ];
    for line in lines {
        let before = upstream.asked().len();
        let mut client = RawClient::connect(mirador.address()).await;
        let headers = "Expect: 100-continue\r\nContent-Length: 5\r\n";
        client.send(of_acme(line, headers)).await;
        let interim = client.head().await.expect("an interim reply");
        assert_eq!(interim.0, "HTTP/1.1 100 Continue", "{line}");
        client.send("hello").await;
        let answer = client.reply().await.expect("a reply");
        assert_eq!(
            (answer.status(), answer.body.text()),
            (200, "stored".into())
        );
        let asked = upstream.asked()[before].clone();
        assert_eq!(asked.head.get("expect"), None, "{line}");
        assert_eq!(asked.body.expect("a body").text(), "hello", "{line}");
    }
}

#[tokio::test]
async fn a_client_that_is_not_admitted_is_refused_before_it_sends_its_body() {
    let upstream = Upstream::saying("stored");
    let mirador = acme(&upstream, json!({})).await;
    let headers = "X-Tenant-ID: nobody\r\nExpect: 100-continue\r\nContent-Length: 500000000\r\n";
    let mut client = RawClient::connect(mirador.address()).await;
    client
        .send(request("POST /api/v1/write", headers, ""))
        .await;
    let answer = client.reply().await.expect("a reply");
    assert_eq!(answer.status(), 503, "the refusal comes first: {answer:?}");
    let rest = client.rest().await;
    assert_eq!(
        (rest.length, rest.end),
        (0, End::Fin),
        "nobody waits for the body"
    );
    assert!(upstream.asked().is_empty());
}

#[tokio::test]
async fn replies_without_a_body_stay_so_and_keep_their_headers() {
    let upstream = Upstream::start(|asked| {
        let line = match asked.head.start_line() {
            line if line.starts_with("HEAD ") => "200 OK\r\nContent-Length: 12345",
            line if line.contains("/api/v1/write") => "204 No Content",
            _ => "304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 99",
        };
        vec![
            Step::ReadBody,
            send(format!("HTTP/1.1 {line}\r\nX-Kept: 1\r\n\r\n")),
        ]
    });
    let mirador = acme(&upstream, json!({})).await;
    // One connection: a body where none belongs would spoil the next reply.
    let mut client = RawClient::connect(mirador.address()).await;
    for (line, status, length) in [
        ("HEAD /api/v1/labels", 200, Some("12345")),
        ("GET /api/v1/write?get_vm_proto_version=1", 204, None),
        ("GET /vmui/app.js", 304, Some("99")),
        ("HEAD /api/v1/labels", 200, Some("12345")),
    ] {
        client.send(of_acme(line, "")).await;
        let head = client.head().await.expect("a reply");
        assert_eq!(head.status(), status, "{line}");
        assert_eq!(head.get("x-kept"), Some("1"), "{line}");
        assert_eq!(head.get("transfer-encoding"), None, "{line}");
        if status != 304 {
            assert_eq!(head.get("content-length"), length, "{line}");
        }
    }
    let asked = upstream.asked();
    let methods: Vec<&str> = asked.iter().map(|asked| asked.head.word(0)).collect();
    assert_eq!(methods, ["HEAD", "GET", "GET", "HEAD"]);
}

#[tokio::test]
async fn interim_answers_are_read_over_and_the_last_one_is_the_clients() {
    let upstream = Upstream::start(|_| {
        let hints = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n";
        let interim = format!("HTTP/1.1 100 Continue\r\n\r\n{hints}");
        vec![
            Step::ReadBody,
            send(interim),
            send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
        ]
    });
    let mirador = acme(&upstream, json!({})).await;
    let mut client = RawClient::connect(mirador.address()).await;
    for _ in 0..2 {
        client.send(of_acme("GET /api/v1/query", "")).await;
        let reply = client.reply().await.expect("a reply");
        assert_eq!((reply.status(), reply.body.text()), (200, "hello".into()));
        assert_eq!(reply.head.get("link"), None);
    }
    let asked = upstream.asked();
    assert_eq!(asked[0].connection, asked[1].connection);
}

#[tokio::test]
async fn an_answer_that_can_be_read_in_two_ways_is_nobodys() {
    for head in [
        "Transfer-Encoding: gzip, chunked",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: +5",
    ] {
        let upstream = Upstream::start(move |_| {
            vec![
                send(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\nhello!")),
                Step::Hang,
            ]
        });
        let mirador = acme(&upstream, json!({})).await;
        let mut client = RawClient::connect(mirador.address()).await;
        client.send(of_acme("GET /api/v1/query", "")).await;
        let reply = client.reply().await.expect("a reply");
        assert_eq!(reply.status(), 502, "{head}");
        assert!(reply.body.text().contains("not HTTP"), "{head}");
    }
}

#[tokio::test]
async fn an_old_client_gets_an_old_answer() {
    let upstream = Upstream::start(|asked| {
        assert_eq!(asked.head.word(2), "HTTP/1.1", "the backend need not know");
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        vec![send(head), send("5\r\nhello\r\n0\r\n\r\n")]
    });
    let mirador = acme(&upstream, json!({})).await;
    let mut client = RawClient::connect(mirador.address()).await;
    client
        .send("GET /api/v1/query HTTP/1.0\r\nX-Tenant-ID: acme\r\n\r\n")
        .await;
    let head = client.head().await.expect("a reply");
    assert_eq!(head.get("transfer-encoding"), None, "{head:?}");
    let body = client.body(&head).await;
    assert_eq!((body.text(), body.end), ("hello".into(), End::Fin));
}

#[tokio::test]
async fn bodies_pass_untouched_in_both_directions_and_framings() {
    // Every byte there is, and no sense in them: whoever unpacks them fails.
    let payload: Vec<u8> = (0..=u8::MAX).cycle().step_by(7).take(200_000).collect();
    let echo = payload.clone();
    let upstream = Upstream::start(move |_| {
        let head =
            "HTTP/1.1 200 OK\r\nContent-Encoding: zstd\r\nTransfer-Encoding: chunked\r\n\r\n";
        let mut body = head.as_bytes().to_vec();
        for chunk in echo.chunks(70_001) {
            body.extend(format!("{:x}\r\n", chunk.len()).bytes());
            body.extend(chunk);
            body.extend(b"\r\n");
        }
        body.extend(b"0\r\n\r\n");
        vec![Step::ReadBody, send(body)]
    });
    let mirador = acme(&upstream, json!({})).await;
    let mut chunked = Vec::new();
    for chunk in payload.chunks(30_011) {
        chunked.extend(format!("{:X}\r\n", chunk.len()).bytes());
        chunked.extend(chunk);
        chunked.extend(b"\r\n");
    }
    chunked.extend(b"0\r\n\r\n");
    let length = format!("Content-Length: {}\r\n", payload.len());
    for (framing, body) in [
        (&*length, &payload),
        ("Transfer-Encoding: chunked\r\n", &chunked),
    ] {
        for line in ["POST /api/v1/write", "POST /api/v1/query"] {
            let before = upstream.asked().len();
            let head = of_acme(line, &format!("Content-Encoding: snappy\r\n{framing}"));
            let bytes = [head.as_bytes(), body].concat();
            let answer = ask(mirador.address(), bytes).await.expect("a reply");
            assert!(
                answer.body.kept == payload,
                "{line}, {framing}: the answer differs"
            );
            assert_eq!(answer.head.get("content-encoding"), Some("zstd"));
            let asked = upstream.asked()[before].clone();
            assert_eq!(asked.head.get("content-encoding"), Some("snappy"));
            let came = asked.body.expect("a body");
            assert!(
                came.kept == payload,
                "{line}, {framing}: the request differs"
            );
            assert_eq!(came.end, End::Complete);
        }
    }
}
