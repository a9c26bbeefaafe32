//! [`Verdict`]: what happens on one surface, and what the client is answered.

use std::fmt::Write;

use serde::Serialize;

use crate::compile::parse::written_record;
use crate::compile::{Blocklist, Explained, RuleView};
use crate::enforce::dns;
use crate::policy::{Action, LocalData, Name};

/// What happens on one surface.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Verdict {
    surface: &'static str,
    /// In which role what was asked is met there; nothing where it is what a client asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    /// `blocked`, `passes` or `refused`.
    outcome: &'static str,
    action: Option<&'static str>,
    /// What the client is answered; over DNS.
    answer: Option<String>,
    /// Because of which entry: list and id.
    because: Option<(String, String)>,
}

/// A type that is asked for.
#[derive(Clone, Debug)]
pub(super) struct AskedType {
    /// Its word, in capitals.
    pub(super) word: String,
    pub(super) number: u16,
}

impl Verdict {
    /// What the lists say.
    pub(super) fn new(
        blocklist: &Blocklist,
        surface: &'static str,
        role: Option<&'static str>,
        explained: &Explained,
    ) -> Self {
        let decision = &explained.decision;
        let because = decision.act.and_then(|(rule, _)| blocklist.rule(rule));
        Self {
            surface,
            role,
            outcome: match decision.passes() {
                true => "passes",
                false => "blocked",
            },
            action: decision.act.map(|(_, action)| action.as_str()),
            answer: None,
            because: because
                .map(|rule| (rule.list.settings.name.clone(), rule.entry_id.to_owned())),
        }
    }

    /// The same for a client that is not served.
    pub(super) fn refused(mut self) -> Self {
        self.outcome = "refused";
        self.answer = Some("REFUSED: this client is not among `dns.clients`".to_owned());
        self
    }

    /// The same with what a query for a name is answered.
    pub(super) fn answered(
        mut self,
        blocklist: &Blocklist,
        explained: &Explained,
        (name, rtype): (Option<&Name>, &AskedType),
        dns: &dns::Settings,
    ) -> Self {
        if !explained.decision.passes()
            && let Some((rule, action)) = explained.decision.act
            && let Some(view) = blocklist.rule(rule)
        {
            self.answer = Some(match action {
                Action::LocalData => local_data(&view, name, rtype),
                action => dns_answer(action, &rtype.word, dns),
            });
        }
        self
    }

    /// The verdict for people.
    pub(super) fn write(&self, text: &mut String) {
        let (surface, outcome) = (self.surface, self.outcome);
        let _ = write!(text, "  {surface:<5} {outcome:<8}");
        if let Some(role) = self.role {
            let _ = write!(text, " as {role}");
        }
        if let (Some((list, entry)), Some(action)) = (&self.because, self.action) {
            let colon = if self.role.is_some() { ":" } else { "" };
            let _ = write!(text, "{colon} {action}, by entry {entry} of list {list}");
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
        if let Some(answer) = &self.answer {
            let _ = writeln!(text, "        the answer is {answer}");
        }
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

/// What local data answer (rpz.md A6 to A12).
fn local_data(view: &RuleView<'_>, name: Option<&Name>, rtype: &AskedType) -> String {
    let is_last = ["CNAME", "ANY"].contains(&rtype.word.as_str());
    match view.data.map(|data| &**data) {
        Some(LocalData::Records(records)) => {
            let wanted = records
                .iter()
                .filter(|record| rtype.word == "ANY" || record.rtype == rtype.number);
            let written: Vec<String> = wanted
                .map(|record| written_record(record.rtype, &record.data))
                .collect();
            match written.is_empty() {
                true => format!("{}: NODATA, for the rule has other types", rtype.word),
                false => written.join(", "),
            }
        }
        Some(LocalData::Alias {
            target,
            is_wildcard,
            ..
        }) => {
            let expanded = match (is_wildcard, name) {
                (false, _) => Some(target.to_string()),
                (true, None) => Some(format!("NAME.{target}")),
                (true, Some(name)) => name.before(target).map(|name| name.to_string()),
            };
            match expanded {
                None => "YXDOMAIN: with the name in front the target is too long".to_owned(),
                Some(target) if is_last => format!("CNAME {target}."),
                Some(target) => format!("CNAME {target}., and what that resolves to"),
            }
        }
        None => "NODATA".to_owned(),
    }
}
