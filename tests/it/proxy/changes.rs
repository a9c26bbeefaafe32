//! Starting, changing and stopping while it runs.

use std::sync::Arc;
use std::time::Duration;

use cordon::compile::{Compiler, Protected};
use cordon::count::HitCounter;
use cordon::enforce::Edition;
use cordon::enforce::proxy::{Bound, Operator, Origins, Settings, StopPageSettings};
use jiff::Timestamp;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::node::{Node, Plan};
use super::wire::{PATIENCE, ask, is_closed, read_answer, send};

#[tokio::test]
async fn only_its_clients_are_served() {
    let node = Node::by(Plan {
        clients: vec!["192.0.2.0/24"],
        ..Plan::default()
    })
    .await;
    let request = "GET http://listed.test/ HTTP/1.1\r\nHost: listed.test\r\n\r\n";
    assert_eq!(ask(node.forward, request).await.status(), 403);
    assert_eq!(
        ask(node.http, request).await.status(),
        451,
        "the stop page is for everyone"
    );
    // New settings hold at once, on a connection that is open already.
    let mut stream = send(node.forward, request).await;
    assert_eq!(read_answer(&mut stream, "GET").await.unwrap().status(), 403);
    let mut settings = node.settings.clone();
    settings.forward_clients = vec!["127.0.0.1".parse().unwrap()];
    node.proxy
        .replace(settings, Arc::clone(&node.resolver))
        .unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    assert_eq!(read_answer(&mut stream, "GET").await.unwrap().status(), 451);
}

#[tokio::test]
async fn a_wrong_template_changes_nothing() {
    let node = Node::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("page.html");
    let mut settings = node.settings.clone();
    settings.stop_page.template = Some(file.clone());
    let replace = |settings: &Settings| {
        node.proxy
            .replace(settings.clone(), Arc::clone(&node.resolver))
    };
    let error = replace(&settings).unwrap_err().to_string();
    assert!(error.contains("page.html cannot be read"), "{error}");
    std::fs::write(&file, "<p>\n{{visitor}}").unwrap();
    let error = replace(&settings).unwrap_err().to_string();
    assert!(
        error.contains("page.html: line 2: there is no placeholder {{visitor}}"),
        "{error}"
    );
    let request = "GET / HTTP/1.1\r\nHost: listed.test\r\n\r\n";
    assert!(
        ask(node.http, request)
            .await
            .body
            .contains("Example Police")
    );
    std::fs::write(&file, "<p>our own: {{basis}}").unwrap();
    replace(&settings).unwrap();
    assert_eq!(
        ask(node.http, request).await.body,
        "<p>our own: Example Act, art. 1"
    );
}

#[tokio::test]
async fn a_new_edition_holds_for_the_next_request() {
    let node = Node::start().await;
    let request = "GET / HTTP/1.1\r\nHost: listed.test\r\n\r\n";
    let mut stream = send(node.http, request).await;
    assert_eq!(read_answer(&mut stream, "GET").await.unwrap().status(), 451);
    node.in_force.replace(Edition {
        number: 2,
        since: Timestamp::UNIX_EPOCH,
        blocklist: Compiler::new(&Protected::default(), Timestamp::UNIX_EPOCH).finish(),
        counter: HitCounter::in_memory(0),
    });
    stream.write_all(request.as_bytes()).await.unwrap();
    assert_eq!(read_answer(&mut stream, "GET").await.unwrap().status(), 421);
}

#[tokio::test]
async fn stopping_lets_requests_finish_and_closes_the_rest() {
    let node = Node::start().await;
    let port = node.origin.port();
    let mut idle = send(node.http, "GET / HTTP/1.1\r\nHost: listed.test\r\n\r\n").await;
    read_answer(&mut idle, "GET").await.unwrap();
    let connect = format!("CONNECT free.test:{port} HTTP/1.1\r\nHost: free.test\r\n\r\n");
    let mut tunnel = send(node.forward, &connect).await;
    assert_eq!(
        read_answer(&mut tunnel, "CONNECT").await.unwrap().status(),
        200
    );
    // A request of which half is there: it is still answered.
    let post = format!(
        "POST http://free.test:{port}/ HTTP/1.1\r\nHost: free.test:{port}\r\nContent-Length: 4\r\n\r\nbo"
    );
    let mut posting = send(node.forward, &post).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    node.token.cancel();
    assert!(is_closed(&mut idle).await && is_closed(&mut tunnel).await);
    assert!(!node.served.is_finished());
    posting.write_all(b"dy").await.unwrap();
    let answer = read_answer(&mut posting, "POST").await.unwrap();
    assert!(answer.body.ends_with("body"), "{answer:?}");
    tokio::time::timeout(PATIENCE, node.served)
        .await
        .expect("drained")
        .unwrap()
        .unwrap();
    assert!(
        TcpStream::connect(node.http).await.is_err(),
        "nobody listens any more"
    );
}

#[tokio::test]
async fn serving_can_begin_anew_on_the_same_sockets() {
    let node = Node::start().await;
    let bound = Bound::bind(&node.settings).unwrap();
    let address = bound.http()[0];
    let request = "GET / HTTP/1.1\r\nHost: listed.test\r\n\r\n";
    for _ in 0..2 {
        let (token, tracker) = (CancellationToken::new(), TaskTracker::new());
        let serving = node
            .proxy
            .serve(bound.try_clone().unwrap(), &tracker, token.clone());
        let asking = async {
            let status = ask(address, request).await.status();
            token.cancel();
            status
        };
        let (served, status) = tokio::join!(serving, asking);
        served.unwrap();
        assert_eq!(status, 451);
    }
}

#[test]
fn a_port_that_is_taken_is_said_with_its_address() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let settings = Settings {
        http: vec![address],
        forward: Vec::new(),
        forward_clients: Vec::new(),
        origins: Origins {
            deny: Vec::new(),
            ports: Vec::new(),
        },
        stop_page: StopPageSettings {
            template: None,
            operator: Operator::default(),
            languages: Vec::new(),
        },
    };
    let error = Bound::bind(&settings).unwrap_err().to_string();
    assert!(
        error.contains(&address.to_string()) && error.contains("another program uses it"),
        "{error}"
    );
}
