//! Too much, too slow, or no HTTP at all.

use std::time::{Duration, Instant};

use cordon::enforce::proxy::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::node::{Node, Plan};
use super::wire::{ask, is_closed, read_answer, send};

#[tokio::test]
async fn an_oversized_head_is_431() {
    let node = Node::start().await;
    for request in [
        format!(
            "GET / HTTP/1.1\r\nHost: listed.test\r\nX: {}\r\n\r\n",
            "a".repeat(20_000)
        ),
        format!(
            "GET /{} HTTP/1.1\r\nHost: listed.test\r\n\r\n",
            "a".repeat(20_000)
        ),
        format!(
            "GET / HTTP/1.1\r\nHost: listed.test\r\n{}\r\n",
            "A: b\r\n".repeat(200)
        ),
    ] {
        let mut stream = TcpStream::connect(node.http).await.unwrap();
        let _ = stream.write_all(request.as_bytes()).await;
        let answer = read_answer(&mut stream, "HEAD").await.unwrap();
        assert_eq!(answer.status(), 431, "{answer:?}");
        assert!(is_closed(&mut stream).await);
    }
    let long = format!(
        "GET /{} HTTP/1.1\r\nHost: listed.test\r\n\r\n",
        "a".repeat(9_000)
    );
    assert_eq!(ask(node.http, &long).await.status(), 414);
    assert_eq!(node.outcome("malformed"), 4);
}

#[tokio::test]
async fn a_slow_client_is_closed() {
    let node = Node::by(Plan {
        limits: Limits {
            head_time_max: Duration::from_millis(300),
            stall_max: Duration::from_millis(300),
            ..Limits::default()
        },
        ..Plan::default()
    })
    .await;
    // A head that trickles in: each octet is in time, the whole is not.
    let mut stream = send(node.http, "GET / HTTP/1.1\r\nX: ").await;
    let begun = Instant::now();
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        if stream.write_all(b"a").await.is_err() {
            break;
        }
    }
    assert!(is_closed(&mut stream).await);
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(node.outcome("malformed"), 1);
    // A connection without a request, and one that stays after its request.
    let mut idle = send(node.http, "").await;
    let mut kept = send(node.http, "GET / HTTP/1.1\r\nHost: listed.test\r\n\r\n").await;
    assert_eq!(read_answer(&mut kept, "GET").await.unwrap().status(), 451);
    assert!(is_closed(&mut idle).await && is_closed(&mut kept).await);
    assert_eq!(node.outcome("malformed"), 1, "nothing was begun");
    // A body that does not come.
    let request = format!(
        "POST http://free.test:{}/ HTTP/1.1\r\nHost: free.test:{0}\r\nContent-Length: 10\r\n\r\nabc",
        node.origin.port()
    );
    let mut stream = send(node.forward, &request).await;
    let answer = read_answer(&mut stream, "POST").await;
    assert!(answer.is_none_or(|answer| answer.status() == 502));
    assert!(is_closed(&mut stream).await);
}

#[tokio::test]
async fn garbage_is_answered_400_or_closed() {
    let node = Node::start().await;
    for garbage in [
        "\0\0\0\0\0\0\0\0\r\n\r\n",
        "hello\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "\u{16}\u{3}\u{1}\0\u{5}hello",
        "GET /\r\n\r\n",
        "GET / HTTP/1.1\r\nHost listed.test\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : listed.test\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: listed.test\r\n X: folded\r\n\r\n",
    ] {
        for to in [node.http, node.forward] {
            let mut stream = send(to, garbage).await;
            let answer = read_answer(&mut stream, "HEAD").await;
            assert!(
                answer.is_none_or(|answer| answer.status() == 400),
                "{garbage:?}"
            );
            assert!(is_closed(&mut stream).await, "{garbage:?}");
        }
    }
    assert_eq!(node.outcome("malformed"), 18);
    assert!(node.hits().is_empty());
}

#[tokio::test]
async fn too_many_connections_wait_their_turn() {
    let node = Node::by(Plan {
        limits: Limits {
            connections_max: 2,
            ..Limits::default()
        },
        ..Plan::default()
    })
    .await;
    let first = send(node.http, "").await;
    let _second = send(node.http, "").await;
    let mut third = send(node.http, "GET / HTTP/1.1\r\nHost: listed.test\r\n\r\n").await;
    let mut octet = [0];
    let early = tokio::time::timeout(Duration::from_millis(200), third.peek(&mut octet)).await;
    assert!(early.is_err(), "the third waits");
    drop(first);
    assert_eq!(read_answer(&mut third, "GET").await.unwrap().status(), 451);
}

/// The gate and the parser behind it agree on where a head ends, whatever is sent: were
/// they to differ, a connection would hang until its deadline.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gate_and_parser_agree_on_garbage() {
    const PIECES: [&str; 24] = [
        "GET / HTTP/1.1",
        "POST / HTTP/1.1",
        "CONNECT a.test:1 HTTP/1.1",
        "HEAD http://listed.test/ HTTP/1.0",
        "\r\n",
        "\r\n",
        "\r\n",
        "\r\n",
        "\n",
        "\n",
        "\r",
        "Host: listed.test",
        "Host: listed.test\r\n\r\n",
        "Content-Length: 3",
        "Content-Length: 0",
        "Transfer-Encoding: chunked",
        "3\r\nabc\r\n0\r\n\r\n",
        "abc",
        " ",
        "\t",
        ":",
        "\0",
        "\u{ff}",
        "X: y",
    ];
    let node = Node::start().await;
    // A linear congruential generator: the same garbage at every run.
    let mut state = 1_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap()
    };
    for round in 0..2000 {
        let mut garbage = String::new();
        for _ in 0..next() % 14 {
            garbage.push_str(PIECES[next() % PIECES.len()]);
        }
        garbage.push_str("\r\n\r\n");
        let to = [node.http, node.forward][round % 2];
        let mut stream = TcpStream::connect(to).await.unwrap();
        let _ = stream.write_all(garbage.as_bytes()).await;
        let _ = stream.shutdown().await;
        let mut answers = Vec::new();
        let ended =
            tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answers)).await;
        assert!(
            ended.is_ok(),
            "it hangs: {garbage:?}, {}",
            String::from_utf8_lossy(&answers)
        );
    }
    assert_eq!(
        ask(node.http, "GET / HTTP/1.1\r\nHost: listed.test\r\n\r\n")
            .await
            .status(),
        451
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_is_blocked_gets_its_answer() {
    let node = Node::start().await;
    let upload = |octets: usize| {
        let body = "a".repeat(octets);
        format!(
            "POST http://listed.test/ HTTP/1.1\r\nHost: listed.test\r\nContent-Length: {octets}\r\n\r\n{body}"
        )
    };
    let mut stream = send(node.forward, &upload(900_000)).await;
    for _ in 0..2 {
        assert_eq!(
            read_answer(&mut stream, "POST").await.unwrap().status(),
            451
        );
        stream.write_all(upload(10).as_bytes()).await.unwrap();
    }
    // Nobody has to send what is not wanted.
    let asking =
        "POST / HTTP/1.1\r\nHost: listed.test\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n";
    let mut stream = send(node.http, asking).await;
    assert_eq!(
        read_answer(&mut stream, "POST").await.unwrap().status(),
        451
    );
    assert!(is_closed(&mut stream).await);
}
