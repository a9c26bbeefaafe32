//! What becomes of one row of a list, in a full text and in a delta alike.

use std::sync::Arc;

use super::{CompiledList, Protected, Settings};
use crate::policy::{Action, Entry, LegalRecord, Name};

/// Whether a row may be enforced and `is_new` does not object; else why not. Names below it
/// that stay open are noted.
///
/// # Errors
/// A sentence that says why not.
pub(super) fn admit(
    protected: &Protected,
    list: &mut CompiledList,
    entry: &Entry,
    is_new: impl FnOnce(&Entry) -> Result<(), String>,
) -> Result<(), String> {
    if let Err(refusal) = list.border.check(protected, entry) {
        list.never_blocked += usize::from(refusal.never_blocked);
        return Err(refusal.reason);
    }
    is_new(entry)?;
    let room = HOLES_KEPT_MAX.saturating_sub(list.holes.len());
    let holes = list.border.holes(protected, entry, room);
    let hole = |name: Name| (entry.id.to_string(), name.to_string());
    list.holes.extend(holes.into_iter().map(hole));
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
