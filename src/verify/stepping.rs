//! [`Stepping`]: applies a chain of steps to a list that comes in blocks (trust.md section 7.6).

use std::collections::BTreeSet;

use super::Delta;
use super::delta::{Place, lines, place};

/// Steps that are applied one after the other to each block of a text.
pub(super) struct Stepping<'a> {
    levels: Vec<Level<'a>>,
    /// Whether the first of them leads to the version whose difference is asked for.
    has_own: bool,
    has_begun: bool,
    is_at_end: bool,
    /// The position of the next entry of the first state.
    at: u32,
    stepped: Stepped,
    removed: BTreeSet<Vec<u8>>,
    added: BTreeSet<&'a [u8]>,
}

/// What a chain of steps changed.
#[derive(Debug, Default)]
pub(super) struct Stepped {
    /// Positions in the first state of the entries that the last one has no longer.
    pub(super) positions: Vec<u32>,
    /// The entries that the first state does not have.
    pub(super) entries: Vec<Vec<u8>>,
    /// Lines of the stored state that the new one does not have.
    pub(super) removed: Vec<Vec<u8>>,
    /// Lines of the new state that the stored one does not have.
    pub(super) added: Vec<Vec<u8>>,
}

/// One step, as far as it was applied.
struct Level<'a> {
    /// The position of its state's next entry.
    at: u32,
    removed: &'a [u32],
    added: &'a [Vec<u8>],
    /// The place of the first of `added`, once it was looked at.
    next: Option<Place>,
}

impl<'a> Stepping<'a> {
    /// The step `own` leads to the stored state, and `chain` from there to the new one.
    pub(super) fn new(own: Option<&'a Delta>, chain: &'a [Delta]) -> Self {
        Self {
            levels: own.into_iter().chain(chain).map(Level::of).collect(),
            has_own: own.is_some(),
            has_begun: false,
            is_at_end: false,
            at: 0,
            stepped: Stepped::default(),
            removed: BTreeSet::new(),
            added: BTreeSet::new(),
        }
    }

    /// Whether the last block was taken.
    pub(super) const fn is_at_end(&self) -> bool {
        self.is_at_end
    }

    /// Takes a block of whole lines, the first with the header in front. Says whether the
    /// steps leave it as it is; else what they make of it is in `out`.
    ///
    /// # Errors
    /// What is wrong with a step, as the end of a sentence that begins with its name.
    pub(super) fn take(
        &mut self,
        block: &[u8],
        is_last: bool,
        out: &mut Vec<u8>,
    ) -> Result<bool, String> {
        self.is_at_end = is_last;
        let mut header: &[u8] = &[];
        let mut rest = block;
        if !std::mem::replace(&mut self.has_begun, true) {
            let end = memchr::memchr(b'\n', block);
            let end = end.ok_or("is applied to a state without a header")?;
            (header, rest) = block
                .split_at_checked(end.saturating_add(1))
                .unwrap_or_default();
        }
        let boundary = Boundary::of(rest, is_last);
        let count = memchr::memchr_iter(b'\n', rest).count();
        let count = u32::try_from(count).map_err(|_| "has too many lines")?;
        let mut is_same = true;
        for level in &mut self.levels {
            is_same &= !level.changes(count, &boundary)?;
        }
        if is_same {
            for at in self
                .levels
                .iter_mut()
                .map(|level| &mut level.at)
                .chain([&mut self.at])
            {
                *at = at.saturating_add(count);
            }
            return Ok(true);
        }
        let before: Vec<&[u8]> = lines(rest).collect();
        let mut entries: Vec<&[u8]> = before.clone();
        for (index, level) in self.levels.iter_mut().enumerate() {
            let (gone, come);
            (entries, gone, come) = level.step(&entries, &boundary)?;
            if self.has_own && index == 0 {
                continue;
            }
            for line in gone {
                if !self.added.remove(line) {
                    self.removed.insert(line.to_vec());
                }
            }
            for line in come {
                if !self.removed.remove(line.as_slice()) {
                    self.added.insert(line);
                }
            }
        }
        self.compare(rest, &before, &entries);
        out.clear();
        out.extend_from_slice(header);
        for line in entries {
            out.extend_from_slice(line);
            out.push(b'\n');
        }
        Ok(false)
    }

    /// What changed.
    pub(super) fn finish(self) -> Stepped {
        let added = self.added.into_iter().map(<[u8]>::to_vec).collect();
        Stepped {
            removed: self.removed.into_iter().collect(),
            added,
            ..self.stepped
        }
    }

    /// Notes how the entries of a block differ from those it had: what is left of these
    /// still stands in the block.
    fn compare(&mut self, block: &[u8], before: &[&[u8]], after: &[&[u8]]) {
        let octets = block.as_ptr_range();
        let mut after = after.iter().peekable();
        for line in before {
            while let Some(fresh) = after.next_if(|line| !octets.contains(&line.as_ptr())) {
                self.stepped.entries.push(fresh.to_vec());
            }
            let stays = after.next_if(|kept| std::ptr::eq(kept.as_ptr(), line.as_ptr()));
            if stays.is_none() {
                self.stepped.positions.push(self.at);
            }
            self.at = self.at.saturating_add(1);
        }
        let fresh = after.map(|line| line.to_vec());
        self.stepped.entries.extend(fresh);
    }
}

/// The entries after one step, those that went and those that came.
type Changed<'b, 'a> = (Vec<&'b [u8]>, Vec<&'b [u8]>, &'a [Vec<u8>]);

impl<'a> Level<'a> {
    fn of(delta: &'a Delta) -> Self {
        Self {
            at: 0,
            removed: &delta.removed,
            added: &delta.added,
            next: None,
        }
    }

    /// Whether the step changes something in a block of `count` entries.
    fn changes(&mut self, count: u32, boundary: &Boundary) -> Result<bool, String> {
        let end = self.at.saturating_add(count);
        let first = self.removed.first();
        let removes = first.is_some_and(|first| *first < end || boundary.is_last());
        Ok(removes || self.adds_before(boundary)?)
    }

    /// Whether the next new entry stands in the block with that end.
    fn adds_before(&mut self, boundary: &Boundary) -> Result<bool, String> {
        let Some(line) = self.added.first() else {
            return Ok(false);
        };
        if self.next.is_none() {
            self.next = Some(place(line).ok_or("adds a line that is no entry")?);
        }
        Ok(self.next.as_ref().is_some_and(|next| boundary.holds(next)))
    }

    /// Applies the step to the entries of a block.
    fn step<'b>(
        &mut self,
        entries: &[&'b [u8]],
        boundary: &Boundary,
    ) -> Result<Changed<'b, 'a>, String>
    where
        'a: 'b,
    {
        let mut kept = Vec::with_capacity(entries.len().saturating_add(self.added.len().min(64)));
        let mut gone = Vec::new();
        for line in entries {
            if self.removed.first() == Some(&self.at) {
                self.removed = self.removed.get(1..).unwrap_or_default();
                gone.push(*line);
            } else {
                kept.push(*line);
            }
            self.at = self.at.checked_add(1).ok_or("has too many lines")?;
        }
        if let (Some(position), true) = (self.removed.first(), boundary.is_last()) {
            return Err(format!("removes entry {position}, which is not there"));
        }
        // Each new entry is looked for from where the last one went, in halves: only few old
        // entries are read.
        let fresh = self.added;
        let mut count = 0_usize;
        let mut next: Vec<&'b [u8]> = Vec::with_capacity(kept.len());
        let mut rest = kept.as_slice();
        while self.adds_before(boundary)? {
            let (Some(own), Some((line, behind))) = (self.next.take(), self.added.split_first())
            else {
                break;
            };
            let before =
                rest.partition_point(|other| place(other).is_some_and(|other| other < own));
            let (run, others) = rest.split_at_checked(before).unwrap_or((rest, &[]));
            let is_there = |other: &&[u8]| place(other).as_ref() == Some(&own);
            if others.first().is_some_and(is_there) {
                return Err(format!("adds entry {}, which is there already", own.2));
            }
            next.extend_from_slice(run);
            next.push(line);
            rest = others;
            self.added = behind;
            count = count.saturating_add(1);
            if let Some(following) = behind.first() {
                let following = place(following).ok_or("adds a line that is no entry")?;
                if following <= own {
                    return Err("adds entries out of their order".to_owned());
                }
                self.next = Some(following);
            }
        }
        next.extend_from_slice(rest);
        Ok((next, gone, fresh.get(..count).unwrap_or_default()))
    }
}

/// Which new entries stand in a block: those up to its last old one, in the last block all.
enum Boundary {
    Last,
    UpTo(Place),
    Nothing,
}

impl Boundary {
    /// That of a block.
    fn of(block: &[u8], is_last: bool) -> Self {
        if is_last {
            return Self::Last;
        }
        let text = block.strip_suffix(b"\n").unwrap_or(block);
        let begin = memchr::memrchr(b'\n', text).map_or(0, |end| end.saturating_add(1));
        place(text.get(begin..).unwrap_or_default()).map_or(Self::Nothing, Self::UpTo)
    }

    const fn is_last(&self) -> bool {
        matches!(self, Self::Last)
    }

    fn holds(&self, place: &Place) -> bool {
        match self {
            Self::Last => true,
            Self::UpTo(last) => place <= last,
            Self::Nothing => false,
        }
    }
}
