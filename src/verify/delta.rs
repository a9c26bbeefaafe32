//! [`Delta`]: the difference between two states of a list (trust.md section 7.6).

use std::cmp::Ordering;
use std::collections::BTreeSet;

use serde::Deserialize;

/// One step of a list: which entries of the old state go, and which come.
///
/// ```text
/// blocklist-delta/v1 csam 1 8999 9000
/// del 200
/// <gaps between positions in the old entries, as varints; the first from 0>
/// add 200
/// <entries in canonical JSON, in their order>
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Delta {
    /// The list's name in the repository.
    pub list: String,
    /// The generation of both states.
    pub generation: u64,
    /// The serial it leads from.
    pub from: u64,
    /// The serial it leads to.
    pub to: u64,
    /// Positions of the entries that go, from 0, the header not counted; rising.
    pub removed: Vec<u32>,
    /// The entries that come, one line each without its line feed; in their order.
    pub added: Vec<Vec<u8>>,
}

/// What the steps of a chain make of a state.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Applied {
    /// The new state's whole plaintext.
    pub plaintext: Vec<u8>,
    /// Lines of the old state that the new one does not have.
    pub removed: Vec<Vec<u8>>,
    /// Lines of the new state that the old one does not have.
    pub added: Vec<Vec<u8>>,
}

impl Delta {
    /// The step between two states of a list; nothing where their headers differ, for a step
    /// changes entries only.
    #[must_use]
    pub fn between(
        list: &str,
        generation: u64,
        (from, before): (u64, &[u8]),
        (to, after): (u64, &[u8]),
    ) -> Option<Self> {
        let (mut before, mut after) = (lines(before).peekable(), lines(after).peekable());
        if before.next()? != after.next()? {
            return None;
        }
        let mut delta = Self {
            list: list.to_owned(),
            generation,
            from,
            to,
            removed: Vec::new(),
            added: Vec::new(),
        };
        let mut position = 0_u32;
        loop {
            let order = match (before.peek(), after.peek()) {
                (None, None) => return Some(delta),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(old), Some(new)) if old == new => Ordering::Equal,
                // The same place with another content: the old line goes, the new one comes.
                (Some(old), Some(new)) => place(old)?.cmp(&place(new)?).then(Ordering::Less),
            };
            if order != Ordering::Greater {
                if order == Ordering::Less {
                    delta.removed.push(position);
                }
                before.next();
                position = position.checked_add(1)?;
            }
            if order != Ordering::Less {
                let line = after.next()?;
                if order == Ordering::Greater {
                    delta.added.push(line.to_vec());
                }
            }
        }
    }

    /// The file, before it is compressed.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let Self {
            list,
            generation,
            from,
            to,
            ..
        } = self;
        let (del, add) = (self.removed.len(), self.added.len());
        let mut file = format!("{MAGIC} {list} {generation} {from} {to}\ndel {del}\n").into_bytes();
        let mut last = 0;
        for position in &self.removed {
            write_varint(position.saturating_sub(last), &mut file);
            last = *position;
        }
        file.extend_from_slice(format!("\nadd {add}\n").as_bytes());
        for line in &self.added {
            file.extend_from_slice(line);
            file.push(b'\n');
        }
        file
    }

    /// Octets that it takes in memory.
    #[must_use]
    pub fn octets(&self) -> u64 {
        let lines = self.added.iter().map(|line| line.len());
        let lines = lines.fold(0, usize::saturating_add);
        let entries = self.added.len().saturating_mul(size_of::<Vec<u8>>());
        let positions = self.removed.len().saturating_mul(size_of::<u32>());
        let octets = lines.saturating_add(entries).saturating_add(positions);
        u64::try_from(octets).unwrap_or(u64::MAX)
    }

    /// Reads the file.
    ///
    /// # Errors
    /// What is wrong with it, as the end of a sentence that begins with its name.
    pub fn read(file: &[u8]) -> Result<Self, String> {
        let mut rest = file;
        let head = text_line(&mut rest)?;
        let words: Vec<&str> = head.split(' ').collect();
        let [MAGIC, list, generation, from, to] = words.as_slice() else {
            return Err(format!("does not begin with {MAGIC}"));
        };
        let number = |word: &str| {
            word.parse::<u64>()
                .map_err(|_| format!("has {word} where a number belongs"))
        };
        let mut delta = Self {
            list: (*list).to_owned(),
            generation: number(generation)?,
            from: number(from)?,
            to: number(to)?,
            removed: Vec::new(),
            added: Vec::new(),
        };
        let del = count(&mut rest, "del")?;
        let mut position = 0_u32;
        for index in 0..del {
            let gap = read_varint(&mut rest).ok_or("ends within its positions")?;
            if gap == 0 && index > 0 {
                return Err("has a position twice".to_owned());
            }
            position = position
                .checked_add(gap)
                .ok_or("has a position beyond any list")?;
            delta.removed.push(position);
        }
        if !text_line(&mut rest)?.is_empty() {
            return Err("has more positions than it says".to_owned());
        }
        let add = count(&mut rest, "add")?;
        for _ in 0..add {
            delta.added.push(line(&mut rest)?.to_vec());
        }
        if rest.is_empty() {
            Ok(delta)
        } else {
            Err("goes on behind its last entry".to_owned())
        }
    }
}

/// Applies a chain of steps, the oldest first, to the state it leads from. Whether the
/// result is what was signed, its digest says; this only finds what cannot be.
///
/// # Errors
/// What is wrong with a step, as the end of a sentence that begins with its name.
pub fn apply(before: &[u8], chain: &[Delta]) -> Result<Applied, String> {
    let mut old = lines(before);
    let header = old.next().ok_or("is applied to a state without a header")?;
    let old: Vec<&[u8]> = old.collect();
    let mut entries = old;
    let mut removed: BTreeSet<&[u8]> = BTreeSet::new();
    let mut added: BTreeSet<&[u8]> = BTreeSet::new();
    for delta in chain {
        let (gone, come);
        (entries, gone, come) = step(&entries, delta)?;
        for line in gone {
            if !added.remove(line) {
                removed.insert(line);
            }
        }
        for line in come {
            if !removed.remove(line) {
                added.insert(line);
            }
        }
    }
    let octets: usize = entries
        .iter()
        .map(|line| line.len().saturating_add(1))
        .sum();
    let mut plaintext = Vec::with_capacity(octets.saturating_add(header.len()).saturating_add(1));
    for line in std::iter::once(header).chain(entries) {
        plaintext.extend_from_slice(line);
        plaintext.push(b'\n');
    }
    let owned = |lines: BTreeSet<&[u8]>| lines.into_iter().map(<[u8]>::to_vec).collect();
    Ok(Applied {
        plaintext,
        removed: owned(removed),
        added: owned(added),
    })
}

/// The entries after one step, those that went and those that came.
type Stepped<'a> = (Vec<&'a [u8]>, Vec<&'a [u8]>, Vec<&'a [u8]>);

/// Applies one step to the entries of a state.
fn step<'a>(entries: &[&'a [u8]], delta: &'a Delta) -> Result<Stepped<'a>, String> {
    let mut kept = Vec::with_capacity(entries.len().saturating_add(delta.added.len()));
    let mut gone = Vec::with_capacity(delta.removed.len());
    let mut at = 0;
    for position in &delta.removed {
        let position = usize::try_from(*position).unwrap_or(usize::MAX);
        let (Some(run), Some(line)) = (entries.get(at..position), entries.get(position)) else {
            return Err(format!("removes entry {position}, which is not there"));
        };
        kept.extend_from_slice(run);
        gone.push(*line);
        at = position.saturating_add(1);
    }
    kept.extend_from_slice(entries.get(at..).unwrap_or_default());
    // Each new entry is looked for from where the last one went, in halves: only few old
    // entries are read.
    let mut next = Vec::with_capacity(kept.len().saturating_add(delta.added.len()));
    let mut rest = kept.as_slice();
    for line in &delta.added {
        let own = place(line).ok_or("adds a line that is no entry")?;
        let before = rest.partition_point(|other| place(other).is_some_and(|other| other < own));
        let (run, behind) = rest.split_at_checked(before).unwrap_or((rest, &[]));
        if behind
            .first()
            .is_some_and(|other| place(other).as_ref() == Some(&own))
        {
            return Err(format!("adds entry {}, which is there already", own.2));
        }
        next.extend_from_slice(run);
        if let Some(last) = next.last()
            && place(last).is_some_and(|last| last >= own)
        {
            return Err("adds entries out of their order".to_owned());
        }
        next.push(line.as_slice());
        rest = behind;
    }
    next.extend_from_slice(rest);
    let come = delta.added.iter().map(Vec::as_slice).collect();
    Ok((next, gone, come))
}

/// By what entries are sorted: kind, value, id.
fn place(line: &[u8]) -> Option<(String, String, String)> {
    #[derive(Deserialize)]
    struct Place {
        kind: String,
        value: String,
        id: String,
    }
    let Place { kind, value, id } = serde_json::from_slice(line).ok()?;
    Some((kind, value, id))
}

/// The lines of a state, without their line feeds.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = text;
    std::iter::from_fn(move || line(&mut rest).ok())
}

/// Takes one line off.
fn line<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], String> {
    let end = memchr::memchr(b'\n', rest).ok_or("ends within a line")?;
    let (line, behind) = rest.split_at_checked(end).ok_or("ends within a line")?;
    *rest = behind.get(1..).unwrap_or_default();
    Ok(line)
}

/// Takes one line of text off.
fn text_line<'a>(rest: &mut &'a [u8]) -> Result<&'a str, String> {
    std::str::from_utf8(line(rest)?).map_err(|_| "is no text where it should be".to_owned())
}

/// Takes a line off that is a word and a number of changes.
fn count(rest: &mut &[u8], word: &str) -> Result<u32, String> {
    let line = text_line(rest)?;
    let count = line
        .strip_prefix(word)
        .and_then(|number| number.strip_prefix(' '))
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| format!("has no line `{word} N`"))?;
    if count > CHANGES_MAX {
        return Err(format!("has more than {CHANGES_MAX} changes"));
    }
    Ok(count)
}

/// Seven bits an octet, the lowest first; the high bit says that another octet follows.
fn write_varint(mut number: u32, file: &mut Vec<u8>) {
    loop {
        let [low, ..] = (number & 0x7f).to_le_bytes();
        number >>= 7;
        if number == 0 {
            return file.push(low);
        }
        file.push(low | 0x80);
    }
}

/// Takes a number off; nothing where there is none, or one beyond 32 bits.
fn read_varint(rest: &mut &[u8]) -> Option<u32> {
    let mut number = 0_u32;
    for shift in (0..35).step_by(7) {
        let (octet, behind) = rest.split_first()?;
        *rest = behind;
        let bits = u32::from(octet & 0x7f);
        number |= bits.checked_mul(1_u32.checked_shl(shift)?)?;
        if octet & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// How the file begins.
const MAGIC: &str = "blocklist-delta/v1";
/// The most entries that one step removes, and that it adds.
const CHANGES_MAX: u32 = 1 << 20;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A state with an entry for each of `ids`, whose content is the number beside it.
    fn state(header: &str, ids: &[(u8, u8)]) -> Vec<u8> {
        let entries: std::collections::BTreeMap<String, u8> = ids
            .iter()
            .map(|(id, content)| (format!("v{id:03}"), *content))
            .collect();
        let mut text = format!("{{\"list\":\"{header}\"}}\n");
        for (value, content) in entries {
            text.push_str(&format!(
                "{{\"added_at\":{content},\"id\":\"{value}\",\"kind\":\"domain\",\"value\":\"{value}\"}}\n"
            ));
        }
        text.into_bytes()
    }

    fn between(before: &[u8], after: &[u8]) -> Option<Delta> {
        Delta::between("a", 1, (7, before), (8, after))
    }

    proptest! {
        #[test]
        fn a_chain_leads_from_any_state_to_any_other(
            states in prop::collection::vec(prop::collection::vec((any::<u8>(), 0_u8..3), 0..40), 2..5),
        ) {
            let states: Vec<Vec<u8>> = states.iter().map(|ids| state("a", ids)).collect();
            let chain: Vec<Delta> = states
                .windows(2)
                .map(|pair| between(&pair[0], &pair[1]).unwrap())
                .map(|delta| {
                    let read = Delta::read(&delta.write()).unwrap();
                    assert_eq!(read, delta);
                    read
                })
                .collect();
            let (first, last) = (states.first().unwrap(), states.last().unwrap());
            let applied = apply(first, &chain).unwrap();
            prop_assert_eq!(&applied.plaintext, last);
            let set = |state: &'static [u8]| lines(state).map(<[u8]>::to_vec).collect::<BTreeSet<_>>();
            let (old, new) = (set(first.clone().leak()), set(last.clone().leak()));
            prop_assert_eq!(applied.removed, old.difference(&new).cloned().collect::<Vec<_>>());
            prop_assert_eq!(applied.added, new.difference(&old).cloned().collect::<Vec<_>>());
        }

        #[test]
        fn no_octets_make_it_panic(octets in prop::collection::vec(any::<u8>(), 0..200), cut in 0_usize..400) {
            let _ = Delta::read(&octets);
            let before = state("a", &[(1, 0), (2, 0), (9, 0)]);
            let delta = between(&before, &state("a", &[(2, 1), (200, 0)])).unwrap();
            let mut file = delta.write();
            file.truncate(cut);
            if let Ok(read) = Delta::read(&file) {
                prop_assert_eq!(read, delta);
            }
        }
    }

    #[test]
    fn another_header_has_no_step() {
        assert_eq!(between(&state("a", &[]), &state("b", &[])), None);
    }

    fn check(change: impl FnOnce(&mut Delta), complaint: &str) {
        let before = state("a", &[(1, 0), (5, 0), (9, 0)]);
        let mut delta = between(&before, &state("a", &[(1, 0), (3, 0), (7, 0), (9, 0)])).unwrap();
        change(&mut delta);
        let error = Delta::read(&delta.write())
            .and_then(|delta| apply(&before, &[delta]))
            .unwrap_err();
        assert!(error.contains(complaint), "{error}");
    }

    #[test]
    fn what_cannot_be_applied_says_why() {
        check(|delta| delta.removed = vec![3], "which is not there");
        check(|delta| delta.removed = vec![1, 1], "has a position twice");
        check(|delta| delta.added.reverse(), "out of their order");
        check(|delta| delta.added.push(b"{}".to_vec()), "is no entry");
        check(|delta| delta.list = "a b".to_owned(), "does not begin with");
        check(
            |delta| {
                let line = lines(&state("a", &[(9, 1)])).nth(1).unwrap().to_vec();
                delta.added.push(line);
            },
            "is there already",
        );
    }
}
