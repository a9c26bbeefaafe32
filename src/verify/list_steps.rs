//! The steps of a round that bring one list: which way leads to its newest version, the
//! files on that way, and the text they make.

use super::delegated::Scope;
use super::list_file::list_file;
use super::list_target::{ListTarget, SignedState};
use super::offer::{Offer, Way};
use super::stepping::Stepped;
use super::trusted::{NetChange, Stage, Subscription, TrustedMetadata, Verdict, Write};
use super::{Answer, Delta, ListVersion, Text, VerifyError};

/// How far the way to the newest version of a list was gone. All steps are fetched before
/// what they begin at, so that the text is read through once.
#[derive(Clone, Debug)]
pub(super) struct Fetch {
    offer: Offer,
    way: Way,
    /// The stored version, from which the steps lead where no complete state is fetched.
    stored: Option<ListVersion>,
    /// The steps that are there.
    steps: Vec<Delta>,
    /// How many octets those still to come may have, unpacked.
    left: u64,
}

/// What is wanted next on the way.
#[derive(Clone, Copy, Debug)]
pub(super) enum Next<'a> {
    /// A file of the list.
    File(&'a ListTarget),
    /// The stored text of that generation and serial.
    Stored((u64, u64)),
}

impl Fetch {
    /// What is wanted next.
    pub(super) fn next(&self) -> Next<'_> {
        let step = self.way.steps.get(self.steps.len());
        match step.or(self.way.full.as_ref()) {
            Some(target) => Next::File(target),
            None => Next::Stored(self.stored.as_ref().map_or((0, 0), ListVersion::rank)),
        }
    }

    /// Whether the complete state can be fetched instead.
    pub(super) const fn has_other_way(&self) -> bool {
        self.way.full.is_none()
    }

    /// The way by the complete state.
    fn by_full(&self) -> Result<Self, VerifyError> {
        Ok(Self {
            offer: self.offer.clone(),
            way: self.offer.way_by_full()?,
            stored: None,
            steps: Vec::new(),
            left: self.offer.steps_octets_max(),
        })
    }
}

impl TrustedMetadata {
    /// A file on the way to the newest version of a list, or its stored text. Another
    /// file than was signed is the mirror's fault, and asked for again; where what was signed
    /// does not fit, the complete state is fetched, and after that the list is refused.
    pub(super) fn feed_fetch(
        &mut self,
        index: usize,
        mut fetch: Fetch,
        answer: Answer<'_>,
    ) -> Result<Vec<Write>, VerifyError> {
        let Some(subscription) = self.subscription(index).cloned() else {
            return Ok(Vec::new());
        };
        let made = match (fetch.next(), answer) {
            (Next::File(target), Answer::File(bytes)) => {
                target.check_file(bytes)?;
                if target.step.is_some() {
                    match target.open_step(&subscription.list, bytes, fetch.left) {
                        Ok(step) => {
                            fetch.left = fetch.left.saturating_sub(step.octets());
                            fetch.steps.push(step);
                            self.round.stage = Stage::Fetch(index, Box::new(fetch));
                            return Ok(Vec::new());
                        }
                        Err(error) => Err(error),
                    }
                } else {
                    make(&fetch, &Text::packed(bytes.to_vec())).map(|(text, _)| (text, None))
                }
            }
            (Next::File(target), Answer::Absent | Answer::Unchanged | Answer::Stored(_)) => {
                return Err(VerifyError::Missing {
                    file: target.file(),
                });
            }
            (Next::Stored(_), Answer::Stored(text)) => make(&fetch, text).map(|(text, stepped)| {
                let change = net_change(&fetch, stepped);
                (text, Some(change))
            }),
            (Next::Stored((_, seq)), _) => Err(VerifyError::Missing {
                file: format!("the stored state {seq} of {}", subscription.name),
            }),
        };
        let made = made.and_then(|(text, change)| {
            self.verdict(&subscription, &fetch.offer.newest, text, change)
        });
        match made {
            Ok(verdict) => {
                let state = &fetch.offer.newest;
                Ok(self.end_list(index, subscription, state, verdict))
            }
            Err(error) => {
                self.other_way(index, &fetch, Some(error));
                self.settle();
                Ok(Vec::new())
            }
        }
    }

    /// Goes the way by the complete state, or refuses the list where that failed; `error` is
    /// what was wrong with the files that were signed.
    pub(super) fn other_way(&mut self, index: usize, fetch: &Fetch, error: Option<VerifyError>) {
        let by_full = if fetch.has_other_way() {
            self.round.notes.extend(error.clone());
            fetch.by_full().map_err(Some)
        } else {
            Err(error)
        };
        self.round.stage = match by_full {
            Ok(fetch) => Stage::Fetch(index, Box::new(fetch)),
            Err(error) => {
                if let (Some(error), Some(subscription)) = (error, self.subscription(index)) {
                    let name = subscription.name.clone();
                    let role = Scope::of_list(&subscription.list).role;
                    let version = self.chain.role_pin(&role).map_or(0, |pin| pin.version);
                    self.faulty.insert(name.clone(), (version, error.clone()));
                    self.round.verdicts.push((name, Verdict::Refused(error)));
                }
                Stage::Role(index.saturating_add(1))
            }
        };
    }

    /// What is next for a list; nothing when its role must be fetched.
    pub(super) fn settle_role(
        &mut self,
        index: usize,
        subscription: &Subscription,
    ) -> Option<Stage> {
        let scope = Scope::of_list(&subscription.list);
        let judged = match self.chain.check_delegated(&scope) {
            Ok(()) if !self.has_delegated(&scope) => return None,
            Ok(()) => self.judge(subscription),
            Err(error) => Err(error),
        };
        let verdict = match judged {
            Ok(Some(fetch)) => return Some(Stage::Fetch(index, Box::new(fetch))),
            Ok(None) => Verdict::Unchanged,
            Err(error) => Verdict::Refused(error),
        };
        let name = subscription.name.clone();
        self.round.verdicts.push((name, verdict));
        Some(Stage::Role(index.saturating_add(1)))
    }

    /// The way to the newest version; nothing when it is stored already.
    fn judge(&self, subscription: &Subscription) -> Result<Option<Fetch>, VerifyError> {
        let Subscription { name, list } = subscription;
        let offer = self.chain.offer(list)?;
        self.check_terms_known()?;
        self.check_bounds(list, &offer.newest)?;
        self.floors.judge(list, &offer.newest.version)?;
        let stored = self.stored.get(name);
        if stored == Some(&offer.newest.version) {
            return Ok(None);
        }
        // What was signed wrongly stays wrong until something else is signed: the complete
        // state is not fetched again and again.
        let role = Scope::of_list(list).role;
        let version = self.chain.role_pin(&role).map(|pin| pin.version);
        if let Some((of, error)) = self.faulty.get(name)
            && Some(*of) == version
        {
            return Err(error.clone());
        }
        Ok(Some(Fetch {
            way: offer.way(stored)?,
            stored: stored.cloned(),
            steps: Vec::new(),
            left: offer.steps_octets_max(),
            offer,
        }))
    }

    /// Whether the policy has such a version at all.
    fn check_bounds(&self, list: &str, newest: &SignedState) -> Result<(), VerifyError> {
        let bounds = self.bounds(list)?;
        let generation = newest.version.generation;
        let refused = |reason: String| VerifyError::BeyondPolicy {
            list: list.to_owned(),
            seq: newest.version.seq,
            reason,
        };
        if generation < bounds.generation_min {
            let least = bounds.generation_min;
            let reason = format!("it is of generation {generation}, and {least} is the lowest");
            return Err(refused(reason));
        }
        // Whoever holds the list's key alone must not begin it anew: its guards would measure
        // by nothing, and its floor be out of reach.
        let floor = self.floors.lists.get(list);
        let most = floor.map_or(1, |floor| floor.generation.max(1));
        let most = most.max(bounds.generation_min);
        if generation > most {
            let reason = format!(
                "it is of generation {generation}, and {most} is the highest: `min_generation` of the signed policy raises it"
            );
            return Err(refused(reason));
        }
        newest.version.check_serial(list, floor)?;
        // The list's own test entry is none of the authority's.
        let entries = newest.entries.saturating_sub(1);
        match bounds.guard.max_entries {
            Some(most) if entries > most => Err(refused(format!(
                "it has {entries} entries, and {most} are the most"
            ))),
            _ => Ok(()),
        }
    }

    /// The verdict for a text that is what was signed.
    fn verdict(
        &self,
        subscription: &Subscription,
        state: &SignedState,
        text: Text,
        change: Option<NetChange>,
    ) -> Result<Verdict, VerifyError> {
        let proof = self.proof(Some(&Scope::of_list(&subscription.list)));
        let role = proof.role.as_bytes();
        let file = list_file(
            &self.repository,
            subscription,
            &self.chain,
            state,
            role,
            text,
        )?;
        Ok(Verdict::New {
            file,
            version: state.version.clone(),
            proof: proof.write(),
            change,
        })
    }

    /// Notes a new version of a list, and goes on.
    fn end_list(
        &mut self,
        index: usize,
        subscription: Subscription,
        state: &SignedState,
        verdict: Verdict,
    ) -> Vec<Write> {
        let Subscription { name, list } = subscription;
        let version = state.version.clone();
        self.faulty.remove(&name);
        self.entries.insert(list.clone(), state.entries);
        self.floors.lists.insert(list, version.clone());
        self.stored.insert(name.clone(), version);
        self.round.verdicts.push((name, verdict));
        self.round.stage = Stage::Role(index.saturating_add(1));
        self.settle();
        vec![self.write_floors()]
    }
}

/// How the newest version differs from the stored one.
fn net_change(fetch: &Fetch, stepped: Stepped) -> NetChange {
    let signed = fetch
        .way
        .steps
        .iter()
        .filter_map(|target| target.step.as_ref());
    let (add, del) = signed.fold((0_u64, 0_u64), |(add, del), step| {
        (add.saturating_add(step.add), del.saturating_add(step.del))
    });
    NetChange {
        from: fetch.stored.clone().unwrap_or_default(),
        removed: stepped.removed,
        added: stepped.added,
        signed_removed: del,
        signed_added: add,
    }
}

/// Applies the steps, and compares what comes out with what was signed.
fn make(fetch: &Fetch, before: &Text) -> Result<(Text, Stepped), VerifyError> {
    let newest = &fetch.offer.newest;
    let Some((first, last)) = fetch.steps.first().zip(fetch.steps.last()) else {
        return Ok((newest.check(before.clone())?, Stepped::default()));
    };
    let malformed = |reason: String| VerifyError::Malformed {
        file: newest.path.clone(),
        reason: format!("or what leads to it {reason}"),
    };
    let blocks = before.stepped(&fetch.steps).map_err(malformed)?;
    let (blocks, line_feeds) = newest.check_blocks(blocks).map_err(|error| match error {
        VerifyError::Malformed { reason, .. } => malformed(reason),
        other => other,
    })?;
    let mut stepped = blocks.into_stepped();
    // All of it is one step from the complete state that is kept.
    let step = Delta {
        from: first.from,
        removed: std::mem::take(&mut stepped.positions),
        added: std::mem::take(&mut stepped.entries),
        ..last.clone()
    };
    let text = before.with_step(step).map_err(malformed)?;
    Ok((text.counted(line_feeds), stepped))
}
