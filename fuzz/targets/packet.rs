//! A client's packet, from its first octet to the reply, under a policy that has everything,
//! with an upstream that says what it likes.

use super::conversation::{Client, Conversation};
use super::octets::Octets;

/// How and from where it comes, then the packet, then what the upstream says to each question.
pub(super) fn run(octets: &[u8]) {
    let mut octets = Octets(octets);
    let conversation = Conversation {
        over_tcp: octets.bit(),
        ready: !octets.bit(),
        client: Client::pick(octets.octet()),
        servers: octets.octet(),
    };
    let packet = octets.part();
    conversation.hold(packet, &mut octets);
}
