//! [`Summary`]: how the node stands: what is in force, how old it is, whether all is well.

use jiff::{SignedDuration, Timestamp};

use super::updates::Failure;
use super::{
    Alarm, HeldVersion, LatencyFigures, ListUpdates, PinnedVersion, RejectedVersion, SelfTest,
    Severity,
};
use crate::compile::{Blocklist, CompiledList};
use crate::enforce::Edition;
use crate::policy::Origin;

/// How the node stands at one moment. Made of facts alone, so that a page, the API and the
/// metrics say the same.
#[derive(Clone, Debug)]
pub struct Summary {
    /// The node's name.
    pub node: String,
    /// The moment.
    pub now: Timestamp,
    /// The number of the edition in force.
    pub edition: u64,
    /// Since when it is in force.
    pub since: Timestamp,
    /// Every required list is in force.
    pub ready: bool,
    /// How many names a person lets through on every surface at the moment.
    pub allowed: usize,
    /// The lists that are configured or in force, in the operator's order.
    pub lists: Vec<ListStatus>,
    /// What somebody should look at, apart from the lists.
    pub alarms: Vec<Alarm>,
    /// The node's last test of itself; nothing before the first.
    pub self_test: Option<SelfTest>,
}

/// How one list stands.
#[derive(Clone, Debug)]
pub struct ListStatus {
    /// Its name in the configuration.
    pub name: String,
    /// `readyz` is false until it is in force.
    pub required: bool,
    /// What is in force; nothing where nothing is.
    pub compiled: Option<CompiledList>,
    /// How its update rounds went; nothing for a list that is no longer configured.
    pub updates: Option<ListUpdates>,
}

/// How well a list or the node is, in one word.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Health {
    /// All is well.
    Good,
    /// It is in force, but somebody should look.
    Attention,
    /// It is not in force.
    Missing,
}

impl Health {
    /// The word for it in the API and `status`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Attention => "degraded",
            Self::Missing => "missing",
        }
    }
}

impl Summary {
    /// The summary of an edition and its update rounds at `now`, as far as `is_visible` lets
    /// see it. Whether the node is ready is judged by all lists.
    #[must_use]
    pub fn new(
        node: &str,
        edition: &Edition,
        updates: &[ListUpdates],
        now: Timestamp,
        is_visible: &dyn Fn(&str) -> bool,
    ) -> Self {
        let compiled = edition.blocklist.lists();
        let in_force = |name: &str| compiled.iter().find(|list| list.settings.name == name);
        let mut lists: Vec<ListStatus> = updates
            .iter()
            .map(|known| ListStatus {
                name: known.list.clone(),
                required: known.required,
                compiled: in_force(&known.list).cloned(),
                updates: Some(known.clone()),
            })
            .collect();
        for list in compiled {
            if !updates.iter().any(|known| known.list == list.settings.name) {
                lists.push(ListStatus {
                    name: list.settings.name.clone(),
                    required: list.settings.required,
                    compiled: Some(list.clone()),
                    updates: None,
                });
            }
        }
        let ready = waiting(&edition.blocklist, updates).is_empty();
        lists.retain(|list| is_visible(&list.name));
        Self {
            node: node.to_owned(),
            now,
            edition: edition.number,
            since: edition.since,
            ready,
            allowed: edition.blocklist.levers().allowed.len(),
            lists,
            alarms: Vec::new(),
            self_test: None,
        }
    }

    /// The same, with what somebody should look at apart from the lists.
    #[must_use]
    pub fn with_alarms(mut self, alarms: Vec<Alarm>) -> Self {
        self.alarms = alarms;
        self
    }

    /// The same, with the node's last test of itself, as far as `is_visible` lets see it: what
    /// failed about other lists is left out, and that something failed is not.
    #[must_use]
    pub fn with_self_test(
        mut self,
        test: Option<SelfTest>,
        is_visible: &dyn Fn(&str) -> bool,
    ) -> Self {
        self.self_test = test.map(|mut test| {
            test.untested.retain(|(list, _)| is_visible(list));
            for failure in &mut test.failures {
                if failure.list.as_ref().is_some_and(|list| !is_visible(list)) {
                    failure.list = None;
                    failure.subject.clear();
                    failure.sentence = HIDDEN.to_owned();
                }
            }
            test
        });
        self
    }

    /// One list.
    #[must_use]
    pub fn list(&self, name: &str) -> Option<&ListStatus> {
        self.lists.iter().find(|list| list.name == name)
    }

    /// How well the node is: as well as its worst list; an alarm makes it worse than good.
    #[must_use]
    pub fn health(&self) -> Health {
        let lists = self.lists.iter().map(|list| list.health(self.now));
        let alarms = self.alarms.iter().map(|_| Health::Attention);
        match lists.chain(alarms).max().unwrap_or(Health::Good) {
            health if self.ready => health.min(Health::Attention),
            _ => Health::Missing,
        }
    }
}

/// Why the node is not ready: a sentence for each required list that is not in force; none
/// when it is ready. A list that was in force and is dropped, as its signed policy says of one
/// that has expired, is an alarm and keeps no node from being ready.
#[must_use]
pub fn waiting(blocklist: &Blocklist, updates: &[ListUpdates]) -> Vec<String> {
    let lists = blocklist.lists();
    let is_in_force = |name: &str| lists.iter().any(|list| list.settings.name == name);
    let missing = updates
        .iter()
        .filter(|known| known.required && known.dropped.is_none() && !is_in_force(&known.list));
    missing.map(sentence).collect()
}

/// Why a required list is not in force, and what to do.
fn sentence(known: &ListUpdates) -> String {
    let list = &known.list;
    match (&known.held, &known.rejected) {
        (Some(held), _) => {
            let guards: Vec<&str> = held.guards.iter().map(|(guard, _)| *guard).collect();
            format!(
                "list {list} is required and not in force: its first version, {}, is held ({}). `cordon hold` shows why; `cordon hold accept {list} {} --by NAME --reason TEXT` puts it in force",
                held.version,
                guards.join(", "),
                held.word()
            )
        }
        (None, Some(rejected)) => format!(
            "list {list} is required and not in force: its first version, {}, was rejected; the authority has to publish another",
            rejected.version
        ),
        (None, None) => format!(
            "list {list} is required and not in force: there is no version of it yet that verifies; `cordon status` says how its rounds went"
        ),
    }
}

impl ListStatus {
    /// Its title; its name where it has none.
    #[must_use]
    pub fn title(&self) -> &str {
        self.compiled
            .as_ref()
            .map_or(&self.name, |list| &list.provenance.title)
    }

    /// Its serial; an unsigned list has none.
    #[must_use]
    pub fn serial(&self) -> Option<u64> {
        self.compiled
            .as_ref()
            .and_then(|list| list.provenance.seq())
    }

    /// How many entries are in force.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.compiled
            .iter()
            .flat_map(|list| &list.entries)
            .map(|(_, count)| count)
            .sum()
    }

    /// How many rows were left out.
    #[must_use]
    pub fn rejected(&self) -> usize {
        self.compiled.as_ref().map_or(0, |list| list.rejected)
    }

    /// How many rows were taken and are strange.
    #[must_use]
    pub fn warned(&self) -> usize {
        self.compiled.as_ref().map_or(0, |list| list.warned)
    }

    /// How many of its rules do not act, for no name servers are looked up, by trigger.
    #[must_use]
    pub fn inactive(&self) -> [(&'static str, usize); 2] {
        let none = [("nsdname", 0), ("nsip", 0)];
        self.compiled.as_ref().map_or(none, CompiledList::inactive)
    }

    /// Where it came from.
    #[must_use]
    pub fn origin(&self) -> Option<&Origin> {
        self.compiled.as_ref().map(|list| &list.provenance.origin)
    }

    /// How long ago the authority issued it, by its own clock.
    #[must_use]
    pub fn age(&self, now: Timestamp) -> Option<SignedDuration> {
        match self.origin()? {
            Origin::Signed { issued_at, .. } => issued_at.map(|at| now.duration_since(at)),
            Origin::Unsigned { .. } => None,
        }
    }

    /// When it expires: as its role was signed last, which needs no new version.
    #[must_use]
    pub fn expires(&self) -> Option<Timestamp> {
        match self.origin()? {
            Origin::Signed { expires, .. } => {
                let renewed = self.updates.as_ref().and_then(|known| known.role_expires);
                Some(renewed.map_or(*expires, |renewed| renewed.max(*expires)))
            }
            Origin::Unsigned { .. } => None,
        }
    }

    /// How long it is still valid; negative where it has expired.
    #[must_use]
    pub fn expires_in(&self, now: Timestamp) -> Option<SignedDuration> {
        Some(self.expires()?.duration_since(now))
    }

    /// How many of its entries are withdrawn at the moment.
    #[must_use]
    pub fn withdrawn(&self) -> usize {
        self.compiled.as_ref().map_or(0, |list| list.withdrawn)
    }

    /// Of how many of its entries the review is overdue.
    #[must_use]
    pub fn overdue(&self) -> usize {
        self.compiled.as_ref().map_or(0, |list| list.overdue)
    }

    /// How often a version of it tripped a guard.
    #[must_use]
    pub fn guard_events(&self) -> u64 {
        self.updates.as_ref().map_or(0, |known| known.guard_events)
    }

    /// The version that a guard holds back.
    #[must_use]
    pub fn held(&self) -> Option<&HeldVersion> {
        self.updates.as_ref()?.held.as_ref()
    }

    /// The version that a person rejected, while none that came later is in force.
    #[must_use]
    pub fn rejected_version(&self) -> Option<&RejectedVersion> {
        self.updates.as_ref()?.rejected.as_ref()
    }

    /// The version that a person went back to.
    #[must_use]
    pub fn pinned(&self) -> Option<&PinnedVersion> {
        self.updates.as_ref()?.pinned.as_ref()
    }

    /// Since when it is dropped, because it has expired.
    #[must_use]
    pub fn dropped(&self) -> Option<Timestamp> {
        self.updates.as_ref()?.dropped
    }

    /// How long versions took to be in force, against the policy's deadline.
    #[must_use]
    pub fn enforce_latency(&self) -> Option<LatencyFigures> {
        let bounds = self.compiled.as_ref().map(|list| &list.border.bounds);
        let deadline = bounds.and_then(|bounds| bounds.add_within);
        self.updates.as_ref()?.enforce.figures(deadline)
    }

    /// How long withdrawals took, against the policy's deadline.
    #[must_use]
    pub fn withdraw_latency(&self) -> Option<LatencyFigures> {
        let bounds = self.compiled.as_ref().map(|list| &list.border.bounds);
        let deadline = bounds.and_then(|bounds| bounds.withdraw_within);
        self.updates.as_ref()?.withdraw.figures(deadline)
    }

    /// For how long it is not known whether it is the newest.
    #[must_use]
    pub fn stale(&self, now: Timestamp) -> Option<SignedDuration> {
        self.updates.as_ref()?.stale(now)
    }

    /// How urgent that is.
    #[must_use]
    pub fn staleness(&self, now: Timestamp) -> Option<Severity> {
        self.updates.as_ref()?.staleness(now)
    }

    /// Whether the next start would begin with it; not while the disk takes nothing.
    #[must_use]
    pub fn is_persisted(&self) -> bool {
        let updates = self.updates.as_ref();
        updates.is_none_or(|updates| updates.not_persisted.is_none())
    }

    /// Why its last round failed.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        self.updates.as_ref()?.failure.as_ref()
    }

    /// How well it is.
    #[must_use]
    pub fn health(&self, now: Timestamp) -> Health {
        if self.compiled.is_none() {
            return Health::Missing;
        }
        let is_expired = self.expires_in(now).is_some_and(|left| left.is_negative());
        let is_stale = self.staleness(now).is_some();
        let is_held =
            self.held().is_some() || self.rejected_version().is_some() || self.pinned().is_some();
        let is_stored = self.is_persisted();
        if is_expired || is_stale || is_held || !is_stored || self.failure().is_some() {
            Health::Attention
        } else {
            Health::Good
        }
    }
}

/// What is said of a failure to somebody who may not see the list that it is about.
const HIDDEN: &str = "A test of another list failed.";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Probe, SelfTestFailure, example};

    fn known(list: &str, required: bool) -> ListUpdates {
        ListUpdates {
            list: list.into(),
            required,
            ..ListUpdates::default()
        }
    }

    fn summary(updates: &[ListUpdates], now: &str) -> Summary {
        let now = now.parse().unwrap();
        Summary::new("n", &example::edition(), updates, now, &|_| true)
    }

    #[test]
    fn ready_means_every_required_list() {
        let now = example::NOW;
        let lists = [known("gambling", true), known("house-rules", false)];
        assert!(summary(&lists, now).ready);
        assert_eq!(summary(&lists, now).health(), Health::Good);
        let lists = [known("gambling", true), known("other", false)];
        assert!(summary(&lists, now).ready);
        assert_eq!(summary(&lists, now).health(), Health::Attention);
        let lists = [known("gambling", true), known("other", true)];
        assert!(!summary(&lists, now).ready);
        assert_eq!(summary(&lists, now).health(), Health::Missing);
    }

    #[test]
    fn who_sees_one_list_sees_whether_all_is_ready() {
        let lists = [known("gambling", true), known("other", true)];
        let now = example::NOW.parse().unwrap();
        let summary = Summary::new("n", &example::edition(), &lists, now, &|name| {
            name == "gambling"
        });
        assert!(!summary.ready);
        assert_eq!(summary.lists.len(), 1);
    }

    #[test]
    fn what_is_stale_not_stored_or_an_alarm_wants_attention_and_stays_ready() {
        let check = |list: ListUpdates, alarms: Vec<Alarm>| {
            let summary = summary(&[list], example::NOW).with_alarms(alarms);
            assert_eq!((summary.ready, summary.health()), (true, Health::Attention));
        };
        let now: Timestamp = example::NOW.parse().unwrap();
        check(
            ListUpdates {
                newest_at: Some(now - SignedDuration::from_hours(2)),
                ..known("gambling", true)
            },
            Vec::new(),
        );
        check(
            ListUpdates {
                not_persisted: Some("No space left.".into()),
                ..known("gambling", true)
            },
            Vec::new(),
        );
        let alarm = Alarm {
            kind: crate::report::AlarmKind::Clock,
            severity: Severity::Warning,
            sentence: "The clock is late.".into(),
            since: now,
        };
        check(known("gambling", true), vec![alarm]);
    }

    #[test]
    fn a_failed_self_test_tells_of_no_other_list() {
        let lists = [known("gambling", true)];
        let failure = |list: &str| SelfTestFailure {
            probe: Probe::DnsBlock,
            list: Some(list.into()),
            subject: format!("{list}.canary.invalid"),
            sentence: format!("{list} is not enforced."),
            since: example::NOW.parse().unwrap(),
        };
        let test = SelfTest {
            at: example::NOW.parse().unwrap(),
            edition: 3,
            asked: 2,
            probes: [Probe::DnsBlock].into(),
            failures: vec![failure("gambling"), failure("secret")],
            untested: vec![("secret".into(), "only watches")],
        };
        let summary = summary(&lists, example::NOW);
        let seen = |name: &str| name == "gambling";
        let summary = summary.with_self_test(Some(test), &seen);
        let test = summary.self_test.unwrap();
        assert_eq!(test.failures.len(), 2);
        assert!(!format!("{test:?}").contains("secret"), "{test:?}");
    }

    #[test]
    fn an_expired_list_wants_attention() {
        let lists = [known("gambling", true)];
        let later = summary(&lists, "2027-11-24T08:30:00Z");
        let list = later.list("gambling").unwrap();
        assert_eq!(list.health(later.now), Health::Attention);
        assert!(list.expires_in(later.now).unwrap().is_negative());
        assert_eq!(
            (list.entries(), list.rejected(), list.serial()),
            (3, 1, Some(7))
        );
        let unsigned = later.list("house-rules").unwrap();
        assert_eq!(
            (unsigned.serial(), unsigned.expires_in(later.now)),
            (None, None)
        );
    }
}
