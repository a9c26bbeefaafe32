//! The rehearsal: the node's own code judges what is about to be published.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::PublishError;
use super::folder::Folder;
use crate::verify::{Answer, Cost, Settings, Subscription, TrustedMetadata, Verdict, VerifyError};

/// Walks a node's round over the repository as it will be with `files`, for `lists`. What is
/// expired and not among the files is a reason not to publish, but none not to renew
/// something else: `renews` says which it is.
///
/// # Errors
/// [`PublishError::Rehearsal`] for what a node would refuse.
pub(super) fn rehearse(
    folder: &Folder,
    root: Vec<u8>,
    files: &BTreeMap<String, Vec<u8>>,
    lists: &[String],
    renews: bool,
    now: Timestamp,
) -> Result<(), PublishError> {
    let settings = Settings {
        root,
        min_root_threshold: 1,
    };
    let mut trusted = TrustedMetadata::restore("rehearsal", &settings, &BTreeMap::new())?;
    let subscriptions: Vec<Subscription> = lists
        .iter()
        .map(|list| Subscription {
            name: list.clone(),
            list: list.clone(),
        })
        .collect();
    trusted.begin(now, &subscriptions);
    while let Some(wanted) = trusted.next() {
        let read;
        let answer = match files.get(&wanted.path) {
            Some(bytes) => Answer::File(bytes),
            None if !folder.path(&wanted.path).exists() => Answer::Absent,
            None => {
                read = folder.read(&wanted.path)?;
                Answer::File(&read)
            }
        };
        match trusted.feed(answer) {
            Ok(_) => {}
            Err(VerifyError::Expired { .. }) if renews && !files.contains_key(&wanted.path) => {
                trusted.skip();
            }
            // What costs nothing else is no reason not to publish something else.
            Err(_) if wanted.cost == Cost::Nothing && !files.contains_key(&wanted.path) => {
                trusted.skip();
            }
            Err(error) => return Err(error.into()),
        }
    }
    let brings_terms = files.keys().any(|file| is_of_terms(file));
    if let Some(note) = trusted.take_notes().into_iter().find(|_| brings_terms) {
        return Err(note.into());
    }
    for (_, verdict) in trusted.take_verdicts() {
        match verdict {
            // Delegated, and nothing published in it yet.
            Verdict::Refused(VerifyError::NotPublished { .. })
            | Verdict::New { .. }
            | Verdict::Unchanged => {}
            Verdict::Refused(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Whether that is the file of a policy, of names never to block or of withdrawals.
fn is_of_terms(file: &str) -> bool {
    file.starts_with("targets/withdraw/")
        || file.ends_with(".policy")
        || file.ends_with(".never-block")
}
