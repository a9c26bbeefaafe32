//! [`Delta`]: the difference between two states of a list (trust.md section 7.6).

use std::cmp::Ordering;

use serde::Deserialize;

use super::blocks::Blocks;

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
    apply_in(Blocks::of(Box::new(before), None, chain))
}

/// The same, of blocks.
fn apply_in(mut blocks: Blocks<'_>) -> Result<Applied, String> {
    let mut plaintext = Vec::new();
    while let Some(block) = blocks.next()? {
        plaintext.extend_from_slice(block);
    }
    let stepped = blocks.into_stepped();
    Ok(Applied {
        plaintext,
        removed: stepped.removed,
        added: stepped.added,
    })
}

/// Kind, value and id of an entry.
pub(super) type Place = (String, String, String);

/// By what entries are sorted: kind, value, id.
pub(super) fn place(line: &[u8]) -> Option<Place> {
    #[derive(Deserialize)]
    struct Fields {
        kind: String,
        value: String,
        id: String,
    }
    let Fields { kind, value, id } = serde_json::from_slice(line).ok()?;
    Some((kind, value, id))
}

/// The lines of a state, without their line feeds.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
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
    use std::collections::BTreeSet;

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
            octets in 1_usize..500,
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
            let blocks = || Blocks::of(Box::new(first.as_slice()), None, &chain).of_octets(octets);
            prop_assert_eq!(&apply_in(blocks()).unwrap(), &applied);
            // The chain is one step, too, and from within it the difference is what is left.
            let mut whole = blocks();
            while whole.next().unwrap().is_some() {}
            let whole = whole.into_stepped();
            let own = Delta { removed: whole.positions, added: whole.entries, ..chain[0].clone() };
            let own = Delta::read(&own.write()).unwrap();
            let applied_own = Blocks::of(Box::new(first.as_slice()), Some(&own), &[]).of_octets(octets);
            let applied_own = apply_in(applied_own).unwrap();
            prop_assert_eq!(&applied_own.plaintext, last);
            prop_assert!(applied_own.removed.is_empty() && applied_own.added.is_empty());
            let (one, others) = chain.split_first().unwrap();
            let rest = apply_in(Blocks::of(Box::new(first.as_slice()), Some(one), others).of_octets(octets)).unwrap();
            prop_assert_eq!(rest, apply(&states[1], others).unwrap());
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
