//! The steps of a round that take the terms: withdrawals first, then policy and never-block
//! (trust.md section 7.7). What fails here is noted, and what was accepted last holds.

use super::chain::AHEAD_MAX;
use super::delegated::Scope;
use super::terms::{Said, Term, TermTarget};
use super::trusted::{Stage, TrustedMetadata, Write};
use super::{VerifyError, WithdrawFile};
use crate::policy::Bounds;

/// At which of the terms a round is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum TermPlace {
    /// The withdrawals of that subscription's list.
    Withdrawal(usize),
    /// The policy.
    Policy,
    /// The names never to block.
    NeverBlock,
    /// The withdrawals of that one of the lists whose size was not known before they were
    /// taken.
    LateWithdrawal(usize),
}

impl TrustedMetadata {
    /// The role that withdraws.
    pub(super) fn feed_withdraw_role(&mut self, bytes: &[u8]) -> Result<Vec<Write>, VerifyError> {
        let scope = Scope::withdraw();
        let mut chain = self.chain.clone();
        chain.take_delegated(&scope, bytes, self.round.now)?;
        self.check_other(&scope.role, bytes)?;
        self.chain = chain;
        Ok(self.accept(&scope.file(), bytes, Stage::WithdrawRole))
    }

    /// The file of a term. Another than was signed is the mirror's fault, and asked for
    /// again; what is wrong with the one that was signed is noted.
    pub(super) fn feed_term(
        &mut self,
        place: &TermPlace,
        target: &TermTarget,
        bytes: &[u8],
    ) -> Result<Vec<Write>, VerifyError> {
        target.check(bytes)?;
        let mut writes = Vec::new();
        if let Some(term) = self.term(place) {
            match term.read(bytes).and_then(|said| self.judge_term(said)) {
                Ok(said) => writes = self.take_term(&term, said, target, bytes),
                Err(error) => self.round.notes.push(error),
            }
        }
        self.round.stage = after(place);
        self.settle();
        Ok(writes)
    }

    /// What is next of the terms; nothing when a file must be fetched.
    pub(super) fn settle_withdraw_role(&mut self) -> Option<Stage> {
        let first = Stage::Settling(TermPlace::Withdrawal(0));
        let without = Stage::Settling(TermPlace::Policy);
        let scope = Scope::withdraw();
        if !self.chain.has_withdraw_role() {
            self.revoke_withdrawals(self.terms.withdrawn.keys().cloned().collect());
            return Some(without);
        }
        if let Err(error) = self.chain.check_delegated(&scope) {
            self.round.notes.push(error);
            return Some(without);
        }
        let has_role = self.has_delegated(&scope);
        if has_role {
            self.revoke_unproved();
        }
        has_role.then_some(first)
    }

    /// The same for one term.
    pub(super) fn settle_term(&mut self, place: &TermPlace) -> Option<Stage> {
        let Some(term) = self.term(place) else {
            return Some(match place {
                TermPlace::Withdrawal(_) => Stage::Settling(TermPlace::Policy),
                _ => Stage::Done,
            });
        };
        if let (Term::Withdrawn(list), TermPlace::Withdrawal(index)) = (&term, place)
            && !self.entries.contains_key(list)
        {
            self.round.late.push(*index);
            return Some(after(place));
        }
        let role = match term.scope() {
            Some(scope) => self.chain.delegated(&scope),
            None => self.chain.set().targets_role("targets"),
        };
        let Some(role) = role else {
            return Some(after(place));
        };
        match term.named_by(role) {
            Ok(Some(target)) if self.holds(&term, &target) => {}
            Ok(Some(target)) => return Some(Stage::Term(place.clone(), target)),
            Ok(None) if term == Term::Policy && self.floors.policy => {
                let file = term.path();
                self.round.notes.push(VerifyError::Missing { file });
            }
            // Whoever takes withdrawals back publishes a file without them: without any, the
            // role is an older one, which new online keys let through.
            Ok(None) if self.is_running(&term) => {
                let file = term.path();
                self.round.notes.push(VerifyError::Missing { file });
            }
            Ok(None) => self.drop_term(&term),
            Err(error) => self.round.notes.push(error),
        }
        Some(after(place))
    }

    /// Whether a term is the one that its role names, proved by keys that are its role's
    /// now. Withdrawals that only other keys proved are fetched once more with their new
    /// proof, and run until it is there.
    fn holds(&self, term: &Term, target: &TermTarget) -> bool {
        let is_proved = match term {
            Term::Withdrawn(list) => self.is_of_delegates(list),
            _ => true,
        };
        is_proved && self.terms.digest(term) == Some(target.digest.as_str())
    }

    /// Whether the withdrawals of a list were named by a role that is signed by those to
    /// whom it is delegated now.
    fn is_of_delegates(&self, list: &str) -> bool {
        let accepted = self.terms.withdrawn.get(list);
        accepted.is_some_and(|accepted| {
            let role = accepted.role.as_bytes();
            self.chain.is_signed_by_delegates(&Scope::withdraw(), role)
        })
    }

    /// Whether the role that is delegated now names the withdrawals of a list as they were
    /// accepted.
    fn is_confirmed(&self, list: &str) -> bool {
        let term = Term::Withdrawn(list.to_owned());
        let scope = Scope::withdraw();
        let is_current = self.chain.has_current_delegated(&scope, self.round.now);
        let role = self.chain.delegated(&scope).filter(|_| is_current);
        let named = role.and_then(|role| term.named_by(role).ok().flatten());
        named.is_some_and(|target| self.terms.digest(&term) == Some(target.digest.as_str()))
    }

    /// Whether a term is of withdrawals that have not all ended.
    fn is_running(&self, term: &Term) -> bool {
        let Term::Withdrawn(list) = term else {
            return false;
        };
        let items = self.withdrawals(list);
        items.iter().any(|item| item.until > self.round.now)
    }

    /// Whether the terms on which a list is taken are known: a policy or names never to
    /// block that are signed but could never be had hold all lists back.
    ///
    /// # Errors
    /// [`VerifyError::Missing`].
    pub(super) fn check_terms_known(&self) -> Result<(), VerifyError> {
        let targets = self.chain.set().targets_role("targets");
        for term in [Term::Policy, Term::NeverBlock] {
            let is_named = targets.is_some_and(|role| role.target(&term.path()).is_some());
            if is_named && self.terms.digest(&term).is_none() {
                return Err(VerifyError::Missing { file: term.path() });
            }
        }
        Ok(())
    }

    /// Whether it is known from a round what the present root's authority says beside its lists.
    #[must_use]
    pub fn has_taken_terms(&self) -> bool {
        self.chain.set().targets_role("targets").is_some() && self.check_terms_known().is_ok()
    }

    /// The files of what bounds lists that is known to have been accepted, and is neither to be
    /// read nor its copy: until a mirror has it again, nothing new is taken.
    #[must_use]
    pub fn lost_terms(&self) -> Vec<String> {
        let known = [
            (Term::Policy, self.floors.policy),
            (Term::NeverBlock, self.floors.never_block),
        ];
        let lost = known
            .iter()
            .filter(|(term, was_accepted)| *was_accepted && self.terms.digest(term).is_none());
        lost.map(|(term, _)| term.file()).collect()
    }

    /// What bounds a list.
    ///
    /// # Errors
    /// [`VerifyError::Unsupported`] where the policy demands what this version cannot hold
    /// to.
    pub(super) fn bounds(&self, list: &str) -> Result<Bounds, VerifyError> {
        let Some(policy) = &self.terms.policy else {
            return Ok(Bounds::default());
        };
        policy
            .value
            .bounds(list)
            .map_err(|reason| VerifyError::Unsupported {
                file: format!("list {list}"),
                reason: format!("is bounded so that {reason}"),
            })
    }

    /// The term at a place; nothing behind the last.
    fn term(&self, place: &TermPlace) -> Option<Term> {
        let index = match place {
            TermPlace::Policy => return Some(Term::Policy),
            TermPlace::NeverBlock => return Some(Term::NeverBlock),
            TermPlace::Withdrawal(index) => *index,
            TermPlace::LateWithdrawal(index) => *self.round.late.get(*index)?,
        };
        let list = self.subscription(index)?.list.clone();
        Some(Term::Withdrawn(list))
    }

    /// Whether a term may be taken; only withdrawals have floor and ceiling.
    fn judge_term(&self, said: Said) -> Result<Said, VerifyError> {
        if let Said::Withdrawn(file) = &said {
            self.judge_withdrawals(file)?;
        }
        Ok(said)
    }

    /// Whether withdrawals are not older than those accepted before, and not too many.
    fn judge_withdrawals(&self, file: &WithdrawFile) -> Result<(), VerifyError> {
        let WithdrawFile {
            list,
            issued_at,
            items,
        } = file;
        if issued_at.duration_since(self.round.now) > AHEAD_MAX {
            return Err(VerifyError::FromTheFuture {
                file: Term::Withdrawn(list.clone()).path(),
                issued: *issued_at,
                now: self.round.now,
            });
        }
        if let Some(floor) = self.floors.withdrawn.get(list)
            && issued_at < floor
        {
            return Err(VerifyError::OlderWithdrawals {
                list: list.clone(),
                trusted: *floor,
                offered: *issued_at,
            });
        }
        let entries = self.entries.get(list).copied().unwrap_or_default();
        let policy = self.terms.policy.as_ref();
        let bounds = policy.map(|policy| policy.value.understood(list));
        let most = bounds.unwrap_or_default().withdrawals_max(entries);
        let found = items.len() as u64;
        if found > most {
            return Err(VerifyError::TooManyWithdrawn {
                list: list.clone(),
                found,
                most,
            });
        }
        Ok(())
    }

    /// Takes a term that passed.
    fn take_term(
        &mut self,
        term: &Term,
        said: Said,
        target: &TermTarget,
        bytes: &[u8],
    ) -> Vec<Write> {
        match &said {
            Said::Policy(_) => {
                self.floors.policy = true;
                self.round.changes.policy = true;
            }
            Said::NeverBlock(_) => {
                self.floors.never_block = true;
                self.round.changes.never_block = true;
            }
            Said::Withdrawn(file) => {
                let WithdrawFile {
                    list, issued_at, ..
                } = file;
                self.floors.withdrawn.insert(list.clone(), *issued_at);
                self.round.changes.withdrawn.push(list.clone());
            }
        }
        let proof = self.proof(term.scope().as_ref());
        let role = proof.role.clone();
        self.terms.take(said, target.digest.clone(), role);
        let kept = Term::keep(proof, bytes);
        vec![
            Write::Put(term.copy(), kept.clone()),
            Write::Put(term.file(), kept),
            self.write_floors(),
        ]
    }

    /// Drops a term that its role does not name any more.
    fn drop_term(&mut self, term: &Term) {
        let is_lost = *term == Term::NeverBlock && self.floors.never_block;
        if self.terms.digest(term).is_none() && !is_lost {
            return;
        }
        self.terms.remove(term);
        match term {
            Term::Policy => self.round.changes.policy = true,
            Term::NeverBlock => {
                self.round.changes.never_block = true;
                self.floors.never_block = false;
                let floors = self.write_floors();
                self.round.writes.push(floors);
            }
            Term::Withdrawn(list) => self.round.changes.withdrawn.push(list.clone()),
        }
        let gone = [term.copy(), term.file()].map(Write::Remove);
        self.round.writes.extend(gone);
    }

    /// Drops the withdrawals whose keys the offline keys took away, unless the role of the
    /// new keys confirms them.
    pub(super) fn revoke_unproved(&mut self) {
        let is_revoked = |list: &&String| !self.is_of_delegates(list) && !self.is_confirmed(list);
        let withdrawn = self.terms.withdrawn.keys();
        let revoked = withdrawn.filter(is_revoked).cloned().collect();
        self.revoke_withdrawals(revoked);
    }

    /// Drops the withdrawals of those lists; their floor falls too, for a thief may have
    /// raised it.
    fn revoke_withdrawals(&mut self, revoked: Vec<String>) {
        for list in revoked {
            self.floors.withdrawn.remove(&list);
            self.drop_term(&Term::Withdrawn(list));
            let floors = self.write_floors();
            self.round.writes.push(floors);
        }
    }
}

/// What comes after a term.
pub(super) const fn after(place: &TermPlace) -> Stage {
    Stage::Settling(match place {
        TermPlace::Withdrawal(index) => TermPlace::Withdrawal(index.saturating_add(1)),
        TermPlace::Policy => TermPlace::NeverBlock,
        TermPlace::NeverBlock => return Stage::Role(0),
        TermPlace::LateWithdrawal(index) => TermPlace::LateWithdrawal(index.saturating_add(1)),
    })
}
