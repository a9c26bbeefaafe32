//! [`Name`]: a domain name in canonical wire form, on the stack.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use smallvec::SmallVec;
use thiserror::Error;

/// A domain name in canonical form (RFC 4034 section 6.2): lower case, uncompressed,
/// absolute, with the root label at its end.
///
/// It is held inline, so that no query needs an allocation. At most [`NAME_OCTETS_MAX`]
/// octets, each label at most 63 (RFC 1035 section 2.3.4).
#[derive(Clone, Copy)]
pub struct Name {
    len: u8,
    octets: [u8; NAME_OCTETS_MAX],
}

/// Why some text or octets are not a domain name.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum NameError {
    /// Longer than 255 octets in wire form.
    #[error("the name is longer than 255 octets")]
    TooLong,
    /// A label longer than 63 octets.
    #[error("a label of the name is longer than 63 octets")]
    LabelTooLong,
    /// Two dots in a row, or a dot at the start.
    #[error("the name has an empty label")]
    EmptyLabel,
    /// No text at all.
    #[error("there is no name here")]
    Empty,
    /// A character that no host name or DNS name in a list may hold.
    #[error("the name holds a character that is not allowed in a name")]
    Character,
    /// Characters beyond ASCII that UTS #46 does not allow.
    #[error("the name is not a valid internationalised name")]
    Idna,
    /// Wire form that ends early, or is compressed where it may not be.
    #[error("the name ends before its root label")]
    CutShort,
}

impl Name {
    /// The root name.
    pub const ROOT: Self = Self {
        len: 1,
        octets: [0; NAME_OCTETS_MAX],
    };

    /// Reads a name from uncompressed wire form and says how many octets it took.
    ///
    /// # Errors
    /// [`NameError::CutShort`] without a root label or at a compression pointer,
    /// [`NameError::TooLong`] beyond 255 octets.
    pub fn from_wire(wire: &[u8]) -> Result<(Self, usize), NameError> {
        let mut name = Self::ROOT;
        let mut at = 0;
        loop {
            let label = *wire.get(at).ok_or(NameError::CutShort)?;
            if label == 0 {
                name.len = u8::try_from(at + 1).map_err(|_| NameError::TooLong)?;
                if let Some(root) = name.octets.get_mut(at) {
                    *root = 0;
                }
                return Ok((name, at + 1));
            }
            if label > LABEL_OCTETS_MAX {
                return Err(NameError::CutShort);
            }
            let end = at + 1 + usize::from(label);
            let from = wire.get(at..end).ok_or(NameError::CutShort)?;
            // One octet stays free for the root label.
            if end >= NAME_OCTETS_MAX {
                return Err(NameError::TooLong);
            }
            let to = name.octets.get_mut(at..end).ok_or(NameError::TooLong)?;
            for (to, from) in to.iter_mut().zip(from) {
                *to = from.to_ascii_lowercase();
            }
            at = end;
        }
    }

    /// Reads a host or domain name as people and lists write it: any case, with or
    /// without a trailing dot, in Unicode or as A-labels.
    ///
    /// Unicode is mapped by UTS #46, non-transitional. ASCII is kept as it is (so that
    /// names with underscores, and A-labels that IDNA would refuse, are still names).
    ///
    /// # Errors
    /// Every [`NameError`] but [`NameError::CutShort`].
    pub fn from_text(text: &str) -> Result<Self, NameError> {
        if text.is_ascii() {
            return Self::from_ascii(text);
        }
        // The strictness about STD3 characters is ours, in `from_ascii`.
        let ascii = idna::AsciiDenyList::EMPTY;
        let mapped = idna::uts46::Uts46::new()
            .to_ascii(
                text.as_bytes(),
                ascii,
                idna::uts46::Hyphens::Allow,
                idna::uts46::DnsLength::Ignore,
            )
            .map_err(|_| NameError::Idna)?;
        Self::from_ascii(&mapped)
    }

    fn from_ascii(text: &str) -> Result<Self, NameError> {
        if text == "." {
            return Ok(Self::ROOT);
        }
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        let mut name = Self::ROOT;
        let mut at = 0;
        for label in text.split('.') {
            let octets = label.as_bytes();
            if octets.is_empty() {
                return Err(NameError::EmptyLabel);
            }
            let length = u8::try_from(octets.len()).map_err(|_| NameError::LabelTooLong)?;
            if length > LABEL_OCTETS_MAX {
                return Err(NameError::LabelTooLong);
            }
            let end = at + 1 + octets.len();
            if end >= NAME_OCTETS_MAX {
                return Err(NameError::TooLong);
            }
            let to = name.octets.get_mut(at..end).ok_or(NameError::TooLong)?;
            for (to, from) in to.iter_mut().zip(std::iter::once(&length).chain(octets)) {
                *to = from.to_ascii_lowercase();
            }
            if !octets.iter().all(|octet| is_name_octet(*octet)) {
                return Err(NameError::Character);
            }
            at = end;
        }
        name.len = u8::try_from(at + 1).map_err(|_| NameError::TooLong)?;
        Ok(name)
    }

    /// The canonical wire form, root label included.
    #[must_use]
    pub fn as_wire(&self) -> &[u8] {
        self.octets.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// The name itself, then each parent, in wire form; the root comes last.
    pub fn and_parents(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = Some(self.as_wire());
        std::iter::from_fn(move || {
            let this = rest?;
            rest = parent(this);
            Some(this)
        })
    }

    /// This name in front of another; nothing where that is longer than a name may be.
    #[must_use]
    pub fn before(&self, other: &Self) -> Option<Self> {
        let own = self.as_wire();
        let own = own.get(..own.len().checked_sub(1)?)?;
        let mut octets = [0; NAME_OCTETS_MAX];
        let end = own.len() + other.as_wire().len();
        octets.get_mut(..own.len())?.copy_from_slice(own);
        octets
            .get_mut(own.len()..end)?
            .copy_from_slice(other.as_wire());
        let len = u8::try_from(end).ok()?;
        Some(Self { len, octets })
    }

    fn label_at(&self, at: u8) -> Option<&[u8]> {
        let (length, rest) = self.octets.get(usize::from(at)..)?.split_first()?;
        rest.get(..usize::from(*length))
    }

    /// How two names sort in DNSSEC's canonical order (RFC 4034 section 6.1): by their labels
    /// from the right.
    #[must_use]
    pub fn canonical_cmp(&self, other: &Self) -> Ordering {
        let labels = |name: &Self| -> SmallVec<[u8; 128]> {
            // Where each label begins, the last first.
            let wire = name.as_wire().len();
            let starts = name.and_parents().map(|rest| wire - rest.len());
            let mut starts: SmallVec<[u8; 128]> =
                starts.filter_map(|at| u8::try_from(at).ok()).collect();
            starts.reverse();
            starts
        };
        let (own, others) = (labels(self), labels(other));
        let own = own.iter().map(|at| self.label_at(*at));
        own.cmp(others.iter().map(|at| other.label_at(*at)))
    }

    /// The number of labels, without the root.
    #[must_use]
    pub fn label_count(&self) -> usize {
        self.and_parents().count() - 1
    }

    /// Whether this is the root name.
    #[must_use]
    pub const fn is_root(&self) -> bool {
        self.len == 1
    }

    /// Whether this name is `other` or lies below it.
    #[must_use]
    pub fn is_at_or_below(&self, other: &Self) -> bool {
        self.and_parents().any(|name| name == other.as_wire())
    }
}

/// The wire form of the parent of a name in wire form; nothing above the root.
fn parent(wire: &[u8]) -> Option<&[u8]> {
    let label = usize::from(*wire.first()?);
    if label == 0 {
        None
    } else {
        wire.get(label + 1..)
    }
}

/// What a name in text may hold: letters, digits, hyphen, and the underscore that real
/// names use. Wire form may hold anything.
const fn is_name_octet(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_')
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.as_wire() == other.as_wire()
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_wire().hash(state);
    }
}

impl fmt::Display for Name {
    /// The presentation form (RFC 4343 section 2.1), without the trailing dot.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            return f.write_str(".");
        }
        // Nearly all names are labels of plain octets, which are their own presentation.
        let mut dotted = self.octets;
        let mut at = 0;
        while let Some(length) = self.octets.get(at).map(|length| usize::from(*length))
            && length > 0
            && let Some(label) = self.octets.get(at + 1..at + 1 + length)
            && label.iter().all(|octet| is_name_octet(*octet))
        {
            if let Some(length) = dotted.get_mut(at) {
                *length = b'.';
            }
            at += 1 + length;
        }
        if at + 1 == usize::from(self.len)
            && let Some(Ok(text)) = dotted.get(1..at).map(std::str::from_utf8)
        {
            return f.write_str(text);
        }
        let mut first = true;
        for wire in self.and_parents() {
            let Some((length, rest)) = wire.split_first() else {
                continue;
            };
            if *length == 0 {
                continue;
            }
            if !first {
                f.write_str(".")?;
            }
            first = false;
            let label = rest.get(..usize::from(*length)).unwrap_or_default();
            for octet in label {
                match *octet {
                    b'.' | b'\\' => write!(f, "\\{}", char::from(*octet))?,
                    0x21..=0x7e => write!(f, "{}", char::from(*octet))?,
                    other => write!(f, "\\{other:03}")?,
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

/// The longest name in wire form, in octets (RFC 1035 section 2.3.4).
pub const NAME_OCTETS_MAX: usize = 255;

/// The longest label, in octets (RFC 1035 section 2.3.4).
const LABEL_OCTETS_MAX: u8 = 63;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, NameError>) {
        let found = Name::from_text(text).map(|name| name.to_string());
        assert_eq!(found, expected.map(str::to_owned), "{text:?}");
    }

    #[test]
    fn text_becomes_canonical() {
        check("WWW.Example.", Ok("www.example"));
        check("h_t_t_p.example", Ok("h_t_t_p.example"));
        check("bücher.example", Ok("xn--bcher-kva.example"));
        check("xn--bcher-kva.example", Ok("xn--bcher-kva.example"));
        check(".", Ok("."));
        check("", Err(NameError::Empty));
        check("a..b", Err(NameError::EmptyLabel));
        check(".a", Err(NameError::EmptyLabel));
        check("a b.example", Err(NameError::Character));
        check("*.example", Err(NameError::Character));
        check(
            &format!("{}.example", "a".repeat(63)),
            Ok(&format!("{}.example", "a".repeat(63))),
        );
        check(
            &format!("{}.example", "a".repeat(64)),
            Err(NameError::LabelTooLong),
        );
        check(
            &["a".repeat(63).as_str(); 4].join("."),
            Err(NameError::TooLong),
        );
    }

    #[test]
    fn wire_form_is_read_and_lowered() {
        let (name, used) = Name::from_wire(b"\x03WwW\x07example\0rest").unwrap();
        assert_eq!((name.to_string().as_str(), used), ("www.example", 13));
        assert_eq!(Name::from_wire(b"\x03ww").unwrap_err(), NameError::CutShort);
        assert_eq!(
            Name::from_wire(b"\xc0\x0c").unwrap_err(),
            NameError::CutShort
        );
        let longest: Vec<u8> = [b"\x3f".as_slice(), &[b'a'; 63]].concat().repeat(3);
        let fits = [longest.as_slice(), b"\x3d", &[b'a'; 61], b"\0"].concat();
        assert_eq!(Name::from_wire(&fits).unwrap().1, 255);
        let beyond = [longest.as_slice(), b"\x3e", &[b'a'; 62], b"\0"].concat();
        assert_eq!(Name::from_wire(&beyond).unwrap_err(), NameError::TooLong);
    }

    #[test]
    fn parents_go_up_to_the_root() {
        let name = Name::from_text("a.b.example").unwrap();
        let parents: Vec<_> = name
            .and_parents()
            .map(|wire| Name::from_wire(wire).unwrap().0.to_string())
            .collect();
        assert_eq!(parents, ["a.b.example", "b.example", "example", "."]);
        assert_eq!(name.label_count(), 3);
        assert!(name.is_at_or_below(&Name::from_text("example").unwrap()));
        assert!(!name.is_at_or_below(&Name::from_text("ample").unwrap()));
    }
}
