//! [`StructuredError`]: why a name is blocked, for programs (draft-ietf-dnsop-structured-dns-error;
//! rpz.md 6.1). The draft has no assigned code points yet: those used are here, and nowhere else.

use crate::compile::RuleView;
use crate::policy::{Category, LegalRecord};

/// Who answers for the node, as clients are told.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct StructuredErrors {
    /// Its operator.
    pub organisation: Option<String>,
    /// How to reach the operator: a `mailto:` or `tel:` URI.
    pub contact: Option<String>,
}

/// The text of an Extended DNS Error, as I-JSON (RFC 7493) in the draft's short names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StructuredError<'a> {
    /// `c`: how to contest it; an address of mail, or a URI.
    contact: Option<Contact<'a>>,
    /// `s`: the kind of block; never beside Censored.
    sub_error: Option<u8>,
    /// `j`: why, in parts.
    justification: [&'a str; 8],
    /// `o`: who runs the node.
    organisation: Option<&'a str>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Contact<'a> {
    Mail(&'a str),
    Uri(&'a str),
}

impl<'a> StructuredError<'a> {
    /// What is said of a block by that rule under that code.
    #[must_use]
    pub fn of(view: &RuleView<'a>, code: u16, own: &'a StructuredErrors) -> Self {
        let LegalRecord {
            basis,
            authority,
            redress,
            category,
            ..
        } = view.record;
        let own_contact = own.contact.as_deref();
        let is_known = |uri: &&str| uri.starts_with("mailto:") || uri.starts_with("tel:");
        let mail = redress.email.as_deref().map(Contact::Mail);
        Self {
            contact: mail.or_else(|| own_contact.filter(is_known).map(Contact::Uri)),
            sub_error: sub_error(*category, code),
            justification: [
                "Entry ",
                view.entry_id,
                " of list ",
                &view.list.settings.name,
                ": ",
                basis,
                "; ",
                authority,
            ],
            organisation: own.organisation.as_deref(),
        }
    }

    /// Writes it, with what is long or without; nothing where `put` takes no more.
    pub(super) fn write(
        &self,
        is_whole: bool,
        mut put: impl FnMut(&[u8]) -> Option<()>,
    ) -> Option<()> {
        let mut separator: &[u8] = b"{";
        let mut member = |put: &mut dyn FnMut(&[u8]) -> Option<()>, key: &[u8]| {
            put(separator)?;
            separator = b",";
            put(key)
        };
        if let Some(contact) = self.contact {
            member(&mut put, b"\"c\":[")?;
            let parts = match contact {
                Contact::Mail(address) => ["mailto:", address],
                Contact::Uri(uri) => ["", uri],
            };
            put_text(&mut put, &parts)?;
            put(b"]")?;
        }
        if let Some(number) = self.sub_error {
            member(&mut put, b"\"s\":")?;
            put(&[b'0' + number])?;
        }
        if is_whole {
            member(&mut put, b"\"j\":")?;
            put_text(&mut put, &self.justification)?;
            if let Some(organisation) = self.organisation {
                member(&mut put, b"\"o\":")?;
                put_text(&mut put, &[organisation])?;
            }
            member(&mut put, b"\"l\":\"en\"")?;
        } else if self.contact.is_none() && self.sub_error.is_none() {
            // Clients discard what says nothing.
            return None;
        }
        put(b"}")
    }
}

/// The kind of a block, where the draft has a number for it.
const fn sub_error(category: Category, code: u16) -> Option<u8> {
    match (category, code) {
        (Category::Malware, BLOCKED | FILTERED) => Some(1),
        (Category::Phishing, BLOCKED | FILTERED) => Some(2),
        (_, BLOCKED) => Some(5),
        _ => None,
    }
}

/// Writes a text of several parts, quoted and escaped (RFC 8259 section 7).
fn put_text(put: &mut dyn FnMut(&[u8]) -> Option<()>, parts: &[&str]) -> Option<()> {
    put(b"\"")?;
    for octet in parts.iter().flat_map(|part| part.bytes()) {
        match octet {
            b'"' | b'\\' => put(&[b'\\', octet])?,
            // Control characters mean nothing in a reason.
            0..=0x1f => put(b" ")?,
            _ => put(&[octet])?,
        }
    }
    put(b"\"")
}

/// The EDNS option by which a client asks for structured errors: of the range for experiments
/// (RFC 6891 section 9), until the draft has a number of its own.
pub(super) const OPTION_STRUCTURED_ERROR: u16 = 65_340;
/// Blocked (RFC 8914 section 4.16).
const BLOCKED: u16 = 15;
/// Filtered (RFC 8914 section 4.18).
const FILTERED: u16 = 17;

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: StructuredError<'static> = StructuredError {
        contact: Some(Contact::Mail("appeal@hotline.example")),
        sub_error: None,
        justification: [
            "Entry ",
            "EX-1",
            " of list ",
            "csam",
            ": ",
            "Act \"1\"",
            "; ",
            "Police",
        ],
        organisation: Some("Example Net"),
    };

    fn written(error: &StructuredError<'_>, is_whole: bool) -> Option<String> {
        let mut octets = Vec::new();
        error.write(is_whole, |part| {
            octets.extend(part);
            Some(())
        })?;
        Some(String::from_utf8(octets).unwrap())
    }

    #[test]
    fn it_is_short_json_and_shorter_where_there_is_no_room() {
        let whole = written(&WHOLE, true).unwrap();
        assert_eq!(
            whole,
            r#"{"c":["mailto:appeal@hotline.example"],"j":"Entry EX-1 of list csam: Act \"1\"; Police","o":"Example Net","l":"en"}"#
        );
        assert!(serde_json::from_str::<serde_json::Value>(&whole).is_ok());
        assert_eq!(
            written(&WHOLE, false).unwrap(),
            r#"{"c":["mailto:appeal@hotline.example"]}"#
        );
        let silent = StructuredError {
            contact: None,
            ..WHOLE
        };
        assert_eq!(written(&silent, false), None);
    }

    #[test]
    fn a_kind_never_stands_beside_censored() {
        assert_eq!(sub_error(Category::Phishing, 15), Some(2));
        assert_eq!(sub_error(Category::Malware, 17), Some(1));
        assert_eq!(sub_error(Category::Local, 15), Some(5));
        for category in Category::ALL {
            assert_eq!(sub_error(category, 16), None);
        }
    }
}
