//! [`SelfTester`]: runs self-tests one at a time, and keeps account of them.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Notify};
use tokio_util::sync::CancellationToken;

use super::asking::{Asking, Listening};
use super::plan::{Plan, surfaces};
use super::route::{Route, own_address};
use super::verdict::{Failure, Fault, Verdict};
use crate::compile::Blocklist;
use crate::config::Config;
use crate::control::clock;
use crate::enforce::InForce;
use crate::policy::{Prefix, Surface};
use crate::report::{AlarmKind, Metrics, Probe, SelfTests, Severity, Updates, waiting};

/// Runs self-tests, one at a time.
#[derive(Debug)]
pub(crate) struct SelfTester {
    /// Where the surfaces answer.
    pub(crate) listening: Listening,
    /// What is tested.
    pub(crate) in_force: Arc<InForce>,
    /// Where it is told.
    pub(crate) tests: Arc<SelfTests>,
    /// Where alarms are raised.
    pub(crate) updates: Arc<Updates>,
    /// What is asked is counted here, so that it can be subtracted.
    pub(crate) metrics: Metrics,
    /// Ends a test at once; the daemon waits for none.
    pub(crate) stop: CancellationToken,
    /// Held while a test runs.
    pub(crate) one_at_a_time: Mutex<()>,
    /// Told when an edition was put in force that no test has seen.
    pub(crate) untested: Notify,
}

impl SelfTester {
    /// Tests what is in force under `config` and tells it; says whether it came to a verdict.
    /// There is none where another edition was put in force meanwhile, where `is_current`
    /// says that the configuration was replaced, and when the daemon ends.
    pub(crate) async fn test_and_tell(
        &self,
        config: &Config,
        is_current: impl Fn() -> bool,
    ) -> bool {
        match self.test(config, None).await {
            Some((verdict, _)) if is_current() => {
                self.tell(verdict);
                true
            }
            _ => false,
        }
    }

    /// Tests what was put in force in place of `retired`: the sentence on why it has to be
    /// taken back. Where it may stay, the verdict is told and there is none.
    pub(crate) async fn try_out(&self, config: &Config, retired: &Blocklist) -> Option<String> {
        let (verdict, before) = self.test(config, Some(retired)).await?;
        let reason = verdict.reason_to_roll_back(&before).map(str::to_owned);
        if reason.is_none() {
            self.tell(verdict);
        }
        reason
    }

    /// Has what is in force tested soon, unless it was.
    pub(crate) fn wake(&self) {
        let tested = self.tests.last().map(|test| test.edition);
        if tested != Some(self.in_force.load().number) {
            self.untested.notify_one();
        }
    }

    /// Tests what was put in force in place of `retired`; the verdict, and what would have
    /// been asked of `retired`.
    async fn test(&self, config: &Config, retired: Option<&Blocklist>) -> Option<(Verdict, Plan)> {
        tokio::select! {
            () = self.stop.cancelled() => None,
            tested = self.test_alone(config, retired) => tested,
        }
    }

    /// The same, once no other test runs.
    async fn test_alone(
        &self,
        config: &Config,
        retired: Option<&Blocklist>,
    ) -> Option<(Verdict, Plan)> {
        let _one = self.one_at_a_time.lock().await;
        let before = retired.map_or_else(Plan::default, |retired| self.plan(config, retired));
        let mut verdict = self.ask(config, &before).await;
        // What the lists have wrong by themselves is so however often it is asked.
        if !verdict.is_decided {
            tokio::time::sleep(CONFIRM_PAUSE).await;
            let again = self.ask(config, &before).await;
            verdict = verdict.confirm(again);
        }
        let is_same = self.in_force.load().number == verdict.edition;
        is_same.then_some((verdict, before))
    }

    /// What is to be asked of a blocklist.
    fn plan(&self, config: &Config, blocklist: &Blocklist) -> Plan {
        let is_ready = waiting(blocklist, &self.updates.lists()).is_empty();
        let askers = self.askers(config);
        Plan::of(config, blocklist, is_ready, &fresh_label(), &askers)
    }

    /// The addresses from which the surfaces are asked, each once.
    fn askers(&self, config: &Config) -> Vec<IpAddr> {
        let to = |listeners: &[SocketAddr], clients: &[Prefix]| -> Vec<IpAddr> {
            let routes = listeners.iter();
            let routes = routes.filter_map(|to| Route::to(*to, clients, own_address));
            routes.map(|route| route.from).collect()
        };
        let Listening { dns, http, forward } = &self.listening;
        let mut askers = Vec::new();
        if let Some(settings) = &config.dns {
            askers.extend(to(dns, &settings.clients));
        }
        if let Some(settings) = &config.proxy {
            askers.extend(to(forward, &settings.forward_clients));
            // Who asks an address of its own has that address.
            askers.extend(http.iter().map(|http| Route::open(*http).to.ip()));
        }
        askers.sort();
        askers.dedup();
        askers
    }

    /// Asks everything once.
    async fn ask(&self, config: &Config, before: &Plan) -> Verdict {
        let edition = self.in_force.load_full();
        let mut plan = self.plan(config, &edition.blocklist);
        plan.miss_lost(before, &surfaces(config));
        let lists = edition.blocklist.lists().iter();
        let lists: Vec<String> = lists.map(|list| list.settings.name.clone()).collect();
        let asking = Asking {
            listening: &self.listening,
            config,
            plan: &plan,
            lists: &lists,
            end: clock::instant() + TEST_MAX,
        };
        let mut verdict = asking.ask().await;
        verdict.edition = edition.number;
        verdict.is_decided = verdict.failures == plan.failures;
        self.metrics.self_tested(Surface::Dns, verdict.queries);
        self.metrics.self_tested(Surface::Http, verdict.requests);
        verdict
    }

    /// Shows a verdict, raises and ends its alarms, and logs what changed.
    fn tell(&self, verdict: Verdict) {
        self.alarm(&verdict.failures);
        let before = self.tests.last();
        let known = |subject: &str| {
            let failures = before.iter().flat_map(|before| &before.failures);
            failures.into_iter().any(|known| known.subject == subject)
        };
        let test = verdict.shown(clock::timestamp());
        for (probes, failure) in test.causes() {
            if !known(&failure.subject) {
                let probes: Vec<&str> = probes.into_iter().map(Probe::as_str).collect();
                let sentence = &failure.sentence;
                tracing::error!(?probes, "the self-test failed: {sentence}");
            }
        }
        if test.passed() && before.as_ref().is_none_or(|before| !before.passed()) {
            tracing::info!(edition = test.edition, "the self-test passed");
        }
        self.tests.note(test);
    }

    /// Raises the alarms for what went wrong, and ends those for what did not.
    fn alarm(&self, failures: &[Failure]) {
        let (upstream, wrong): (Vec<&Failure>, Vec<&Failure>) = failures
            .iter()
            .partition(|failure| failure.fault == Fault::Upstream);
        let probes: BTreeSet<Probe> = wrong.iter().map(|failure| failure.probe).collect();
        let claims: Vec<&str> = probes.into_iter().map(Probe::claim).collect();
        let wrong = (!claims.is_empty()).then(|| {
            let claims = claims.join("; ");
            format!("the node does not answer itself as it must. Not so: {claims}. The self-test says why")
        });
        self.stand(AlarmKind::SelfTest, Severity::Alarm, wrong);
        let names: Vec<&str> = upstream.iter().map(|it| it.subject.as_str()).collect();
        let unknown = (!names.is_empty()).then(|| {
            let names = names.join(", ");
            format!("no upstream resolver knows {names}, which must work. No list has to do with it; look at the upstream resolvers")
        });
        self.stand(AlarmKind::Upstream, Severity::Warning, unknown);
    }

    /// Raises an alarm of the node, or ends the one that stands.
    fn stand(&self, kind: AlarmKind, severity: Severity, trouble: Option<String>) {
        let alarms = &self.updates.alarms;
        match trouble {
            Some(sentence) => _ = alarms.raise(kind, "", severity, sentence, clock::timestamp()),
            None => _ = alarms.clear(kind, ""),
        }
    }
}

/// A label that nobody asked for before.
fn fresh_label() -> String {
    let mut octets = [0; 8];
    // Without chance the label is the same each time, which only a cache would notice.
    let _ = getrandom::fill(&mut octets);
    format!("t{}", crate::verify::hex(&octets))
}

/// How long all questions together may take.
const TEST_MAX: Duration = Duration::from_secs(8);
/// The pause before what failed is asked again.
const CONFIRM_PAUSE: Duration = Duration::from_millis(300);
