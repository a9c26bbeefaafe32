//! [`Explanation`]: why a name, URL or address is blocked or passes, on every surface.

use std::fmt::Write;
use std::net::IpAddr;

use jiff::Timestamp;
use serde::Serialize;

use crate::compile::parse::type_number;
use crate::compile::{Asker, Blocklist, CompiledList, Explained, Role};
use crate::config::Config;
use crate::control::answers::explained_match::{Match, matches};
use crate::control::answers::left_out::{self, Asked, LeftOut};
use crate::control::answers::surface_verdict::{AskedType, Verdict};
use crate::control::rulings::versions::peek;
use crate::control::terminal::{minute, short};
use crate::enforce::dns;
use crate::policy::{CanonicalUrl, Host, Name};

/// What the edition in force says about a name, URL or address.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Explanation {
    /// What was asked, in its canonical spelling.
    asked: String,
    /// Whether the operator protects it; then no list is asked.
    protected: bool,
    /// Until when a person lets it through; then no list is asked, either.
    allowed: Option<String>,
    /// The key of the configuration by which it is this node's own, which no list may block.
    own: Option<&'static str>,
    /// What happens, surface by surface.
    surfaces: Vec<Verdict>,
    /// Every entry that matches, in the order in which they are weighed.
    matches: Vec<Match>,
    /// Rows that speak of it and are not enforced, or not for it.
    left_out: Vec<LeftOut>,
    /// What else should be known.
    notes: Vec<String>,
}

/// What is asked, by whom, and how the DNS surface would answer.
#[derive(Clone, Debug)]
pub(crate) struct Question<'a> {
    /// A name, URL or address.
    pub(crate) asked: &'a str,
    /// The client that would ask; nothing for one that is served.
    pub(crate) client: Option<IpAddr>,
    /// The type that would be asked, such as `A`.
    pub(crate) rtype: &'a str,
    /// What time it is.
    pub(crate) now: Timestamp,
}

/// One explanation while it is made.
struct Making<'a> {
    blocklist: &'a Blocklist,
    dns: Option<&'a dns::Settings>,
    client: Option<IpAddr>,
    rtype: AskedType,
}

impl Explanation {
    /// Explains what `blocklist` says about a name, URL or address. The lists of `config`
    /// are read again from disk, to find the rows that are not enforced.
    ///
    /// # Errors
    /// A sentence where `asked` is none of these, or the type none that is known.
    pub(crate) fn of(
        config: &Config,
        blocklist: &Blocklist,
        question: &Question<'_>,
    ) -> Result<Self, String> {
        let making = Making::new(blocklist, config.dns.as_ref(), question)?;
        let mut explanation = making.explain(question.asked)?;
        explanation.notes.extend(standings(config));
        let asked = Asked::read(question.asked, question.client);
        let Self {
            matches, left_out, ..
        } = &mut explanation;
        *left_out = left_out::find(config, blocklist, &asked, question.now, &mut |row| {
            let of_row = |found: &&mut Match| {
                found.list == row.list
                    && Some(&found.entry) == row.entry.as_ref()
                    && Some(&found.value) == row.value.as_ref()
            };
            let mut is_match = false;
            for found in matches.iter_mut().filter(of_row) {
                found.line = found.line.or(Some(row.line));
                is_match = true;
            }
            is_match
        });
        Ok(explanation)
    }

    /// The explanation for people.
    #[must_use]
    pub(crate) fn to_text(&self) -> String {
        let mut text = format!("{}\n", self.asked);
        if self.protected {
            text += "  protected: `protect` in the configuration outranks every list\n";
        }
        if let Some(key) = self.own {
            let _ = writeln!(
                text,
                "  this node's own: `{key}` in the configuration; no list may block it"
            );
        }
        if let Some(until) = &self.allowed {
            let _ = writeln!(
                text,
                "  allowed until {}: `cordon allow` outranks every list",
                short(until)
            );
        }
        for verdict in &self.surfaces {
            verdict.write(&mut text);
        }
        if self.matches.is_empty() {
            text += "\nNo entry matches.\n";
        }
        for found in &self.matches {
            found.write(&mut text);
        }
        for row in &self.left_out {
            let value = row.value.as_deref().unwrap_or("a row that cannot be read");
            let _ = write!(
                text,
                "\n{} · line {}: {value}\n  {}\n",
                row.list, row.line, row.reason
            );
        }
        for note in &self.notes {
            let _ = write!(text, "\n{note}.\n");
        }
        text
    }
}

impl<'a> Making<'a> {
    fn new(
        blocklist: &'a Blocklist,
        dns: Option<&'a dns::Settings>,
        question: &Question<'_>,
    ) -> Result<Self, String> {
        let word = question.rtype.to_ascii_uppercase();
        Ok(Self {
            blocklist,
            dns,
            client: question.client,
            rtype: AskedType {
                number: type_number(&word)?,
                word,
            },
        })
    }

    fn explain(&self, asked: &str) -> Result<Explanation, String> {
        if let Ok(address) = asked.parse::<IpAddr>() {
            return Ok(self.of_address(address));
        }
        if asked.contains("://") {
            let url = CanonicalUrl::parse(asked).map_err(|error| format!("{asked}: {error}"))?;
            return Ok(self.of_url(&url));
        }
        let name = Name::from_text(asked).map_err(|error| {
            format!("{asked}: {error}. Ask for a name, an address, or a URL that begins with http:// or https://")
        })?;
        Ok(self.of_name(&name))
    }

    fn of_name(&self, name: &Name) -> Explanation {
        let query = self.blocklist.explain_query(name, self.asker());
        let proxied = self.blocklist.explain_name(name, self.client);
        let mut views = vec![
            ("dns", None, query),
            ("http", None, proxied.clone()),
            ("tls", None, proxied),
        ];
        let as_server = self.blocklist.explain_ns_name(name, self.asker());
        if !as_server.placed.is_empty() {
            views.push(("dns", Some(AS_NAME_SERVER), as_server));
        }
        let mut explanation = self.made(name.to_string(), Some(name), Some(name), &views);
        explanation.notes.insert(
            0,
            "URL entries on this host are judged by the whole URL: ask with http://".to_owned(),
        );
        explanation
    }

    fn of_url(&self, url: &CanonicalUrl) -> Explanation {
        let http = self.blocklist.explain_url(url, self.client);
        let name = url.host().as_name();
        let host = name.map(|name| {
            (
                self.blocklist.explain_query(&name, self.asker()),
                self.blocklist.explain_name(&name, self.client),
            )
        });
        let (query, tunnel) = host.unwrap_or_default();
        let is_http_alone = !http.decision.passes() && tunnel.decision.passes();
        let views = [
            ("dns", None, query),
            ("http", None, http),
            ("tls", None, tunnel),
        ];
        let name = name.as_ref();
        let mut explanation = self.made(url.to_string(), name, name, &views);
        if is_http_alone {
            explanation.notes.push(
                "Over DNS and TLS only the host is seen; a URL entry is never widened to its host, so it is enforced over plain HTTP alone"
                    .to_owned(),
            );
        }
        if let Host::Address(_) = url.host() {
            explanation
                .notes
                .push("The host is an address: no DNS query is made for it".to_owned());
        }
        explanation
    }

    fn of_address(&self, address: IpAddr) -> Explanation {
        let views: Vec<_> = [
            (AS_ANSWER, Role::Answer),
            (AS_CLIENT, Role::Client),
            (AS_NAME_SERVER, Role::NameServer),
        ]
        .into_iter()
        .map(|(word, role)| {
            let explained = self.blocklist.explain_address(address, role, self.asker());
            ("dns", Some(word), explained)
        })
        .collect();
        let mut explanation = self.made(address.to_string(), None, None, &views);
        explanation.notes.push(
            "A rule on an address acts over DNS, and weighs less than one on the name that is asked for. A URL on an address: ask with http://"
                .to_owned(),
        );
        explanation
    }

    /// Puts together what the surfaces say: each with the role in which it meets what was
    /// asked, and what the lists say there.
    fn made(
        &self,
        asked: String,
        name: Option<&Name>,
        queried: Option<&Name>,
        views: &[View],
    ) -> Explanation {
        let blocklist = self.blocklist;
        let surfaces = views.iter().map(|(surface, role, explained)| {
            let verdict = Verdict::new(blocklist, surface, *role, explained);
            match self.dns.filter(|_| *surface == "dns") {
                Some(_) if !self.is_served() && *role != Some(AS_CLIENT) => verdict.refused(),
                Some(dns) => verdict.answered(blocklist, explained, (queried, &self.rtype), dns),
                None => verdict,
            }
        });
        Explanation {
            asked,
            protected: name.is_some_and(|name| blocklist.protected().find(name).is_some()),
            allowed: name
                .and_then(|name| blocklist.allowed(name))
                .map(|until| until.to_string()),
            own: own(blocklist, name),
            surfaces: surfaces.collect(),
            matches: matches(blocklist, name, views),
            left_out: Vec::new(),
            notes: match queried {
                Some(_) => self.later(views.iter().any(|(_, _, of)| of.must_know)),
                None => Vec::new(),
            },
        }
    }

    /// What is judged once the real answer is known, a sentence each.
    fn later(&self, must_know: bool) -> Vec<String> {
        let named = |is_it: &dyn Fn(&CompiledList) -> bool| {
            let lists = self.blocklist.lists().iter();
            let for_client = lists.filter(|list| {
                let dns = &list.settings.dns;
                self.client.is_none_or(|client| dns.is_for(client))
            });
            let named: Vec<&str> = for_client
                .filter(|list| is_it(list))
                .map(|list| list.settings.name.as_str())
                .collect();
            (!named.is_empty()).then(|| named.join(", "))
        };
        let mut notes = Vec::new();
        if must_know {
            let kinds: [(&str, Option<String>); 3] = [
                (
                    "the names that it is an alias of",
                    named(&|list| list.triggers.chains > 0),
                ),
                (
                    "addresses in the answer",
                    named(&|list| list.triggers.addresses > 0),
                ),
                (
                    "name servers",
                    named(&|list| {
                        let triggers = &list.triggers;
                        list.settings.dns.ns_lookup && triggers.ns_names + triggers.ns_addresses > 0
                    }),
                ),
            ];
            let kinds: Vec<String> = kinds
                .into_iter()
                .filter_map(|(what, lists)| Some(format!("{what} (in {})", lists?)))
                .collect();
            notes.push(format!(
                "Over DNS this is judged once the real answer is known, the earliest name of a chain of aliases first (O1): rules look at {}",
                kinds.join(", at ")
            ));
        }
        if let Some(lists) = named(&|list| list.settings.dns.qname_wait_recurse) {
            notes.push(format!(
                "A name is resolved before it is rewritten by list {lists} (`qname_wait_recurse`)"
            ));
        }
        if let Some(lists) = named(&|list| !list.settings.dns.break_dnssec) {
            notes.push(format!(
                "Signed answers are not rewritten by list {lists} for clients that ask for DNSSEC records (`break_dnssec`)"
            ));
        }
        notes
    }

    /// Who asks: as most clients do.
    const fn asker(&self) -> Asker {
        Asker {
            client: self.client,
            recursion_desired: true,
            dnssec_ok: false,
        }
    }

    fn is_served(&self) -> bool {
        let serves = |dns: &dns::Settings| match self.client {
            Some(client) => dns.clients.iter().any(|prefix| prefix.contains(client)),
            None => true,
        };
        self.dns.is_none_or(serves)
    }
}

/// A surface, the role in which it meets what was asked, and what the lists say there.
pub(super) type View = (&'static str, Option<&'static str>, Explained);

const AS_ANSWER: &str = "an address in an answer";
const AS_CLIENT: &str = "a client";
const AS_NAME_SERVER: &str = "a name server";

/// The key of the configuration by which a name is this node's own.
fn own(blocklist: &Blocklist, name: Option<&Name>) -> Option<&'static str> {
    blocklist.protected().find_own(name?)
}

/// Which lists are not in force as their authorities would have them, each a sentence.
fn standings(config: &Config) -> Vec<String> {
    let mut notes = Vec::new();
    for settings in &config.lists {
        let (list, standing) = (&settings.name, peek(config, settings));
        if let Some(held) = standing.held {
            notes.push(format!(
                "Of list {list} {} is held since {}, so what it would change does not act; `cordon hold` shows it",
                held.version, minute(held.since)
            ));
        }
        if let Some(rejection) = standing.rejection {
            notes.push(format!(
                "Of list {list} {} was rejected on {}, so what it would change never acts",
                rejection.version,
                minute(rejection.at)
            ));
        }
        if let Some(pin) = standing.pin {
            notes.push(format!(
                "List {list} is pinned to {} since {}, until one comes after {}",
                pin.version,
                minute(pin.at),
                pin.left
            ));
        }
    }
    notes
}
