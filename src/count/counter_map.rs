//! [`CounterMap`]: the counters as memory, mapped from their file so that hits survive a kill.

#![expect(
    unsafe_code,
    reason = "atomic counters in a shared mapping; each block says why it is sound"
)]

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::atomic::{AtomicU64, Ordering};

use memmap2::{MmapOptions, MmapRaw};

use crate::policy::Surface;

/// The counters of a run of slots. A slot has one counter and one settled value per surface;
/// both only rise. The counter is the truth about hits; the settled value is a copy of what
/// the ledger has taken over, which counts only where the ledger itself does not know.
///
/// ```text
/// word 0     1        2    3          4             512
///      magic format   id   hour       slots         slot 0: dns http tls, settled dns http tls
/// ```
///
/// Words are native 64-bit integers: the file belongs to one machine. Dirty pages belong to
/// the kernel, so a kill loses nothing; a power cut loses what the kernel had not written,
/// and the ledger then lifts the counters to what it has settled.
#[derive(Debug)]
pub(super) struct CounterMap {
    words: Words,
    slots: usize,
}

/// Where the words are.
#[derive(Debug)]
enum Words {
    /// In a file, mapped shared.
    Mapped { raw: MmapRaw, count: usize },
    /// In memory alone; lost at a kill.
    Memory(Box<[AtomicU64]>),
}

/// Why a file of counters is not taken as it is.
#[derive(Debug)]
pub(super) enum MapFault {
    /// The system refused.
    Io(io::Error),
    /// The header is not one.
    Damaged,
    /// A later format.
    Newer(u64),
}

impl CounterMap {
    /// Counters in memory alone.
    pub(super) fn in_memory(slots: usize) -> Self {
        let count = HEADER_WORDS + slots * SLOT_WORDS;
        Self {
            words: Words::Memory((0..count).map(|_| AtomicU64::new(0)).collect()),
            slots,
        }
    }

    /// Writes a file without slots into the empty `file`, durably.
    pub(super) fn format(file: &mut File, id: u64, hour: i64) -> io::Result<()> {
        let mut header = vec![0_u8; HEADER_WORDS * 8];
        let words = [MAGIC, FORMAT, id, hour.cast_unsigned(), 0];
        for (target, word) in header.chunks_exact_mut(8).zip(words) {
            target.copy_from_slice(&word.to_ne_bytes());
        }
        file.write_all(&header)?;
        file.sync_all()
    }

    /// Maps a file as it is. A file that is shorter than its header says is mapped as far as
    /// it goes; [`Self::missing`] tells.
    pub(super) fn open(file: &File) -> Result<Self, MapFault> {
        let map = Self::map(file).map_err(MapFault::Io)?;
        if map.word(0) != MAGIC || map.words.as_slice().len() < HEADER_WORDS {
            return Err(MapFault::Damaged);
        }
        match map.word(1) {
            FORMAT => Ok(map),
            later if later > FORMAT => Err(MapFault::Newer(later)),
            _ => Err(MapFault::Damaged),
        }
    }

    /// How many slots the header promises beyond the end of the file.
    pub(super) fn missing(&self) -> usize {
        usize::try_from(self.word(SLOTS_WORD))
            .unwrap_or(usize::MAX)
            .saturating_sub(self.slots)
    }

    /// Makes the file large enough for `slots` and maps all of it. The new part is written
    /// out, not left as a hole: a full disk is then an error here, and not a fault of the
    /// memory when a query is counted.
    pub(super) fn grow(file: &File, slots: usize) -> io::Result<Self> {
        let end = file_len(slots);
        let mut at = file.metadata()?.len();
        // From the last whole slot on, so that a growth that was cut off is done again.
        at -= at.saturating_sub(file_len(0)) % (SLOT_WORDS as u64 * 8);
        let zeros = vec![0_u8; ZEROS];
        while at < end {
            let step = usize::try_from(end - at).unwrap_or(ZEROS).min(ZEROS);
            file.write_all_at(zeros.get(..step).unwrap_or(&zeros), at)?;
            at += step as u64;
        }
        file.sync_all()?;
        let map = Self::map(file)?;
        map.set_word(SLOTS_WORD, map.slots as u64);
        Ok(map)
    }

    fn map(file: &File) -> io::Result<Self> {
        let bytes = usize::try_from(file.metadata()?.size()).unwrap_or(usize::MAX);
        let count = bytes / 8;
        let raw = MmapOptions::new().len(bytes.max(8)).map_raw(file)?;
        Ok(Self {
            words: Words::Mapped { raw, count },
            slots: count.saturating_sub(HEADER_WORDS) / SLOT_WORDS,
        })
    }

    /// The number of slots.
    pub(super) const fn slots(&self) -> usize {
        self.slots
    }

    /// Names the file among all that were ever begun.
    pub(super) fn id(&self) -> u64 {
        self.word(2)
    }

    /// The hour to which the unsettled hits belong.
    pub(super) fn hour(&self) -> i64 {
        self.word(HOUR_WORD).cast_signed()
    }

    /// Sets the hour to which hits from now on belong.
    pub(super) fn set_hour(&self, hour: i64) {
        self.set_word(HOUR_WORD, hour.cast_unsigned());
    }

    /// Counts one hit. Relaxed: hits are added up, never ordered against anything.
    pub(super) fn hit(&self, slot: usize, surface: Surface) {
        if let Some(count) = self.counter(slot, surface) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The hits of a slot.
    pub(super) fn hits(&self, slot: usize, surface: Surface) -> u64 {
        self.counter(slot, surface)
            .map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// Lifts the hits of a slot to what was settled, after a power cut took some.
    pub(super) fn lift(&self, slot: usize, surface: Surface, settled: u64) {
        if let Some(count) = self.counter(slot, surface) {
            count.fetch_max(settled, Ordering::Relaxed);
        }
        self.set_settled(slot, surface, settled);
    }

    /// What was last settled of a slot.
    pub(super) fn settled(&self, slot: usize, surface: Surface) -> u64 {
        self.settled_word(slot, surface)
            .map_or(0, |word| word.load(Ordering::Relaxed))
    }

    /// Notes what was settled of a slot.
    pub(super) fn set_settled(&self, slot: usize, surface: Surface, settled: u64) {
        if let Some(word) = self.settled_word(slot, surface) {
            word.store(settled, Ordering::Relaxed);
        }
    }

    fn counter(&self, slot: usize, surface: Surface) -> Option<&AtomicU64> {
        self.words
            .as_slice()
            .get(HEADER_WORDS + slot * SLOT_WORDS + surface.index())
    }

    fn settled_word(&self, slot: usize, surface: Surface) -> Option<&AtomicU64> {
        self.words
            .as_slice()
            .get(HEADER_WORDS + slot * SLOT_WORDS + Surface::ALL.len() + surface.index())
    }

    fn word(&self, index: usize) -> u64 {
        self.words
            .as_slice()
            .get(index)
            .map_or(0, |word| word.load(Ordering::Relaxed))
    }

    fn set_word(&self, index: usize, value: u64) {
        if let Some(word) = self.words.as_slice().get(index) {
            word.store(value, Ordering::Relaxed);
        }
    }
}

impl Words {
    fn as_slice(&self) -> &[AtomicU64] {
        match self {
            Self::Memory(words) => words,
            Self::Mapped { raw, count } => {
                // SAFETY: the mapping starts at a page, so it is aligned for `AtomicU64`;
                // it is at least `count * 8` bytes long, readable and writable, and lives as
                // long as `raw`, which the slice borrows. Every bit pattern is an
                // `AtomicU64`, and all access to the mapped memory goes through these
                // atomics. The file lies under the lock of its folder and this program never
                // shortens it while it is mapped.
                unsafe { std::slice::from_raw_parts(raw.as_mut_ptr().cast_const().cast(), *count) }
            }
        }
    }
}

/// The length in bytes of a file of `slots`.
const fn file_len(slots: usize) -> u64 {
    ((HEADER_WORDS + slots * SLOT_WORDS) * 8) as u64
}

/// "CORDONHC" as it lies in the file.
const MAGIC: u64 = u64::from_ne_bytes(*b"CORDONHC");
/// The format that is written, and the highest that is read.
pub(super) const FORMAT: u64 = 1;
/// Where the hour is.
const HOUR_WORD: usize = 3;
/// Where the number of slots is.
const SLOTS_WORD: usize = 4;
/// One page, so that slots begin at a border.
const HEADER_WORDS: usize = 512;
/// A counter and a settled value per surface.
const SLOT_WORDS: usize = 2 * Surface::ALL.len();
/// How much is written at once while growing, in bytes.
const ZEROS: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh() -> File {
        let mut file = tempfile::tempfile().unwrap();
        CounterMap::format(&mut file, 7, 42).unwrap();
        file
    }

    #[test]
    fn mappings_of_one_file_are_one_memory() {
        let file = fresh();
        let small = CounterMap::grow(&file, 2).unwrap();
        small.hit(1, Surface::Http);
        let large = CounterMap::grow(&file, 1000).unwrap();
        small.hit(1, Surface::Http);
        large.hit(1, Surface::Http);
        large.hit(999, Surface::Tls);
        assert_eq!(small.hits(1, Surface::Http), 3);
        assert_eq!(small.hits(999, Surface::Tls), 0, "beyond this mapping");
        drop((small, large));
        let again = CounterMap::open(&file).unwrap();
        assert_eq!((again.id(), again.hour(), again.slots()), (7, 42, 1000));
        assert_eq!(again.hits(1, Surface::Http), 3);
        assert_eq!(again.hits(999, Surface::Tls), 1);
        assert_eq!(again.hits(1, Surface::Dns), 0);
        assert_eq!(again.missing(), 0);
    }

    #[test]
    fn damage_is_seen() {
        let file = fresh();
        drop(CounterMap::grow(&file, 10).unwrap());
        file.set_len(file_len(4) + 5).unwrap();
        let cut = CounterMap::open(&file).unwrap();
        assert_eq!((cut.slots(), cut.missing()), (4, 6));
        drop(cut);
        assert_eq!(CounterMap::grow(&file, 10).unwrap().missing(), 0);

        file.write_all_at(&2_u64.to_ne_bytes(), 8).unwrap();
        assert!(matches!(CounterMap::open(&file), Err(MapFault::Newer(2))));
        file.write_all_at(b"x", 0).unwrap();
        assert!(matches!(CounterMap::open(&file), Err(MapFault::Damaged)));
        file.set_len(3).unwrap();
        assert!(matches!(CounterMap::open(&file), Err(MapFault::Damaged)));
        file.set_len(0).unwrap();
        assert!(matches!(CounterMap::open(&file), Err(MapFault::Damaged)));
    }

    #[test]
    fn a_counter_is_lifted_never_lowered() {
        let map = CounterMap::in_memory(1);
        map.hit(0, Surface::Dns);
        map.lift(0, Surface::Dns, 5);
        assert_eq!(map.hits(0, Surface::Dns), 5);
        map.lift(0, Surface::Dns, 3);
        assert_eq!(map.hits(0, Surface::Dns), 5);
        assert_eq!(map.settled(0, Surface::Dns), 3);
    }
}
