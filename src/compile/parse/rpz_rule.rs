//! [`Rule`]: what one owner of a policy zone matches and does (rpz.md 2.2, 2.3).

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::record_data;
use crate::policy::{
    Action, LOCAL_RECORDS_MAX, LocalData, LocalRecord, Name, Prefix, Scope, Trigger,
};

/// A rule of a policy zone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rule {
    /// What it matches.
    pub trigger: Trigger,
    /// What it does.
    pub action: Action,
    /// What it answers, where that is local data.
    pub data: Option<Arc<LocalData>>,
    /// What is strange about it and taken all the same, as sentences.
    pub warnings: Vec<String>,
}

impl Rule {
    /// Reads a rule: its owner relative to the apex, and its records as TTL, type and data.
    ///
    /// # Errors
    /// A sentence that says why the rule is left out.
    pub fn read(owner: &str, records: &[String]) -> Result<Self, String> {
        let mut warnings = Vec::new();
        let (trigger, own) = trigger(owner, &mut warnings)?;
        let (action, data) = action(&own, records, &mut warnings)?;
        Ok(Self {
            trigger,
            action,
            data: data.map(Arc::new),
            warnings,
        })
    }
}

/// The trigger of an owner, and the name that as the target of an alias is the old form of
/// PASSTHRU (A9).
fn trigger(owner: &str, warnings: &mut Vec<String>) -> Result<(Trigger, String), String> {
    let (rest, marker) = match owner.rsplit_once('.') {
        Some((rest, last)) if last.starts_with(MARKER) => (rest, last),
        None if owner.starts_with(MARKER) => ("", owner),
        _ => {
            let (name, scope) = name(owner)?;
            return Ok((Trigger::Name { name, scope }, format!("{owner}.")));
        }
    };
    let own = format!("{rest}.");
    let is_known = [CLIENT_IP, RESPONSE_IP, NSDNAME, NSIP].contains(&marker);
    if is_known && rest.is_empty() {
        return Err(format!("`{marker}` stands alone, and is no rule"));
    }
    let trigger = match marker {
        CLIENT_IP => Trigger::Client(range(rest, warnings)?),
        RESPONSE_IP => Trigger::Address(range(rest, warnings)?),
        NSIP => Trigger::NsAddress(range(rest, warnings)?),
        NSDNAME => {
            let (name, scope) = name(rest)?;
            Trigger::NsName { name, scope }
        }
        unknown => return Err(format!("`{unknown}` is an unknown trigger")),
    };
    Ok((trigger, own))
}

/// A name, or the parent of a wildcard.
fn name(owner: &str) -> Result<(Name, Scope), String> {
    let (text, scope) = match owner.strip_prefix("*.") {
        Some(parent) => (parent, Scope::Wildcard),
        None if owner == "*" => (".", Scope::Wildcard),
        None => (owner, Scope::Exact),
    };
    let name = Name::from_text(text).map_err(|error| error.to_string())?;
    Ok((name, scope))
}

/// A range: the length of its prefix, then its address from the right to the left (T10 to T16).
fn range(text: &str, warnings: &mut Vec<String>) -> Result<Prefix, String> {
    let labels: Vec<&str> = text.split('.').collect();
    let (Some((length, reversed)), false) = (labels.split_first(), text.contains(':')) else {
        return Err(format!("`{text}` is no range: it holds a colon"));
    };
    let bits: u8 = decimal(length).filter(|bits| *bits > 0).ok_or_else(|| {
        format!("`{length}` is no length of a prefix: a number from 1 to 32 (IPv4) or 128 (IPv6)")
    })?;
    let address: IpAddr = match reversed {
        [d, c, b, a] if !reversed.contains(&"zz") => {
            let octet = |label: &str| {
                decimal(label).ok_or_else(|| format!("`{label}` is no octet of an address"))
            };
            Ipv4Addr::new(octet(a)?, octet(b)?, octet(c)?, octet(d)?).into()
        }
        _ => ipv6(text, reversed, warnings)?.into(),
    };
    Prefix::new(address, bits).map_err(|error| format!("`{text}`: {error}"))
}

/// An IPv6 address from its words, the last first; `zz` stands for a run of zero words.
fn ipv6(text: &str, reversed: &[&str], warnings: &mut Vec<String>) -> Result<Ipv6Addr, String> {
    let wrong =
        || format!("`{text}` is no range: `LENGTH.B4.B3.B2.B1` or `LENGTH.W8.….W1` with one `zz`");
    let words = reversed.iter().filter(|label| **label != "zz").count();
    let runs = reversed.len() - words;
    let missing = 8_usize.checked_sub(words).ok_or_else(wrong)?;
    if runs > 1 || (runs == 0) != (missing == 0) {
        return Err(wrong());
    }
    let mut address = [0_u16; 8];
    let mut places = address.iter_mut().rev();
    for label in reversed {
        if *label == "zz" {
            // The run is zero already.
            let _ = places.nth(missing.saturating_sub(1));
            continue;
        }
        let is_word =
            matches!(label.len(), 1..=4) && label.bytes().all(|one| one.is_ascii_hexdigit());
        let word = u16::from_str_radix(label, 16).ok().filter(|_| is_word);
        *places.next().ok_or_else(wrong)? = word.ok_or_else(wrong)?;
    }
    let address = Ipv6Addr::from(address);
    if address.to_ipv4_mapped().is_some() {
        return Err(format!(
            "`{text}` is an IPv4 address in IPv6 form; write it as IPv4"
        ));
    }
    let canonical = canonical(address);
    if reversed.join(".") != canonical {
        warnings.push(format!(
            "the address is not in canonical form, which some resolvers demand; write {canonical}"
        ));
    }
    Ok(address)
}

/// The form of RFC 5952, from the right to the left, `::` as `zz` (T12).
fn canonical(address: Ipv6Addr) -> String {
    let text = address.to_string().replace("::", ":zz:");
    let words: Vec<&str> = text.split(':').filter(|word| !word.is_empty()).collect();
    words.into_iter().rev().collect::<Vec<_>>().join(".")
}

/// A number without leading zeros.
fn decimal(text: &str) -> Option<u8> {
    let is_plain = text == "0" || !text.starts_with(['0', '+']);
    text.parse().ok().filter(|_| is_plain)
}

/// What records say is to be done; `own` as an alias is the old PASSTHRU.
fn action(
    own: &str,
    records: &[String],
    warnings: &mut Vec<String>,
) -> Result<(Action, Option<LocalData>), String> {
    if let [record] = records
        && let [ttl, "CNAME", target] = *record.split_whitespace().collect::<Vec<_>>()
    {
        let ttl = ttl.parse().map_err(|_| format!("`{ttl}` is no TTL"))?;
        return alias(own, ttl, target, warnings);
    }
    local_records(records, warnings).map(|data| (Action::LocalData, Some(data)))
}

/// What an alias says is to be done (A1 to A7, A9, A15).
fn alias(
    own: &str,
    ttl: u32,
    target: &str,
    warnings: &mut Vec<String>,
) -> Result<(Action, Option<LocalData>), String> {
    let lower = target.to_ascii_lowercase();
    let action = match lower.as_str() {
        "." => Action::NxDomain,
        "*." => Action::NoData,
        "rpz-passthru." => Action::PassThru,
        "rpz-drop." => Action::Drop,
        "rpz-tcp-only." => Action::TcpOnly,
        own_name if own_name == own => {
            warnings.push(
                "an alias of itself is the old form of PASSTHRU; write `CNAME rpz-passthru.`"
                    .to_owned(),
            );
            Action::PassThru
        }
        other => {
            let Some(name) = other.strip_suffix('.') else {
                return Err(format!(
                    "the target `{target}` is relative to a zone that is not known; end it with a dot"
                ));
            };
            let top = name.rsplit('.').next().unwrap_or_default();
            if top.starts_with(MARKER) {
                return Err(format!("`CNAME {target}` is an unknown action"));
            }
            if name.split('.').any(|label| label.starts_with(MARKER)) {
                warnings.push(format!(
                    "the target {target} holds the name of an action, and is none: it may lack the dot at its end"
                ));
            }
            let (text, is_wildcard) = match name.strip_prefix("*.") {
                Some(parent) => (parent, true),
                None => (name, false),
            };
            let target = Name::from_text(text).map_err(|error| format!("{target}: {error}"))?;
            let data = LocalData::Alias {
                target,
                is_wildcard,
                ttl,
            };
            return Ok((Action::LocalData, Some(data)));
        }
    };
    Ok((action, None))
}

/// Local data that are no alias. What cannot be read is left out and said; the least TTL of a
/// type is that of all its records (P9).
fn local_records(records: &[String], warnings: &mut Vec<String>) -> Result<LocalData, String> {
    if records.len() > LOCAL_RECORDS_MAX {
        return Err(format!(
            "the rule has more than {LOCAL_RECORDS_MAX} records"
        ));
    }
    let mut read = Vec::new();
    let mut ttls: BTreeMap<u16, u32> = BTreeMap::new();
    for record in records {
        let mut words = record.splitn(3, ' ');
        let (ttl, kind, data) = (words.next(), words.next(), words.next());
        let one = match (ttl.and_then(|ttl| ttl.parse().ok()), kind, data) {
            (_, Some("CNAME"), _) => Err("a CNAME record beside other data".to_owned()),
            (_, Some(kind), _) if super::rpz::NEVER_RULES.contains(&kind) => {
                Err(format!("a record of type {kind} never is a rule"))
            }
            (Some(ttl), Some(kind), data) => {
                record_data::read(kind, data.unwrap_or_default()).map(|data| (ttl, data))
            }
            _ => Err(format!("`{record}` is no record: TTL, type, data")),
        };
        match one {
            Ok((ttl, (rtype, data))) => {
                let least = ttls.entry(rtype).or_insert(ttl);
                *least = ttl.min(*least);
                read.push(LocalRecord { rtype, ttl, data });
            }
            Err(reason) => warnings.push(format!("a record is left out: {reason}")),
        }
    }
    for record in &mut read {
        record.ttl = ttls.get(&record.rtype).copied().unwrap_or(record.ttl);
    }
    if read.is_empty() {
        let reason = warnings.pop();
        return Err(reason.unwrap_or_else(|| "the rule has no records".to_owned()));
    }
    Ok(LocalData::Records(read.into()))
}

const MARKER: &str = "rpz-";
const CLIENT_IP: &str = "rpz-client-ip";
const RESPONSE_IP: &str = "rpz-ip";
const NSDNAME: &str = "rpz-nsdname";
const NSIP: &str = "rpz-nsip";

#[cfg(test)]
mod tests {
    use super::*;

    /// What a rule is, in short; or part of why it is none.
    #[track_caller]
    fn check(owner: &str, records: &[&str], expected: Result<&str, &str>) {
        let records: Vec<String> = records
            .iter()
            .map(|record| format!("60 {record}"))
            .collect();
        let found = Rule::read(owner, &records);
        let said = found.map(|rule| {
            let kind = match rule.trigger {
                Trigger::Client(_) => "client",
                Trigger::Name { .. } => "name",
                Trigger::Address(_) => "address",
                Trigger::NsName { .. } => "ns-name",
                Trigger::NsAddress(_) => "ns-address",
                Trigger::Url { .. } => "url",
            };
            let action = rule.action.as_str();
            let scope = rule.trigger.match_word().unwrap_or("range");
            let warned = if rule.warnings.is_empty() {
                ""
            } else {
                " warned"
            };
            format!("{kind} {scope} {} {action}{warned}", rule.trigger.value())
        });
        match (&said, expected) {
            (Err(found), Err(part)) => assert!(found.contains(part), "{owner}: {found}"),
            _ => assert_eq!(
                said,
                expected.map(str::to_owned).map_err(str::to_owned),
                "{owner} {records:?}"
            ),
        }
    }

    #[test]
    fn t1_to_t5_each_owner_is_a_trigger() {
        let nxdomain = &["CNAME ."];
        check(
            "32.7.2.0.192.rpz-client-ip",
            nxdomain,
            Ok("client range 192.0.2.7/32 nxdomain"),
        );
        check("bad.test", nxdomain, Ok("name exact bad.test nxdomain"));
        check(
            "*.bad.test",
            nxdomain,
            Ok("name wildcard bad.test nxdomain"),
        );
        check("*", nxdomain, Ok("name wildcard . nxdomain"));
        check(
            "24.0.2.0.192.rpz-ip",
            nxdomain,
            Ok("address range 192.0.2.0/24 nxdomain"),
        );
        check(
            "ns.bad.test.rpz-nsdname",
            nxdomain,
            Ok("ns-name exact ns.bad.test nxdomain"),
        );
        check(
            "*.bad.test.rpz-nsdname",
            nxdomain,
            Ok("ns-name wildcard bad.test nxdomain"),
        );
        check(
            "8.0.0.0.10.rpz-nsip",
            nxdomain,
            Ok("ns-address range 10.0.0.0/8 nxdomain"),
        );
    }

    #[test]
    fn t10_t11_t12_addresses_are_written_backwards() {
        let check = |labels: &str, expected: Result<&str, &'static str>| {
            let owner = format!("{labels}.rpz-ip");
            let expected: Result<String, &str> =
                expected.map(|range: &str| format!("address range {range} nxdomain"));
            check(
                &owner,
                &["CNAME ."],
                expected.as_ref().map(String::as_str).map_err(|part| *part),
            );
        };
        check("128.1.zz.db8.2001", Ok("2001:db8::1/128"));
        check("32.zz.db8.2001", Ok("2001:db8::/32"));
        check("128.zz", Ok("::/128"));
        check("128.1.zz", Ok("::1/128"));
        check("128.8.7.6.5.4.3.2.1", Ok("1:2:3:4:5:6:7:8/128"));
        // Of two runs that are as long, RFC 5952 shortens the first, the last one read here.
        check("128.1.0.0.1.1.zz.1", Ok("1::1:1:0:0:1/128"));
        check("33.4.3.2.1", Err("length"));
        check("0.0.0.0.0", Err("length"));
        check("032.4.3.2.1", Err("length"));
        check("32.04.3.2.1", Err("no octet"));
        check("32.256.3.2.1", Err("no octet"));
        check("129.zz", Err("length"));
        check("128.zz.1.zz", Err("no range"));
        check("128.zz.8.7.6.5.4.3.2.1", Err("no range"));
        check("128.7.6.5.4.3.2.1", Err("no range"));
        check("128.12345.zz.1", Err("no range"));
        check("128.g.zz.1", Err("no range"));
    }

    #[test]
    fn t12_addresses_in_another_form_are_taken_and_said() {
        let check = |labels: &str, range: &str| {
            let expected = format!("address range {range} nxdomain warned");
            check(&format!("{labels}.rpz-ip"), &["CNAME ."], Ok(&expected));
        };
        check("128.1.0.0.0.0.0.db8.2001", "2001:db8::1/128");
        check("128.0001.zz.db8.2001", "2001:db8::1/128");
        check("128.1.zz.1.1.0.0.1", "1::1:1:0:0:1/128");
    }

    #[test]
    fn t13_to_t16_what_is_no_range() {
        let nxdomain = &["CNAME ."];
        check("24.1.2.0.192.rpz-ip", nxdomain, Err("beyond its prefix"));
        check(
            "128.a.b.ffff.zz.rpz-ip",
            nxdomain,
            Err("IPv4 address in IPv6 form"),
        );
        check("128.1.zz.2001:db8.rpz-ip", nxdomain, Err("colon"));
        check("rpz-ip", nxdomain, Err("stands alone"));
        check("rpz-nsdname", nxdomain, Err("stands alone"));
        check("*.rpz-ip", nxdomain, Err("length"));
    }

    #[test]
    fn p8_what_is_not_known_is_no_rule() {
        check("x.rpz-new", &["CNAME ."], Err("unknown trigger"));
        check("x.test", &["CNAME rpz-new."], Err("unknown action"));
        check("x.test", &["CNAME x.rpz-drop."], Err("unknown action"));
        check("x.test", &["TYPE99999 \\# 0"], Err("no record type"));
    }

    #[test]
    fn a1_to_a9_each_record_is_an_action() {
        let name = |action: &str| format!("name exact x.test {action}");
        for (record, action) in [
            ("CNAME .", "nxdomain"),
            ("CNAME *.", "nodata"),
            ("CNAME rpz-passthru.", "passthru"),
            ("CNAME RPZ-Drop.", "drop"),
            ("CNAME rpz-tcp-only.", "tcp_only"),
            ("CNAME *.garden.test.", "local_data"),
            ("CNAME garden.test.", "local_data"),
            ("A 192.0.2.1", "local_data"),
            ("CNAME x.test.", "passthru warned"),
            ("CNAME rpz-passthru.zone.test.", "local_data warned"),
        ] {
            check("x.test", &[record], Ok(&name(action)));
        }
        check(
            "32.7.2.0.192.rpz-ip",
            &["CNAME 32.7.2.0.192."],
            Ok("address range 192.0.2.7/32 passthru warned"),
        );
        check("x.test", &["CNAME garden"], Err("end it with a dot"));
    }

    #[test]
    fn p9_the_least_ttl_of_a_type_is_that_of_all() {
        let records = ["300 A 192.0.2.1", "60 A 192.0.2.2", "900 TXT x"].map(str::to_owned);
        let rule = Rule::read("x.test", &records).unwrap();
        let Some(LocalData::Records(records)) = rule.data.as_deref() else {
            panic!("{rule:?}");
        };
        let ttls: Vec<u32> = records.iter().map(|record| record.ttl).collect();
        assert_eq!(ttls, [60, 60, 900]);
    }

    #[test]
    fn p6_a_record_that_cannot_be_read_costs_no_other() {
        check(
            "x.test",
            &["A 192.0.2.1", "A nonsense"],
            Ok("name exact x.test local_data warned"),
        );
        check("x.test", &["A nonsense"], Err("cannot be read"));
    }
}
