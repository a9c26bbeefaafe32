//! Transfers that break off, trickle or lie.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use cordon::source::Mirror;

use crate::trust::forge::{Authority, Node, hour};

/// A mirror that breaks off each transfer of a list after so many octets, and what it was
/// asked for.
struct Mirrored {
    mirror: Mirror,
    /// The `Range` of each request for a list; nothing for all of it.
    asked: Arc<Mutex<Vec<Option<String>>>>,
}

/// How it answers a request for a part.
#[derive(Clone, Copy)]
enum Part {
    /// As RFC 9110 has it.
    Honest,
    /// With the whole file.
    Ignored,
    /// With other octets than those that are missing.
    Lies,
    /// With another part than the one that was asked for.
    Other,
    /// With 416.
    Refused,
}

/// An authority with one list whose file is longer than a megabyte.
fn long_list() -> Authority {
    let authority = Authority::new(&["a"]);
    let mut number: u64 = 1;
    let names: Vec<String> = (0..90_000)
        .map(|_| {
            // xorshift64: names that do not compress.
            let mut next = || {
                number ^= number << 13;
                number ^= number >> 7;
                number ^= number << 17;
                number
            };
            format!("{:016x}{:016x}.test", next(), next())
        })
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    authority.publish("a", &names, hour(0));
    authority
}

fn serve(files: BTreeMap<String, Vec<u8>>, octets: usize, part: Part) -> Mirrored {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&asked);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = answer(stream, &files, octets, part, &noted);
        }
    });
    Mirrored {
        mirror: Mirror::Http(format!("http://{address}/")),
        asked,
    }
}

fn answer(
    mut stream: TcpStream,
    files: &BTreeMap<String, Vec<u8>>,
    octets: usize,
    part: Part,
    asked: &Mutex<Vec<Option<String>>>,
) -> std::io::Result<()> {
    let mut path = String::new();
    let mut range = None;
    let mut condition = None;
    for line in BufReader::new(stream.try_clone()?).lines() {
        let line = line?;
        if line.is_empty() {
            break;
        }
        match line.split_once(": ") {
            None => path = line.split(' ').nth(1).unwrap_or_default()[1..].to_owned(),
            Some((name, value)) if name.eq_ignore_ascii_case("range") => {
                range = Some(value.to_owned())
            }
            Some((name, value)) if name.eq_ignore_ascii_case("if-range") => {
                condition = Some(value.to_owned())
            }
            Some(_) => {}
        }
    }
    let Some(file) = files.get(&path) else {
        return write!(
            stream,
            "HTTP/1.1 404 No\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        );
    };
    if !path.ends_with(".full") {
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            file.len()
        )?;
        return stream.write_all(file);
    }
    asked.lock().unwrap().push(range.clone());
    let from = range.and_then(|range| {
        range
            .strip_prefix("bytes=")?
            .strip_suffix('-')?
            .parse::<usize>()
            .ok()
    });
    if from.is_some() {
        assert_eq!(condition.as_deref(), Some("\"strong\""));
    }
    let rest = |from: usize| &file[from..file.len().min(from + octets)];
    let head = |stream: &mut TcpStream, from: usize| {
        write!(
            stream,
            "HTTP/1.1 206 Part\r\nconnection: close\r\netag: \"strong\"\r\ncontent-range: bytes {from}-{}/{}\r\ncontent-length: {}\r\n\r\n",
            file.len() - 1,
            file.len(),
            file.len() - from
        )
    };
    match (from, part) {
        (Some(from), Part::Honest) => {
            head(&mut stream, from)?;
            stream.write_all(rest(from))
        }
        (Some(from), Part::Lies) => {
            head(&mut stream, from)?;
            stream.write_all(&vec![0; file.len() - from])
        }
        (Some(_), Part::Other) => {
            head(&mut stream, 0)?;
            stream.write_all(rest(0))
        }
        (Some(_), Part::Refused) => write!(
            stream,
            "HTTP/1.1 416 No\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        ),
        (Some(_), Part::Ignored) | (None, _) => {
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nconnection: close\r\netag: \"strong\"\r\ncontent-length: {}\r\n\r\n",
                file.len()
            )?;
            // What is asked for anew is sent whole, where no part is to be had.
            let is_again = asked.lock().unwrap().len() > 1 && !matches!(part, Part::Honest);
            stream.write_all(if is_again { file } else { rest(0) })
        }
    }
}

/// A little more than a third of the list's file.
fn third(authority: &Authority) -> usize {
    let files = authority.files();
    let full = files.iter().find(|(name, _)| name.ends_with(".full"));
    let octets = full.unwrap().1.len();
    assert!(octets > 1_200_000, "{octets} octets are not worth resuming");
    octets / 3 + 1
}

/// One round, and what the mirror was asked for.
fn round(authority: &Authority, part: Part) -> (Node, &'static str, u64, Vec<Option<String>>) {
    let mirrored = serve(authority.files(), third(authority), part);
    let mut node = Node::with_mirrors(authority, vec![mirrored.mirror]);
    let round = node.round(&["a"], hour(0));
    let asked = mirrored.asked.lock().unwrap().clone();
    (node, round.outcome_of("a"), round.retries, asked)
}

#[test]
fn partial_download_is_resumed_by_range_and_the_hash_over_the_whole_decides() {
    let authority = long_list();
    let octets = third(&authority);
    let from = |octets: usize| Some(format!("bytes={octets}-"));
    let (mut node, outcome, retries, asked) = round(&authority, Part::Honest);
    assert_eq!(outcome, "new");
    assert_eq!(asked, [None, from(octets), from(2 * octets)]);
    assert_eq!(retries, 2);
    assert_eq!(node.seq("a"), Some(1));

    // A server that ignores Range sends it whole; so does one that has no such part.
    for part in [Part::Ignored, Part::Refused, Part::Other] {
        let (mut node, outcome, _, asked) = round(&authority, part);
        assert_eq!(outcome, "new", "{asked:?}");
        assert_eq!(asked[1], from(octets));
        assert_eq!(node.seq("a"), Some(1));
    }

    // One that lies is found out by the hash, and what it sent is worth nothing any more.
    let (mut node, outcome, _, asked) = round(&authority, Part::Lies);
    assert_eq!((outcome, asked.len()), ("hash_mismatch", 2));
    assert_eq!(node.outcome(hour(0)), "new");
    assert_eq!(node.seq("a"), Some(1));
}

#[test]
fn partial_download_leaves_no_file_behind_and_the_next_mirror_is_tried() {
    let authority = Authority::new(&["a"]);
    authority.publish("a", &["one.test"], hour(0));
    // Short files are not resumed: another mirror is asked at once.
    let short = serve(authority.files(), 10, Part::Honest);
    let mut node = Node::with_mirrors(&authority, vec![short.mirror.clone()]);
    let before = node.files();
    assert_eq!(node.round(&["a"], hour(0)).retries, 0);
    let named = |name: &String| name.contains("lists/") || name.contains("tmp");
    assert!(
        !node
            .files()
            .keys()
            .any(|name| named(name) && !before.contains_key(name))
    );
    let honest = Mirror::Directory(authority.repo());
    let mut node = Node::with_mirrors(&authority, vec![short.mirror, honest]);
    let round = node.round(&["a"], hour(0));
    assert_eq!((round.outcome_of("a"), round.refusals.len()), ("new", 1));
    assert_eq!(round.refusals[0].error.outcome(), "unreachable");
}
