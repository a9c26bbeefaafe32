//! [`Placed`]: what became of a rule that matches, and by which criterion; for `explain`.

use std::net::IpAddr;

use super::Blocklist;
use super::candidate::{Candidate, Candidates, Tier};
use super::policing::{Asker, Foresight, Policing, Stage, Truth};
use super::settings::Mode;
use crate::policy::{CanonicalUrl, Decision, Name, NameServer, RuleId};

/// A rule that matches, and what became of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Placed {
    /// The rule.
    pub rule: RuleId,
    /// What became of it.
    pub fate: Fate,
}

/// What became of a rule that matches.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fate {
    /// It decides.
    Decides,
    /// It is an exception that spares what was asked from its own list.
    Spares,
    /// It is counted, and the next best match taken.
    Watches,
    /// What was asked passes whatever the lists say.
    Outranked,
    /// Its list is not for that client.
    NotForClient,
    /// Its list is for queries with RD alone.
    NeedsRecursion,
    /// The never-block list of its repository has the name.
    NeverBlock,
    /// It is about name servers, and its list has none looked up (rpz.md T9).
    Inactive,
    /// The real answer is signed, and its list rewrites none of those (rpz.md S4).
    Signed,
    /// Its list was passed over, as this rule of it says.
    PassedOver(RuleId),
    /// Another rule decided, by this criterion.
    Behind(Criterion),
    /// It was not weighed.
    Unweighed,
}

/// By what one match comes before another (rpz.md 2.4): the first that differs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Criterion {
    /// The order of the lists.
    ListOrder,
    /// How much of a name, or URL, is said.
    Specificity,
    /// The kind of the trigger.
    TriggerType,
    /// The name of the name server.
    NsName,
    /// The length of the prefix, of an address in an answer or of a name server.
    Prefix,
    /// The length of the prefix, of a client's address.
    ClientPrefix,
    /// The address of the range.
    Address,
    /// That one is an exception, which is no criterion of RPZ's: two entries say the same.
    Exception,
    /// The id, where nothing else differs.
    Id,
}

/// What the lists say, match by match.
#[derive(Clone, Debug, Default)]
pub struct Explained {
    /// What they decide.
    pub decision: Decision,
    /// Every rule that matches, in the order in which they are weighed.
    pub placed: Vec<Placed>,
    /// Whether what is really there may change it.
    pub must_know: bool,
}

/// What an address is asked as.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// One in an answer.
    Answer,
    /// A client's.
    Client,
    /// That of a name server.
    NameServer,
}

impl Blocklist {
    /// What is said about a query for a name, as far as that is known before it is resolved.
    #[must_use]
    pub fn explain_query(&self, name: &Name, asker: Asker) -> Explained {
        let mut found = Candidates::new();
        if let Some(client) = asker.client {
            self.collect_addresses(client, Tier::Client, u8::MAX, &mut found);
        }
        self.collect_names(name, true, &mut found);
        let foresight = Policing::new(self, asker).foresee(self, name);
        Explained {
            must_know: foresight == Foresight::MustKnow,
            ..self.explain(Some(name), asker, found)
        }
    }

    /// What is said about a name that a client asks a proxy for; [`Self::decide_name`], match
    /// by match.
    #[must_use]
    pub fn explain_name(&self, name: &Name, client: Option<IpAddr>) -> Explained {
        let mut found = Candidates::new();
        self.collect_names(name, true, &mut found);
        self.explain(Some(name), Asker::of_proxy(client), found)
    }

    /// What is said about a URL; [`Self::decide_url`], match by match.
    #[must_use]
    pub fn explain_url(&self, url: &CanonicalUrl, client: Option<IpAddr>) -> Explained {
        let mut found = Candidates::new();
        let name = url.host().as_name();
        if let Some(name) = &name {
            self.collect_names(name, true, &mut found);
        }
        self.collect_urls(url, &mut found);
        self.explain(name.as_ref(), Asker::of_proxy(client), found)
    }

    /// What is said about an address in one of its roles.
    #[must_use]
    pub fn explain_address(&self, address: IpAddr, role: Role, asker: Asker) -> Explained {
        let (tier, client) = match role {
            Role::Answer => (Tier::Address, asker.client),
            Role::Client => (Tier::Client, Some(address)),
            Role::NameServer => (Tier::NsAddress, asker.client),
        };
        let mut found = Candidates::new();
        self.collect_addresses(address, tier, u8::MAX, &mut found);
        self.explain(None, Asker { client, ..asker }, found)
    }

    /// What is said about a name as that of a name server.
    #[must_use]
    pub fn explain_ns_name(&self, name: &Name, asker: Asker) -> Explained {
        let mut found = Candidates::new();
        let server = NameServer {
            name: *name,
            zone_dots: u8::MAX,
            addresses: Vec::new(),
        };
        self.collect_name_server(&server, 0, &mut found);
        self.explain(None, asker, found)
    }

    fn explain(&self, name: Option<&Name>, asker: Asker, mut found: Candidates) -> Explained {
        if name.is_some_and(|name| self.passes_always(name)) {
            self.sort(&mut found);
            let placed = found.iter().map(|of| Placed {
                rule: of.rule,
                fate: Fate::Outranked,
            });
            return Explained {
                placed: placed.collect(),
                ..Explained::default()
            };
        }
        let stage = Stage {
            name: name.unwrap_or(&Name::ROOT),
            is_first: true,
        };
        let mut policing = Policing::new(self, asker);
        let mut fates = Vec::new();
        // As if nothing else were known of it.
        let truth = Truth::default();
        policing.weigh(self, stage, Some(&truth), &mut found, &mut |fate| {
            fates.push(fate);
        });
        fates.resize(found.len(), Fate::Unweighed);
        let placed = (0..found.len()).filter_map(|at| {
            let of = found.get(at)?;
            let fate = match *fates.get(at)? {
                Fate::Unweighed => self.why_unweighed(asker, &found, &fates, at)?,
                fate => fate,
            };
            Some(Placed {
                rule: of.rule,
                fate,
            })
        });
        Explained {
            placed: placed.collect(),
            decision: policing.decision().clone(),
            must_know: false,
        }
    }

    /// Why the match at a place was not weighed.
    fn why_unweighed(
        &self,
        asker: Asker,
        found: &Candidates,
        fates: &[Fate],
        at: usize,
    ) -> Option<Fate> {
        let of = found.get(at)?;
        let settings = &self.lists.get(usize::from(of.list))?.settings;
        let dns = &settings.dns;
        if !asker.client.is_none_or(|client| dns.is_for(client)) {
            return Some(Fate::NotForClient);
        }
        if dns.recursive_only && !asker.recursion_desired {
            return Some(Fate::NeedsRecursion);
        }
        let mut before = found.iter().zip(fates).take(at);
        let decider = before.find_map(|(other, fate)| match fate {
            Fate::Decides => Some(Fate::Behind(between(other, of))),
            Fate::Spares if other.list == of.list => Some(Fate::PassedOver(other.rule)),
            Fate::Watches if other.list == of.list && settings.mode == Mode::Monitor => {
                Some(Fate::PassedOver(other.rule))
            }
            _ => None,
        });
        Some(decider.unwrap_or(Fate::Unweighed))
    }
}

impl Criterion {
    /// Its number in rpz.md 2.4; nothing for one of ours.
    #[must_use]
    pub const fn number(self) -> Option<&'static str> {
        match self {
            Self::ListOrder => Some("O2"),
            Self::Specificity => Some("O3"),
            Self::TriggerType => Some("O4"),
            Self::NsName => Some("O5"),
            Self::Prefix => Some("O6"),
            Self::Address => Some("O7"),
            Self::ClientPrefix => Some("O11"),
            Self::Exception | Self::Id => None,
        }
    }

    /// What the one that decided has, in half a sentence.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::ListOrder => "a list further up decided",
            Self::Specificity => {
                "a closer entry decided: an exact one comes before wider ones, then the one with more labels or the longer path"
            }
            Self::TriggerType => {
                "another kind of trigger decided: client, URL, name, address, name server, address of a name server, in this order"
            }
            Self::NsName => "the name server that sorts last decided",
            Self::Prefix | Self::ClientPrefix => "a longer prefix decided",
            Self::Address => "a smaller address decided",
            Self::Exception => "an entry that says the same and blocks comes behind an exception",
            Self::Id => "an entry that says the same decided, whose id sorts before",
        }
    }
}

/// By which criterion a match comes before another.
fn between(first: &Candidate, other: &Candidate) -> Criterion {
    if first.list != other.list {
        return Criterion::ListOrder;
    }
    if first.tier != other.tier {
        return Criterion::TriggerType;
    }
    if first.distance != other.distance {
        return match first.tier {
            Tier::Client => Criterion::ClientPrefix,
            Tier::Address | Tier::NsAddress => Criterion::Prefix,
            Tier::Url | Tier::Name | Tier::NsName => Criterion::Specificity,
        };
    }
    if first.tie != other.tie {
        return match first.tier {
            Tier::NsName => Criterion::NsName,
            _ => Criterion::Address,
        };
    }
    match first.acts != other.acts {
        true => Criterion::Exception,
        false => Criterion::Id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::{Compiler, Format, From, PassThru, Protected, Settings};
    use crate::policy::Kind;
    use crate::verify::Verified;

    /// Zones in the operator's order; `with` changes the settings of each by its name.
    fn blocklist(zones: &[(&str, &[&str])], with: impl Fn(&mut Settings)) -> Blocklist {
        let names = vec![Name::from_text("bank.test").unwrap()];
        let protected = Protected::new(names, Vec::new());
        let mut compiler = Compiler::new(&protected, jiff::Timestamp::UNIX_EPOCH);
        for (name, rows) in zones {
            let zone = format!("@ SOA a. b. 1 2 3 4 5\n{}\n", rows.join("\n"));
            let from = From::File {
                path: "x".into(),
                format: Format::Rpz,
                scope: None,
            };
            let mut settings = Settings::new(name, from);
            settings.kinds = Kind::ALL.to_vec();
            with(&mut settings);
            let file = Verified::unsigned(name, "x", zone.into_bytes());
            compiler.add(&settings, &file);
        }
        compiler.finish()
    }

    /// Each match as `list value`, and what became of it.
    #[track_caller]
    fn check(blocklist: &Blocklist, explained: &Explained, expected: &[(&str, Fate)]) {
        let found: Vec<(String, Fate)> = explained
            .placed
            .iter()
            .map(|placed| {
                let rule = blocklist.rule(placed.rule).unwrap();
                let said = format!("{} {}", rule.list.settings.name, rule.value);
                (said, placed.fate)
            })
            .collect();
        let expected: Vec<(String, Fate)> = expected
            .iter()
            .map(|(said, fate)| ((*said).to_owned(), *fate))
            .collect();
        assert_eq!(found, expected);
    }

    fn asker(client: &str) -> Asker {
        Asker::of_proxy(Some(client.parse().unwrap()))
    }

    fn name(text: &str) -> Name {
        Name::from_text(text).unwrap()
    }

    #[test]
    fn o2_to_o4_and_o11_each_loser_has_its_criterion() {
        use Criterion::{ClientPrefix, ListOrder, Specificity, TriggerType};
        let zones: [(&str, &[&str]); 2] = [
            (
                "one",
                &[
                    "32.7.2.0.192.rpz-client-ip CNAME *.",
                    "24.0.2.0.192.rpz-client-ip CNAME .",
                    "x.bad.test CNAME .",
                    "*.bad.test CNAME .",
                ],
            ),
            ("two", &["*.test CNAME ."]),
        ];
        let blocklist = blocklist(&zones, |_| {});
        let explained = blocklist.explain_query(&name("x.bad.test"), asker("192.0.2.7"));
        check(
            &blocklist,
            &explained,
            &[
                ("one 192.0.2.7/32", Fate::Decides),
                ("one 192.0.2.0/24", Fate::Behind(ClientPrefix)),
                ("one x.bad.test", Fate::Behind(TriggerType)),
                ("two test", Fate::Behind(ListOrder)),
            ],
        );
        assert!(!explained.must_know);
        // A wildcard that stops at a name of its zone is no match (T18), so that O3 is met
        // across native entries alone.
        let explained = blocklist.explain_name(&name("y.bad.test"), None);
        check(
            &blocklist,
            &explained,
            &[
                ("one bad.test", Fate::Decides),
                ("two test", Fate::Behind(ListOrder)),
            ],
        );
        assert_eq!(Specificity.number(), Some("O3"));
    }

    #[test]
    fn o6_addresses_are_weighed_by_their_prefix() {
        let zones: [(&str, &[&str]); 1] = [(
            "one",
            &[
                "8.0.0.0.10.rpz-ip CNAME .",
                "16.0.0.1.10.rpz-ip CNAME *.",
                "8.0.0.0.10.rpz-nsip CNAME .",
            ],
        )];
        let blocklist = blocklist(&zones, |_| {});
        let address = "10.1.2.3".parse().unwrap();
        let as_one = |role| blocklist.explain_address(address, role, asker("127.0.0.1"));
        check(
            &blocklist,
            &as_one(Role::Answer),
            &[
                ("one 10.1.0.0/16", Fate::Decides),
                ("one 10.0.0.0/8", Fate::Behind(Criterion::Prefix)),
            ],
        );
        check(&blocklist, &as_one(Role::Client), &[]);
        check(
            &blocklist,
            &as_one(Role::NameServer),
            &[("one 10.0.0.0/8", Fate::Inactive)],
        );
        let query = blocklist.explain_query(&name("any.test"), asker("127.0.0.1"));
        assert!(query.must_know && query.placed.is_empty());
    }

    #[test]
    fn lists_that_are_passed_over_say_why() {
        let zones: [(&str, &[&str]); 4] = [
            ("others", &["a.test CNAME ."]),
            (
                "watching",
                &["a.test CNAME .", "32.7.2.0.192.rpz-client-ip CNAME ."],
            ),
            (
                "sparing",
                &[
                    "32.7.2.0.192.rpz-client-ip CNAME rpz-passthru.",
                    "a.test CNAME .",
                ],
            ),
            ("last", &["a.test CNAME ."]),
        ];
        let blocklist = blocklist(&zones, |settings| {
            settings.passthru = PassThru::List;
            match settings.name.as_str() {
                "others" => settings.dns.clients = vec!["10.0.0.0/8".parse().unwrap()],
                "watching" => settings.mode = Mode::Monitor,
                _ => {}
            }
        });
        let explained = blocklist.explain_query(&name("a.test"), asker("192.0.2.7"));
        let rule = |at: usize| explained.placed[at].rule;
        check(
            &blocklist,
            &explained,
            &[
                ("others a.test", Fate::NotForClient),
                ("watching 192.0.2.7/32", Fate::Watches),
                ("watching a.test", Fate::PassedOver(rule(1))),
                ("sparing 192.0.2.7/32", Fate::Spares),
                ("sparing a.test", Fate::PassedOver(rule(3))),
                ("last a.test", Fate::Decides),
            ],
        );
    }

    #[test]
    fn what_is_protected_outranks_all() {
        let zones: [(&str, &[&str]); 1] = [("one", &["*.test CNAME ."])];
        let blocklist = blocklist(&zones, |_| {});
        let explained = blocklist.explain_query(&name("www.bank.test"), asker("127.0.0.1"));
        check(&blocklist, &explained, &[("one test", Fate::Outranked)]);
        assert!(explained.decision.passes());
    }
}
