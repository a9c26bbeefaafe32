//! [`Updater`]: whatever changes what is in force, in one order: what rounds bring, orders, and
//! the time. None of it waits for a mirror.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::sync::oneshot;

use crate::config::Config;
use crate::control::ExitError;
use crate::control::clock;
use crate::control::levers::allowed::Allowed;
use crate::control::levers::audit_log::AuditLog;
use crate::control::levers::lever::{Lever, Person};
use crate::control::rounds::clock_judge::ClockJudge;
use crate::control::rounds::editions::{Changed, Editions};
use crate::control::rounds::errand::{Brought, Errands};
use crate::control::rounds::ordered::Awaited;
use crate::control::rounds::pulling::Step;
use crate::control::rounds::repositories::{Repositories, subscriptions};
use crate::control::rounds::round::{ListOutcome, Round};
use crate::control::rounds::standing::Standing;
use crate::control::rulings::renamed::carry_over;
use crate::control::rulings::versions::Versions;
use crate::control::self_test::SelfTester;
use crate::report::{AlarmKind, Severity};
use crate::verify::Subscription;

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
/// runtime of its own: compiling is heavy, and nothing of it may delay an answer. Rounds of
/// several repositories go on at once: their files are fetched side by side, and judged here
/// one after the other.
#[derive(Debug)]
pub(crate) struct Updater {
    pub(crate) config: Arc<Config>,
    pub(crate) repositories: Repositories,
    pub(crate) versions: Versions,
    pub(crate) allowed: Allowed,
    pub(crate) audit: AuditLog,
    pub(crate) editions: Arc<Editions>,
    /// What mirrors are asked at the moment.
    pub(crate) errands: Errands,
    /// The rounds that somebody asked for, and waits for.
    pub(crate) awaited: Vec<Awaited>,
    pub(crate) self_tester: Arc<SelfTester>,
    /// What was just ruled in force and is not yet.
    pub(crate) fresh: BTreeMap<String, Changed>,
    /// The lists that are dropped, and since when.
    pub(crate) dropped: BTreeMap<String, Timestamp>,
    clock: ClockJudge,
    /// When everything was judged last by what time it is.
    turned: Instant,
}

/// What the updater has to see to.
enum Event {
    Order(Order),
    Brought(String, Box<Brought>),
    Due,
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
        let gone = carry_over(&config);
        let repositories =
            Repositories::open(&config, &Repositories::default()).map_err(ExitError::system)?;
        let mut versions = Versions::new(&config.state);
        let damaged = versions.configure(&config).map_err(ExitError::system)?;
        let (allowed, lost) = Allowed::open(&config.state).map_err(ExitError::system)?;
        let audit = AuditLog::new(&config.state);
        let broken = audit.check().err().map(|error| {
            format!("the audit log is not whole: {error}; find out who can write there")
        });
        let said = gone.into_iter().chain(damaged).chain(lost).chain(broken);
        tell_damaged(&editions, said);
        Ok(Self {
            repositories,
            versions,
            allowed,
            audit,
            config,
            editions: Arc::new(editions),
            errands: Errands::default(),
            awaited: Vec::new(),
            self_tester,
            fresh: BTreeMap::new(),
            dropped: BTreeMap::new(),
            clock: ClockJudge::default(),
            turned: clock::instant(),
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
    pub(crate) fn run(&mut self, mut orders: Receiver<Order>) {
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
            self.work(&runtime);
            // Who asked may have hung up.
            match runtime.block_on(self.next(&mut orders)) {
                Event::Order(Order::Stop) => return,
                Event::Order(Order::Round(list, reply)) => {
                    self.order_round(&runtime, list.as_deref(), reply);
                }
                Event::Order(Order::Configuration(config, reply)) => {
                    let _ = reply.send(self.take(&runtime, config));
                }
                Event::Order(Order::Lever(lever, person, reply)) => {
                    let _ = reply.send(self.pull(&lever, &person));
                }
                Event::Brought(repository, brought) => {
                    self.take_up(&runtime, &repository, *brought);
                }
                Event::Due => {}
            }
            self.self_tester.wake();
        }
    }

    /// Waits for what comes first: an order, a file of a mirror, or the time.
    async fn next(&mut self, orders: &mut Receiver<Order>) -> Event {
        let until_due = self.until_due();
        tokio::select! {
            order = orders.recv() => Event::Order(order.unwrap_or(Order::Stop)),
            (repository, brought) = self.errands.next() => Event::Brought(repository, Box::new(brought)),
            () = tokio::time::sleep(until_due) => Event::Due,
        }
    }

    /// How long nothing is due.
    fn until_due(&self) -> Duration {
        let now = clock::instant();
        let rounds = self.repositories.until_due(now);
        let turn = self.turns_at(now).saturating_duration_since(now);
        rounds.map_or(turn, |rounds| rounds.min(turn))
    }

    /// When everything is judged next by what time it is.
    fn turns_at(&self, now: Instant) -> Instant {
        let change = self.editions.next_change().map(|change| {
            let milliseconds = change
                .as_millisecond()
                .saturating_sub(clock::timestamp().as_millisecond());
            now + Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0)).min(IDLE_MAX)
        });
        let idle = self.turned + IDLE_MAX;
        change.map_or(idle, |change| {
            change.max(self.turned + CHANGE_PAUSE).min(idle)
        })
    }

    /// Does what is due.
    fn work(&mut self, runtime: &Runtime) {
        let now = clock::instant();
        if self.turns_at(now) <= now {
            self.turned = now;
            self.editions.free_retired();
            self.turn(clock::timestamp());
        }
        for repository in self.repositories.due(now) {
            self.begin_round(runtime, &repository);
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

    /// Begins a round of a repository.
    fn begin_round(&mut self, runtime: &Runtime, repository: &str) {
        let now = clock::timestamp();
        if let Some(back) = self.clock.step_back(now, clock::instant()) {
            tracing::warn!(
                minutes = back.as_mins(),
                "the clock of this machine stepped back; that is tolerated. Does NTP run?"
            );
        }
        let subscriptions = subscriptions(&self.config, repository);
        self.keep_needed(repository, &subscriptions);
        let pulled = self.repositories.pulled(repository);
        if let Some(step) = pulled.and_then(|pulled| pulled.begin(subscriptions, now)) {
            self.go_on(runtime, repository, step);
        }
    }

    /// Takes up a round whose errand is back.
    fn take_up(&mut self, runtime: &Runtime, repository: &str, brought: Brought) {
        self.keep_needed(repository, &subscriptions(&self.config, repository));
        let puller = self.repositories.puller(repository);
        if let Some(step) = puller.map(|puller| puller.take(brought)) {
            self.go_on(runtime, repository, step);
        }
    }

    /// Does what a round is at.
    fn go_on(&mut self, runtime: &Runtime, repository: &str, step: Step) {
        self.let_through(repository);
        match step {
            Step::Wanted(errand) => self.errands.send(repository, *errand),
            Step::Over(round) => {
                let tested = match self.end_round(repository, *round) {
                    // What is taken back is logged, and shown with its list.
                    true => self.put_in_force_on_trial(runtime),
                    false => Ok(()),
                };
                self.answer(repository, tested.err());
            }
            Step::GivenUp => {
                if let Some(pulled) = self.repositories.pulled(repository) {
                    pulled.hurry();
                }
            }
        }
    }

    /// Sets which stored versions must stay whatever a round brings.
    fn keep_needed(&mut self, repository: &str, subscriptions: &[Subscription]) {
        let Some(puller) = self.repositories.puller(repository) else {
            return;
        };
        for subscription in subscriptions {
            let standing = self.versions.standing(&subscription.name);
            let needed = standing
                .map(|standing| standing.needed())
                .unwrap_or_default();
            let serials = needed.iter().filter_map(|version| version.rank());
            puller.keep(&subscription.name, serials.collect());
        }
    }

    /// Takes note of a round that is over; says whether a list is to be put in force.
    fn end_round(&mut self, repository: &str, round: Round) -> bool {
        let Some(pulled) = self.repositories.pulled(repository) else {
            return false;
        };
        let pause = pulled.schedule(round.error.is_some() || !round.refusals.is_empty());
        let (now, subscriptions) = pulled.began();
        for error in &round.noted {
            tracing::error!(repository, %error, "something was not taken, and costs nothing else: what was accepted last holds, and a list comes by its complete state");
        }
        self.editions
            .note_round(repository, &subscriptions, &round, now, pause);
        let standing = Standing {
            updates: &self.editions.updates,
            repository,
            puller: &pulled.puller,
            now,
        };
        standing.after(&round, &subscriptions);
        self.tell_dropped();
        self.tell_signers();
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
                // What is not let in force by itself may stand in for what cannot be read.
                brought |= !self.editions.is_in_force(&list);
            }
        }
        brought
    }
}

/// Raises an alarm for each damage to what people decided; it stands until the next start.
pub(crate) fn tell_damaged(editions: &Editions, damaged: impl IntoIterator<Item = String>) {
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
pub(crate) type Orders = Sender<Order>;

/// How many orders may wait.
pub(crate) const ORDERS_MAX: usize = 16;

/// Entries that begin and end make one edition in this time at most, however many they are.
const CHANGE_PAUSE: Duration = Duration::from_secs(1);
/// How long it sleeps at most; a clock that steps is seen by then.
const IDLE_MAX: Duration = Duration::from_secs(30);
