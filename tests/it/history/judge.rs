//! What must hold of node and authority after every step.

use std::collections::BTreeSet;

use cordon::control::rounds::{ListOutcome, RestoredList, Round};
use cordon::source::ListStates;
use cordon::verify::digest;
use jiff::{SignedDuration, Timestamp};

use super::step::{Disk, Lie, Step};
use super::world::World;
use crate::trust::forge::{names, subscriptions};

impl World {
    /// A round of the node, judged.
    pub(super) fn round(&mut self, lists: &[&'static str]) -> Result<(), String> {
        self.spoil();
        let before = self.in_force;
        let round = self.node.round(lists, self.clock());
        self.put_in_force();
        self.note_seen(&round, lists);
        for list in lists {
            self.judge_outcome(list, &round)?;
        }
        self.judge_in_force()?;
        let after = self.in_force;
        for (at, list) in ["a", "b"].into_iter().enumerate() {
            if round.outcome_of(list) != "new" && before[at] != after[at] {
                return Err(format!(
                    "{list} is another though the round brought no other: {before:?}, {after:?}, {}",
                    said(&round)
                ));
            }
        }
        self.judge_withdrawals()?;
        self.judge_terms()?;
        self.judge_silence(&round, lists)?;
        let is_durable = self.disk == Disk::Works && self.node.puller.disk_error().is_none();
        for reached in self.reached.values_mut().filter(|_| is_durable) {
            reached.durable = reached.highest;
            reached.withdrawn_durable = reached.withdrawn;
        }
        Ok(())
    }

    /// The node ends and starts again, judged.
    pub(super) fn restart(&mut self) -> Result<(), String> {
        self.node.restart();
        let damaged = self.node.puller.mend();
        if !damaged.is_empty() {
            return Err(format!("files are damaged: {damaged:?}"));
        }
        for list in ["a", "b"] {
            let restored = self.node.restore(list);
            let seq = restored.file.as_ref().map(|(_, version)| version.seq);
            let known = seq.max(restored.accepted).unwrap_or(0);
            let reached = self.reached.entry(list).or_default();
            if known < reached.durable {
                return Err(format!(
                    "{list}: the node knows of serial {known} alone, and had {} stored",
                    reached.durable
                ));
            }
            let withdrawn = self.node.puller.withdrawn_at(list);
            let clock = self.now + self.ahead;
            if !self
                .model
                .may_follow(list, reached.withdrawn_durable, withdrawn, clock)
            {
                return Err(format!(
                    "{list}: the withdrawals of {:?} are lost",
                    reached.withdrawn_durable
                ));
            }
            reached.highest = known;
            reached.withdrawn = withdrawn;
        }
        self.judge_in_force()?;
        self.judge_withdrawals()?;
        self.judge_terms()
    }

    /// Everybody is honest again: what the node does not have after two rounds, it has after
    /// the authority renewed what is expired, and the next start has it too.
    pub(super) fn recover(&mut self) -> Result<(), String> {
        self.show([Lie::Honest; 2]);
        self.set_disk(Disk::Works);
        self.ahead = SignedDuration::ZERO;
        if self.random.in_hundred(30) {
            self.take(&Step::Round(&["a", "b"]))?;
        }
        self.take(&Step::Authority(super::step::Act::Refresh))?;
        for _ in 0..2 {
            self.take(&Step::Round(&["a", "b"]))?;
        }
        let round = self.node.round(&["a", "b"], self.clock());
        let is_quiet = round.error.is_none()
            && round.noted.is_empty()
            && round.refusals.is_empty()
            && ["a", "b"].map(|list| round.outcome_of(list)) == ["unchanged"; 2];
        if !is_quiet || !self.node.puller.not_persisted().is_empty() {
            return Err(format!("the node does not recover: {}", said(&round)));
        }
        self.is_newest(&["a", "b"])
            .map_err(|what| format!("the node does not recover: {what}"))?;
        if let Some(error) = self.node.puller.disk_error() {
            return Err(format!("the disk works, and yet: {error}"));
        }
        self.restart()?;
        self.is_newest(&["a", "b"])
            .map_err(|what| format!("the next start does not have it: {what}"))
    }

    /// What a node would put in force, as the program does: the newest that it stored.
    fn put_in_force(&mut self) {
        for list in ["a", "b"] {
            let Some(newest) = self.node.puller.accepted_beyond(list, Some((0, 0))) else {
                continue;
            };
            let states = ListStates::open(self.node.state(), list);
            if let Ok(states) = states
                && states.current() != Some((1, newest))
                && states.serials().contains(&(1, newest))
            {
                // A disk that is full keeps the one before; the next start says so.
                let _ = states.set_current((1, newest));
            }
        }
    }

    /// What is in force of a list while the node runs: the version that it accepted last,
    /// also where the disk does not know yet that this is the one; else what a start finds.
    fn accepted(&mut self, list: &str) -> RestoredList {
        let mut restored = self.node.restore(list);
        if let Some(accepted) = restored.accepted
            && let Ok(newest) = self
                .node
                .puller
                .restore_version(&subscriptions(&[list])[0], (1, accepted))
        {
            restored.file = Some(newest);
        }
        restored
    }

    /// What is in force of both lists, judged.
    fn judge_in_force(&mut self) -> Result<(), String> {
        for (at, list) in ["a", "b"].into_iter().enumerate() {
            let restored = self.accepted(list);
            self.in_force[at] = self.judge_restored(list, &restored)?;
        }
        Ok(())
    }

    /// What is in force is octet for octet what was published, and is not older than what
    /// was in force, or the node says so.
    fn judge_restored(
        &mut self,
        list: &'static str,
        restored: &RestoredList,
    ) -> Result<Option<u64>, String> {
        if !restored.damaged.is_empty() {
            return Err(format!("{list} is damaged: {:?}", restored.damaged));
        }
        let reached = self.reached.entry(list).or_default();
        let seq = restored.file.as_ref().map(|(_, version)| version.seq);
        if seq.max(restored.accepted).unwrap_or(0) < reached.highest {
            return Err(format!(
                "{list} went back from serial {} to {seq:?} without a word",
                reached.highest
            ));
        }
        let Some((file, version)) = &restored.file else {
            return Ok(None);
        };
        let seq = version.seq;
        let Some(published) = self.model.lists[list].versions.get(&seq) else {
            return Err(format!("{list}: nobody published serial {seq}"));
        };
        if digest(&file.get().text.whole().unwrap_or_default()) != published.digest {
            return Err(format!("{list}: serial {seq} is not what was published"));
        }
        // The same octets have the same names.
        if self.compared.insert((list, seq)) {
            let found: BTreeSet<String> = names(file).into_iter().collect();
            if found != published.names {
                return Err(format!("{list}: serial {seq} has other names"));
            }
        }
        Ok(Some(seq))
    }

    /// A new version is not older than any before.
    fn judge_outcome(&mut self, list: &'static str, round: &Round) -> Result<(), String> {
        let found = round.lists.iter().find(|(name, _)| name == list);
        let Some((_, ListOutcome::New { version, .. })) = found else {
            return Ok(());
        };
        let reached = self.reached.entry(list).or_default();
        if version.seq < reached.highest {
            return Err(format!(
                "{list}: serial {} is taken after {}",
                version.seq, reached.highest
            ));
        }
        reached.highest = version.seq;
        Ok(())
    }

    /// What is withdrawn was withdrawn by the authority, and never goes back.
    fn judge_withdrawals(&mut self) -> Result<(), String> {
        for list in ["a", "b"] {
            let at = self.node.puller.withdrawn_at(list);
            let items = self.node.puller.withdrawals(list);
            let reached = self.reached.entry(list).or_default();
            let clock = self.now + self.ahead;
            if !self.model.may_follow(list, reached.withdrawn, at, clock) {
                return Err(format!(
                    "{list}: withdrawals of {at:?} after those of {:?}",
                    reached.withdrawn
                ));
            }
            reached.withdrawn = at;
            let published = &self.model.lists[list].withdrawn;
            let is_published = match at {
                Some(at) => published.iter().any(|(of, set)| *of == at && set == items),
                None => items.is_empty(),
            };
            if !is_published {
                return Err(format!("{list}: nobody withdrew {items:?} at {at:?}"));
            }
        }
        Ok(())
    }

    /// Policy and names never to block are some that the authority published.
    fn judge_terms(&self) -> Result<(), String> {
        if let Some(policy) = self.node.puller.policy()
            && !self.model.policies.contains(policy)
        {
            return Err(format!("nobody published the policy {policy:?}"));
        }
        let names = self.node.puller.never_block();
        if !names.is_empty() && !self.model.never_block.iter().any(|of| **of == **names) {
            return Err(format!("nobody published never to block {names:?}"));
        }
        Ok(())
    }

    /// Whoever has not the newest says why; what no node can see is a mirror that stands
    /// still, and that for as long as its timestamp lives.
    fn judge_silence(&mut self, round: &Round, lists: &[&'static str]) -> Result<(), String> {
        let Err(what) = self.is_newest(lists) else {
            self.see("round: newest");
            return Ok(());
        };
        let refused =
            |(_, outcome): &(String, ListOutcome)| matches!(outcome, ListOutcome::Refused(_));
        if round.error.is_some()
            || !round.refusals.is_empty()
            || !round.noted.is_empty()
            || round.lists.iter().any(refused)
        {
            self.see("round: said why not");
            return Ok(());
        }
        let expires = self.node.puller.summary().timestamp_expires;
        if self.mirrors.iter().any(|lie| lie.is_old()) && expires > Some(self.clock()) {
            self.see("round: frozen");
            return Ok(());
        }
        Err(format!(
            "{what}, and the round says nothing: {}",
            said(round)
        ))
    }

    /// Whether the node has what the authority published last.
    ///
    /// # Errors
    /// What it has not.
    fn is_newest(&self, lists: &[&'static str]) -> Result<(), String> {
        for list in lists {
            let seq = self.in_force[usize::from(*list == "b")];
            let model = &self.model.lists[list];
            let (newest, _) = model.newest();
            if seq != Some(newest) {
                return Err(format!("{list} is at {seq:?}, and {newest} is the newest"));
            }
            let at: Option<Timestamp> = model.withdrawn.last().map(|(at, _)| *at);
            let found = self.node.puller.withdrawn_at(list);
            if found != at {
                return Err(format!("{list} has withdrawals of {found:?}, not {at:?}"));
            }
        }
        if self.node.puller.policy() != self.model.policies.last() {
            return Err("the policy is not the newest".to_owned());
        }
        let newest = self.model.never_block.last();
        if **self.node.puller.never_block() != *newest.map_or(&[][..], Vec::as_slice) {
            return Err("what is never to block is not the newest".to_owned());
        }
        Ok(())
    }

    /// Counts what a round showed.
    fn note_seen(&mut self, round: &Round, lists: &[&'static str]) {
        for list in lists {
            self.see(format!("list: {}", round.outcome_of(list)));
        }
        for (_, outcome) in &round.lists {
            if let ListOutcome::New {
                change, not_stored, ..
            } = outcome
            {
                if change.is_some() {
                    self.see("list: by steps");
                }
                if not_stored.is_some() {
                    self.see("list: not stored");
                }
            }
        }
        for refusal in &round.refusals {
            self.see(format!("refused: {}", refusal.error.outcome()));
        }
        for error in &round.noted {
            self.see(format!("noted: {}", error.outcome()));
        }
    }
}

/// What a round said, without the lists themselves.
fn said(round: &Round) -> String {
    let lists: Vec<String> = round
        .lists
        .iter()
        .map(|(list, outcome)| match outcome {
            ListOutcome::New { version, .. } => format!("{list}: new, {}", version.seq),
            ListOutcome::Unchanged => format!("{list}: unchanged"),
            ListOutcome::Refused(error) => format!("{list}: {error}"),
        })
        .collect();
    let refusals: Vec<String> = round
        .refusals
        .iter()
        .map(|refusal| format!("{}: {}", refusal.mirror, refusal.error))
        .collect();
    let Round { error, noted, .. } = round;
    format!("{lists:#?}, error {error:?}, noted {noted:#?}, refused {refusals:#?}")
}
