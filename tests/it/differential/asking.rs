//! [`ask`]: many questions at once, from the clients that ask them.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use super::policy::CLIENTS;
use super::question::{Question, Said};

/// Asks a server everything, and waits until all is answered or nothing came for so long.
pub(super) fn ask(
    server: SocketAddr,
    network: [u8; 4],
    questions: &[&Question],
    patience: Duration,
) -> Vec<Said> {
    let address = |client: u8| {
        let [a, b, c, _] = network;
        SocketAddr::from((IpAddr::from([a, b, c, client]), 0))
    };
    let sockets: Vec<UdpSocket> = (1..=CLIENTS)
        .map(|client| {
            let socket = UdpSocket::bind(address(u8::try_from(client).unwrap())).unwrap();
            socket.connect(server).unwrap();
            socket.set_nonblocking(true).unwrap();
            socket
        })
        .collect();
    let mut said = vec![Said::Nothing; questions.len()];
    let mut streams = Vec::new();
    for (place, question) in questions.iter().enumerate() {
        let message = question.message(u16::try_from(place).unwrap());
        if question.over_tcp {
            streams.push((
                Stream::start(address(question.client), server, &message),
                place,
            ));
        } else {
            let socket = &sockets[usize::from(question.client) - 1];
            socket.send(&message).unwrap();
        }
    }
    let mut open = questions.len();
    let mut last = Instant::now();
    while open > 0 && last.elapsed() < patience {
        let before = open;
        let mut buffer = [0; 4096];
        for socket in &sockets {
            while let Ok(length) = socket.recv(&mut buffer) {
                let (id, answer) = Said::read(&buffer[..length]).expect("an answer can be read");
                said[usize::from(id)] = answer;
                open -= 1;
            }
        }
        streams.retain_mut(|(stream, place)| match stream.read() {
            Reading::Open => true,
            Reading::Closed => {
                open -= 1;
                false
            }
            Reading::Message(octets) => {
                let (_, answer) = Said::read(&octets).expect("an answer can be read");
                said[*place] = answer;
                open -= 1;
                false
            }
        });
        if open < before {
            last = Instant::now();
        } else {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    said
}

/// One connection with one question.
struct Stream {
    stream: TcpStream,
    got: Vec<u8>,
}

enum Reading {
    Open,
    Closed,
    Message(Vec<u8>),
}

impl Stream {
    fn start(client: SocketAddr, server: SocketAddr, message: &[u8]) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&client.into()).unwrap();
        socket.connect(&server.into()).unwrap();
        let mut stream = TcpStream::from(socket);
        let length = u16::try_from(message.len()).unwrap().to_be_bytes();
        stream
            .write_all(&[length.as_slice(), message].concat())
            .unwrap();
        stream.set_nonblocking(true).unwrap();
        Self {
            stream,
            got: Vec::new(),
        }
    }

    fn read(&mut self) -> Reading {
        let mut buffer = [0; 4096];
        loop {
            if let [high, low, message @ ..] = self.got.as_slice()
                && let Some(message) = message.get(..usize::from(u16::from_be_bytes([*high, *low])))
            {
                return Reading::Message(message.to_vec());
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => return Reading::Closed,
                Ok(length) => self.got.extend(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Reading::Open,
                Err(_) => return Reading::Closed,
            }
        }
    }
}
