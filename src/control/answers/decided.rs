//! [`decided`]: why what came last of a list is not in force, in half a sentence.

use crate::report::ListUpdates;

/// Which version of a list is held, rejected or left, why, and what to do; nothing where the
/// newest is in force.
pub(crate) fn decided(known: &ListUpdates) -> Option<String> {
    let list = &known.list;
    if let Some(held) = &known.held {
        let guards: Vec<&str> = held.guards.iter().map(|(guard, _)| *guard).collect();
        Some(format!(
            "{} is held ({}): look at it with `cordon hold`, then `cordon hold accept {list} {}` or `reject`",
            held.version,
            guards.join(", "),
            held.word()
        ))
    } else if let Some(rejected) = &known.rejected {
        Some(format!(
            "{} was rejected and never goes in force; the next one is judged anew",
            rejected.version
        ))
    } else {
        let pinned = known.pinned.as_ref()?;
        Some(format!(
            "somebody went back to it from {}, and it stays until one comes after that",
            pinned.left
        ))
    }
}
