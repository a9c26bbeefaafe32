//! [`Policing`]: the policy of one query, stage by stage, until a rule decides or none is left.

use std::net::IpAddr;

use super::Blocklist;
use super::candidate::{Candidates, Tier};
use super::list_set::ListSet;
use super::placed::Fate;
use super::settings::{Mode, PassThru};
use crate::policy::{Action, Decision, Name, NameServer, RuleId};

/// Who asks, and how, as far as policy tells askers apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Asker {
    /// The client's address. Without one every list is for it, and rules on clients match
    /// nobody.
    pub client: Option<IpAddr>,
    /// RD: whether others are to be asked.
    pub recursion_desired: bool,
    /// DO: whether DNSSEC records are wanted.
    pub dnssec_ok: bool,
}

impl Asker {
    /// Who asks a proxy, which resolves for itself.
    pub(super) const fn of_proxy(client: Option<IpAddr>) -> Self {
        Self {
            client,
            recursion_desired: true,
            dnssec_ok: false,
        }
    }
}

/// One name of a chain of aliases; the first is the one that was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Stage<'a> {
    /// The name.
    pub name: &'a Name,
    /// Whether it is the one that was asked for.
    pub is_first: bool,
}

/// What is really there at a stage: an alias, records, or nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Truth<'a> {
    /// Whether it, or that there is nothing, is signed (RFC 4035).
    pub is_signed: bool,
    /// The addresses among the records.
    pub addresses: &'a [IpAddr],
    /// The name servers of the zones from the root to the stage's name, in DNSSEC's
    /// canonical order from the last to the first (O5).
    pub name_servers: &'a [NameServer],
}

/// What can be said of the first stage before the truth is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Foresight {
    /// A rule decided.
    Decided,
    /// What is really there may matter.
    MustKnow,
    /// No rule will.
    Free,
}

/// The policing of one query: exactly one rule decides, at the earliest stage that has one
/// (rpz.md 2.4). Knows no socket and no clock, and allocates nothing.
#[derive(Clone, Debug)]
pub struct Policing {
    asker: Asker,
    /// Lists that act no more: they are not for this client, one of their exceptions spared
    /// the query, or they only watch and were counted.
    passed_over: ListSet,
    decision: Decision,
}

impl Policing {
    /// Begins with the lists that are for the asker.
    #[must_use]
    pub fn new(blocklist: &Blocklist, asker: Asker) -> Self {
        let mut passed_over = ListSet::default();
        for (place, list) in (0..).zip(&blocklist.lists) {
            let dns = &list.settings.dns;
            let is_for = asker.client.is_none_or(|client| dns.is_for(client));
            if !is_for || (dns.recursive_only && !asker.recursion_desired) {
                passed_over.insert(place);
            }
        }
        Self {
            asker,
            passed_over,
            decision: Decision::default(),
        }
    }

    /// Decides on the name that was asked for, where that needs no resolving: an answer must
    /// be waited for only where a rule on it could win.
    pub fn foresee(&mut self, blocklist: &Blocklist, name: &Name) -> Foresight {
        if blocklist.passes_always(name) {
            return Foresight::Free;
        }
        let stage = Stage {
            name,
            is_first: true,
        };
        let mut candidates = self.collect(blocklist, stage, None);
        let before = self.clone();
        match self.weigh(blocklist, stage, None, &mut candidates, &mut |_| {}) {
            Weighed::Decided => Foresight::Decided,
            Weighed::Open if !blocklist.looks_deeper => Foresight::Free,
            Weighed::Open | Weighed::Unknown => {
                *self = before;
                Foresight::MustKnow
            }
        }
    }

    /// Decides on a stage of which the truth is known; says whether policing has ended.
    pub fn judge(&mut self, blocklist: &Blocklist, stage: Stage<'_>, truth: &Truth<'_>) -> bool {
        if blocklist.passes_always(stage.name) {
            return true;
        }
        let mut candidates = self.collect(blocklist, stage, Some(truth));
        let weighed = self.weigh(blocklist, stage, Some(truth), &mut candidates, &mut |_| {});
        weighed == Weighed::Decided
    }

    /// Decides on a name alone, where nothing is resolved: what is asked of a proxy.
    pub(super) fn decide(
        mut self,
        blocklist: &Blocklist,
        name: Option<&Name>,
        mut candidates: Candidates,
    ) -> Decision {
        // Nothing that could be known would change it: an empty truth is one.
        let stage = Stage {
            name: name.unwrap_or(&Name::ROOT),
            is_first: true,
        };
        let truth = Truth::default();
        let _ = self.weigh(blocklist, stage, Some(&truth), &mut candidates, &mut |_| {});
        self.decision
    }

    /// How far up name servers are to be looked for: the least dots of a zone's name, and
    /// whether their addresses matter; nothing where no rule that may still act looks at them.
    #[must_use]
    pub fn wants_name_servers(&self, blocklist: &Blocklist) -> Option<(u8, bool)> {
        if !blocklist.looks_deeper {
            return None;
        }
        let mut wanted: Option<(u8, bool)> = None;
        for (place, list) in (0..).zip(&blocklist.lists) {
            let (dns, triggers) = (&list.settings.dns, &list.triggers);
            let looks = dns.ns_lookup && triggers.ns_names + triggers.ns_addresses > 0;
            if looks && !self.passed_over.contains(place) {
                let (dots, addresses) = wanted.unwrap_or((u8::MAX, false));
                let addresses = addresses || triggers.ns_addresses > 0;
                wanted = Some((dots.min(dns.min_ns_dots), addresses));
            }
        }
        wanted
    }

    /// What was decided so far.
    #[must_use]
    pub const fn decision(&self) -> &Decision {
        &self.decision
    }

    /// Gives up: there is no truth to rewrite (rpz.md S5).
    pub fn fail(&mut self) {
        self.decision.act = None;
    }

    fn collect(
        &self,
        blocklist: &Blocklist,
        stage: Stage<'_>,
        truth: Option<&Truth<'_>>,
    ) -> Candidates {
        let mut found = Candidates::new();
        if stage.is_first
            && let Some(client) = self.asker.client
        {
            blocklist.collect_addresses(client, Tier::Client, u8::MAX, &mut found);
        }
        blocklist.collect_names(stage.name, stage.is_first, &mut found);
        if let Some(truth) = truth {
            for address in truth.addresses {
                blocklist.collect_addresses(*address, Tier::Address, u8::MAX, &mut found);
            }
            for (place, server) in (0_u128..).zip(truth.name_servers) {
                blocklist.collect_name_server(server, place, &mut found);
            }
        }
        found
    }

    /// Weighs what matches: watchers are noted and passed over, exceptions spare the query
    /// from their list or from all, the first that is left acts. What becomes of each in turn
    /// is told to `note`.
    pub(super) fn weigh(
        &mut self,
        blocklist: &Blocklist,
        stage: Stage<'_>,
        truth: Option<&Truth<'_>>,
        candidates: &mut Candidates,
        note: &mut impl FnMut(Fate),
    ) -> Weighed {
        blocklist.sort(candidates);
        for candidate in candidates.iter() {
            let place = candidate.list;
            let (Some((index, rule)), Some(list)) = (
                blocklist.get(candidate.rule),
                blocklist.lists.get(usize::from(place)),
            ) else {
                note(Fate::Unweighed);
                continue;
            };
            if self.passed_over.contains(place) {
                note(Fate::Unweighed);
                continue;
            }
            let dns = &list.settings.dns;
            if candidate.tier.is_of_servers()
                && !(dns.ns_lookup && candidate.zone_dots >= dns.min_ns_dots)
            {
                note(Fate::Inactive);
                continue;
            }
            let is_strict = self.asker.dnssec_ok && !dns.break_dnssec;
            match truth {
                None if is_strict || dns.qname_wait_recurse => return Weighed::Unknown,
                None if self.may_lose(blocklist, place) => return Weighed::Unknown,
                Some(truth) if is_strict && truth.is_signed => {
                    note(Fate::Signed);
                    continue;
                }
                _ => {}
            }
            let action = match rule.action {
                // An alias of the very name is the old form of PASSTHRU, also of a wildcard (A9).
                Action::LocalData
                    if candidate.tier == Tier::Name
                        && list.settings.action.is_none()
                        && index.leads_to(rule, stage.name) =>
                {
                    Action::PassThru
                }
                action => action,
            };
            let is_harmless = rule.canary || action == Action::PassThru;
            if !is_harmless && list.border.never_block.covers(stage.name) {
                note(Fate::NeverBlock);
                continue;
            }
            let fate = self.take(candidate.rule, place, action, &list.settings);
            note(fate);
            if fate == Fate::Decides {
                return Weighed::Decided;
            }
        }
        Weighed::Open
    }

    /// Whether a list before this one could still win, once the truth is known.
    fn may_lose(&self, blocklist: &Blocklist, place: u16) -> bool {
        let before = (0..place).zip(&blocklist.lists);
        blocklist.looks_deeper
            && before
                .filter(|(place, _)| !self.passed_over.contains(*place))
                .any(|(_, list)| list.triggers.need_truth(&list.settings.dns))
    }

    /// Takes the next best match; says what became of it.
    fn take(
        &mut self,
        rule: RuleId,
        place: u16,
        action: Action,
        settings: &super::Settings,
    ) -> Fate {
        // The override `disabled` is the same of every rule, those that spare included (O9).
        let mode = match settings.action {
            Some(Action::Monitor) => Mode::Monitor,
            _ => settings.mode,
        };
        match (mode, action) {
            (Mode::Monitor, Action::PassThru) => {
                self.passed_over.insert(place);
                Fate::Spares
            }
            (Mode::Monitor, _) => {
                // One hit a list: what would have acted, and nothing behind it.
                self.decision.monitored.push(rule);
                self.passed_over.insert(place);
                Fate::Watches
            }
            (Mode::Enforce, Action::Monitor) => {
                if !self.decision.monitored.contains(&rule) {
                    self.decision.monitored.push(rule);
                }
                Fate::Watches
            }
            (Mode::Enforce, Action::PassThru) if settings.passthru == PassThru::List => {
                self.decision.act.get_or_insert((rule, Action::PassThru));
                self.passed_over.insert(place);
                Fate::Spares
            }
            (Mode::Enforce, action) => {
                self.decision.act = Some((rule, action));
                Fate::Decides
            }
        }
    }
}

/// What came of weighing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Weighed {
    /// A rule decided.
    Decided,
    /// None did, and others may.
    Open,
    /// It cannot be said before the truth is known.
    Unknown,
}
