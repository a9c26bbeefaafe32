//! [`Question`]: a generated query; [`Said`]: what came of it.

use std::collections::BTreeSet;
use std::fmt;

use hickory_proto::op::{Edns, Message, Query};
use hickory_proto::rr::RecordType;

use super::policy::CLIENTS;
use super::world::{World, text, wire};
use crate::random::Random;

/// A query of one client.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) name: String,
    pub(super) rtype: RecordType,
    /// The last octet of the client's address.
    pub(super) client: u8,
    pub(super) over_tcp: bool,
    pub(super) recursion_desired: bool,
    pub(super) has_edns: bool,
    pub(super) dnssec_ok: bool,
}

impl Question {
    pub(super) fn new(world: &World, random: &mut Random) -> Self {
        let name = random.pick(&world.names).clone();
        let name = match random.below(10) {
            0 if name.len() < 100 => format!("x.{name}"),
            1 if name.len() < 100 => format!("b.a.{name}"),
            2 => name
                .split_once('.')
                .map_or_else(|| name.clone(), |(_, above)| above.to_owned()),
            3 => name.to_ascii_uppercase(),
            _ => name,
        };
        let rtype = match random.below(20) {
            0..8 => RecordType::A,
            8..12 => RecordType::AAAA,
            12..14 => RecordType::TXT,
            14 => RecordType::MX,
            15..17 if !world.has_both_families(&name) => RecordType::ANY,
            17 => RecordType::CNAME,
            _ => RecordType::HTTPS,
        };
        // Long answers are for those who take them.
        let is_long = world.names.iter().any(|name| name.len() > 100);
        let has_edns = random.in_hundred(80) || is_long;
        Self {
            name,
            rtype,
            client: u8::try_from(1 + random.below(CLIENTS)).unwrap(),
            over_tcp: random.in_hundred(25),
            recursion_desired: random.in_hundred(90),
            has_edns,
            dnssec_ok: has_edns && random.in_hundred(30),
        }
    }

    pub(super) fn message(&self, id: u16) -> Vec<u8> {
        let mut message = Message::query();
        message.metadata.id = id;
        message.metadata.recursion_desired = self.recursion_desired;
        message.add_query(Query::query(wire(&self.name), self.rtype));
        if self.has_edns {
            let mut edns = Edns::new();
            edns.set_max_payload(1232).set_dnssec_ok(self.dnssec_ok);
            message.set_edns(edns);
        }
        message.to_vec().unwrap()
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} from .{}", self.name, self.rtype, self.client)?;
        for (is_so, word) in [
            (self.over_tcp, " over TCP"),
            (!self.recursion_desired, " RD=0"),
            (self.has_edns, " EDNS"),
            (self.dnssec_ok, " DO"),
        ] {
            write!(f, "{}", if is_so { word } else { "" })?;
        }
        Ok(())
    }
}

/// What was said, as far as servers are to agree.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Said {
    Nothing,
    Answer {
        rcode: String,
        truncated: bool,
        /// Owner, type and data of each record.
        records: BTreeSet<String>,
    },
}

impl Said {
    pub(super) fn read(octets: &[u8]) -> Option<(u16, Self)> {
        let message = Message::from_vec(octets).ok()?;
        // With all there is, signatures may come unasked.
        let is_any = message
            .queries
            .iter()
            .any(|query| query.query_type() == RecordType::ANY);
        let told = message
            .answers
            .iter()
            .filter(|record| !is_any || record.record_type() != RecordType::RRSIG);
        let records = told.map(|record| {
            let data = record.data.to_string().to_ascii_lowercase();
            format!("{} {} {data}", text(&record.name), record.record_type())
        });
        let said = Self::Answer {
            rcode: message.response_code.to_string(),
            truncated: message.truncation,
            records: records.collect(),
        };
        Some((message.id, said))
    }
}

impl Said {
    /// The records of an answer.
    pub(super) const fn records(&self) -> Option<&BTreeSet<String>> {
        match self {
            Self::Answer { records, .. } => Some(records),
            Self::Nothing => None,
        }
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => write!(f, "nothing"),
            Self::Answer {
                rcode,
                truncated,
                records,
            } => {
                let tc = if *truncated { " TC" } else { "" };
                let records: Vec<&str> = records.iter().map(String::as_str).collect();
                write!(f, "{rcode}{tc} {{{}}}", records.join("; "))
            }
        }
    }
}
