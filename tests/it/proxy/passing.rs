//! What nothing forbids: it arrives, and nothing else does.

use std::time::Duration;

use cordon::enforce::proxy::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::node::{Node, Plan};
use super::wire::{ask, is_closed, read_answer, send};

/// What `curl` sees; its arguments are parted by spaces.
async fn curl(arguments: String) -> String {
    let run = tokio::task::spawn_blocking(move || {
        let arguments = arguments.split(' ').filter(|argument| !argument.is_empty());
        let output = std::process::Command::new("curl")
            .args([
                "--silent",
                "--show-error",
                "--max-time",
                "10",
                "--noproxy",
                "",
                "-i",
            ])
            .args(arguments)
            .output()
            .expect("curl is needed: apt-get install curl");
        String::from_utf8_lossy(&output.stdout).into_owned()
    });
    run.await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_agrees() {
    let node = Node::start().await;
    let (http, forward, origin) = (node.http, node.forward, node.origin.port());

    let stop = curl(format!(
        "http://www.listed.test:{0}/ --resolve www.listed.test:{0}:127.0.0.1",
        http.port()
    ))
    .await;
    assert!(stop.starts_with("HTTP/1.1 451 "), "{stop}");
    assert!(stop.contains("Example Act, art. 1"), "{stop}");

    let blocked = curl(format!(
        "-x http://{forward} http://shared.test/members/x/page.html"
    ))
    .await;
    assert!(blocked.starts_with("HTTP/1.1 451 "), "{blocked}");
    let passed = curl(format!(
        "-x http://{forward} http://shared.test:{origin}/members/x/other.html -d upload"
    ))
    .await;
    assert!(
        passed.starts_with("HTTP/1.1 200 ") && passed.contains("upload"),
        "{passed}"
    );

    let tunnelled = curl(format!(
        "-p -x http://{forward} http://free.test:{origin}/through"
    ))
    .await;
    assert!(tunnelled.contains("origin saw GET /through"), "{tunnelled}");
    assert!(
        !tunnelled.contains("via:"),
        "a tunnel is not read: {tunnelled}"
    );
    let refused = curl(format!(
        "-p -x http://{forward} http://a.listed.test:{origin}/"
    ))
    .await;
    assert!(refused.starts_with("HTTP/1.1 451 "), "{refused}");

    let chunked = curl(format!(
        "-x http://{forward} http://free.test:{origin}/smuggles"
    ))
    .await;
    assert!(
        chunked.contains("x-end: 2") && chunked.ends_with("abc"),
        "{chunked}"
    );
    for dropped in ["x-hop", "proxy-authenticate"] {
        assert!(!chunked.to_lowercase().contains(dropped), "{chunked}");
    }

    let hits: Vec<_> = node.hits().into_iter().collect();
    assert_eq!(hits, [("D-1".to_owned(), 2), ("U-1".to_owned(), 1)]);
    assert_eq!((node.outcome("blocked"), node.outcome("passed")), (3, 3));
}

#[tokio::test]
async fn what_is_passed_on_is_this_request_and_no_more() {
    let node = Node::start().await;
    let request = format!(
        "POST http://free.test:{}/a/../b?q HTTP/1.1\r\nHost: free.test:{0}\r\nConnection: close, X-Mine, Content-Length\r\nX-Mine: 1\r\nProxy-Authorization: Basic c2VjcmV0\r\nProxy-Connection: keep-alive\r\nUpgrade: websocket\r\nExpect: 100-continue\r\nCookie: a=b\r\nContent-Length: 4\r\n\r\nbody",
        node.origin.port()
    );
    let mut stream = send(node.forward, &request).await;
    let first = read_answer(&mut stream, "HEAD").await.unwrap();
    assert_eq!(first.status(), 100);
    let answer = read_answer(&mut stream, "POST").await.unwrap();
    let seen = answer.body.to_lowercase();
    assert!(
        seen.starts_with("origin saw post /a/../b?q http/1.1\r\n"),
        "{seen}"
    );
    assert!(
        seen.contains(&format!("host: free.test:{}\r\n", node.origin.port())),
        "{seen}"
    );
    assert!(
        seen.contains("cookie: a=b\r\n") && seen.ends_with("\r\n\r\nbody"),
        "{seen}"
    );
    assert!(seen.contains("via: 1.1 cordon-"), "{seen}");
    for absent in [
        "x-mine",
        "proxy-",
        "upgrade",
        "expect",
        "forwarded",
        "127.0.0.1",
    ] {
        assert!(!seen.contains(absent), "{absent} in {seen}");
    }
    assert!(answer.field("via").is_some());
    // The same request again, with what the origin saw, has come full circle.
    let via = seen
        .lines()
        .find_map(|line| line.strip_prefix("via: "))
        .unwrap();
    let again = format!("GET http://free.test/ HTTP/1.1\r\nHost: free.test\r\nVia: {via}\r\n\r\n");
    assert_eq!(ask(node.forward, &again).await.status(), 508);
}

#[tokio::test]
async fn an_origin_that_fails_is_said_plainly() {
    let node = Node::by(Plan {
        limits: Limits {
            origin_idle_max: Duration::from_millis(200),
            ..Limits::default()
        },
        ports: vec![1],
        ..Plan::default()
    })
    .await;
    let port = node.origin.port();
    for (host, path, status) in [
        (format!("free.test:{port}"), "/hangs-up", 502),
        (format!("free.test:{port}"), "/garbage", 502),
        (format!("free.test:{port}"), "/switches", 502),
        (format!("free.test:{port}"), "/silent", 504),
        ("free.test:1".to_owned(), "/", 502),
        ("none.test:1".to_owned(), "/", 502),
        ("free.test:2".to_owned(), "/", 403),
    ] {
        let request = format!("GET http://{host}{path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let answer = ask(node.forward, &request).await;
        assert_eq!(answer.status(), status, "{host}{path}: {answer:?}");
        assert!(
            !answer.body.contains(&host),
            "nothing is reflected: {answer:?}"
        );
    }
    assert_eq!(
        (node.outcome("origin_error"), node.outcome("refused")),
        (6, 1)
    );
    // What was cut short cannot be taken for the whole.
    let request =
        format!("GET http://free.test:{port}/cut HTTP/1.1\r\nHost: free.test:{port}\r\n\r\n");
    let mut stream = send(node.forward, &request).await;
    let head = read_answer(&mut stream, "HEAD").await.unwrap();
    assert_eq!(head.field("content-length"), Some("100"));
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    assert!(rest.len() < 100);
}

#[tokio::test]
async fn a_tunnel_passes_the_end_of_one_side_and_ends_when_idle() {
    let node = Node::by(Plan {
        limits: Limits {
            tunnel_idle_max: Duration::from_millis(200),
            ..Limits::default()
        },
        ..Plan::default()
    })
    .await;
    let port = node.origin.port();
    // What the client sends before it is granted is not lost.
    let early = format!(
        "CONNECT free.test:{port} HTTP/1.1\r\nHost: free.test\r\n\r\nGET /early HTTP/1.1\r\n\r\n"
    );
    let mut stream = send(node.forward, &early).await;
    assert_eq!(
        read_answer(&mut stream, "CONNECT").await.unwrap().status(),
        200
    );
    stream.shutdown().await.unwrap();
    let answer = read_answer(&mut stream, "GET").await.unwrap();
    assert!(answer.body.starts_with("origin saw GET /early"));
    assert!(is_closed(&mut stream).await);

    let silent = format!("CONNECT free.test:{port} HTTP/1.1\r\nHost: free.test\r\n\r\n");
    let mut stream = send(node.forward, &silent).await;
    assert_eq!(
        read_answer(&mut stream, "CONNECT").await.unwrap().status(),
        200
    );
    assert!(is_closed(&mut stream).await);
}
