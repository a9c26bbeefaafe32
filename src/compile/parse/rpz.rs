//! An RPZ zone file (rpz.md 2.1–2.3): policy rules as the records of a zone.

use std::collections::HashMap;

use super::lines::reject;
use super::rpz_rule::Rule;
use super::{Parsed, Reading, Reject, record_data};
use crate::policy::{Entry, EntryId, Kind, LocalRecord, Name, Reach};

/// One owner of a policy zone with its records.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ZoneRule {
    /// The line of its first record, from 1.
    pub line: u32,
    /// The owner relative to the apex, in lower case.
    pub owner: String,
    /// Its records in presentation form: TTL, type, data.
    pub records: Vec<String>,
}

/// Reads an RPZ zone as a list.
pub(super) fn read(reading: &Reading, text: &[u8], take: &mut dyn FnMut(Parsed)) {
    let zone = Zone::read(text);
    let (rules, rejects) = (zone.rules, zone.rejects);
    if let Some(soa) = zone.soa {
        let apex = zone.apex.filter(|apex| apex.ends_with('.'));
        take(Parsed::Soa(
            apex.and_then(|apex| Name::from_text(&apex).ok().map(Box::new)),
            soa,
        ));
    }
    for ZoneRule {
        line,
        owner,
        records,
    } in rules
    {
        match Rule::read(&owner, &records) {
            Ok(rule) => {
                for warning in rule.warnings {
                    take(Parsed::Warning(reject(line, warning)));
                }
                let entry = Entry {
                    data: rule.data,
                    reach: Reach::PolicyZone,
                    ..Entry::plain(
                        EntryId::derive(&reading.list, Kind::Domain, &owner),
                        rule.trigger,
                        rule.action,
                        reading.record.clone(),
                    )
                };
                take(Parsed::Entry(line, Box::new(entry)));
            }
            Err(reason) => take(Parsed::Reject(reject(line, reason))),
        }
    }
    for reject in rejects {
        take(Parsed::Reject(reject));
    }
}

/// Reads a zone file, with or without `$ORIGIN`: its rules in the order in which their
/// owners appear, and the rows that were left out.
///
/// The apex is the owner of the SOA record; relative owners without any `$ORIGIN` are
/// relative to it. SOA and NS at the apex are the zone's own; types that never encode a
/// rule, rows outside the apex, a CNAME beside other data, `$INCLUDE` and `$GENERATE` are
/// left out and said (P3–P7, U6).
#[must_use]
pub fn read_zone(text: &[u8]) -> (Vec<ZoneRule>, Vec<Reject>) {
    let zone = Zone::read(text);
    (zone.rules, zone.rejects)
}

/// The state of reading one zone.
#[derive(Default)]
struct Zone {
    origin: Option<String>,
    apex: Option<String>,
    default_ttl: u32,
    last_owner: Option<String>,
    last_ttl: Option<u32>,
    rules: Vec<ZoneRule>,
    places: HashMap<String, usize>,
    rejects: Vec<Reject>,
    soa: Option<LocalRecord>,
}

impl Zone {
    fn read(text: &[u8]) -> Self {
        let mut zone = Self::default();
        for record in logical_lines(text) {
            match record {
                Ok((line, starts_blank, tokens)) => {
                    if let Err(reason) = zone.take(line, starts_blank, &tokens) {
                        zone.rejects.push(reject(line, reason));
                    }
                }
                Err(reject) => zone.rejects.push(reject),
            }
        }
        zone
    }

    fn take(&mut self, line: u32, starts_blank: bool, tokens: &[String]) -> Result<(), String> {
        let mut tokens = tokens.iter().map(String::as_str).peekable();
        match tokens
            .peek()
            .map(|token| token.to_ascii_uppercase())
            .as_deref()
        {
            None => return Ok(()),
            Some("$ORIGIN") => {
                let origin = tokens.nth(1).ok_or("`$ORIGIN` names no zone")?;
                self.origin = Some(origin.to_ascii_lowercase());
                return Ok(());
            }
            Some("$TTL") => {
                self.default_ttl = tokens
                    .nth(1)
                    .and_then(ttl)
                    .ok_or("`$TTL` has no number of seconds")?;
                return Ok(());
            }
            Some(control) if control.starts_with('$') => {
                return Err(format!("`{control}` is refused in a policy zone"));
            }
            Some(_) => {}
        }
        let owner = if starts_blank {
            self.last_owner
                .clone()
                .ok_or("the first row has no owner")?
        } else {
            self.absolute(tokens.next().unwrap_or_default())
        };
        self.last_owner = Some(owner.clone());
        let (ttl, kind) = self.ttl_and_type(&mut tokens)?;
        let data: Vec<&str> = tokens.collect();
        self.record(line, &owner, ttl, &kind, &data)
    }

    /// Reads TTL and class, in either order, and the type.
    fn ttl_and_type<'a>(
        &mut self,
        tokens: &mut impl Iterator<Item = &'a str>,
    ) -> Result<(u32, String), String> {
        let mut given = None;
        for token in tokens {
            let upper = token.to_ascii_uppercase();
            match upper.as_str() {
                "IN" => {}
                "CH" | "HS" => return Err(format!("class {upper} has no place in a policy zone")),
                _ => match ttl(token) {
                    Some(seconds) if given.is_none() => given = Some(seconds),
                    _ => {
                        let seconds = given.or(self.last_ttl.filter(|_| self.default_ttl == 0));
                        let seconds = seconds.unwrap_or(self.default_ttl);
                        self.last_ttl = Some(seconds);
                        return Ok((seconds, upper));
                    }
                },
            }
        }
        Err("the row has no record type".to_owned())
    }

    fn record(
        &mut self,
        line: u32,
        owner: &str,
        ttl: u32,
        kind: &str,
        data: &[&str],
    ) -> Result<(), String> {
        if kind == "SOA" && self.apex.is_none() {
            self.apex = Some(owner.to_owned());
            self.soa = soa(ttl, data);
            return Ok(());
        }
        let apex = self
            .apex
            .clone()
            .ok_or("the zone's SOA record must come first")?;
        if owner == apex {
            return match kind {
                "NS" => Ok(()),
                _ => Err(format!("a record of type {kind} at the apex is no rule")),
            };
        }
        if NEVER_RULES.contains(&kind) {
            return Err(format!("a record of type {kind} never is a rule"));
        }
        let relative = below(owner, &apex)
            .ok_or("the owner lies outside the zone")?
            .to_owned();
        if data.is_empty() {
            return Err(format!("the {kind} record has no data"));
        }
        let data = match (kind, data) {
            ("CNAME", [target]) => self.absolute(target),
            ("CNAME", _) => return Err("a CNAME record has one target".to_owned()),
            _ => {
                let data = self.absolute_data(kind, data)?;
                // A record that cannot be read is left out alone, with its own line.
                record_data::read(kind, &data)?;
                data
            }
        };
        let text = format!("{ttl} {kind} {data}");
        match self
            .places
            .get(&relative)
            .and_then(|place| self.rules.get_mut(*place))
        {
            None => {
                self.places.insert(relative.clone(), self.rules.len());
                self.rules.push(ZoneRule {
                    line,
                    owner: relative,
                    records: vec![text],
                });
            }
            Some(rule) => {
                let is_alias = |record: &String| record.split_whitespace().nth(1) == Some("CNAME");
                if kind == "CNAME" || rule.records.iter().any(is_alias) {
                    return Err(format!(
                        "the owner has a CNAME record beside other data; line {} is kept",
                        rule.line
                    ));
                }
                let of = |record: &str| record.split_once(' ').map(|(_, of)| of.to_owned());
                if rule.records.iter().any(|record| of(record) == of(&text)) {
                    return Err(format!(
                        "the owner has this record twice; it is kept once, from line {} on",
                        rule.line
                    ));
                }
                rule.records.push(text);
            }
        }
        Ok(())
    }

    /// The data of a record with the name in it made absolute, where it has one.
    fn absolute_data(&self, kind: &str, data: &[&str]) -> Result<String, String> {
        let place = match kind {
            "PTR" => 0,
            "MX" | "HTTPS" | "SVCB" => 1,
            "SRV" => 3,
            "NAPTR" => 5,
            _ => return Ok(data.join(" ")),
        };
        let mut words: Vec<String> = data.iter().map(|word| (*word).to_owned()).collect();
        if let Some(name) = words.get_mut(place) {
            *name = self.absolute(name);
            if !name.ends_with('.') {
                return Err(format!(
                    "the name `{name}` is relative to a zone that is not known; end it with a dot"
                ));
            }
        }
        Ok(words.join(" "))
    }

    /// A name made absolute: `@` and relative names against `$ORIGIN`; without one, `@` is
    /// written as the empty name, and names relative to it end without a dot.
    fn absolute(&self, text: &str) -> String {
        let text = text.to_ascii_lowercase();
        match (&self.origin, text.as_str()) {
            (_, absolute) if absolute.ends_with('.') => text,
            (None, "@") => String::new(),
            (None, _) => text,
            (Some(origin), "@") => origin.clone(),
            (Some(origin), relative) if origin == "." => format!("{relative}."),
            (Some(origin), relative) => format!("{relative}.{origin}"),
        }
    }
}

/// The zone's SOA record; nothing where it cannot be read: the rules act all the same.
fn soa(ttl: u32, data: &[&str]) -> Option<LocalRecord> {
    let [servers @ .., _, _, _, _, _] = data else {
        return None;
    };
    let times = data.get(servers.len()..)?;
    // Times may have units, which are those of TTLs.
    let times: Option<Vec<String>> = times
        .iter()
        .map(|time| Some(self::ttl(time)?.to_string()))
        .collect();
    let text = format!("{} {}", servers.join(" "), times?.join(" "));
    let (rtype, data) = record_data::read("SOA", &text).ok()?;
    Some(LocalRecord { rtype, ttl, data })
}

/// The part of `owner` below `apex`.
fn below<'a>(owner: &'a str, apex: &str) -> Option<&'a str> {
    if apex.is_empty() {
        return Some(owner).filter(|owner| !owner.ends_with('.'));
    }
    if apex == "." {
        return owner.strip_suffix('.');
    }
    owner.strip_suffix(apex)?.strip_suffix('.')
}

/// A TTL in seconds, or in the units of zone files.
fn ttl(text: &str) -> Option<u32> {
    if !text.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let mut seconds = 0_u32;
    let mut number = String::new();
    for character in text.chars() {
        if character.is_ascii_digit() {
            number.push(character);
            continue;
        }
        let unit = match character.to_ascii_lowercase() {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return None,
        };
        seconds = seconds.checked_add(number.parse::<u32>().ok()?.checked_mul(unit)?)?;
        number.clear();
    }
    if number.is_empty() {
        Some(seconds)
    } else {
        seconds.checked_add(number.parse().ok()?)
    }
}

type LogicalLine = (u32, bool, Vec<String>);

/// Joins the lines that parentheses hold together and cuts them into tokens (RFC 1035
/// section 5.1).
fn logical_lines(text: &[u8]) -> impl Iterator<Item = Result<LogicalLine, Reject>> {
    let mut lines = super::lines::lines(text);
    std::iter::from_fn(move || {
        let (first, text) = match lines.next()? {
            Ok(line) => line,
            Err(reject) => return Some(Err(reject)),
        };
        let starts_blank = text.starts_with([' ', '\t']);
        let mut tokens = Vec::new();
        let mut depth = 0_i32;
        let mut text = text;
        loop {
            if let Err(reason) = tokenise(text, &mut tokens, &mut depth) {
                return Some(Err(reject(first, reason)));
            }
            if depth <= 0 {
                return Some(Ok((first, starts_blank, tokens)));
            }
            if tokens.len() > TOKENS_MAX {
                return Some(Err(reject(
                    first,
                    "the record is longer than 4096 words; a parenthesis may be missing",
                )));
            }
            match lines.next() {
                Some(Ok((_, next))) => text = next,
                Some(Err(reject)) => return Some(Err(reject)),
                None => {
                    return Some(Err(reject(
                        first,
                        "a parenthesis is opened and never closed",
                    )));
                }
            }
        }
    })
}

fn tokenise(text: &str, tokens: &mut Vec<String>, depth: &mut i32) -> Result<(), &'static str> {
    let mut token = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            ';' => break,
            '(' => *depth += 1,
            ')' => *depth -= 1,
            '"' => {
                token.push('"');
                loop {
                    match characters.next() {
                        None => return Err("a quotation is opened and never closed"),
                        Some('"') => break,
                        Some('\\') => token.extend(['\\'].into_iter().chain(characters.next())),
                        Some(inner) => token.push(inner),
                    }
                }
                token.push('"');
            }
            '\\' => token.extend(['\\'].into_iter().chain(characters.next())),
            white if white.is_whitespace() => {
                if !token.is_empty() {
                    tokens.push(std::mem::take(&mut token));
                }
            }
            other => token.push(other),
        }
        if matches!(character, '(' | ')') && !token.is_empty() {
            tokens.push(std::mem::take(&mut token));
        }
    }
    if !token.is_empty() {
        tokens.push(token);
    }
    Ok(())
}

/// Record types that never encode a rule (P3).
pub(super) const NEVER_RULES: [&str; 12] = [
    "SOA",
    "NS",
    "DNAME",
    "DNSKEY",
    "DS",
    "RRSIG",
    "NSEC",
    "NSEC3",
    "NSEC3PARAM",
    "CDS",
    "CDNSKEY",
    "ZONEMD",
];

/// The most words of one record over all its lines.
const TOKENS_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::native::tests::{check_format, reading};
    use super::*;

    const SOA: &str = "$TTL 3600\n@ IN SOA rpz.test. host.test. (\n 1 ; serial\n 86400 7200\n 2592000 3600 )\n NS localhost.\n";

    #[track_caller]
    fn check(rows: &str, entries: &[&str], rejects: &[u32]) {
        check_format(
            &reading(Format::Rpz),
            &format!("{SOA}{rows}"),
            entries,
            rejects,
        );
    }

    #[test]
    fn names_and_wildcards() {
        check(
            "bad.test IN CNAME .\n*.bad.test 60 CNAME .\nempty.test CNAME *.\ngood.test CNAME rpz-passthru.\n",
            &[
                "7 domain exact bad.test",
                "8 domain wildcard bad.test",
                "9 domain exact empty.test",
                "10 exception exact good.test",
            ],
            &[],
        );
    }

    #[test]
    fn what_is_left_out() {
        check("x.rpz-new CNAME .\nb.test CNAME rpz-new.\n", &[], &[7, 8]);
        check(
            "a.test DNAME b.test.\n@ A 192.0.2.1\noutside.test. CNAME .\n$INCLUDE x\n",
            &[],
            &[7, 8, 9, 10],
        );
        check(
            "a.test CNAME .\na.test CNAME *.\na.test A 192.0.2.1\n",
            &["7 domain exact a.test"],
            &[8, 9],
        );
        check("a.test TXT ( \"never closed\"\n", &[], &[7]);
        check(
            "b.test CNAME\na.test CNAME .\n",
            &["8 domain exact a.test"],
            &[7],
        );
    }

    #[test]
    fn owners_are_relative_to_the_apex() {
        let zone = "$ORIGIN rpz.test.\n@ 60 SOA a. b. 1 2 3 4 5\n@ NS localhost.\nOne.TEST CNAME .\ntwo.test.rpz.test. CNAME .\n$ORIGIN test.rpz.test.\nthree CNAME .\nfour.test. CNAME .\n";
        check_format(
            &reading(Format::Rpz),
            zone,
            &[
                "4 domain exact one.test",
                "5 domain exact two.test",
                "7 domain exact three.test",
            ],
            &[8],
        );
    }

    #[test]
    fn records_keep_their_ttl() {
        let (rules, rejects) =
            read_zone(format!("{SOA}x.test 2h A 192.0.2.1\n TXT \"a b\" c\n").as_bytes());
        assert_eq!(rejects, []);
        assert_eq!(
            rules,
            [ZoneRule {
                line: 7,
                owner: "x.test".into(),
                records: vec!["7200 A 192.0.2.1".into(), "3600 TXT \"a b\" c".into()],
            }]
        );
    }
}
