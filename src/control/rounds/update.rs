//! [`Updater`]: one round after the other: pull, judge, compile, put in force, and when the
//! next is due.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::oneshot;

use crate::compile;
use crate::config::Config;
use crate::control::ExitError;
use crate::control::answers::decided::decided;
use crate::control::clock;
use crate::control::levers::allowed::Allowed;
use crate::control::levers::audit_log::AuditLog;
use crate::control::levers::lever::{Lever, Person};
use crate::control::rounds::clock_judge::ClockJudge;
use crate::control::rounds::editions::{Changed, Editions};
use crate::control::rounds::repositories::{Repositories, subscriptions};
use crate::control::rounds::round::{ListOutcome, Round};
use crate::control::rounds::standing::Standing;
use crate::control::rounds::withdrawing::Withdrawing;
use crate::control::rulings::renamed::carry_over;
use crate::control::rulings::stored::text_of;
use crate::control::rulings::versions::Versions;
use crate::control::self_test::SelfTester;
use crate::policy::Withdrawal;
use crate::report::{AlarmKind, Severity};
use crate::verify::{ListFile, Verified};

/// What the updater is asked for.
#[derive(Debug)]
pub(crate) enum Order {
    /// A round now, of one list's repository or of all; the answer has a line a list.
    Round(Option<String>, oneshot::Sender<Result<String, String>>),
    /// Another configuration, or the same with changed local lists; the answer has a line on
    /// each version that came with it and was taken back.
    Configuration(Arc<Config>, oneshot::Sender<Result<String, String>>),
    /// Something that a person decides.
    Lever(Lever, Person, oneshot::Sender<Result<String, String>>),
    /// End.
    Stop,
}

/// Keeps the lists of the configuration up to date. It lives on a thread of its own with a
/// runtime of its own: compiling is heavy, and nothing of it may delay an answer.
#[derive(Debug)]
pub(crate) struct Updater {
    pub(crate) config: Arc<Config>,
    pub(crate) repositories: Repositories,
    pub(crate) versions: Versions,
    pub(crate) allowed: Allowed,
    pub(crate) audit: AuditLog,
    pub(crate) editions: Arc<Editions>,
    /// Orders that came while a round waited for the network, and wait for its end.
    waiting: VecDeque<Order>,
    pub(crate) self_tester: Arc<SelfTester>,
    /// What was just ruled in force and is not yet.
    pub(crate) fresh: BTreeMap<String, Changed>,
    /// The lists that are dropped, and since when.
    pub(crate) dropped: BTreeMap<String, Timestamp>,
    clock: ClockJudge,
}

impl Updater {
    /// Opens every repository's state and verifies it again from the pinned roots.
    ///
    /// # Errors
    /// A sentence where a pinned root is none, or a state folder cannot be used.
    pub(crate) fn open(
        config: Arc<Config>,
        editions: Editions,
        self_tester: Arc<SelfTester>,
    ) -> Result<Self, ExitError> {
        carry_over(&config);
        let repositories =
            Repositories::open(&config, Repositories::default()).map_err(ExitError::system)?;
        let mut versions = Versions::new(&config.state);
        let damaged = versions.configure(&config).map_err(ExitError::system)?;
        let (allowed, lost) = Allowed::open(&config.state).map_err(ExitError::system)?;
        tell_damaged(&editions, damaged.into_iter().chain(lost));
        Ok(Self {
            repositories,
            versions,
            allowed,
            audit: AuditLog::new(&config.state),
            config,
            editions: Arc::new(editions),
            waiting: VecDeque::new(),
            self_tester,
            fresh: BTreeMap::new(),
            dropped: BTreeMap::new(),
            clock: ClockJudge::default(),
        })
    }

    /// Puts in force what is on disk, before the network is asked. It is tested as soon as the
    /// surfaces answer; there is nothing to go back to.
    pub(crate) fn start(&mut self) {
        let config = Arc::clone(&self.config);
        self.editions.configure(&config);
        for settings in &config.lists {
            self.begin(settings);
        }
        self.put_in_force();
    }

    /// Works until it is told to stop.
    pub(crate) fn run(&mut self, orders: &Receiver<Order>) {
        let runtime = match tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
        {
            Ok(runtime) => runtime,
            Err(error) => {
                tracing::error!(%error, "no update round can run: the system gives no runtime; restart cordon");
                return;
            }
        };
        loop {
            // Who asked may have hung up.
            let order = match self.waiting.pop_front() {
                Some(order) => Ok(order),
                None => orders.recv_timeout(self.until_due()),
            };
            match order {
                Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(Order::Round(list, reply)) => {
                    let _ = reply.send(self.round_by_order(&runtime, orders, list.as_deref()));
                }
                Ok(Order::Configuration(config, reply)) => {
                    let _ = reply.send(self.take(&runtime, config));
                }
                Ok(Order::Lever(lever, person, reply)) => {
                    let _ = reply.send(self.pull(&lever, &person));
                }
                Err(RecvTimeoutError::Timeout) => self.work(&runtime, orders),
            }
            self.self_tester.wake();
        }
    }

    /// How long nothing is due.
    fn until_due(&self) -> Duration {
        let rounds = self.repositories.until_due(clock::instant());
        let change = self.editions.next_change().map(|change| {
            let milliseconds = change
                .as_millisecond()
                .saturating_sub(clock::timestamp().as_millisecond());
            Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0)).max(CHANGE_PAUSE)
        });
        let soonest = rounds.into_iter().chain(change).min();
        soonest.unwrap_or(IDLE_MAX).min(IDLE_MAX)
    }

    /// Does what is due.
    fn work(&mut self, runtime: &tokio::runtime::Runtime, orders: &Receiver<Order>) {
        self.editions.free_retired();
        self.turn(clock::timestamp());
        for place in self.repositories.due(clock::instant()) {
            if self.round(runtime, orders, place) {
                // What is taken back is logged, and shown with its list.
                let _ = self.put_in_force_on_trial(runtime);
            }
        }
    }

    /// Judges everything by what time it is now: entries begin and end, withdrawals and
    /// allowances are over, a list that has expired is dropped.
    fn turn(&mut self, now: Timestamp) {
        if self.expired(now) != self.dropped {
            self.put_in_force();
        } else {
            self.move_levers();
        }
    }

    /// A round of one repository or all of them, at once; says what became of each list.
    fn round_by_order(
        &mut self,
        runtime: &tokio::runtime::Runtime,
        orders: &Receiver<Order>,
        only: Option<&str>,
    ) -> Result<String, String> {
        let config = Arc::clone(&self.config);
        let wanted = |settings: &&compile::Settings| only.is_none_or(|only| only == settings.name);
        let asked: Vec<&compile::Settings> = config.lists.iter().filter(wanted).collect();
        if asked.is_empty() {
            return Err(only.map_or_else(
                || "no list is configured".to_owned(),
                |only| format!("no list is called {only}; `cordon status` names them"),
            ));
        }
        let mut changed = false;
        for place in 0..self.repositories.len() {
            let name = self
                .repositories
                .at(place)
                .map(|pulled| pulled.repository.name.clone())
                .unwrap_or_default();
            let concerned = asked.iter().any(|list| {
                matches!(&list.from, compile::From::Repository { repository, .. } if *repository == name)
            });
            if concerned {
                changed |= self.round(runtime, orders, place);
            }
        }
        for settings in &asked {
            changed |= self.offer_local(settings);
        }
        let tested = match changed {
            true => self.put_in_force_on_trial(runtime),
            false => Ok(()),
        };
        let lines = asked.iter().map(|list| self.editions.sentence(&list.name));
        let mut lines: Vec<String> = lines.collect();
        let failed = |list: &&compile::Settings| self.editions.has_failed(&list.name);
        let is_taken_back = tested.is_err();
        lines.extend(tested.err());
        if is_taken_back || asked.iter().any(failed) {
            Err(lines.join("\n"))
        } else {
            Ok(lines.join("\n"))
        }
    }

    /// One round of one repository; says whether a list is to be put in force.
    fn round(
        &mut self,
        runtime: &tokio::runtime::Runtime,
        orders: &Receiver<Order>,
        place: usize,
    ) -> bool {
        let Some(mut pulled) = self.repositories.take_out(place) else {
            return false;
        };
        let repository = pulled.repository.name.clone();
        let subscriptions = subscriptions(&self.config, &repository);
        for subscription in &subscriptions {
            let standing = self.versions.standing(&subscription.name);
            let needed = standing
                .map(|standing| standing.needed())
                .unwrap_or_default();
            let serials = needed.iter().filter_map(|version| version.rank());
            pulled.puller.keep(&subscription.name, serials.collect());
        }
        let now = clock::timestamp();
        let editions = Arc::clone(&self.editions);
        let mut withdrawing = Withdrawing::new(&subscriptions, &editions);
        let mut tell = |list: &str, withdrawn: &[Withdrawal]| withdrawing.take(list, withdrawn);
        let round = runtime.block_on(async {
            let pulling = pulled.puller.round_telling(&subscriptions, now, &mut tell);
            let mut pulling = std::pin::pin!(pulling);
            loop {
                tokio::select! {
                    biased;
                    round = &mut pulling => break round,
                    () = tokio::time::sleep(ORDERS_TURN) => self.serve(orders),
                }
            }
        });
        for error in &round.noted {
            tracing::error!(repository, %error, "something beside the lists was not taken; what was accepted last holds");
        }
        withdrawing.measure(|list| pulled.puller.withdrawn_at(list));
        let pause = pulled.schedule(round.error.is_some() || !round.refusals.is_empty());
        if let Some(back) = self.clock.step_back(now, clock::instant()) {
            tracing::warn!(
                minutes = back.as_mins(),
                "the clock of this machine stepped back; that is tolerated. Does NTP run?"
            );
        }
        self.editions
            .note_round(&repository, &subscriptions, &round, now, pause);
        let standing = Standing {
            updates: &self.editions.updates,
            repository: &repository,
            puller: &pulled.puller,
            now,
        };
        standing.after(&round, &subscriptions);
        self.repositories.put_back(place, pulled);
        self.versions.catch_up();
        self.move_levers();
        // Other terms may quarantine other rows of what is in force.
        let terms = round.changes.policy || round.changes.never_block;
        let brought = self.judge(round);
        if terms {
            // And let through what is held.
            let config = Arc::clone(&self.config);
            let names = subscriptions.iter().map(|subscribed| &subscribed.name);
            for name in names {
                if let Some(settings) = config.lists.iter().find(|list| list.name == *name) {
                    self.judge_held(settings);
                }
            }
        }
        brought || terms || self.expired(clock::timestamp()) != self.dropped
    }

    /// Does what cannot wait for the end of a round: names that a person lets through, and
    /// entries that begin and end. Other orders need the repository that is out.
    fn serve(&mut self, orders: &Receiver<Order>) {
        while self.waiting.len() < ORDERS_MAX
            && let Ok(order) = orders.try_recv()
        {
            match order {
                Order::Lever(
                    lever @ (Lever::Allow { .. } | Lever::EndAllow { .. }),
                    person,
                    reply,
                ) => {
                    let _ = reply.send(self.pull(&lever, &person));
                }
                order => self.waiting.push_back(order),
            }
        }
        self.move_levers();
    }

    /// Judges what a round brought; says whether a list is to be put in force.
    fn judge(&mut self, round: Round) -> bool {
        let mut brought = false;
        let config = Arc::clone(&self.config);
        for (list, outcome) in round.lists {
            let settings = config.lists.iter().find(|settings| settings.name == list);
            if let (
                Some(settings),
                ListOutcome::New {
                    file,
                    change,
                    not_stored,
                    ..
                },
            ) = (settings, outcome)
            {
                if let Some(error) = not_stored {
                    tracing::error!(list, %error, "the new version cannot be stored; the next start would begin with an older one");
                }
                let changed = Changed {
                    step: change,
                    ..Changed::whole(file)
                };
                brought |= if self.is_first(settings, &changed) {
                    self.offer_first(settings, changed)
                } else {
                    self.offer(settings, changed)
                };
            }
        }
        brought
    }

    /// Takes another configuration; where it cannot, the old one stays in force. Says which
    /// versions came with it and were taken back, and which are held or rejected.
    fn take(
        &mut self,
        runtime: &tokio::runtime::Runtime,
        config: Arc<Config>,
    ) -> Result<String, String> {
        carry_over(&config);
        let old = std::mem::take(&mut self.repositories);
        let mut versions = Versions::new(&config.state);
        let opened = versions.configure(&config).and_then(|damaged| {
            let mut repositories = Repositories::open(&config, old)?;
            let fresh = self.still_there(&config, &mut repositories)?;
            Ok((damaged, repositories, fresh))
        });
        let fresh = match opened {
            Ok((damaged, repositories, fresh)) => {
                tell_damaged(&self.editions, damaged);
                self.repositories = repositories;
                fresh
            }
            Err(message) => {
                carry_over(&self.config);
                // The repositories that the old configuration names opened before.
                self.repositories =
                    Repositories::open(&self.config, Repositories::default()).unwrap_or_default();
                return Err(message);
            }
        };
        self.versions = versions;
        self.config = Arc::clone(&config);
        self.editions.configure(&config);
        for settings in &config.lists {
            match fresh.get(&settings.name) {
                Some(file) => _ = self.offer(settings, Changed::whole(file.clone())),
                None if self.editions.is_in_force(&settings.name) => {
                    _ = self.offer_local(settings);
                }
                None => self.begin(settings),
            }
            self.judge_held(settings);
        }
        let mut lines: Vec<String> = self
            .put_in_force_on_trial(runtime)
            .err()
            .into_iter()
            .collect();
        let known = self.editions.updates.lists();
        lines.extend(
            known
                .iter()
                .filter_map(|known| Some(format!("list {}: {}", known.list, decided(known)?))),
        );
        Ok(lines.join("\n"))
    }

    /// The texts of the lists that are in force and that `config` gets in another way, as by
    /// another pinned root or under another name.
    ///
    /// # Errors
    /// Where such a list has no version that verifies in the new way: a slip of the pen must
    /// not drop what is in force.
    fn still_there(
        &self,
        config: &Config,
        repositories: &mut Repositories,
    ) -> Result<BTreeMap<String, Verified<ListFile>>, String> {
        let mut fresh = BTreeMap::new();
        for settings in &config.lists {
            let before = self
                .config
                .lists
                .iter()
                .find(|before| before.name == settings.name);
            let compile::From::Repository { repository, list } = &settings.from else {
                continue;
            };
            let of = |config: &Config| {
                let found = config.repositories.iter().find(|of| of.name == *repository);
                found.map(|repository| repository.verify.clone())
            };
            let is_same = before.is_some_and(|before| before.from == settings.from)
                && of(&self.config) == of(config);
            if is_same || before.is_none() || !self.editions.is_in_force(&settings.name) {
                continue;
            }
            let in_force = self.versions.standing(&settings.name);
            let version = in_force.and_then(|standing| standing.in_force.as_ref());
            let file = version.and_then(|version| {
                let version = version.stored();
                text_of(&config.state, settings, &version, |name| {
                    repositories.puller(name)
                })
                .ok()
            });
            let file = file.ok_or_else(|| {
                format!(
                    "list {} is in force, and no version of it verifies as list {list} of repository {repository} under the new configuration. Look at `from` and `trust`; to begin anew on purpose, remove the list, reload, and add it again",
                    settings.name
                )
            })?;
            fresh.insert(settings.name.clone(), file);
        }
        Ok(fresh)
    }
}

/// Raises an alarm for each damage to what people decided; it stands until the next start.
fn tell_damaged(editions: &Editions, damaged: impl IntoIterator<Item = String>) {
    for damage in damaged {
        tracing::error!("{damage}");
        let sentence = format!("{damage}. This stands until the next start");
        let (kind, severity, at) = (AlarmKind::Decisions, Severity::Alarm, clock::timestamp());
        editions
            .updates
            .alarms
            .raise(kind, &damage, severity, sentence, at);
    }
}

/// A sender of orders that no slow updater can make grow.
pub(crate) type Orders = SyncSender<Order>;

/// How many orders may wait.
pub(crate) const ORDERS_MAX: usize = 16;

/// How often orders are looked at while a round waits for the network.
const ORDERS_TURN: Duration = Duration::from_millis(250);
/// Entries that begin and end make one edition in this time at most, however many they are.
const CHANGE_PAUSE: Duration = Duration::from_secs(1);
/// How long it sleeps at most; a clock that steps is seen by then.
const IDLE_MAX: Duration = Duration::from_secs(30);
