//! A web server for one repository of TUF, which notes what it is asked and can misbehave.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

pub(super) struct Mirror {
    address: SocketAddr,
    now: Arc<Mutex<Now>>,
}

/// What it is to do now.
#[derive(Default)]
struct Now {
    folder: PathBuf,
    faults: BTreeMap<String, Fault>,
    asked: Vec<String>,
}

/// How it answers for one path.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// With these octets.
    Octets(Vec<u8>),
    /// Without end.
    Endless,
    /// With a half of what it promised, and then not at all.
    CutShort,
    /// With this status and no file.
    Status(u16),
}

impl Mirror {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let now = Arc::new(Mutex::new(Now::default()));
        let shared = now.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = shared.clone();
                thread::spawn(move || answer(stream, &shared));
            }
        });
        Self { address, now }
    }

    /// The address of a folder of the repository.
    pub(super) fn url(&self, folder: &str) -> String {
        format!("http://{}/{folder}", self.address)
    }

    pub(super) fn show(&self, folder: &Path) {
        self.now.lock().unwrap().folder = folder.to_owned();
    }

    pub(super) fn set_fault(&self, path: &str, fault: Fault) {
        let mut now = self.now.lock().unwrap();
        now.faults.insert(path.to_owned(), fault);
    }

    pub(super) fn clear_faults(&self) {
        self.now.lock().unwrap().faults.clear();
    }

    /// What it was asked since the last call.
    pub(super) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.now.lock().unwrap().asked)
    }
}

fn answer(mut stream: TcpStream, now: &Mutex<Now>) {
    let mut head = Vec::new();
    let mut octet = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_exact(&mut octet).is_err() {
            return;
        }
        head.extend(octet);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default();
    let path = path.trim_start_matches('/').to_owned();
    let (file, fault) = {
        let mut now = now.lock().unwrap();
        now.asked.push(path.clone());
        let file = fs::read(now.folder.join(&path)).ok();
        (file, now.faults.get(&path).cloned())
    };
    let _ = match (fault, file) {
        (None, Some(file)) => send(&mut stream, 200, file.len(), &file),
        (None, None) => send(&mut stream, 404, 0, b""),
        (Some(Fault::Octets(octets)), _) => send(&mut stream, 200, octets.len(), &octets),
        (Some(Fault::Status(status)), _) => send(&mut stream, status, 0, b""),
        (Some(Fault::CutShort), file) => {
            let file = file.unwrap_or_else(|| vec![b'{'; 100]);
            send(&mut stream, 200, file.len(), &file[..file.len() / 2])
        }
        (Some(Fault::Endless), _) => {
            let endless = send(&mut stream, 200, 1 << 40, b"");
            while stream.write_all(&[b' '; 4096]).is_ok() {}
            endless
        }
    };
}

fn send(stream: &mut TcpStream, status: u16, length: usize, body: &[u8]) -> std::io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 {status} It is so\r\nlocation: /metadata/timestamp.json\r\n\
         connection: close\r\ncontent-length: {length}\r\n\r\n"
    )?;
    stream.write_all(body)
}
