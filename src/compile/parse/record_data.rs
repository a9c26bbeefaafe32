//! The data of a record: presentation form in, wire form out, and back (RFC 1035 section 5.1,
//! RFC 3597 section 5).

use hickory_proto::rr::{Name, RData, RecordType};
use hickory_proto::serialize::binary::{
    BinDecoder, BinEncodable, BinEncoder, NameEncoding, Restrict,
};
use hickory_proto::serialize::txt::Parser;

/// The number of a type and the data in wire form; no name in it is compressed. Relative names
/// are below the root.
///
/// # Errors
/// A sentence that says what cannot be read.
pub(super) fn read(kind: &str, data: &str) -> Result<(u16, Box<[u8]>), String> {
    let rtype = number(kind)?;
    let octets = match data.strip_prefix("\\#") {
        Some(generic) => generic_data(generic)?,
        None => known_data(kind, data)?,
    };
    if octets.len() > DATA_OCTETS_MAX {
        return Err(format!(
            "the {kind} record is longer than {DATA_OCTETS_MAX} octets"
        ));
    }
    Ok((rtype, octets.into()))
}

/// Type and data in presentation form, for people: in one line, and nothing in it acts on a
/// terminal.
#[must_use]
pub fn written(rtype: u16, data: &[u8]) -> String {
    let kind = RecordType::from(rtype);
    let known = u16::try_from(data.len()).ok().and_then(|length| {
        let mut decoder = BinDecoder::new(data);
        RData::read(&mut decoder, kind, Restrict::new(length)).ok()
    });
    let text = match known {
        None | Some(RData::Unknown { .. } | RData::NULL(_) | RData::OPT(_)) => {
            let digits: String = data.iter().map(|octet| format!("{octet:02x}")).collect();
            format!("TYPE{rtype} \\# {} {digits}", data.len())
        }
        Some(known) => format!("{kind} {known}"),
    };
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character.is_control() {
            true => safe.extend(character.escape_default()),
            false => safe.push(character),
        }
    }
    safe
}

/// The number of a type, by its word or as `TYPE123`.
///
/// # Errors
/// A sentence where there is no such type.
pub fn number(kind: &str) -> Result<u16, String> {
    let unknown = || format!("`{kind}` is no record type that is known here");
    if let Some(number) = kind.strip_prefix("TYPE") {
        return number.parse().map_err(|_| unknown());
    }
    let known: RecordType = kind.parse().map_err(|_| unknown())?;
    Ok(u16::from(known))
}

/// Data as octets: their number, then hexadecimal digits (RFC 3597).
fn generic_data(text: &str) -> Result<Vec<u8>, String> {
    let wrong = || "data after `\\#` are a number of octets and as many in hexadecimal".to_owned();
    let mut words = text.split_whitespace();
    let length: usize = words
        .next()
        .and_then(|word| word.parse().ok())
        .ok_or_else(wrong)?;
    let digits: Vec<u32> = words
        .flat_map(str::chars)
        .map(|digit| digit.to_digit(16))
        .collect::<Option<_>>()
        .ok_or_else(wrong)?;
    let octets: Vec<u8> = digits
        .chunks_exact(2)
        .filter_map(|pair| u8::try_from(pair.iter().fold(0, |sum, digit| sum * 16 + digit)).ok())
        .collect();
    if octets.len() != length || digits.len() != 2 * length {
        return Err(wrong());
    }
    Ok(octets)
}

/// Data in the form of their type.
fn known_data(kind: &str, data: &str) -> Result<Vec<u8>, String> {
    let unreadable = |reason: String| format!("the {kind} record cannot be read: {reason}");
    if data.contains(['\n', '\r']) {
        return Err(unreadable("it is more than one line".to_owned()));
    }
    let (_, sets) = Parser::new(format!(". 0 IN {kind} {data}\n"), None, Some(Name::root()))
        .parse()
        .map_err(|error| unreadable(error.to_string()))?;
    let record = sets
        .values()
        .flat_map(|set| set.records_without_rrsigs())
        .next()
        .ok_or_else(|| unreadable("there is none".to_owned()))?;
    let mut octets = Vec::new();
    let mut encoder = BinEncoder::new(&mut octets);
    encoder.set_name_encoding(NameEncoding::Uncompressed);
    record
        .data
        .emit(&mut encoder)
        .map_err(|error| unreadable(error.to_string()))?;
    Ok(octets)
}

/// The longest data of one record: what one UDP answer holds.
const DATA_OCTETS_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: &str, data: &str, expected: &[u8]) {
        let (_, found) = read(kind, data).unwrap();
        assert_eq!(&*found, expected, "{kind} {data}");
    }

    #[test]
    fn each_type_has_its_form() {
        check("A", "192.0.2.1", &[192, 0, 2, 1]);
        check(
            "AAAA",
            "2001:db8::1",
            &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        );
        check("TXT", "\"a b\" c", b"\x03a b\x01c");
        check("MX", "10 mail.test.", b"\0\x0a\x04mail\x04test\0");
        check(
            "SRV",
            "1 2 53 ns.test.",
            b"\0\x01\0\x02\0\x35\x02ns\x04test\0",
        );
        check("PTR", "host.test.", b"\x04host\x04test\0");
        check("TYPE65280", "\\# 3 0a0b 0c", &[10, 11, 12]);
        check("A", "\\# 4 c0000201", &[192, 0, 2, 1]);
        check(
            "HTTPS",
            "1 . ipv4hint=192.0.2.1",
            b"\0\x01\0\0\x04\0\x04\xc0\0\x02\x01",
        );
        assert_eq!(read("TYPE65280", "\\# 0").unwrap(), (65280, Box::default()));
    }

    #[test]
    fn data_are_written_as_they_are_read() {
        let written = |kind: &str, data: &str| {
            let (rtype, octets) = read(kind, data).unwrap();
            written(rtype, &octets)
        };
        assert_eq!(written("A", "192.0.2.1"), "A 192.0.2.1");
        assert_eq!(written("MX", "10 mail.test."), "MX 10 mail.test.");
        assert_eq!(
            written("TYPE65280", "\\# 3 0a0b0c"),
            "TYPE65280 \\# 3 0a0b0c"
        );
        assert_eq!(super::written(1, b"x"), "TYPE1 \\# 1 78");
        let sneaky = super::written(16, b"\x04a\x1b[m");
        assert!(!sneaky.contains('\x1b'), "{sneaky}");
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        for (kind, data) in [
            ("A", "192.0.2"),
            ("A", ""),
            ("AAAA", "192.0.2.1"),
            ("MX", "mail.test."),
            ("NOTYPE", "1"),
            ("TYPE70000", "\\# 0"),
            ("TYPE65280", "\\# 2 0a"),
            ("TYPE65280", "\\# 1 0"),
            ("TYPE65280", "\\# x"),
            ("A", "192.0.2.1\n. 0 IN A 192.0.2.2"),
        ] {
            assert!(read(kind, data).is_err(), "{kind} {data}");
        }
    }
}
