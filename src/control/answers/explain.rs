//! [`Explanation`]: why a name, URL or address is blocked or passes, on every surface.

use std::fmt::Write;
use std::net::IpAddr;

use jiff::Timestamp;
use serde::Serialize;

use crate::compile::Blocklist;
use crate::config::Config;
use crate::control::answers::explained_match::{Match, matches};
use crate::control::answers::left_out::{self, Asked, LeftOut};
use crate::control::rulings::versions::peek;
use crate::control::terminal::{minute, short};
use crate::enforce::dns;
use crate::policy::{Action, CanonicalUrl, Decision, Host, Name};

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

/// What happens on one surface.
#[derive(Clone, Debug, Serialize)]
struct Verdict {
    surface: &'static str,
    /// `blocked` or `passes`.
    outcome: &'static str,
    action: Option<&'static str>,
    /// What the client is answered; over DNS.
    answer: Option<String>,
    /// Because of which entry: list and id.
    because: Option<(String, String)>,
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

impl Explanation {
    /// Explains what `blocklist` says about a name, URL or address. The lists of `config`
    /// are read again from disk, to find the rows that are not enforced.
    ///
    /// # Errors
    /// A sentence where `asked` is none of these.
    pub(crate) fn of(
        config: &Config,
        blocklist: &Blocklist,
        question: &Question<'_>,
    ) -> Result<Self, String> {
        let mut explanation = Self::by_lists(blocklist, question.asked)?;
        if let Some(dns) = &config.dns {
            explanation.see_as_client(question, dns);
        }
        explanation.notes.extend(standings(config));
        let asked = Asked::read(question.asked);
        let Self {
            matches, left_out, ..
        } = &mut explanation;
        *left_out = left_out::find(config, blocklist, &asked, question.now, &mut |row| {
            let of_row = |found: &&mut Match| {
                found.list == row.list
                    && Some(&found.entry) == row.entry.as_ref()
                    && Some(&found.value) == row.value.as_ref()
            };
            for found in matches.iter_mut().filter(of_row) {
                found.line = found.line.or(Some(row.line));
            }
        });
        Ok(explanation)
    }

    /// Adds what the client would be answered over DNS.
    fn see_as_client(&mut self, question: &Question<'_>, dns: &dns::Settings) {
        let served = question
            .client
            .is_none_or(|client| dns.clients.iter().any(|prefix| prefix.contains(client)));
        let rtype = question.rtype.to_ascii_uppercase();
        for verdict in self
            .surfaces
            .iter_mut()
            .filter(|verdict| verdict.surface == "dns")
        {
            if !served {
                verdict.outcome = "refused";
                verdict.answer = Some("REFUSED: this client is not among `dns.clients`".to_owned());
            } else if verdict.outcome == "blocked" {
                verdict.answer = verdict
                    .action
                    .and_then(Action::from_word)
                    .map(|action| dns_answer(action, &rtype, dns));
            }
        }
    }

    fn by_lists(blocklist: &Blocklist, asked: &str) -> Result<Self, String> {
        if let Ok(address) = asked.parse::<IpAddr>() {
            return Ok(Self::of_address(address));
        }
        if asked.contains("://") {
            let url = CanonicalUrl::parse(asked).map_err(|error| format!("{asked}: {error}"))?;
            return Ok(Self::of_url(blocklist, &url));
        }
        let name = Name::from_text(asked).map_err(|error| {
            format!("{asked}: {error}. Ask for a name, an address, or a URL that begins with http:// or https://")
        })?;
        Ok(Self::of_name(blocklist, &name))
    }

    fn of_name(blocklist: &Blocklist, name: &Name) -> Self {
        let decision = blocklist.decide_name(name, None);
        let surfaces = vec![
            verdict(blocklist, "dns", &decision),
            verdict(blocklist, "http", &decision),
            verdict(blocklist, "tls", &decision),
        ];
        Self {
            asked: name.to_string(),
            protected: blocklist.protected().find(name).is_some(),
            allowed: blocklist.allowed(name).map(|until| until.to_string()),
            own: own(blocklist, Some(name)),
            surfaces,
            matches: matches(blocklist, Some(name), None, &decision),
            left_out: Vec::new(),
            notes: vec![
                "URL entries on this host are judged by the whole URL: ask with http://".to_owned(),
            ],
        }
    }

    fn of_url(blocklist: &Blocklist, url: &CanonicalUrl) -> Self {
        let http = blocklist.decide_url(url, None);
        let name = url.host().as_name();
        let host = name
            .map(|name| blocklist.decide_name(&name, None))
            .unwrap_or_default();
        let mut notes = Vec::new();
        if !http.passes() && host.passes() {
            notes.push(
                "Over DNS and TLS only the host is seen; a URL entry is never widened to its host, so it is enforced over plain HTTP alone"
                    .to_owned(),
            );
        }
        if let Host::Address(_) = url.host() {
            notes.push("The host is an address: no DNS query is made for it".to_owned());
        }
        Self {
            asked: url.to_string(),
            protected: name.is_some_and(|name| blocklist.protected().find(&name).is_some()),
            allowed: name
                .and_then(|name| blocklist.allowed(&name))
                .map(|until| until.to_string()),
            own: own(blocklist, name.as_ref()),
            surfaces: vec![
                verdict(blocklist, "dns", &host),
                verdict(blocklist, "http", &http),
                verdict(blocklist, "tls", &host),
            ],
            matches: matches(blocklist, name.as_ref(), Some(url), &http),
            left_out: Vec::new(),
            notes,
        }
    }

    fn of_address(address: IpAddr) -> Self {
        Self {
            asked: address.to_string(),
            protected: false,
            allowed: None,
            own: None,
            surfaces: Vec::new(),
            matches: Vec::new(),
            left_out: Vec::new(),
            notes: vec![
                "Entries of kind ip are not enforced in this version: no address is blocked. A URL on an address is: ask with http://"
                    .to_owned(),
            ],
        }
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
            let _ = match (&verdict.because, verdict.action) {
                (Some((list, entry)), Some(action)) => {
                    writeln!(
                        text,
                        "  {:<5} {:<8} {action}, by entry {entry} of list {list}",
                        verdict.surface, verdict.outcome
                    )
                }
                _ => writeln!(text, "  {:<5} {}", verdict.surface, verdict.outcome),
            };
            if let Some(answer) = &verdict.answer {
                let _ = writeln!(text, "        the answer is {answer}");
            }
        }
        if self.matches.is_empty() && !self.surfaces.is_empty() {
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

/// What a query of this type is answered.
fn dns_answer(action: Action, rtype: &str, dns: &dns::Settings) -> String {
    let stop = dns.stop_page;
    let word = match action {
        Action::Block if stop.ipv4.is_none() && stop.ipv6.is_none() => "NXDOMAIN",
        Action::Block => {
            let address = match rtype {
                "A" => stop.ipv4.map(|address| address.to_string()),
                "AAAA" => stop.ipv6.map(|address| address.to_string()),
                _ => None,
            };
            return address.map_or_else(
                || format!("{rtype}: NODATA"),
                |address| format!("{rtype} {address}, the stop page"),
            );
        }
        Action::NxDomain => "NXDOMAIN",
        Action::NoData => "NODATA",
        Action::Refused => "REFUSED",
        Action::Drop => "none at all",
        Action::TcpOnly => "truncated over UDP, the real one over TCP",
        Action::LocalData => "what the rule says",
        Action::Monitor | Action::PassThru => "the real one",
    };
    word.to_owned()
}

fn verdict(blocklist: &Blocklist, surface: &'static str, decision: &Decision) -> Verdict {
    let because = decision.act.and_then(|(rule, _)| blocklist.rule(rule));
    Verdict {
        surface,
        outcome: if decision.passes() {
            "passes"
        } else {
            "blocked"
        },
        action: decision.act.map(|(_, action)| action.as_str()),
        answer: None,
        because: because.map(|rule| (rule.list.settings.name.clone(), rule.entry_id.to_owned())),
    }
}

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
