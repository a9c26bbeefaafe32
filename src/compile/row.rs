//! What becomes of one row of a list, in a full text and in a delta alike.

use std::sync::Arc;

use super::protection::Protection;
use super::{CompiledList, Settings, border};
use crate::policy::{Action, Entry, LegalRecord, Scope, Trigger};

/// Whether a row may be enforced; else why not. Protected names below it are noted.
///
/// # Errors
/// A sentence that says why not.
pub(super) fn admit(
    protection: &Protection,
    list: &mut CompiledList,
    entry: &Entry,
) -> Result<(), String> {
    border::admit(&list.settings, entry)?;
    let Some(host) = border::blocked_name(entry) else {
        return Ok(());
    };
    if protection.covers(&host) {
        return Err(format!(
            "{host} is protected here: `protect` in the configuration outranks every list"
        ));
    }
    if let Trigger::Name {
        name,
        scope: Scope::Subtree | Scope::Children,
    } = &entry.trigger
        && list.holes.len() < HOLES_KEPT_MAX
    {
        let below = protection.below(name);
        list.holes
            .extend(below.map(|protected| (entry.id.to_string(), protected.to_string())));
    }
    Ok(())
}

/// What is done: the list's override, but an exception stays one: an override must not turn
/// a name that passes into one that is blocked.
pub(super) fn effective_action(settings: &Settings, entry: &Entry) -> Action {
    match settings.action {
        Some(action) if entry.action != Action::PassThru => action,
        _ => entry.action,
    }
}

/// The record of entries that no authority answers for.
pub(super) fn local_record(settings: &Settings) -> Arc<LegalRecord> {
    Arc::new(LegalRecord {
        basis: "The operator's own rule".to_owned(),
        authority: format!("The operator of this node (list {})", settings.name),
        ..LegalRecord::default()
    })
}

/// How many holes of a list are kept to be shown.
pub(super) const HOLES_KEPT_MAX: usize = 100;

/// Why a row is left out whose text does not fit into memory any more.
pub(super) const NO_ROOM: &str =
    "there is no room for more rows: the lists hold more than 4 GiB of text";
