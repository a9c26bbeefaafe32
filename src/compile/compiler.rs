//! [`Compiler`]: puts lists, one after the other, into one [`Blocklist`].

use std::ops::ControlFlow;
use std::sync::Arc;

use jiff::Timestamp;
use rapidhash::v3::rapidhash_v3;

use super::compiled_list::{HeldList, ZoneSoa};
use super::index::Index;
use super::parse::{self, Parsed, Reject};
use super::repeats::Repeats;
use super::row::{NO_ROOM, admit, effective_action};
use super::zone_holes::holes;
use super::zone_names::ZoneNames;
use super::{Blocklist, Border, CompiledList, Levers, Protected, Settings};
use crate::policy::{Entry, Reach};
use crate::verify::{ListFile, Text, Verified};

/// Puts lists, in the operator's order, into one [`Blocklist`]. No row can fail it: what
/// cannot be enforced is left out, with line and reason.
#[derive(Debug)]
pub struct Compiler {
    now: Timestamp,
    lists: Vec<CompiledList>,
    held: Vec<HeldList>,
    index: Index,
    protected: Protected,
    /// Of each list the rules of policy zones and their lines.
    zone_lines: Vec<Vec<(u32, u32)>>,
}

impl Compiler {
    /// Begins with what outranks every list. Entries are judged at `now`.
    #[must_use]
    pub fn new(protected: &Protected, now: Timestamp) -> Self {
        Self {
            now,
            lists: Vec::new(),
            held: Vec::new(),
            index: Index::default(),
            protected: protected.clone(),
            zone_lines: Vec::new(),
        }
    }

    /// Adds a list behind those that were added before, within what the configuration alone
    /// says.
    pub fn add(&mut self, settings: &Settings, file: &Verified<ListFile>) {
        self.add_within(settings, &Border::local(settings), file);
    }

    /// Adds a list behind those that were added before; its rows must be within `border`.
    pub fn add_within(&mut self, settings: &Settings, border: &Border, file: &Verified<ListFile>) {
        let file = file.get();
        let Ok(place) = u16::try_from(self.lists.len()) else {
            return;
        };
        let reading = settings.reading();
        let mut list = CompiledList::new(settings, border, &file.provenance);
        let mut held = HeldList::default();
        let mut repeats = Repeats::default();
        let mut zone_lines = Vec::new();
        parse::read(&reading, &file.text, &mut |parsed| match parsed {
            Parsed::Header(header) => {
                header.title().clone_into(&mut list.provenance.title);
                list.provenance.issuer.clone_from(&header.issuer);
                held.header = Some((rapidhash_v3(&file.text.header()), *header));
            }
            Parsed::Soa(apex, record) => {
                let owner = apex.map_or(list.soa.owner, |apex| *apex);
                list.soa = ZoneSoa::of_zone(owner, &record);
            }
            Parsed::Reject(reject) => list.reject(reject),
            Parsed::Warning(warning) => list.warn(warning),
            Parsed::Entry(line, entry) => {
                let is_new = |entry: &Entry| {
                    let is_new = repeats.note(line, entry);
                    held.repeats += usize::from(is_new.is_err());
                    is_new
                };
                let admitted = admit(&self.protected, &mut list, &entry, is_new);
                match admitted.and_then(|()| self.insert(place, &list, &entry)) {
                    Err(reason) => list.reject(Reject { line, reason }),
                    Ok(number) => {
                        list.triggers.note(&entry);
                        held.note(&entry);
                        if entry.reach == Reach::PolicyZone {
                            zone_lines.push((number, line));
                        }
                    }
                }
            }
        });
        held.rejects = hashes_at(&file.text, &list.rejects);
        self.lists.push(list);
        self.held.push(held);
        self.zone_lines.push(zone_lines);
    }

    /// The finished blocklist.
    #[must_use]
    pub fn finish(mut self) -> Blocklist {
        let base = Arc::new(self.index.seal());
        for (list, lines) in self.lists.iter_mut().zip(&self.zone_lines) {
            holes(&base, lines, &mut |warning| list.warn(warning));
            list.warnings.sort_by_key(|warning| warning.line);
        }
        let blocklist = Blocklist {
            lists: self.lists,
            held: self.held,
            zone_names: Arc::new(ZoneNames::of(&base, |_| true)),
            base,
            protected: self.protected,
            ..Blocklist::default()
        };
        blocklist.with(&Levers {
            now: self.now,
            ..Levers::default()
        })
    }

    fn insert(&mut self, place: u16, list: &CompiledList, entry: &Entry) -> Result<u32, String> {
        let action = effective_action(&list.settings, entry);
        let added = self.index.add(place, action, entry);
        added.ok_or_else(|| NO_ROOM.to_owned())
    }
}

/// The hashes of the rows that were left out; `rejects` rise by their lines.
fn hashes_at(text: &Text, rejects: &[Reject]) -> Vec<u64> {
    let mut hashes = Vec::with_capacity(rejects.len());
    let mut wanted = rejects.iter().peekable();
    let mut line = 0_u32;
    let read = text.each_line(|row| {
        line = line.saturating_add(1);
        while wanted.next_if(|reject| reject.line <= line).is_some() {
            hashes.push(rapidhash_v3(row));
        }
        match wanted.peek() {
            Some(_) => ControlFlow::Continue(()),
            None => ControlFlow::Break(()),
        }
    });
    debug_assert!(read.is_ok(), "a verified text was read through before");
    hashes.resize(rejects.len(), 0);
    hashes
}
