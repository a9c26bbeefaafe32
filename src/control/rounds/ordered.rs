//! [`Awaited`]: rounds that somebody asked for, and the answer once they are over.

use std::collections::BTreeMap;

use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use crate::compile;
use crate::control::rounds::update::{ORDERS_MAX, Updater};

/// Rounds that somebody waits for.
#[derive(Debug)]
pub(crate) struct Awaited {
    /// The lists that are told of.
    lists: Vec<String>,
    /// How many rounds of each repository are still to end: one that went on when it was asked
    /// may have been too early.
    rounds: BTreeMap<String, u32>,
    /// A line on each version that was taken back.
    taken_back: Vec<String>,
    reply: oneshot::Sender<Result<String, String>>,
}

impl Updater {
    /// Has a round of one list's repository made at once, or of all; the answer comes when they
    /// are over.
    pub(crate) fn order_round(
        &mut self,
        runtime: &Runtime,
        only: Option<&str>,
        reply: oneshot::Sender<Result<String, String>>,
    ) {
        self.awaited.retain(|awaited| !awaited.reply.is_closed());
        match self.asked(only) {
            Ok(asked) => {
                let mut awaited = Awaited {
                    lists: asked.iter().map(|list| list.name.clone()).collect(),
                    rounds: BTreeMap::new(),
                    taken_back: Vec::new(),
                    reply,
                };
                let mut changed = false;
                for settings in &asked {
                    match &settings.from {
                        compile::From::File { .. } => changed |= self.offer_local(settings),
                        compile::From::Repository { repository, .. } => {
                            let rounds = if self.repositories.is_out(repository) {
                                2
                            } else {
                                1
                            };
                            awaited.rounds.insert(repository.clone(), rounds);
                            self.hurry(repository);
                        }
                    }
                }
                if changed {
                    let tested = self.put_in_force_on_trial(runtime);
                    awaited.taken_back.extend(tested.err());
                }
                self.awaited.push(awaited);
                self.answer_ready();
            }
            Err(refusal) => _ = reply.send(Err(refusal)),
        }
    }

    /// Counts a round that is over, and answers who waited for no other.
    pub(crate) fn answer(&mut self, repository: &str, taken_back: Option<String>) {
        let mut is_awaited = false;
        for awaited in &mut self.awaited {
            if let Some(left) = awaited.rounds.get_mut(repository) {
                *left = left.saturating_sub(1);
                is_awaited |= *left > 0;
                awaited.taken_back.extend(taken_back.clone());
            }
            awaited.rounds.retain(|_, left| *left > 0);
        }
        if is_awaited {
            self.hurry(repository);
        }
        self.answer_ready();
    }

    /// Waits no more for repositories that are not configured.
    pub(crate) fn forget_rounds(&mut self) {
        let repositories = &self.config.repositories;
        for awaited in &mut self.awaited {
            awaited
                .rounds
                .retain(|name, _| repositories.iter().any(|it| it.name == *name));
        }
        self.answer_ready();
    }

    /// The lists that are asked for.
    ///
    /// # Errors
    /// A sentence where there is none, or too many wait already.
    fn asked(&self, only: Option<&str>) -> Result<Vec<compile::Settings>, String> {
        let lists = self.config.lists.iter();
        let asked = lists.filter(|list| only.is_none_or(|only| only == list.name));
        let asked: Vec<compile::Settings> = asked.cloned().collect();
        match only {
            None if asked.is_empty() => Err("no list is configured".to_owned()),
            Some(only) if asked.is_empty() => Err(format!(
                "no list is called {only}; `cordon status` names them"
            )),
            _ if self.awaited.len() >= ORDERS_MAX => Err(format!(
                "{ORDERS_MAX} others wait for a round already; `cordon status` shows what becomes of theirs"
            )),
            _ => Ok(asked),
        }
    }

    /// Has a repository asked as soon as it can be.
    fn hurry(&mut self, repository: &str) {
        if let Some(pulled) = self.repositories.pulled(repository) {
            pulled.hurry();
        }
    }

    /// Answers those whose rounds are all over.
    fn answer_ready(&mut self) {
        let (ready, awaited) = std::mem::take(&mut self.awaited)
            .into_iter()
            .partition(|awaited| awaited.rounds.is_empty());
        self.awaited = awaited;
        for Awaited {
            lists,
            taken_back,
            reply,
            ..
        } in ready
        {
            let has_failed = lists.iter().any(|list| self.editions.has_failed(list));
            let is_good = taken_back.is_empty() && !has_failed;
            let lines = lists.iter().map(|list| self.editions.sentence(list));
            let lines: Vec<String> = lines.chain(taken_back).collect();
            let lines = lines.join("\n");
            // Who asked may have hung up.
            let _ = reply.send(if is_good { Ok(lines) } else { Err(lines) });
        }
    }
}
