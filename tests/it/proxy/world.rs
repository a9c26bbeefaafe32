//! The world of a node under test: an upstream resolver and a web server, on loopback.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

/// An upstream resolver that knows every name: at loopback, but for a few that lead
/// elsewhere.
pub(super) async fn upstream() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut query = [0; 1500];
        loop {
            let (length, client) = socket.recv_from(&mut query).await.unwrap();
            let _ = socket.send_to(&answer(&query[..length]), client).await;
        }
    });
    address
}

/// The answer to one query, by hand (RFC 1035 section 4).
fn answer(query: &[u8]) -> Vec<u8> {
    let mut end = 12;
    let mut name = Vec::new();
    while query[end] != 0 {
        let length = usize::from(query[end]);
        name.push(String::from_utf8_lossy(&query[end + 1..=end + length]).to_lowercase());
        end += length + 1;
    }
    let is_v6 = query[end + 2] == 28;
    let question = &query[12..end + 5];
    let loopback = IpAddr::from(Ipv4Addr::LOCALHOST);
    let addresses: Vec<IpAddr> = match name.join(".").as_str() {
        "mapped.test" => vec!["::ffff:127.0.0.1".parse().unwrap()],
        "nat64.test" => vec!["64:ff9b::7f00:1".parse().unwrap()],
        "zero.test" => vec![Ipv4Addr::UNSPECIFIED.into()],
        "v6loop.test" => vec![Ipv6Addr::LOCALHOST.into()],
        "metadata.test" => vec!["169.254.169.254".parse().unwrap()],
        "none.test" => vec![],
        _ => vec![loopback],
    };
    let addresses: Vec<_> = addresses
        .iter()
        .filter(|one| one.is_ipv6() == is_v6)
        .collect();
    let mut answer = query[..2].to_vec();
    answer.extend([0x81, 0x80, 0, 1, 0, addresses.len() as u8, 0, 0, 0, 0]);
    answer.extend(question);
    for address in addresses {
        answer.extend([0xc0, 0x0c]);
        answer.extend(&question[question.len() - 4..]);
        answer.extend([0, 0, 0, 60]);
        match address {
            IpAddr::V4(v4) => {
                answer.extend([0, 4]);
                answer.extend(v4.octets());
            }
            IpAddr::V6(v6) => {
                answer.extend([0, 16]);
                answer.extend(v6.octets());
            }
        }
    }
    answer
}

/// A web server that says what it was asked, field by field.
pub(super) async fn origin() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve_origin(stream));
        }
    });
    address
}

async fn serve_origin(mut stream: TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(octet) => head.push(octet),
            Err(_) => return,
        }
    }
    let text = String::from_utf8(head).unwrap();
    let path = text.split(' ').nth(1).unwrap();
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.parse().unwrap())
    });
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await.unwrap();
    let said = format!("origin saw {text}{}", String::from_utf8_lossy(&body));
    let answer = match path {
        "/hangs-up" => return,
        "/silent" => {
            tokio::time::sleep(Duration::from_secs(30)).await;
            return;
        }
        "/garbage" => "this is no HTTP\r\n\r\n".to_owned(),
        "/smuggles" => "HTTP/1.1 200 OK\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nProxy-Authenticate: Basic\r\nX-End: 2\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n".to_owned(),
        "/switches" => "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n".to_owned(),
        "/cut" => "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort".to_owned(),
        _ => format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{said}", said.len()),
    };
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}
