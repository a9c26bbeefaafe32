//! Runs a scenario and says how its first wrong answer differs.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use cordon::compile::parse::rpz::read_zone;
use cordon::compile::{Blocklist, Format, From};
use cordon::enforce::Edition;
use cordon::policy::{EntryId, Kind, RuleId, Surface};
use hickory_proto::op::{Edns, Message, Query};
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

use super::node::{Node, WAIT};
use super::scenario::{Line, List, Question, Step, read};
use super::world::{SLOW, World, record};

/// Runs a scenario.
pub(super) fn run(text: &str) -> Result<(), String> {
    let world = World::start();
    let mut play = Play {
        node: Node::start(world.address),
        world,
        lists: Vec::new(),
        owners: BTreeMap::new(),
        begun: Instant::now(),
        is_changed: false,
    };
    read(text).into_iter().try_for_each(|step| play.step(step))
}

struct Play {
    node: Node,
    world: World,
    lists: Vec<List>,
    /// The owner of each entry, by list and id.
    owners: BTreeMap<(String, String), String>,
    begun: Instant,
    /// Whether the lists are others than those in force.
    is_changed: bool,
}

impl Play {
    fn step(&mut self, step: Step) -> Result<(), String> {
        match step {
            Step::Node(options) => self.node.configure(&options),
            Step::World(rows) => self.world.become_these(rows),
            Step::Gone(name) => {
                self.lists.retain(|list| list.settings.name != name);
                self.is_changed = true;
            }
            Step::List(list) => {
                self.note_owners(&list);
                let name = &list.settings.name;
                match self.lists.iter_mut().find(|old| old.settings.name == *name) {
                    Some(old) => *old = *list,
                    None => self.lists.push(*list),
                }
                self.is_changed = true;
            }
            Step::Ask(questions, lines) => {
                if std::mem::take(&mut self.is_changed) {
                    let edition = self.node.put_in_force(&self.lists);
                    self.rows_are(&edition.blocklist)?;
                }
                for question in &questions {
                    self.ask(question, &lines)?;
                }
            }
        }
        Ok(())
    }

    fn note_owners(&mut self, list: &List) {
        let From::File { format, .. } = list.settings.from else {
            return;
        };
        if format != Format::Rpz {
            return;
        }
        let name = &list.settings.name;
        for rule in read_zone(list.text.as_bytes()).0 {
            let id = EntryId::derive(name, Kind::Domain, &rule.owner);
            self.owners
                .insert((name.clone(), id.to_string()), rule.owner);
        }
    }

    /// Whether exactly the marked rows are left out, and strange.
    fn rows_are(&self, blocklist: &Blocklist) -> Result<(), String> {
        for (list, compiled) in self.lists.iter().zip(blocklist.lists()) {
            for (what, rows, marked) in [
                ("left out", &compiled.rejects, &list.left_out),
                ("warned", &compiled.warnings, &list.warned),
            ] {
                let mut rows: Vec<(u32, &str)> = rows
                    .iter()
                    .map(|row| (row.line.saturating_sub(list.lines_before), &*row.reason))
                    .collect();
                // Most wildcards here leave a hole: the lint is expected where it is marked.
                let is_marked = |line: u32| marked.iter().any(|(at, _)| *at == line);
                rows.retain(|(line, reason)| is_marked(*line) || !is_lint(reason));
                rows.sort_unstable();
                let is_same = rows.len() == marked.len()
                    && rows.iter().zip(marked).all(|((line, reason), (at, part))| {
                        line == at && reason.contains(part.as_str())
                    });
                if !is_same {
                    let name = &list.settings.name;
                    return Err(format!(
                        "rows of {name} that are {what}: {rows:#?}\nmarked: {marked:#?}"
                    ));
                }
            }
        }
        Ok(())
    }

    fn ask(&mut self, question: &Question, lines: &[Line]) -> Result<(), String> {
        let query = message(question);
        let octets = query.to_vec().unwrap();
        let is_rewritten = lines.iter().any(|line| matches!(line, Line::By(..)));
        for over_tcp in [false, true] {
            let is_wanted = match over_tcp {
                true => question.over_tcp,
                false => question.over_udp,
            };
            if !is_wanted {
                continue;
            }
            let edition = self.node.in_force();
            let before = hits(&edition);
            let expected = self.expected(question, lines);
            let octets_max = match question.edns_octets {
                _ if over_tcp => 65_535,
                octets => usize::from(octets.unwrap_or(512).clamp(512, 1232)),
            };
            for reply in self.replies(question, &octets, over_tcp, lines) {
                let reply = reply.map(|octets| {
                    assert!(octets.len() <= octets_max, "{} octets", octets.len());
                    Message::from_vec(&octets).unwrap()
                });
                let mut found = self.found(&query, reply, is_rewritten);
                found.extend(self.counted(&before, &hits(&edition)));
                if found != expected {
                    return Err(format!(
                        "{} {} {}\nfound:\n  {}\nexpected:\n  {}",
                        if over_tcp { "tcp" } else { "udp" },
                        question.name,
                        question.rtype,
                        found.join("\n  "),
                        expected.join("\n  ")
                    ));
                }
            }
        }
        self.so_far(lines)
    }

    /// Asks, once or twice at the same time, perhaps while a list goes.
    fn replies(
        &mut self,
        question: &Question,
        query: &[u8],
        over_tcp: bool,
        lines: &[Line],
    ) -> Vec<Option<Vec<u8>>> {
        let is_nothing = lines.iter().any(|line| matches!(line, Line::Nothing));
        let wait = if is_nothing { SILENCE } else { WAIT };
        let times = if question.is_twice { 2 } else { 1 };
        if let Some(name) = &question.losing {
            self.lists.retain(|list| list.settings.name != *name);
        }
        let (node, lists) = (&self.node, &self.lists);
        std::thread::scope(|scope| {
            let asking: Vec<_> = (0..times)
                .map(|_| {
                    scope.spawn(move || match over_tcp {
                        true => node.ask_tcp(question.from, query),
                        false => node.ask_udp(question.from, query, wait),
                    })
                })
                .collect();
            if question.losing.is_some() {
                std::thread::sleep(SLOW / 4);
                node.put_in_force(lists);
            }
            asking
                .into_iter()
                .map(|asking| asking.join().unwrap())
                .collect()
        })
    }

    /// What must be true after all that was asked.
    fn so_far(&self, lines: &[Line]) -> Result<(), String> {
        for line in lines {
            match line {
                Line::Unasked(name) if self.world.was_asked(name) => {
                    return Err(format!("the upstream was asked for {name}"));
                }
                Line::Counted(list, owner, times) => {
                    let hits = hits(&self.node.in_force());
                    let mut hits = hits
                        .iter()
                        .filter(|(of, id, _)| of == list && self.owner(list, id) == owner);
                    let found = hits.next().map(|(_, _, hits)| *hits);
                    if found != Some(*times) {
                        return Err(format!("{list} {owner} was counted {found:?} times"));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The owner of an entry; its id, where it has none.
    fn owner<'a>(&'a self, list: &str, id: &'a str) -> &'a str {
        let key = (list.to_owned(), id.to_owned());
        self.owners.get(&key).map_or(id, String::as_str)
    }

    /// What was counted between, as sorted lines.
    fn counted(&self, before: &[Hits], after: &[Hits]) -> Vec<String> {
        let mut lines = Vec::new();
        for ((list, id, hits), (_, _, old)) in after.iter().zip(before) {
            for _ in *old..*hits {
                lines.push(format!("counted {list} {}", self.owner(list, id)));
            }
        }
        lines.sort_unstable();
        lines
    }

    /// What an answer says, as lines.
    fn found(&self, query: &Message, reply: Option<Message>, is_rewritten: bool) -> Vec<String> {
        let Some(reply) = reply else {
            return vec!["nothing".to_owned()];
        };
        assert_eq!(reply.id, query.id);
        let mut lines = vec![status(query, &reply)];
        lines.extend(reply.answers.iter().map(|record| self.row(record)));
        if is_rewritten {
            let rows = reply.authorities.iter().map(|record| self.row(record));
            lines.extend(rows.map(|row| format!("authority {row}")));
        }
        for record in &reply.additionals {
            lines.push(match &record.data {
                RData::SOA(soa) => {
                    format!("soa {} {} serial {}", record.name, record.ttl, soa.serial)
                }
                _ => format!("additional {}", self.row(record)),
            });
        }
        let edns = reply.edns.as_ref();
        assert_eq!(edns.is_some(), query.edns.is_some(), "EDNS as asked");
        let errors = edns.map(|edns| edns.options().options.iter());
        for (code, option) in errors.into_iter().flatten() {
            let (EdnsCode::Unknown(15), EdnsOption::Unknown(15, data)) = (code, option) else {
                lines.push(format!("option {code:?}"));
                continue;
            };
            let code = u16::from_be_bytes([data[0], data[1]]);
            let text = String::from_utf8(data[2..].to_vec()).unwrap();
            lines.push(match text.split_once(' ') {
                Some((list, id)) => format!("ede {code} {list} {}", self.owner(list, id)),
                None => format!("ede {code} {text}").trim_end().to_owned(),
            });
        }
        lines
    }

    /// A record as a line; how long it was remembered is added to its TTL.
    fn row(&self, record: &Record) -> String {
        let mut record = record.clone();
        record.name = record.name.to_lowercase();
        let age = u32::try_from(self.begun.elapsed().as_secs()).unwrap() + 1;
        if let Some(ttl) = self.world.ttl(&record)
            && (ttl.saturating_sub(age)..=ttl).contains(&record.ttl)
        {
            record.ttl = ttl;
        }
        row(&record)
    }

    /// What an answer must say, as lines.
    fn expected(&self, question: &Question, lines: &[Line]) -> Vec<String> {
        let mut said = Vec::new();
        let (mut soa, mut error, mut counted) = (None, None, Vec::new());
        let mut acted = None;
        for line in lines {
            match line {
                Line::Nothing => said.push("nothing".to_owned()),
                Line::Status(status) => said.push(status.clone()),
                Line::Record(text) => said.push(expected_row(text, &question.name)),
                Line::By(list, owner) => {
                    counted.push(format!("counted {list} {owner}"));
                    acted = Some((list, owner));
                }
                Line::Passed(list, owner) | Line::Watched(list, owner) => {
                    counted.push(format!("counted {list} {owner}"));
                }
                Line::Soa(text) => soa = Some(text.clone()),
                Line::Error(text) => error = Some(text.clone()),
                Line::Unasked(_) | Line::Counted(..) => {}
            }
        }
        if let Some((list, owner)) = acted {
            soa.get_or_insert_with(|| self.soa(list));
            error.get_or_insert_with(|| format!("15 {list} {owner}"));
        }
        let is_answered = said.first().is_some_and(|first| first != "nothing");
        if is_answered {
            let is_there = |text: &String| text != "none";
            said.extend(soa.filter(is_there).map(|soa| format!("soa {soa}")));
            let error = error
                .filter(is_there)
                .filter(|_| question.edns_octets.is_some());
            said.extend(error.map(|error| format!("ede {error}")));
        }
        counted.sort_unstable();
        said.extend(counted);
        said
    }

    /// The SOA of a zone that gives none itself.
    fn soa(&self, name: &str) -> String {
        let mut lists = self.lists.iter();
        let list = lists
            .find(|list| list.settings.name == name)
            .unwrap_or_else(|| panic!("{name} is no zone"));
        let mut words = list
            .text
            .split_whitespace()
            .skip_while(|word| *word != "SOA");
        let serial = words.nth(3);
        assert!(list.lines_before == 4, "say `soa` of {name}");
        format!("{name}.rpz.test. 60 serial {}", serial.unwrap())
    }
}

/// Whether that is said of a wildcard that leaves a hole.
fn is_lint(reason: &str) -> bool {
    reason.contains("does not cover") || reason.contains("makes a hole")
}

/// How often an entry was counted: list, id, hits.
type Hits = (String, String, u64);

/// How often each entry of an edition was counted.
fn hits(edition: &Edition) -> Vec<Hits> {
    let rules = 0..u32::try_from(edition.blocklist.rule_count()).unwrap();
    rules
        .map(RuleId)
        .map(|rule| {
            let view = edition.blocklist.rule(rule).unwrap();
            let list = view.list.settings.name.clone();
            let hits = edition.counter.hits(rule, Surface::Dns);
            (list, view.entry_id.to_owned(), hits)
        })
        .collect()
}

/// The rcode, and the flags that are not as usual.
fn status(query: &Message, reply: &Message) -> String {
    let mut status = match u16::from(reply.response_code) {
        0 => "NOERROR".to_owned(),
        1 => "FORMERR".to_owned(),
        2 => "SERVFAIL".to_owned(),
        3 => "NXDOMAIN".to_owned(),
        4 => "NOTIMP".to_owned(),
        5 => "REFUSED".to_owned(),
        6 => "YXDOMAIN".to_owned(),
        other => other.to_string(),
    };
    assert_eq!(reply.recursion_desired, query.recursion_desired);
    assert_eq!(reply.checking_disabled, query.checking_disabled);
    for (is_unusual, flag) in [
        (reply.truncation, " tc"),
        (reply.authoritative, " aa"),
        (reply.authentic_data, " ad"),
        (!reply.recursion_available, " -ra"),
    ] {
        if is_unusual {
            status.push_str(flag);
        }
    }
    status
}

fn row(record: &Record) -> String {
    let Record {
        name, ttl, data, ..
    } = record;
    let rtype = record.record_type();
    match data {
        RData::Unknown { code, rdata } if *code == RecordType::RRSIG => {
            let of = u16::from_be_bytes([rdata.anything[0], rdata.anything[1]]);
            format!("{name} RRSIG {}", RecordType::from(of))
        }
        RData::Unknown { code, rdata } => {
            format!(
                "{name} {ttl} TYPE{} {:02x?}",
                u16::from(*code),
                rdata.anything
            )
        }
        // Its own form shows no border between two strings.
        RData::TXT(text) => format!("{name} {ttl} TXT {:?}", text.txt_data),
        data => format!("{name} {ttl} {rtype} {}", data.to_string().to_lowercase()),
    }
}

/// A row of an expected answer in the same form.
fn expected_row(text: &str, asked: &str) -> String {
    let text = match text.strip_prefix("@.") {
        Some(rest) => format!("{asked}{rest}"),
        None => text.to_owned(),
    };
    let words: Vec<&str> = text.split_whitespace().collect();
    match words.as_slice() {
        [name, _, "RRSIG", of] => format!("{name} RRSIG {of}"),
        [name, ttl, rtype, "\\#", _, digits @ ..] => {
            let digits = digits.concat();
            let octets: Vec<u8> = (0..digits.len() / 2)
                .map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap())
                .collect();
            format!("{name} {ttl} {rtype} {octets:02x?}")
        }
        _ => row(&record(&text)),
    }
}

/// The query of a question.
fn message(question: &Question) -> Message {
    let mut message = Message::query();
    message.metadata.recursion_desired = question.recursion_desired;
    message.metadata.checking_disabled = question.checking_disabled;
    let name = Name::from_ascii(&question.name).unwrap();
    let rtype = match question.rtype.strip_prefix("TYPE") {
        Some(number) => RecordType::from(number.parse::<u16>().unwrap()),
        None => question.rtype.parse().unwrap(),
    };
    let mut query = Query::query(name, rtype);
    if question.is_chaos {
        query.set_query_class(DNSClass::CH);
    }
    message.add_query(query);
    if let Some(octets) = question.edns_octets {
        let mut edns = Edns::new();
        edns.set_max_payload(octets)
            .set_dnssec_ok(question.dnssec_ok);
        message.set_edns(edns);
    }
    message
}

/// How long nothing must come where there is to be no answer.
const SILENCE: Duration = Duration::from_millis(300);
