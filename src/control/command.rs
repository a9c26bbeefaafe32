//! What the commands of an admin do in the running daemon.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwapOption;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::config::Config;
use crate::control::answers::explain::{Explanation, Question};
use crate::control::answers::status::Status;
use crate::control::daemon::watched;
use crate::control::levers::audit_line::Act;
use crate::control::levers::audit_log::AuditLog;
use crate::control::levers::lever::{Lever, Person};
use crate::control::levers::levers_shown::{shown_allowed, shown_held};
use crate::control::reload::Reloader;
use crate::control::rounds::update::{Order, Orders};
use crate::control::shown::Shown;
use crate::control::socket::{Request, Response};
use crate::enforce::InForce;
use crate::policy::Name;
use crate::report::{SelfTests, Updates, waiting};

/// The running daemon, as commands, signals and the watching thread see it.
#[derive(Clone, Debug)]
pub(super) struct Shared(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    in_force: Arc<InForce>,
    updates: Arc<Updates>,
    self_tests: Arc<SelfTests>,
    ready: Arc<AtomicBool>,
    orders: Orders,
    reloader: Reloader,
    file: PathBuf,
    /// Why the ledger cannot be written at the moment.
    ledger_error: ArcSwapOption<String>,
}

impl Shared {
    /// Joins the parts.
    #[must_use]
    pub(super) fn new(
        in_force: Arc<InForce>,
        updates: Arc<Updates>,
        self_tests: Arc<SelfTests>,
        ready: Arc<AtomicBool>,
        orders: Orders,
        reloader: Reloader,
        file: PathBuf,
    ) -> Self {
        Self(Arc::new(Inner {
            in_force,
            updates,
            self_tests,
            ready,
            orders,
            reloader,
            file,
            ledger_error: ArcSwapOption::empty(),
        }))
    }

    /// The configuration in force.
    #[must_use]
    pub(super) fn config(&self) -> Arc<Config> {
        self.0.reloader.config()
    }

    /// Whether another configuration is being taken at this moment.
    #[must_use]
    pub(super) fn is_reloading(&self) -> bool {
        self.0.reloader.is_busy()
    }

    /// The configuration and every file that it names.
    #[must_use]
    pub(super) fn watched(&self) -> Vec<PathBuf> {
        watched(&self.0.file, &self.config())
    }

    /// Takes the configuration anew, for a signal or a changed file: what came of it goes to
    /// the log.
    pub(super) async fn reload_and_log(&self) {
        match self.0.reloader.reload().await {
            Ok(message) => {
                tracing::info!("{message}");
                let subject = "the configuration or a file that it names has changed".to_owned();
                self.note(Person::default().act("reload", subject, message))
                    .await;
            }
            Err(message) => tracing::error!("the old configuration stays in force.\n{message}"),
        }
    }

    /// Takes note of whether the ledger can be written; shown until it can.
    pub(super) fn note_ledger(&self, error: Option<String>) {
        self.0.ledger_error.store(error.map(Arc::new));
    }

    /// Ends the updater.
    pub(super) fn stop_updates(&self) {
        // One that is busy sees it when it is done, or the process ends before.
        let _ = self.0.orders.try_send(Order::Stop);
    }

    /// Why the node is not ready; nothing when it is.
    fn waiting(&self) -> Vec<String> {
        let edition = self.0.in_force.load();
        waiting(&edition.blocklist, &self.0.updates.lists())
    }

    /// Whether every required list is in force.
    #[must_use]
    pub(super) fn is_ready(&self) -> bool {
        self.0.ready.load(Ordering::Acquire)
    }

    /// How it is, in one line.
    #[must_use]
    pub(super) fn one_line(&self) -> String {
        let edition = self.0.in_force.load();
        let lists = edition.blocklist.lists().len();
        let waiting = self.waiting();
        let ready = match waiting.as_slice() {
            [] => "ready".to_owned(),
            _ => format!("not ready: {}", waiting.join("; ")),
        };
        format!(
            "{ready}; {lists} lists with {} entries in force",
            edition.blocklist.rule_count()
        )
    }

    /// Writes down what was done that overrides nothing: it is done even where the log cannot
    /// be written.
    pub(super) async fn note(&self, act: Act) {
        let audit = AuditLog::new(&self.config().state);
        let noted = tokio::task::spawn_blocking(move || {
            audit.append(&act, crate::control::clock::timestamp())
        });
        if let Ok(Err(error)) = noted.await {
            tracing::error!(%error, "the audit log lacks this");
        }
    }

    async fn update(&self, list: Option<String>) -> Result<String, String> {
        self.order(|reply| Order::Round(list, reply)).await
    }

    async fn pull(&self, lever: Lever, person: Person) -> Result<String, String> {
        self.order(|reply| Order::Lever(lever, person, reply)).await
    }

    /// Has the updater do something, and waits for its answer.
    async fn order(
        &self,
        order: impl FnOnce(oneshot::Sender<Result<String, String>>) -> Order,
    ) -> Result<String, String> {
        let (reply, replied) = oneshot::channel();
        if self.0.orders.send(order(reply)).await.is_err() {
            return Err("the updater has ended; restart cordon".to_owned());
        }
        replied
            .await
            .unwrap_or_else(|_| Err("the updater ended meanwhile".to_owned()))
    }

    fn flush(&self, name: &str) -> Result<String, String> {
        let name = Name::from_text(name).map_err(|error| format!("{name}: {error}"))?;
        let count = self.0.reloader.surfaces.flush(&name);
        Ok(format!(
            "{count} cached answers at and below {name} are forgotten."
        ))
    }

    async fn explain(
        &self,
        asked: String,
        client: Option<IpAddr>,
        rtype: String,
    ) -> Result<Shown, String> {
        let config = self.config();
        let edition = self.0.in_force.load_full();
        // The lists are read again, which is too heavy for the runtime of the surfaces.
        let explained = tokio::task::spawn_blocking(move || {
            let now = crate::control::clock::timestamp();
            let question = Question {
                asked: &asked,
                client,
                rtype: &rtype,
                now,
            };
            explained(&Explanation::of(&config, &edition.blocklist, &question)?)
        });
        explained
            .await
            .unwrap_or_else(|error| Err(format!("the lists cannot be read: {error}")))
    }

    fn status(&self) -> Result<Shown, String> {
        let edition = self.0.in_force.load_full();
        let status = Status::of(
            &self.config(),
            &edition,
            &self.0.updates,
            self.waiting(),
            crate::control::clock::timestamp(),
        );
        let ledger_error = self.0.ledger_error.load_full();
        let self_test = self.0.self_tests.last();
        let status = status
            .with_ledger(ledger_error.as_deref())
            .with_self_test(self_test.as_ref());
        let json = serde_json::to_value(&status).map_err(|error| error.to_string())?;
        Ok(Shown {
            text: status.to_text(),
            json,
        })
    }
}

/// An explanation for people and for programs.
///
/// # Errors
/// None that can be met: everything in it can be written as JSON.
pub(super) fn explained(explanation: &Explanation) -> Result<Shown, String> {
    let json = serde_json::to_value(explanation).map_err(|error| error.to_string())?;
    Ok(Shown {
        text: explanation.to_text(),
        json,
    })
}

/// Does what is asked by a user of the system.
pub(super) async fn run(shared: &Shared, request: Request, uid: Option<u32>) -> Response {
    if let Some(act) = ordered(&shared.config(), &request, uid) {
        shared.note(act).await;
    }
    let done = match request {
        Request::Held => shown_held(&shared.config()).map(shown),
        Request::Allowed => shown_allowed(&shared.config()).map(shown),
        Request::Lever { lever, person } => {
            let person = Person { uid, ..person };
            shared.pull(lever, person).await.map(Value::from)
        }
        Request::Status => shared.status().map(shown),
        Request::Reload => shared.0.reloader.reload().await.map(Value::from),
        Request::Update { list } => shared.update(list).await.map(Value::from),
        Request::FlushCache { name } => shared.flush(&name).map(Value::from),
        Request::Explain {
            asked,
            client,
            rtype,
        } => shared.explain(asked, client, rtype).await.map(shown),
    };
    match done {
        Ok(value) => Response::Done(value),
        Err(message) => Response::Failed(message),
    }
}

/// What goes to the audit log of a request that a person gives no reason for.
fn ordered(config: &Config, request: &Request, uid: Option<u32>) -> Option<Act> {
    let (what, subject, refusal) = match request {
        Request::Reload => ("reload", String::new(), None),
        Request::Update { list } => {
            let unknown = |list: &String| config.lists.iter().all(|known| known.name != *list);
            let refusal = list.as_ref().filter(|list| unknown(list));
            let refusal = refusal.map(|_| "no list is called so".to_owned());
            ("update", list.clone().unwrap_or_default(), refusal)
        }
        Request::FlushCache { name } => {
            let refusal = Name::from_text(name).err().map(|error| error.to_string());
            ("cache_flush", name.clone(), refusal)
        }
        // Decisions are written down where they are carried out; the rest changes nothing.
        Request::Lever { .. }
        | Request::Status
        | Request::Explain { .. }
        | Request::Held
        | Request::Allowed => return None,
    };
    let person = Person {
        uid,
        ..Person::default()
    };
    Some(match refusal {
        Some(why) => person.refused(what, subject, &why),
        None => person.act(what, subject, "ordered".to_owned()),
    })
}

fn shown(shown: Shown) -> Value {
    json!({ "text": shown.text, "json": shown.json })
}
