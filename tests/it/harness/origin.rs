//! A web origin that answers every request with 200 and one word.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

/// What the origin answers.
pub(crate) const BODY: &str = "the real page";

/// Starts an origin; port 80 needs a network namespace of the test's own.
pub(crate) fn start(port: u16) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(stream));
        }
    });
    address
}

fn serve(stream: TcpStream) -> Option<()> {
    let mut reads = BufReader::new(stream.try_clone().ok()?);
    let mut writes = stream;
    loop {
        let mut length = 0;
        let mut line = String::new();
        if reads.read_line(&mut line).ok()? == 0 {
            return None;
        }
        while line.trim() != "" {
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            line.clear();
            reads.read_line(&mut line).ok()?;
        }
        std::io::copy(&mut (&mut reads).take(length), &mut std::io::sink()).ok()?;
        write!(
            writes,
            "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n{BODY}",
            BODY.len()
        )
        .ok()?;
    }
}
