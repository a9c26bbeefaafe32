//! [`SlotBook`]: which slot counts for which entry; append-only, written before a slot is used.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rapidhash::v3::rapidhash_v3;

use crate::policy::{Action, Category};

/// The names of the slots. A slot belongs to one entry, action, category and authority of one
/// list for ever; when an entry's legal record changes, it counts on in a slot of its own.
///
/// ```text
/// "CORDONSB" format:u32 id:u64   then batches: length:u32 hash:u64 records…
/// record 1: a list, category and authority, numbered from 0      (each length:u16 text)
/// record 2: a slot, numbered from 0: their number:u32 action:u8 entry id (length:u16 text)
/// ```
///
/// Little-endian. A batch is whole or not there: one that was cut off by a crash was never
/// used, and is dropped.
#[derive(Debug)]
pub(super) struct SlotBook {
    file: File,
    path: PathBuf,
    /// How far the file is whole, in bytes.
    len: u64,
    /// Batches that a full disk has refused so far.
    unwritten: Vec<u8>,
    /// How many slots are named.
    slots: usize,
}

/// What a slot stands for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct SlotName<'a> {
    pub(super) list: &'a str,
    pub(super) category: &'a str,
    pub(super) authority: &'a str,
    pub(super) entry_id: &'a str,
    pub(super) action: Action,
}

/// Why a book is not taken as it is.
#[derive(Debug)]
pub(super) enum BookFault {
    /// The system refused.
    Io(io::Error),
    /// The header is not one, or names another map.
    Damaged,
    /// A later format.
    Newer(u64),
}

impl SlotBook {
    /// Begins an empty book, durably.
    pub(super) fn create(path: &Path, id: u64) -> io::Result<Self> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)?;
        let mut header = MAGIC.to_vec();
        header.extend(FORMAT.to_le_bytes());
        header.extend(id.to_le_bytes());
        file.write_all(&header)?;
        file.sync_all()?;
        Ok(Self {
            file,
            path: path.to_owned(),
            len: HEADER as u64,
            unwritten: Vec::new(),
            slots: 0,
        })
    }

    /// Opens the book of the map `id`, as far as it is whole; says whether that is not all.
    pub(super) fn open(path: &Path, id: u64) -> Result<(Self, bool), BookFault> {
        let bytes = fs::read(path).map_err(BookFault::Io)?;
        let mut rest = bytes.as_slice();
        let magic = take(&mut rest, MAGIC.len());
        let format = take_u32(&mut rest);
        let its_id = take_u64(&mut rest);
        match (magic, format, its_id) {
            (Some(magic), Some(FORMAT), Some(its_id)) if magic == MAGIC && its_id == id => {}
            (Some(magic), Some(format), _) if magic == MAGIC && format > FORMAT => {
                return Err(BookFault::Newer(u64::from(format)));
            }
            _ => return Err(BookFault::Damaged),
        }
        let whole = bytes.len() - rest.len() + whole_batches(rest);
        let slots = Names::of(bytes.get(HEADER..whole).unwrap_or_default()).count();
        let file = OpenOptions::new()
            .write(true)
            .open(path)
            .map_err(BookFault::Io)?;
        let book = Self {
            file,
            path: path.to_owned(),
            len: whole as u64,
            unwritten: Vec::new(),
            slots,
        };
        Ok((book, whole < bytes.len()))
    }

    /// How many slots are named.
    pub(super) const fn slots(&self) -> usize {
        self.slots
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Its batches, those included that are not written yet.
    pub(super) fn batches(&self) -> io::Result<Vec<u8>> {
        let mut bytes = fs::read(&self.path)?;
        bytes.truncate(usize::try_from(self.len).unwrap_or(usize::MAX));
        bytes.drain(..HEADER.min(bytes.len()));
        bytes.extend(&self.unwritten);
        Ok(bytes)
    }

    /// Names further slots by their records, and writes them out durably together with what
    /// was refused before. When that fails they are named all the same, but only in memory.
    pub(super) fn append(&mut self, records: &[u8], slots: usize) -> io::Result<()> {
        if !records.is_empty() {
            let length = u32::try_from(records.len()).unwrap_or(u32::MAX);
            self.unwritten.extend(length.to_le_bytes());
            self.unwritten.extend(rapidhash_v3(records).to_le_bytes());
            self.unwritten.extend(records);
        }
        self.slots += slots;
        self.write_out()
    }

    /// Names slots that nobody may use again, because what they counted for is lost.
    pub(super) fn bury(&mut self, slots: usize) -> io::Result<()> {
        if slots == 0 {
            return Ok(());
        }
        let batches = self.batches()?;
        let mut names = Names::of(&batches);
        while names.next().is_some() {}
        let number = u32::try_from(names.sources.len()).unwrap_or(u32::MAX);
        let mut records = vec![SOURCE];
        for text in ["", Category::Local.as_str(), ""] {
            push_text(&mut records, text);
        }
        for _ in 0..slots {
            records.push(SLOT);
            records.extend(number.to_le_bytes());
            records.push(0);
            push_text(&mut records, "");
        }
        self.append(&records, slots)
    }

    fn write_out(&mut self) -> io::Result<()> {
        use std::os::unix::fs::FileExt;
        if self.unwritten.is_empty() {
            return Ok(());
        }
        // What an earlier attempt left behind the whole part is overwritten.
        self.file.write_all_at(&self.unwritten, self.len)?;
        let len = self.len + self.unwritten.len() as u64;
        self.file.set_len(len)?;
        self.file.sync_all()?;
        self.len = len;
        self.unwritten = Vec::new();
        Ok(())
    }
}

/// The names in the batches of a book, in the order of their slots.
#[derive(Debug)]
pub(super) struct Names<'a> {
    pub(super) rest: &'a [u8],
    pub(super) batch: &'a [u8],
    pub(super) sources: Vec<(&'a str, &'a str, &'a str)>,
}

impl<'a> Names<'a> {
    pub(super) const fn of(batches: &'a [u8]) -> Self {
        Self {
            rest: batches,
            batch: &[],
            sources: Vec::new(),
        }
    }

    fn record(&mut self) -> Option<Option<SlotName<'a>>> {
        match take(&mut self.batch, 1)? {
            [SOURCE] => {
                let source = (
                    take_text(&mut self.batch)?,
                    take_text(&mut self.batch)?,
                    take_text(&mut self.batch)?,
                );
                self.sources.push(source);
                Some(None)
            }
            _ => {
                let number = usize::try_from(take_u32(&mut self.batch)?).ok()?;
                let (list, category, authority) = *self.sources.get(number)?;
                let action = take(&mut self.batch, 1)?.first().copied()?;
                Some(Some(SlotName {
                    list,
                    category,
                    authority,
                    entry_id: take_text(&mut self.batch)?,
                    action: *Action::ALL.get(usize::from(action))?,
                }))
            }
        }
    }
}

impl<'a> Iterator for Names<'a> {
    type Item = SlotName<'a>;

    fn next(&mut self) -> Option<SlotName<'a>> {
        loop {
            if self.batch.is_empty() {
                let length = usize::try_from(take_u32(&mut self.rest)?).ok()?;
                take_u64(&mut self.rest)?;
                self.batch = take(&mut self.rest, length)?;
            }
            if let Some(name) = self.record()? {
                return Some(name);
            }
        }
    }
}

/// How many bytes of `batches` are whole batches.
fn whole_batches(batches: &[u8]) -> usize {
    let mut rest = batches;
    let mut whole = 0;
    loop {
        let Some(length) = take_u32(&mut rest) else {
            return whole;
        };
        let Some(hash) = take_u64(&mut rest) else {
            return whole;
        };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        match take(&mut rest, length) {
            Some(batch) if rapidhash_v3(batch) == hash => whole = batches.len() - rest.len(),
            _ => return whole,
        }
    }
}

pub(super) fn push_text(bytes: &mut Vec<u8>, text: &str) {
    let mut end = text.len().min(TEXT_OCTETS_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    bytes.extend(u16::try_from(end).unwrap_or(u16::MAX).to_le_bytes());
    bytes.extend(text.as_bytes().get(..end).unwrap_or_default());
}

pub(super) fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

pub(super) fn take_u16(bytes: &mut &[u8]) -> Option<u16> {
    take(bytes, 2)?.try_into().ok().map(u16::from_le_bytes)
}

fn take_u32(bytes: &mut &[u8]) -> Option<u32> {
    take(bytes, 4)?.try_into().ok().map(u32::from_le_bytes)
}

fn take_u64(bytes: &mut &[u8]) -> Option<u64> {
    take(bytes, 8)?.try_into().ok().map(u64::from_le_bytes)
}

fn take_text<'a>(bytes: &mut &'a [u8]) -> Option<&'a str> {
    let length = usize::from(take_u16(bytes)?);
    std::str::from_utf8(take(bytes, length)?).ok()
}

const MAGIC: &[u8] = b"CORDONSB";
/// The format that is written, and the highest that is read.
pub(super) const FORMAT: u32 = 1;
/// Magic, format and id.
const HEADER: usize = 8 + 4 + 8;
/// A record that numbers a list, category and authority.
pub(super) const SOURCE: u8 = 1;
/// A record that numbers a slot.
pub(super) const SLOT: u8 = 2;
/// The bytes of a slot's record before the entry id.
pub(super) const SLOT_HEAD: usize = 1 + 4 + 1 + 2;
/// Slots are numbered below this.
pub(super) const SLOTS_MAX: u32 = u32::MAX - 1;
/// Longer texts are cut; formats of lists allow far less.
const TEXT_OCTETS_MAX: usize = 60_000;
