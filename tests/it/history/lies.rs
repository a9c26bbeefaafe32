//! What the mirrors have, and what the disk of the node does.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;

use cordon::verify::digest;
use serde_json::{Value, json};

use super::step::{Disk, Lie};
use crate::random::Random;
use crate::trust::forge::{Authority, files_below};

/// Copies a folder without copying its files: who publishes puts new files in the place of
/// old ones, and changes none.
pub(super) fn link_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            link_tree(&path, &to);
        } else {
            fs::hard_link(&path, &to).unwrap();
        }
    }
}

/// Makes `mirror` have what `lie` says; `old` is what the authority had then, and `made` a
/// folder that is not there yet.
pub(super) fn show(
    mirror: &Path,
    lie: Lie,
    authority: &Authority,
    old: &Path,
    made: &Path,
    random: &mut Random,
) {
    let _ = fs::remove_file(mirror);
    let repository = &authority.repo();
    let shown = match lie {
        Lie::Gone => return,
        Lie::Honest => repository,
        Lie::Stale(_) => old,
        Lie::Empty => {
            fs::create_dir_all(made).unwrap();
            made
        }
        Lie::Replayed(_) => {
            link_tree(old, made);
            sign_anew(authority, made);
            made
        }
        Lie::Mixed(_) | Lie::Missing(_) | Lie::Truncated(_) | Lie::Flipped(_) | Lie::Endless(_) => {
            link_tree(repository, made);
            alter(made, lie, old, random);
            made
        }
    };
    symlink(shown, mirror).unwrap();
}

/// Brings what was published once under the newest root, whose online keys sign it anew: a
/// node whose floors fell with the ones before has nothing but floors of its own against it.
fn sign_anew(authority: &Authority, folder: &Path) {
    let (newest, root) = authority.newest_root();
    for version in 1..=newest {
        let name = format!("metadata/{version}.root.json");
        let _ = fs::hard_link(authority.repo().join(&name), folder.join(&name));
    }
    let read = |name: &str| -> Value {
        let file = fs::read(folder.join(name)).unwrap();
        serde_json::from_slice::<Value>(&file).unwrap()["signed"].clone()
    };
    let write = |role: &str, name: &str, signed: &Value| {
        let bytes = authority.sign_with(&root["roles"][role]["keyids"], signed);
        fs::remove_file(folder.join(name)).unwrap();
        fs::write(folder.join(name), &bytes).unwrap();
        json!({"length": bytes.len(), "hashes": {"sha256": digest(&bytes)}, "version": signed["version"]})
    };
    let mut timestamp = read("metadata/timestamp.json");
    let version = &timestamp["meta"]["snapshot.json"]["version"];
    let snapshot = format!("metadata/{version}.snapshot.json");
    timestamp["meta"]["snapshot.json"] = write("snapshot", &snapshot, &read(&snapshot));
    write("timestamp", "metadata/timestamp.json", &timestamp);
}

/// Changes files of a mirror.
fn alter(folder: &Path, lie: Lie, old: &Path, random: &mut Random) {
    for (name, bytes) in files_below(folder) {
        let path = folder.join(&name);
        let one_in = match lie {
            Lie::Missing(count)
            | Lie::Truncated(count)
            | Lie::Flipped(count)
            | Lie::Endless(count) => count,
            _ => 2,
        };
        if random.below(one_in) != 0 {
            continue;
        }
        fs::remove_file(&path).unwrap();
        match lie {
            Lie::Mixed(_) => {
                // One that was not there then is gone.
                let _ = fs::hard_link(old.join(&name), &path);
            }
            Lie::Truncated(_) => fs::write(&path, &bytes[..random.below(bytes.len())]).unwrap(),
            Lie::Flipped(_) => {
                let mut bytes = bytes;
                let at = random.below(bytes.len());
                bytes[at] ^= 1 << random.below(8);
                fs::write(&path, bytes).unwrap();
            }
            Lie::Endless(_) => {
                let file = fs::File::create(&path).unwrap();
                file.set_len(1 << 40).unwrap();
            }
            _ => {}
        }
    }
}

/// Makes the disk below `state` be like that.
pub(super) fn set_disk(disk: Disk, state: &Path, random: &mut Random) {
    let filler = state.join("filler");
    let _ = fs::remove_file(&filler);
    for name in obstacles(state) {
        let _ = fs::remove_dir(state.join(name));
    }
    match disk {
        Disk::Works => {}
        Disk::Full(pages) => fill(&filler, pages),
        Disk::Refuses(one_in) => {
            for name in obstacles(state) {
                if random.below(one_in) == 0 {
                    fs::create_dir_all(state.join(name)).unwrap();
                }
            }
        }
    }
}

/// Writes until there is room for so many pages alone.
fn fill(filler: &Path, pages: usize) {
    let mut file = fs::File::create(filler).unwrap();
    let mut octets = vec![b'x'; 256 << 10];
    while octets.len() >= PAGE {
        while file.write_all(&octets).is_ok() {}
        octets.truncate(octets.len() / 2);
    }
    let length = fs::metadata(filler).unwrap().len();
    file.set_len(length.saturating_sub((pages * PAGE) as u64))
        .unwrap();
}

/// What stands in the way of writing a file, since a test may run as root, whom no mode
/// stops: a folder with the name of the file that is written first.
fn obstacles(state: &Path) -> Vec<String> {
    let mut names: Vec<String> = [
        "root",
        "timestamp",
        "snapshot",
        "targets",
        "withdraw",
        "list-a",
        "list-b",
        "floors",
        "accepted",
        "target-policy",
        "target-never-block",
        "target-withdraw-a",
        "target-withdraw-b",
    ]
    .iter()
    .map(|name| format!("repositories/hotlines/.{name}.json.tmp"))
    .collect();
    for root in 2..20 {
        names.push(format!(
            "repositories/hotlines/root_history/.{root}.root.json.tmp"
        ));
    }
    for list in ["a", "b"] {
        for seq in 1..60 {
            names.push(format!("lists/{list}/.{seq}.state.tmp"));
            names.push(format!("lists/{list}/.{seq}.proof.tmp"));
        }
        names.push(format!("lists/{list}/.current.tmp"));
    }
    names.retain(|name| state.join(name).parent().unwrap().is_dir());
    names
}

const PAGE: usize = 4096;
