//! [`DEVIATIONS`]: where BIND is known to differ from the draft, each with its rule of rpz.md.
//! What stands here as kept out is never generated; what stands here as a reading is excused
//! where our answer, once the policy is read as BIND reads it, is BIND's.

use std::net::IpAddr;

use cordon::policy::Prefix;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use super::case::Case;
use super::policy::{PASSES, Policy, Rule, network};
use super::question::{Question, Said};
use super::world::{text, wire};

/// One known difference.
pub(super) struct Deviation {
    /// The rule of rpz.md.
    pub(super) rule: &'static str,
    /// What BIND does.
    pub(super) what: &'static str,
    pub(super) how: How,
}

/// How a difference is kept from counting.
pub(super) enum How {
    /// The generator makes nothing of the kind.
    KeptOut,
    /// This policy, read as the draft says, is the given one as BIND reads it.
    Reading(fn(&Case, &Question) -> Option<Policy>),
    /// What both said is that difference.
    Excuse(fn(&Case, &Question, &Said, &Said) -> bool),
}

pub(super) const DEVIATIONS: &[Deviation] = &[
    Deviation {
        rule: "O5",
        what: "of NSDNAME rules the last name wins before the exact one",
        how: How::KeptOut,
    },
    Deviation {
        rule: "O7",
        what: "of equal prefixes the owner whose name sorts first wins, by its least octet",
        how: How::Reading(equal_prefixes),
    },
    Deviation {
        rule: "T3 (ANY)",
        what: "of all there is, IPv4 addresses may win before IPv6 addresses of an earlier zone",
        how: How::KeptOut,
    },
    Deviation {
        rule: "P8",
        what: "an unknown action is an alias of it",
        how: How::KeptOut,
    },
    Deviation {
        rule: "P3 (DNAME)",
        what: "an owner with DNAME records alone is NODATA",
        how: How::KeptOut,
    },
    Deviation {
        rule: "P3 (NS)",
        what: "NS records below the apex are SERVFAIL",
        how: How::KeptOut,
    },
    Deviation {
        rule: "P7",
        what: "a zone with a CNAME record beside other data is refused as a whole",
        how: How::KeptOut,
    },
    Deviation {
        rule: "T12",
        what: "addresses that are not in canonical form are no rules",
        how: How::KeptOut,
    },
    Deviation {
        rule: "O10",
        what: "a client that a signed alias spared from a rule on clients meets it at the next stage",
        how: How::KeptOut,
    },
    Deviation {
        rule: "T19",
        what: "`*` at the apex may block; ours refuses what would block every name there is",
        how: How::KeptOut,
    },
    Deviation {
        rule: "P11",
        what: "an owner that is too long with the apex behind it costs the zone",
        how: How::KeptOut,
    },
    Deviation {
        rule: "6.2 (HTTPS)",
        what: "the hints of services are not looked at",
        how: How::KeptOut,
    },
    Deviation {
        rule: "2.6",
        what: "an override turns PASSTHRU into a block",
        how: How::Reading(passes_are_overridden),
    },
    Deviation {
        rule: "2.6 (DISABLED)",
        what: "a match of a client in a disabled zone hides those of later zones",
        how: How::Reading(disabled_zones_hide),
    },
    Deviation {
        rule: "2.6 (DISABLED, response-IP)",
        what: "a match of an address in a disabled zone hides some of later zones",
        how: How::KeptOut,
    },
    Deviation {
        rule: "S4",
        what: "an answer with all there is counts as unsigned",
        how: How::Reading(all_there_is_is_unsigned),
    },
    Deviation {
        rule: "A11",
        what: "the alias of an override, or of a rule on addresses, is followed for ANY",
        how: How::Excuse(is_followed),
    },
    Deviation {
        rule: "R7",
        what: "whether TCP-only is NXDOMAIN hangs on what is remembered",
        how: How::Excuse(is_rcode_of_truncated),
    },
    Deviation {
        rule: "A7",
        what: "where rules make a name an alias of itself, the alias that it really is goes",
        how: How::KeptOut,
    },
    Deviation {
        rule: "S5",
        what: "what fails is resolved for more rules, and with RD=0 for none",
        how: How::Excuse(is_of_failure),
    },
    Deviation {
        rule: "A14",
        what: "the alias is left out where what it leads to fails",
        how: How::Excuse(is_failure_behind_alias),
    },
    Deviation {
        rule: "S3 (response-IP)",
        what: "RD=0 asks nobody: addresses that are not known match nothing",
        how: How::Reading(unknown_addresses_match_nothing),
    },
    Deviation {
        rule: "S3",
        what: "RD=0 asks nobody: what is not rewritten, and what an alias leads to, is what the cache has",
        how: How::Excuse(is_of_the_cache),
    },
];

/// The rules that pass, as some that do not, where their zone overrides all.
fn passes_are_overridden(case: &Case, _: &Question) -> Option<Policy> {
    case.policy.with_rules(|zone, rule| {
        let mut rule = rule.clone();
        let overrides = !PASSES.contains(&zone.policy.as_str());
        if overrides && rule.passes() {
            rule.records = vec!["CNAME .".to_owned()];
        }
        Some(rule)
    })
}

/// Of response-IP rules with one length of prefix that cover addresses of the answer, the one
/// alone that BIND takes.
fn equal_prefixes(case: &Case, question: &Question) -> Option<Policy> {
    let addresses = addresses(case, question);
    // As names compare: label by label, the shorter one first.
    let order = |rule: &Rule| -> Vec<(usize, String)> {
        let labels = rule.owner.split('.');
        labels
            .map(|label| (label.len(), label.to_owned()))
            .collect()
    };
    case.policy.with_rules(|zone, rule| {
        let Some(range) = covering(rule, RESPONSE_IP, &addresses) else {
            return Some(rule.clone());
        };
        let beats = |other: &Rule| {
            covering(other, RESPONSE_IP, &addresses)
                .is_some_and(|its| width(its) == width(range) && order(other) < order(rule))
        };
        (!zone.rules.iter().any(beats)).then(|| rule.clone())
    })
}

/// Behind a disabled zone that has a rule on clients that matches, of those rules the ones of the
/// very same range alone.
fn disabled_zones_hide(case: &Case, question: &Question) -> Option<Policy> {
    let [a, b, c, _] = network(case.number);
    let client = [IpAddr::from([a, b, c, question.client])];
    let mut changed = case.policy.clone();
    let mut found = None;
    for zone in &mut changed.zones {
        if let Some(range) = found {
            zone.rules.retain(|rule| {
                let its = covering(rule, CLIENT_IP, &client);
                !rule.owner.ends_with(CLIENT_IP) || its == Some(range)
            });
        } else if zone.policy == "disabled" {
            let rules = zone.rules.iter();
            let ranges = rules.filter_map(|rule| covering(rule, CLIENT_IP, &client));
            found = ranges.max_by_key(Prefix::length);
        }
    }
    (changed != case.policy).then_some(changed)
}

/// With signatures broken, for who asks for all there is.
fn all_there_is_is_unsigned(case: &Case, question: &Question) -> Option<Policy> {
    let mut changed = case.policy.clone();
    changed.break_dnssec |= question.rtype == RecordType::ANY;
    (changed != case.policy).then_some(changed)
}

/// Without response-IP rules, for who wants nobody to be asked.
fn unknown_addresses_match_nothing(case: &Case, question: &Question) -> Option<Policy> {
    case.policy.with_rules(|_, rule| {
        let stays = question.recursion_desired || !rule.owner.ends_with(RESPONSE_IP);
        stays.then(|| rule.clone())
    })
}

/// The addresses of the truth.
fn addresses(case: &Case, question: &Question) -> Vec<IpAddr> {
    let (_, truth) = case
        .world
        .answer(&wire(&question.name), question.rtype, true);
    truth
        .iter()
        .filter_map(|record| record.data.ip_addr())
        .collect()
}

/// The range of a rule with that marker, where it covers one of these.
fn covering(rule: &Rule, marker: &str, addresses: &[IpAddr]) -> Option<Prefix> {
    let labels: Vec<&str> = rule.owner.strip_suffix(marker)?.split('.').collect();
    let range = range(&labels)?;
    let covers = addresses.iter().any(|address| range.contains(*address));
    covers.then_some(range)
}

fn width(range: Prefix) -> u8 {
    let bits = if range.address().is_ipv4() { 32 } else { 128 };
    bits - range.length()
}

/// The range of the owner of a rule.
fn range(labels: &[&str]) -> Option<Prefix> {
    let (length, reversed) = labels.split_first()?;
    let forward: Vec<&str> = reversed.iter().rev().copied().collect();
    let address: IpAddr = match forward.as_slice() {
        [_, _, _, _] if !forward.contains(&"zz") => forward.join(".").parse().ok()?,
        _ => {
            let text = forward.join(":").replace("zz", "");
            let end = if text.ends_with(':') { ":" } else { "" };
            format!("{text}{end}").parse().ok()?
        }
    };
    Prefix::new(address, length.parse().ok()?).ok()
}

/// Whether both want to be asked over TCP, one of them because it knows that there is nothing.
fn is_rcode_of_truncated(case: &Case, question: &Question, ours: &Said, bind: &Said) -> bool {
    let (rcode, _) = case
        .world
        .answer(&wire(&question.name), question.rtype, false);
    let is_one = |said: &Said| match said {
        Said::Answer {
            rcode: told,
            truncated,
            records,
        } => {
            let is_known = [rcode, ResponseCode::NoError]
                .iter()
                .any(|known| known.to_string() == *told);
            is_known && *truncated && records.is_empty()
        }
        Said::Nothing => false,
    };
    is_one(ours) && is_one(bind)
}

/// Whether both say that what an alias leads to fails, and BIND nothing else.
fn is_failure_behind_alias(_: &Case, _: &Question, ours: &Said, bind: &Said) -> bool {
    let failed = |said: &Said| match said {
        Said::Answer { rcode, records, .. } => {
            (*rcode == "Server Failure").then_some(records.len())
        }
        Said::Nothing => None,
    };
    failed(ours).is_some_and(|records| records > 0) && failed(bind) == Some(0)
}

/// Whether the truth is a failure that one of both did not ask for: ours where a rule decides
/// before, BIND where nobody is to be asked.
fn is_of_failure(case: &Case, question: &Question, ours: &Said, bind: &Said) -> bool {
    let (rcode, _) = case
        .world
        .answer(&wire(&question.name), question.rtype, false);
    let is_failure = |said: &Said| match said {
        Said::Answer { rcode, records, .. } => *rcode == "Server Failure" && records.is_empty(),
        Said::Nothing => false,
    };
    let waits = case.policy.qname_wait_recurse;
    rcode == ResponseCode::ServFail
        && match question.recursion_desired {
            true => is_failure(bind) && !waits,
            false => is_failure(ours),
        }
}

/// Whether BIND followed an alias that ours only told.
fn is_followed(case: &Case, question: &Question, ours: &Said, bind: &Said) -> bool {
    let (Some(ours), Some(bind)) = (ours.records(), bind.records()) else {
        return false;
    };
    let garden = case.world.garden();
    let is_behind = |record: &&String| {
        let owner = record.split(' ').next().unwrap_or_default();
        owner == garden || owner.ends_with(&format!(".{garden}"))
    };
    question.rtype == RecordType::ANY
        && ours.len() == 1
        && ours.is_subset(bind)
        && bind.difference(ours).all(|record| is_behind(&record))
}

/// Whether BIND told what it remembers of the truth, or part of what ours says, to somebody who
/// wants nobody to be asked.
fn is_of_the_cache(case: &Case, question: &Question, ours: &Said, bind: &Said) -> bool {
    let Said::Answer {
        records, truncated, ..
    } = bind
    else {
        return false;
    };
    let (_, truth) = case
        .world
        .answer(&wire(&question.name), question.rtype, true);
    let of_truth = |record: &String| {
        truth.iter().any(|known| {
            let kind = known.record_type();
            record.starts_with(&format!("{} {kind} ", text(&known.name)))
                && (kind == RecordType::RRSIG
                    || record.ends_with(&known.data.to_string().to_ascii_lowercase()))
        })
    };
    let of_ours = ours.records().is_some_and(|ours| records.is_subset(ours));
    !question.recursion_desired && !truncated && (of_ours || records.iter().all(of_truth))
}

const CLIENT_IP: &str = ".rpz-client-ip";
const RESPONSE_IP: &str = ".rpz-ip";
