//! Where the proxy does not go.

use std::sync::Arc;

use super::node::{Node, Plan};
use super::wire::ask;

#[tokio::test]
async fn no_name_leads_to_a_denied_address() {
    let node = Node::by(Plan {
        deny: vec!["127.0.0.0/8", "::1/128", "169.254.0.0/16"],
        ..Plan::default()
    })
    .await;
    let port = node.origin.port();
    for host in [
        "free.test",
        "mapped.test",
        "nat64.test",
        "zero.test",
        "v6loop.test",
        "metadata.test",
        "localhost",
        "a.localhost",
        "127.0.0.1",
        "2130706433",
        "0x7f.1",
        "0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[::]",
    ] {
        for request in [
            format!("GET http://{host}:{port}/ HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n"),
            format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n"),
        ] {
            let answer = ask(node.forward, &request).await;
            assert_eq!(answer.status(), 403, "{request}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn the_proxy_does_not_connect_to_itself() {
    let node = Node::start().await;
    let own = [node.http.port(), node.forward.port()];
    let mut settings = node.settings.clone();
    settings.origins.ports.extend(own);
    node.proxy
        .replace(settings, Arc::clone(&node.resolver))
        .unwrap();
    for port in own {
        for host in ["free.test", "127.0.0.1", "[::ffff:127.0.0.1]"] {
            let request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n");
            assert_eq!(ask(node.forward, &request).await.status(), 403, "{request}");
        }
    }
}
