//! [`Chain`] and [`Found`]: what an answer says, stage by stage, for policy to judge.

use std::net::IpAddr;

use smallvec::SmallVec;

use crate::enforce::resolver::Answer;
use crate::enforce::resolver::wire::{Record, RecordType, Section, name_at, u16_at};
use crate::policy::Name;

/// The aliases that lead from the name that was asked for to a later stage.
pub(super) type Chain = SmallVec<[Alias; 2]>;

/// One alias of a chain.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Alias {
    /// What it is an alias of.
    pub target: Name,
    /// Its TTL in seconds, as the upstream gave it.
    pub ttl: u32,
}

/// What an answer has at one name.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The alias, where it is one.
    pub(super) alias: Option<Alias>,
    /// Whether it, or that there is nothing, is signed.
    pub(super) is_signed: bool,
    /// The addresses of the asked type, those in hints included.
    pub(super) addresses: SmallVec<[IpAddr; 16]>,
    /// The names that a service is an alias of (RFC 9460 section 2.4.2).
    pub(super) service_aliases: SmallVec<[Name; 1]>,
}

impl Found {
    /// What an answer to a question of that type has at a name.
    pub(super) fn at(answer: &Answer, name: &Name, rtype: RecordType) -> Self {
        let mut found = Self::default();
        let (mut has_records, mut is_denial_signed) = (false, false);
        for record in answer.records() {
            match record.section {
                Section::Answer if name_at(answer.octets(), record.start) == Some(*name) => {
                    has_records |= record.rtype != RecordType::RRSIG;
                    found.take(answer, &record, rtype);
                }
                Section::Authority => is_denial_signed |= record.rtype == RecordType::RRSIG,
                _ => {}
            }
        }
        found.is_signed |= !has_records && is_denial_signed;
        found
    }

    fn take(&mut self, answer: &Answer, record: &Record<'_>, rtype: RecordType) {
        let is_asked = |own| rtype == own || rtype == RecordType::ANY;
        match record.rtype {
            RecordType::RRSIG => self.is_signed = true,
            RecordType::CNAME if !is_last(rtype) => {
                let target = name_at(answer.octets(), record.data_at);
                self.alias = target.map(|target| Alias {
                    target,
                    ttl: record.ttl,
                });
            }
            RecordType::A if is_asked(RecordType::A) => {
                let address = <[u8; 4]>::try_from(record.data);
                self.addresses.extend(address.map(IpAddr::from));
            }
            RecordType::AAAA if is_asked(RecordType::AAAA) => {
                let address = <[u8; 16]>::try_from(record.data);
                self.addresses.extend(address.map(IpAddr::from));
            }
            service @ (RecordType::HTTPS | RecordType::SVCB) if is_asked(service) => {
                self.take_service(answer, record);
            }
            _ => {}
        }
    }

    /// The hints of a service, or the name that it is an alias of (RFC 9460 sections 2.2, 7.3).
    fn take_service(&mut self, answer: &Answer, record: &Record<'_>) {
        let Some(target) = name_at(answer.octets(), record.data_at + 2) else {
            return;
        };
        if u16_at(record.data, 0) == Some(0) {
            if target != Name::ROOT {
                self.service_aliases.push(target);
            }
            return;
        }
        // The target of a service is never compressed.
        let mut rest = record.data.get(2 + target.as_wire().len()..);
        while let Some(parameters) = rest {
            let (Some(key), Some(length)) = (u16_at(parameters, 0), u16_at(parameters, 2)) else {
                return;
            };
            let end = 4 + usize::from(length);
            let value = parameters.get(4..end).unwrap_or_default();
            match key {
                IPV4_HINT => self.addresses.extend(
                    value
                        .chunks_exact(4)
                        .filter_map(|octets| <[u8; 4]>::try_from(octets).ok())
                        .map(IpAddr::from),
                ),
                IPV6_HINT => self.addresses.extend(
                    value
                        .chunks_exact(16)
                        .filter_map(|octets| <[u8; 16]>::try_from(octets).ok())
                        .map(IpAddr::from),
                ),
                _ => {}
            }
            rest = parameters.get(end..);
        }
    }
}

/// Whether a question of that type is answered by the alias itself, so that there is one stage
/// alone (rpz.md O1).
pub(super) const fn is_last(rtype: RecordType) -> bool {
    matches!(
        rtype,
        RecordType::ANY | RecordType::CNAME | RecordType::DNAME
    )
}

/// The keys of address hints (RFC 9460 section 14.3.2).
const IPV4_HINT: u16 = 4;
const IPV6_HINT: u16 = 6;
/// The most aliases of a chain; an answer with more fails.
pub(super) const ALIASES_MAX: usize = 16;
