//! [`Answer`]: HTTP as octets, read by hand, so that nothing is smoothed over.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One answer as it came.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) head: String,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn status(&self) -> u16 {
        self.head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// Reads one answer; nothing where the connection is closed instead.
pub(super) async fn read_answer(stream: &mut TcpStream, method: &str) -> Option<Answer> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let octet = tokio::time::timeout(PATIENCE, stream.read_u8()).await;
        head.push(octet.expect("an answer in time").ok()?);
    }
    let mut answer = Answer {
        head: String::from_utf8(head).unwrap(),
        body: String::new(),
    };
    let mut body = Vec::new();
    let has_body = method != "HEAD" && !(method == "CONNECT" && answer.status() == 200);
    if !has_body {
    } else if answer.field("transfer-encoding").is_some() {
        loop {
            let mut line = Vec::new();
            while !line.ends_with(b"\r\n") {
                line.push(stream.read_u8().await.unwrap());
            }
            let line = String::from_utf8(line).unwrap();
            let mut chunk = vec![0; usize::from_str_radix(line.trim(), 16).unwrap() + 2];
            stream.read_exact(&mut chunk).await.unwrap();
            body.extend(&chunk[..chunk.len() - 2]);
            if chunk.len() == 2 {
                break;
            }
        }
    } else if let Some(length) = answer.field("content-length") {
        body = vec![0; length.parse().unwrap()];
        stream.read_exact(&mut body).await.unwrap();
    } else {
        stream.read_to_end(&mut body).await.unwrap();
    }
    answer.body = String::from_utf8(body).unwrap();
    Some(answer)
}

pub(super) async fn send(to: SocketAddr, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

pub(super) async fn ask(to: SocketAddr, request: &str) -> Answer {
    let method = request.split(' ').next().unwrap();
    let mut stream = send(to, request).await;
    read_answer(&mut stream, method).await.expect("an answer")
}

/// Whether the peer closes the connection without another octet.
pub(super) async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut octet = [0];
    match tokio::time::timeout(PATIENCE, stream.read(&mut octet)).await {
        Ok(Ok(read)) => read == 0,
        Ok(Err(_)) => true,
        Err(_) => false,
    }
}

/// How long a test waits for what should come at once.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
