//! An upstream's answer: read, judged stage by stage, rewritten, and repeated.

use super::conversation::{Client, Conversation, query, read_answer};
use super::octets::Octets;
use cordon::enforce::resolver::{Question, RecordType};
use cordon::policy::Name;

/// A question, then what the upstream says to it and to all that follow from it.
pub(super) fn run(octets: &[u8]) {
    let mut octets = Octets(octets);
    let flags = octets.octet();
    let name = octets.pick(&NAMES);
    let rtype = octets.pick(&TYPES);
    let conversation = Conversation {
        over_tcp: flags & 1 == 1,
        ready: true,
        client: Client::pick(octets.octet()),
        servers: octets.octet(),
    };
    let name = Name::from_text(name).expect("a name");
    let message = Octets(octets.0).part();
    let _ = read_answer(&Question::new(name, RecordType(rtype)), message);
    let packet = query(&name, rtype, flags);
    conversation.hold(&packet, &mut octets);
}

/// Names that lists speak of and names that only their answers lead to rules.
const NAMES: [&str; 16] = [
    "www.shop.example",
    "shop.example",
    "alias.test",
    "www.expand.test",
    "x.long.test",
    "pass.test",
    "strict.test",
    "www.strict.test",
    "data.strict.test",
    "watched.test",
    "group.test",
    "chased.test",
    "monitor.test",
    "rule.test",
    "good.native.test",
    ".",
];
/// A, NS, CNAME, SOA, PTR, MX, TXT, AAAA, SRV, DNAME, RRSIG, SVCB, HTTPS, ANY.
const TYPES: [u16; 14] = [1, 2, 5, 6, 12, 15, 16, 28, 33, 39, 46, 64, 65, 255];
