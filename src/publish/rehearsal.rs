//! The rehearsal: the node's own code judges what is about to be published.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::PublishError;
use super::folder::Folder;
use crate::verify::{Answer, Cost, Settings, Subscription, TrustedMetadata, Verdict, VerifyError};

/// What is asked of the rehearsal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rehearsal<'a> {
    /// The repository.
    pub(super) folder: &'a Folder,
    /// The root that nodes come from.
    pub(super) root: &'a [u8],
    /// The lists that are asked for, and whether a version of each is published by then.
    pub(super) lists: &'a BTreeMap<String, bool>,
    /// Whether the files only renew: what else is expired is no reason against them.
    pub(super) renews: bool,
    /// When.
    pub(super) now: Timestamp,
}

impl Rehearsal<'_> {
    /// Walks a node's round over the repository as it will be with `files`. What is expired
    /// and not among the files is a reason not to publish, but none not to renew something
    /// else. Where they change who signs what, nothing that nodes take now may be refused.
    ///
    /// # Errors
    /// [`PublishError::Rehearsal`] for what a node would refuse, [`PublishError::Expired`].
    pub(super) fn check(&self, files: &BTreeMap<String, Vec<u8>>) -> Result<(), PublishError> {
        let mut refused = self.walk(files)?;
        let is_among = |end: &str| files.keys().any(|file| file.ends_with(end));
        let is_own = |role: &str| is_among(&format!(".{role}.json"));
        let mut others = refused.extract_if(.., |(role, _)| !is_own(role)).peekable();
        if others.peek().is_some() && is_own("targets") {
            let before = self.walk(&BTreeMap::new()).unwrap_or_default();
            let was_refused = |role: &str| before.iter().any(|(other, _)| other == role);
            if let Some((_, error)) = others.find(|(role, _)| !was_refused(role)) {
                return Err(error.into());
            }
        }
        drop(others);
        match refused.into_iter().next() {
            Some((_, error)) => Err(error.into()),
            None => Ok(()),
        }
    }

    /// Walks; returns what is refused and costs nothing else, with the role or the reason.
    fn walk(
        &self,
        files: &BTreeMap<String, Vec<u8>>,
    ) -> Result<Vec<(String, VerifyError)>, PublishError> {
        let settings = Settings {
            root: self.root.to_vec(),
            min_root_threshold: 1,
        };
        let mut trusted = TrustedMetadata::restore("rehearsal", &settings, &BTreeMap::new())?;
        let subscription = |list: &String| Subscription {
            name: list.clone(),
            list: list.clone(),
        };
        let subscriptions: Vec<Subscription> = self.lists.keys().map(subscription).collect();
        trusted.begin(self.now, &subscriptions);
        let mut refused = Vec::new();
        while let Some(wanted) = trusted.next() {
            let read;
            let answer = match files.get(&wanted.path) {
                Some(bytes) => Answer::File(bytes),
                None if !self.folder.path(&wanted.path).exists() => Answer::Absent,
                None => {
                    read = self.folder.read(&wanted.path)?;
                    Answer::File(&read)
                }
            };
            let is_ours = files.contains_key(&wanted.path);
            match (trusted.feed(answer), &wanted.cost) {
                (Ok(_), _) => continue,
                (Err(VerifyError::Expired { .. }), cost)
                    if !is_ours && (self.renews || *cost != Cost::Round) => {}
                (Err(error), Cost::List(list)) => refused.push((format!("list-{list}"), error)),
                // What costs nothing else is no reason not to publish something else.
                (Err(error), Cost::Nothing) if !is_ours => {
                    if wanted.path.ends_with(".withdraw.json") {
                        refused.push(("withdraw".to_owned(), error));
                    }
                }
                (Err(VerifyError::Expired { file, expires }), _) => {
                    let role = file.trim_end_matches(".json").to_owned();
                    return Err(PublishError::Expired { role, expires });
                }
                (Err(error), _) => return Err(error.into()),
            }
            trusted.skip();
        }
        let brings_terms = files.keys().any(|file| is_of_terms(file));
        for note in trusted.take_notes() {
            if brings_terms {
                return Err(note.into());
            }
            refused.push((note.to_string(), note));
        }
        for (list, verdict) in trusted.take_verdicts() {
            let Verdict::Refused(error) = verdict else {
                continue;
            };
            // Who holds a list's key, or a policy since, put the version that is published
            // beyond what nodes take: other keys and times make that no worse.
            let folder = format!("targets/{list}/");
            let is_published = files.keys().any(|file| file.starts_with(&folder));
            let is_beyond = matches!(
                error,
                VerifyError::BeyondPolicy { .. } | VerifyError::Malformed { .. }
            );
            if is_beyond && !is_published {
                continue;
            }
            // Delegated, and nothing published in it yet.
            let is_empty = self.lists.get(&list) != Some(&true);
            if !(is_empty && matches!(error, VerifyError::NotPublished { .. })) {
                refused.push((format!("list-{list}"), error));
            }
        }
        Ok(refused)
    }
}

/// Whether that is the file of a policy, of names never to block or of withdrawals.
fn is_of_terms(file: &str) -> bool {
    file.starts_with("targets/withdraw/")
        || file.ends_with(".policy")
        || file.ends_with(".never-block")
}
