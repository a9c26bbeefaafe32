//! Reads `protect`: names that outrank every list, here and in files.

use std::path::Path;

use crate::config::Place;
use crate::config::error::Mistake;
use crate::config::node::shown;
use crate::config::scalar::{Scalar, path};
use crate::config::section::Section;
use crate::policy::Name;

/// Reads it, its files included.
pub(super) fn read(s: &mut Section<'_, '_>) -> Option<Vec<Name>> {
    let names = s.list(
        "names",
        &[],
        "Names that always pass, with all below them.",
        Scalar::new("a domain name", protected),
    );
    let for_files = path(s.base());
    let files = s.list(
        "files",
        &[],
        "Files of such names, one a line; `#` starts a comment.",
        for_files,
    );
    let mut good = names.is_some();
    let mut names = names.unwrap_or_default();
    for (item, path) in files?.iter().enumerate() {
        let place = s.place_of_item("files", item);
        match s.content(place, path, FILE_OCTETS_MAX) {
            Some(octets) => good &= read_file(s, path, &octets, &mut names),
            None => good = false,
        }
    }
    good.then_some(names)
}

/// Adds the names of a file. Whether all of it was good.
fn read_file(s: &mut Section<'_, '_>, path: &Path, octets: &[u8], names: &mut Vec<Name>) -> bool {
    let text = String::from_utf8_lossy(octets);
    let mut mistakes = Vec::new();
    let mut start = 0;
    for (line, row) in text.split('\n').enumerate() {
        let written = row.split('#').next().unwrap_or_default();
        let name = written.trim();
        if !name.is_empty() {
            match protected(name) {
                Ok(name) => names.push(name),
                Err(_) if mistakes.len() >= MISTAKES_MAX => {}
                Err(why) => {
                    let before = written.len() - written.trim_start().len();
                    mistakes.push(Mistake {
                        path: path.to_owned(),
                        place: Some(Place {
                            line: line + 1,
                            column: before + 1,
                            start: start + before,
                            end: start + before + name.len(),
                        }),
                        message: format!("{} is not a name to protect: {why}", shown(name)),
                        help: "write one name a line; `#` starts a comment".to_owned(),
                        other: None,
                    });
                }
            }
        }
        start += row.len() + 1;
    }
    let good = mistakes.is_empty();
    if !good {
        s.wrong_in(path, &text, mistakes);
    }
    good
}

/// A name that may be protected: any but the root, which would switch every list off.
fn protected(text: &str) -> Result<Name, String> {
    match Name::from_text(text) {
        Ok(name) if name == Name::ROOT => Err("the root would let every name pass".to_owned()),
        Ok(name) if covers_canaries(&name) => Err(
            "each list has its test entry at `LIST.canary.invalid`, and the self-test needs it blocked"
                .to_owned(),
        ),
        Ok(name) => Ok(name),
        Err(error) => Err(error.to_string()),
    }
}

/// Whether protecting a name would let a list's test entry pass.
fn covers_canaries(name: &Name) -> bool {
    Name::from_text(CANARIES)
        .is_ok_and(|canaries| name.is_at_or_below(&canaries) || canaries.is_at_or_below(name))
}

/// Below this name each list has its test entry.
const CANARIES: &str = "canary.invalid";
/// The largest file of protected names.
const FILE_OCTETS_MAX: u64 = 16 << 20;
/// How many bad names of one file are shown: a file of another kind would be all of them.
const MISTAKES_MAX: usize = 20;
