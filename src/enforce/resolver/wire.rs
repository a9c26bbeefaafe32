//! [`Header`] and [`Records`]: DNS messages in wire form (RFC 1035 section 4.1), read
//! bounds-checked and without a copy.

use crate::policy::{NAME_OCTETS_MAX, Name};

/// The header of a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header {
    /// The id, by which the asker knows the answer.
    pub id: u16,
    /// QR, opcode, the flags and the low bits of the rcode.
    pub flags: u16,
    /// The number of questions.
    pub questions: u16,
    /// The number of records in the answer, authority and additional sections.
    pub records: [u16; 3],
}

impl Header {
    /// The header of a message; nothing if it is shorter than that.
    #[must_use]
    pub fn read(message: &[u8]) -> Option<Self> {
        Some(Self {
            id: u16_at(message, 0)?,
            flags: u16_at(message, 2)?,
            questions: u16_at(message, 4)?,
            records: [
                u16_at(message, 6)?,
                u16_at(message, 8)?,
                u16_at(message, 10)?,
            ],
        })
    }

    /// The opcode.
    #[must_use]
    pub const fn opcode(&self) -> u16 {
        (self.flags >> 11) & 0xf
    }

    /// The rcode, as far as the header has it.
    #[must_use]
    pub const fn rcode(&self) -> Rcode {
        Rcode(self.flags & 0xf)
    }

    /// Whether a flag is set.
    #[must_use]
    pub const fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }
}

/// A response code (RFC 6895 section 2.3); above 15 it needs EDNS.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rcode(pub u16);

impl Rcode {
    /// No error.
    pub const NOERROR: Self = Self(0);
    /// The message cannot be understood.
    pub const FORMERR: Self = Self(1);
    /// The server failed.
    pub const SERVFAIL: Self = Self(2);
    /// The name does not exist.
    pub const NXDOMAIN: Self = Self(3);
    /// A name that an alias leads to is too long (RFC 6672 section 2.2).
    pub const YXDOMAIN: Self = Self(6);
    /// The server cannot do that.
    pub const NOTIMP: Self = Self(4);
    /// The server will not do that.
    pub const REFUSED: Self = Self(5);
    /// An EDNS version that is not known (RFC 6891 section 6.1.3).
    pub const BADVERS: Self = Self(16);
}

/// The type of a record.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct RecordType(pub u16);

impl RecordType {
    /// An IPv4 address.
    pub const A: Self = Self(1);
    /// A name server.
    pub const NS: Self = Self(2);
    /// An alias.
    pub const CNAME: Self = Self(5);
    /// The start of a zone.
    pub const SOA: Self = Self(6);
    /// A pointer to a name.
    pub const PTR: Self = Self(12);
    /// A mail server.
    pub const MX: Self = Self(15);
    /// An IPv6 address.
    pub const AAAA: Self = Self(28);
    /// A server of a service (RFC 2782).
    pub const SRV: Self = Self(33);
    /// An alias for all names below (RFC 6672).
    pub const DNAME: Self = Self(39);
    /// A signature (RFC 4034 section 3).
    pub const RRSIG: Self = Self(46);
    /// How a service is reached (RFC 9460).
    pub const SVCB: Self = Self(64);
    /// The same for HTTPS.
    pub const HTTPS: Self = Self(65);
    /// EDNS's own (RFC 6891).
    pub const OPT: Self = Self(41);
    /// An incremental zone transfer.
    pub const IXFR: Self = Self(251);
    /// A zone transfer.
    pub const AXFR: Self = Self(252);
    /// Any type.
    pub const ANY: Self = Self(255);

    /// Whether it cannot be asked of a resolver: what stands for no data, but for
    /// [`Self::ANY`] (RFC 6895 section 3.1).
    #[must_use]
    pub const fn is_meta(self) -> bool {
        matches!(self.0, 0 | 41 | 128..=254)
    }
}

/// Where in a message a record is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Section {
    /// What was asked for.
    Answer,
    /// Who may say so.
    Authority,
    /// What may help.
    Additional,
}

/// One record of a message.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Its section.
    pub section: Section,
    /// Where it begins, with its owner's name.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// Its type.
    pub rtype: RecordType,
    /// Its class; for OPT the asker's UDP size.
    pub class: u16,
    /// Where its TTL is.
    pub ttl_at: usize,
    /// Its TTL in seconds; for OPT the high bits of the rcode, the version and the flags.
    pub ttl: u32,
    /// Where its data begins.
    pub data_at: usize,
    /// Its data.
    pub data: &'a [u8],
}

/// The records of a message, in order, OPT included. Ends with an error where the message
/// is not what its counts say.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    message: &'a [u8],
    at: usize,
    left: [u16; 3],
}

impl<'a> Records<'a> {
    /// The records that `header` counts, of which the first begins at `at`.
    #[must_use]
    pub const fn new(message: &'a [u8], header: &Header, at: usize) -> Self {
        Self {
            message,
            at,
            left: header.records,
        }
    }

    fn read(&mut self, section: Section) -> Option<Record<'a>> {
        let start = self.at;
        let fixed = skip_name(self.message, start)?;
        let data_at = fixed + 10;
        let length = usize::from(u16_at(self.message, fixed + 8)?);
        let end = data_at + length;
        let record = Record {
            section,
            start,
            end,
            rtype: RecordType(u16_at(self.message, fixed)?),
            class: u16_at(self.message, fixed + 2)?,
            ttl_at: fixed + 4,
            ttl: u32_at(self.message, fixed + 4)?,
            data_at,
            data: self.message.get(data_at..end)?,
        };
        self.at = end;
        Some(record)
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, CutShort>;

    fn next(&mut self) -> Option<Self::Item> {
        const SECTIONS: [Section; 3] = [Section::Answer, Section::Authority, Section::Additional];
        let (left, section) = self
            .left
            .iter_mut()
            .zip(SECTIONS)
            .find(|(left, _)| **left > 0)?;
        *left -= 1;
        let record = self.read(section);
        if record.is_none() {
            self.left = [0; 3];
        }
        Some(record.ok_or(CutShort))
    }
}

/// The message ends within a record, or a name in it is none.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CutShort;

/// The name at `at`, its compression undone (RFC 1035 section 4.1.4). Pointers must go
/// backwards, so that it ends.
#[must_use]
pub fn name_at(message: &[u8], at: usize) -> Option<Name> {
    let mut plain = [0; NAME_OCTETS_MAX];
    let (mut at, mut len, mut pointers_below) = (at, 0, at);
    loop {
        let length = *message.get(at)?;
        match length {
            0 => {
                return Name::from_wire(plain.get(..=len)?)
                    .ok()
                    .map(|(name, _)| name);
            }
            1..=63 => {
                let label = message.get(at..=at + usize::from(length))?;
                plain
                    .get_mut(len..len + label.len())?
                    .copy_from_slice(label);
                len += label.len();
                at += label.len();
            }
            0xc0.. => {
                let target = usize::from(u16_at(message, at)? & 0x3fff);
                if target >= pointers_below {
                    return None;
                }
                (at, pointers_below) = (target, target);
            }
            _ => return None,
        }
    }
}

/// Where the name at `at` ends, which may be compressed.
#[must_use]
pub fn skip_name(message: &[u8], at: usize) -> Option<usize> {
    let mut here = at;
    loop {
        match *message.get(here)? {
            0 => return Some(here + 1),
            length @ 1..=63 => here += 1 + usize::from(length),
            0xc0.. => return message.get(here + 1).map(|_| here + 2),
            _ => return None,
        }
        if here - at >= NAME_OCTETS_MAX {
            return None;
        }
    }
}

/// The two octets at `at`.
#[must_use]
pub fn u16_at(message: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*message.get(at..)?.first_chunk()?))
}

/// The four octets at `at`.
#[must_use]
pub fn u32_at(message: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*message.get(at..)?.first_chunk()?))
}

/// The length of a header, in octets.
pub const HEADER_OCTETS: usize = 12;
/// The class Internet.
pub const CLASS_IN: u16 = 1;
/// The flag of a response.
pub const FLAG_QR: u16 = 0x8000;
/// Authoritative answer.
pub const FLAG_AA: u16 = 0x0400;
/// Truncated.
pub const FLAG_TC: u16 = 0x0200;
/// Recursion desired.
pub const FLAG_RD: u16 = 0x0100;
/// Recursion available.
pub const FLAG_RA: u16 = 0x0080;
/// Authentic data (RFC 4035 section 3.2.3).
pub const FLAG_AD: u16 = 0x0020;
/// Checking disabled (RFC 4035 section 3.2.2).
pub const FLAG_CD: u16 = 0x0010;
/// The option code of an Extended DNS Error (RFC 8914 section 2).
pub const OPTION_EDE: u16 = 15;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn compressed_names_are_read() {
        let message = b"\x03www\x07Example\0\x01a\xc0\x04\xc0\x0f";
        let check = |at, expected: Option<&str>| {
            let name = name_at(message, at).map(|name| name.to_string());
            assert_eq!(name.as_deref(), expected, "{at}");
        };
        check(0, Some("www.example"));
        check(13, Some("a.example"));
        check(17, Some("example")); // a pointer to a pointer
        assert_eq!(skip_name(message, 13), Some(17));
        assert!(name_at(b"\xc0\x00", 0).is_none(), "a loop");
        assert!(
            name_at(b"\x01a\xc0\x00", 0).is_none(),
            "a loop through a label"
        );
    }

    proptest! {
        #[test]
        fn random_octets_never_panic(message in prop::collection::vec(any::<u8>(), 0..200), at in 0usize..220) {
            let _ = name_at(&message, at);
            if let Some(header) = Header::read(&message) {
                prop_assert!(Records::new(&message, &header, at).count() <= message.len() + 1);
            }
        }
    }
}
