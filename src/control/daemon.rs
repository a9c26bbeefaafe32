//! [`Daemon`]: build everything, run it, drain it.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::compile::Blocklist;
use crate::config::Config;
use crate::control::ExitError;
use crate::control::clock;
use crate::control::command::Shared;
use crate::control::configuration;
use crate::control::levers::audit_log::AuditLog;
use crate::control::levers::lever::Person;
use crate::control::logging::Log;
use crate::control::reload::Reloader;
use crate::control::rounds::editions::Editions;
use crate::control::rounds::update::{ORDERS_MAX, Updater};
use crate::control::self_test::SelfTester;
use crate::control::signal::{Signal, Signals};
use crate::control::socket;
use crate::control::surfaces::{Bound, Surfaces};
use crate::control::systemd;
use crate::control::tasks::Tasks;
use crate::control::watch::{LOOK_INTERVAL, Watch};
use crate::count::{Counters, HitCounter, HitLedger};
use crate::enforce::{Edition, InForce};
use crate::report::{Metrics, SelfTests, Sources, Timeline, Updates};

/// The assembled program: every socket is bound, and the last good lists are in force.
pub(super) struct Daemon {
    runtime: Runtime,
    tasks: Tasks,
    gave_up: mpsc::Receiver<&'static str>,
    signals: Signals,
    shared: Shared,
    updater: JoinHandle<()>,
    ledger: Arc<HitLedger>,
    timeline: Arc<Timeline>,
    /// Held as long as the process lives: no other daemon works in this state folder.
    _lock: File,
}

/// Runs the daemon until a signal ends it. `started` is called once it answers, with the
/// daemon's handle.
///
/// # Errors
/// 78 where the configuration is wrong, 71 where the system refuses a port or folder, 1
/// where the daemon had to give up.
pub(super) fn run(file: &Path, started: impl FnOnce(&Shared)) -> Result<(), ExitError> {
    let config = configuration::load(file)?;
    let log = Log::start(&config.log).map_err(|error| {
        ExitError::system(format!(
            "the log cannot be written to the journal: {error}; is this started by systemd?"
        ))
    })?;
    let daemon = Daemon::build(file, config, log)?;
    started(&daemon.shared);
    daemon.run()
}

impl Daemon {
    /// Binds every socket, puts in force what is on disk, and starts every part.
    fn build(file: &Path, config: Config, log: Log) -> Result<Self, ExitError> {
        // A second provider would be a second TLS stack; where one is there already, it is ours.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let lock = prepare_state(&config.state)?;
        // From here on no change of a file is missed, whenever it is read.
        let watch = Watch::new(watched(file, &config));
        let bound = Bound::bind(&config)?;
        let control = socket::bind(&config.state).map_err(|error| {
            ExitError::system(format!(
                "the control socket {} cannot be made: {error}; is the state folder on a file system for sockets?",
                socket::path(&config.state).display()
            ))
        })?;
        let metrics = Metrics::new();
        metrics.install();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .thread_name("cordon")
            .build()
            .map_err(|error| ExitError::system(format!("the system gives no threads: {error}")))?;
        let _in_runtime = runtime.enter();
        let signals = Signals::listen().map_err(|error| {
            ExitError::system(format!("the system gives no signal handlers: {error}"))
        })?;

        note(&config.state, "start");
        let (counters, ledger) = open_counting(&config)?;
        let timeline =
            Timeline::open(&config.state.join("timeline.jsonl")).map_err(ExitError::system)?;
        let editions = Editions {
            in_force: Arc::new(InForce::new(empty_edition(last_number(&timeline)))),
            counters,
            timeline: Arc::new(timeline),
            updates: Arc::new(Updates::default()),
            ready: Arc::new(AtomicBool::new(false)),
            retired: Mutex::default(),
            metrics: metrics.clone(),
        };
        let in_force = Arc::clone(&editions.in_force);
        let ready = Arc::clone(&editions.ready);
        let (timeline, updates) = (
            Arc::clone(&editions.timeline),
            Arc::clone(&editions.updates),
        );
        let config = Arc::new(config);
        let (tasks, gave_up) = Tasks::new(runtime.handle().clone());
        let self_tests = Arc::new(SelfTests::default());
        let self_tester = Arc::new(SelfTester {
            listening: bound.listening(),
            in_force: Arc::clone(&in_force),
            tests: Arc::clone(&self_tests),
            updates: Arc::clone(&updates),
            metrics: metrics.clone(),
            stop: tasks.token.clone(),
            one_at_a_time: tokio::sync::Mutex::new(()),
            untested: tokio::sync::Notify::new(),
        });
        let mut updater = Updater::open(Arc::clone(&config), editions, Arc::clone(&self_tester))?;
        updater.start();

        let sources = Sources {
            in_force: Arc::clone(&in_force),
            ledger: Arc::clone(&ledger),
            timeline: Arc::clone(&timeline),
            updates: Arc::clone(&updates),
            self_tests: Arc::clone(&self_tests),
            metrics,
            clock: clock::timestamp,
        };
        let surfaces = Surfaces::start(bound, &config, &in_force, &ready, sources, &tasks)?;
        let (orders, ordered) = mpsc::channel(ORDERS_MAX);
        let reloader = Reloader::new(
            file.to_owned(),
            Arc::clone(&config),
            orders.clone(),
            surfaces,
            log,
        );
        let file_of_config = file.to_owned();
        let shared = Shared::new(
            in_force,
            updates,
            self_tests,
            ready,
            orders,
            reloader,
            file_of_config,
        );
        start_control_socket(control, &shared, &tasks)?;
        start_settling(&ledger, &shared, &tasks, config.count.settle_interval);
        start_self_tests(&self_tester, &shared, &tasks);
        start_watching(&shared, &tasks, watch);
        let updater = spawn_thread("updates", move || updater.run(ordered))?;
        Ok(Self {
            runtime,
            tasks,
            gave_up,
            signals,
            shared,
            updater,
            ledger,
            timeline,
            _lock: lock,
        })
    }

    /// Runs until a signal, then drains.
    fn run(mut self) -> Result<(), ExitError> {
        systemd::ready(&self.shared.one_line());
        let runtime = self.runtime;
        let result = runtime.block_on(async {
            let mut alive = tokio::time::interval(systemd::watchdog_interval().unwrap_or(LOOK_INTERVAL));
            loop {
                tokio::select! {
                    signal = self.signals.next() => match signal {
                        Signal::Terminate => return Ok(()),
                        Signal::Reload => {
                            let shared = self.shared.clone();
                            self.tasks.tracker.spawn(async move { shared.reload_and_log().await });
                        }
                    },
                    name = self.gave_up.recv() => {
                        let name = name.unwrap_or("a task");
                        return Err(ExitError::failed(format!("{name} panicked three times within a minute; cordon ends so that it is started anew")));
                    }
                    _ = alive.tick() => systemd::alive(&self.shared.one_line()),
                }
            }
        });
        systemd::stopping();
        tracing::info!("draining");
        note(&self.shared.config().state, "stop");
        let drained = runtime.block_on(self.tasks.drain(DRAIN_DEADLINE));
        self.shared.stop_updates();
        // It may be compiling; its state is durable at every moment.
        let end = clock::instant() + UPDATER_DEADLINE;
        while !self.updater.is_finished() && clock::instant() < end {
            std::thread::sleep(Duration::from_millis(10));
        }
        if let Err(error) = self.ledger.settle(clock::timestamp()) {
            tracing::error!(%error, "the last hits wait in the counters and are settled at the next start");
        }
        if let Err(error) = self.timeline.stopped(clock::timestamp()) {
            tracing::error!(%error, "the timeline lacks this stop");
        }
        runtime.shutdown_timeout(Duration::from_secs(1));
        tracing::info!(everything = drained, "ended");
        result
    }
}

/// Makes the state folder and locks it.
fn prepare_state(state: &Path) -> Result<File, ExitError> {
    let cannot = |error: std::io::Error| {
        ExitError::system(format!(
            "the state folder {} cannot be written: {error}. Make it, and give it to the user that runs cordon (`state` in the configuration)",
            state.display()
        ))
    };
    fs::create_dir_all(state).map_err(cannot)?;
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(state.join("lock"))
        .map_err(cannot)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(ExitError::system(format!(
            "another cordon works in the state folder {}; stop it, or give this one a `state` of its own",
            state.display()
        ))),
        Err(TryLockError::Error(error)) => Err(cannot(error)),
    }
}

/// Writes down that the daemon starts or stops.
fn note(state: &Path, what: &'static str) {
    let act = Person::default().act(
        what,
        format!("cordon {}", env!("CARGO_PKG_VERSION")),
        "done".to_owned(),
    );
    if let Err(error) = AuditLog::new(state).append(&act, clock::timestamp()) {
        tracing::error!(%error, "the audit log lacks this {what}");
    }
}

fn open_counting(config: &Config) -> Result<(Arc<Counters>, Arc<HitLedger>), ExitError> {
    let now = clock::timestamp();
    let (counters, damaged) =
        Counters::open(&config.count.counters, now).map_err(ExitError::system)?;
    for damage in damaged {
        tracing::error!(?damage, "a file of counters was damaged and is set aside");
    }
    let counters = Arc::new(counters);
    let ledger =
        HitLedger::open(&config.count.ledger, Arc::clone(&counters)).map_err(ExitError::system)?;
    // What a killed process left is settled before slots are assigned anew.
    if let Err(error) = ledger.settle(now) {
        tracing::error!(%error, "the ledger cannot be written; hits wait in the counters");
    }
    Ok((counters, Arc::new(ledger)))
}

/// The number of the last edition of all starts, from which the next one goes on: a number
/// means one edition, whenever it was in force.
fn last_number(timeline: &Timeline) -> u64 {
    let periods = timeline.periods(1).unwrap_or_default();
    periods.first().map_or(0, |period| period.edition)
}

/// What is in force before the first lists are read: nothing.
fn empty_edition(number: u64) -> Edition {
    Edition {
        number,
        since: clock::timestamp(),
        blocklist: Blocklist::default(),
        counter: HitCounter::in_memory(0),
    }
}

fn start_control_socket(
    listener: std::os::unix::net::UnixListener,
    shared: &Shared,
    tasks: &Tasks,
) -> Result<(), ExitError> {
    let again = move || {
        listener
            .try_clone()
            .and_then(tokio::net::UnixListener::from_std)
    };
    let (shared, tracker, token) = (shared.clone(), tasks.tracker.clone(), tasks.token.clone());
    tasks.supervise("the control socket", move || {
        let (listener, shared, tracker, token) =
            (again(), shared.clone(), tracker.clone(), token.clone());
        async move {
            match listener {
                Ok(listener) => socket::serve(listener, shared, tracker, token).await,
                Err(error) => tracing::error!(%error, "the control socket is of no use any more"),
            }
        }
    });
    Ok(())
}

/// Settles the counters into the ledger, every so often and at the hour's turn.
fn start_settling(ledger: &Arc<HitLedger>, shared: &Shared, tasks: &Tasks, interval: Duration) {
    let (ledger, shared, token) = (Arc::clone(ledger), shared.clone(), tasks.token.clone());
    tasks.supervise("settling", move || {
        let (ledger, shared, token) = (Arc::clone(&ledger), shared.clone(), token.clone());
        async move {
            loop {
                let into_hour = clock::timestamp().as_second().rem_euclid(3600);
                let to_turn = Duration::from_secs(u64::try_from(3600 - into_hour).unwrap_or(3600));
                tokio::select! {
                    () = token.cancelled() => return,
                    () = tokio::time::sleep(interval.min(to_turn)) => {}
                }
                let ledger = Arc::clone(&ledger);
                let settled = tokio::task::spawn_blocking(move || ledger.settle(clock::timestamp())).await;
                let error = settled.ok().and_then(Result::err);
                if let Some(error) = &error {
                    tracing::error!(%error, "the ledger cannot be written; hits wait in the counters");
                }
                shared.note_ledger(error.map(|error| error.to_string()));
            }
        }
    });
}

/// Has the node ask itself, at the start and every so often.
fn start_self_tests(tester: &Arc<SelfTester>, shared: &Shared, tasks: &Tasks) {
    let (tester, shared, token) = (Arc::clone(tester), shared.clone(), tasks.token.clone());
    tasks.supervise("the self-test", move || {
        let (tester, shared, token) = (Arc::clone(&tester), shared.clone(), token.clone());
        async move {
            loop {
                let config = shared.config();
                // While a configuration is taken, the surfaces and the lists may not fit.
                let is_current =
                    || !shared.is_reloading() && Arc::ptr_eq(&config, &shared.config());
                let told = is_current() && tester.test_and_tell(&config, is_current).await;
                let pause = match told {
                    true => config.self_test.interval,
                    false => SELF_TEST_AGAIN,
                };
                tokio::select! {
                    () = token.cancelled() => return,
                    () = tokio::time::sleep(pause) => {}
                    () = tester.untested.notified() => {}
                }
            }
        }
    });
}

/// Takes the configuration anew whenever it or a file that it names has changed.
fn start_watching(shared: &Shared, tasks: &Tasks, mut watch: Watch) {
    let (shared, token) = (shared.clone(), tasks.token.clone());
    let runtime = tokio::runtime::Handle::current();
    let watching = move || {
        while !token.is_cancelled() {
            if watch.changed(WATCH_TURN).is_empty() {
                continue;
            }
            runtime.block_on(shared.reload_and_log());
            watch.keep(shared.watched());
        }
    };
    if let Err(error) = spawn_thread("watch", watching) {
        tracing::error!(%error, "changed files are not seen; use `cordon reload`");
    }
}

/// The configuration and every file that it names.
pub(super) fn watched(file: &Path, config: &Config) -> Vec<PathBuf> {
    std::iter::once(file.to_owned())
        .chain(config.watched.iter().cloned())
        .collect()
}

fn spawn_thread(
    name: &str,
    work: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, ExitError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map_err(|error| {
            ExitError::system(format!("the system gives no thread for {name}: {error}"))
        })
}

/// How long what is in flight may take after SIGTERM.
const DRAIN_DEADLINE: Duration = Duration::from_secs(10);

/// How long the updater may go on after that.
const UPDATER_DEADLINE: Duration = Duration::from_secs(2);

/// The pause before a self-test that came to no verdict is made again.
const SELF_TEST_AGAIN: Duration = Duration::from_secs(1);

/// How often the watching thread looks whether the daemon ends.
const WATCH_TURN: Duration = Duration::from_millis(500);
