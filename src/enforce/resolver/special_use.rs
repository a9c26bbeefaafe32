//! [`answer`]: what is said of special-use names, which no upstream is to hear of.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use super::wire::{Rcode, RecordType};
use super::{Answer, Question};

/// The answer to a question for a special-use name; nothing for any other name.
///
/// `localhost` is this machine (RFC 6761 section 6.3), and so is the reverse of its two
/// addresses; names at and below `invalid` (RFC 6761), `onion` (RFC 7686), `local`
/// (RFC 6762) and `alt` (RFC 9476) do not exist in the DNS. `test` and `example` are names
/// like any other here: RFC 6761 lets operators use `test`, and says so of `example`.
#[must_use]
pub(super) fn answer(question: &Question) -> Option<Answer> {
    let wire = question.name.as_wire();
    let under = |suffix: &[u8]| question.name.and_parents().any(|name| name == suffix);
    if NOT_IN_DNS.iter().any(|suffix| under(suffix)) {
        return Some(made(question, Rcode::NXDOMAIN, &[]));
    }
    if under(LOCALHOST) {
        return Some(match question.rtype {
            RecordType::A => made(question, Rcode::NOERROR, &Ipv4Addr::LOCALHOST.octets()),
            RecordType::AAAA => made(question, Rcode::NOERROR, &Ipv6Addr::LOCALHOST.octets()),
            _ => made(question, Rcode::NOERROR, &[]),
        });
    }
    if wire == LOCALHOST_REVERSE_V4 || wire == LOCALHOST_REVERSE_V6 {
        let pointer = if question.rtype == RecordType::PTR {
            LOCALHOST
        } else {
            &[]
        };
        return Some(made(question, Rcode::NOERROR, pointer));
    }
    None
}

fn made(question: &Question, rcode: Rcode, data: &[u8]) -> Answer {
    Answer::made(question, rcode, data, None, LIFETIME).passing()
}

const LOCALHOST: &[u8] = b"\x09localhost\0";
const LOCALHOST_REVERSE_V4: &[u8] = b"\x011\x010\x010\x03127\x07in-addr\x04arpa\0";
const LOCALHOST_REVERSE_V6: &[u8] =
    b"\x011\x010\x010\x010\x010\x010\x010\x010\x010\x010\x010\x010\x010\x010\x010\x010\
\x010\x010\x010\x010\x010\x010\x010\x010\x010\x010\x010\x010\x010\x010\x010\x010\x03ip6\x04arpa\0";
/// What does not exist in the DNS, nor anything below it.
const NOT_IN_DNS: [&[u8]; 4] = [
    b"\x07invalid\0",
    b"\x05onion\0",
    b"\x05local\0",
    b"\x03alt\0",
];
/// The TTL of these answers; they are made anew each time.
const LIFETIME: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Name;

    #[track_caller]
    fn check(name: &str, rtype: RecordType, expected: Option<(Rcode, usize)>) {
        let question = Question::new(Name::from_text(name).unwrap(), rtype);
        let found = answer(&question);
        let found = found.map(|answer| (answer.rcode(), answer.ttls_at().len()));
        assert_eq!(found, expected, "{name}");
    }

    #[test]
    fn special_names_are_answered_here() {
        check("localhost", RecordType::A, Some((Rcode::NOERROR, 1)));
        check("a.localhost", RecordType::AAAA, Some((Rcode::NOERROR, 1)));
        check("localhost", RecordType::SOA, Some((Rcode::NOERROR, 0)));
        check("x.onion", RecordType::A, Some((Rcode::NXDOMAIN, 0)));
        check(
            "csam.canary.invalid",
            RecordType::A,
            Some((Rcode::NXDOMAIN, 0)),
        );
        check(
            "1.0.0.127.in-addr.arpa",
            RecordType::PTR,
            Some((Rcode::NOERROR, 1)),
        );
        let six = "0.".repeat(31);
        check(
            &format!("1.{six}ip6.arpa"),
            RecordType::PTR,
            Some((Rcode::NOERROR, 1)),
        );
        check("shop.test", RecordType::A, None);
        check("notlocalhost", RecordType::A, None);
    }
}
