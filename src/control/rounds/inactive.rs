//! [`warn_of_inactive`]: rules that do not act are said loudly when they come (rpz.md T9).

use crate::compile::Blocklist;

/// Warns of the rules of a blocklist for which no name servers are looked up, where the one
/// before had not as many.
pub(super) fn warn_of_inactive(blocklist: &Blocklist, before: &Blocklist) {
    for list in blocklist.lists() {
        let name = &list.settings.name;
        let known = before
            .lists()
            .iter()
            .find(|known| known.settings.name == *name)
            .map(|known| known.inactive());
        for (at, (trigger, rules)) in list.inactive().into_iter().enumerate() {
            let is_new = known.and_then(|known| known.get(at).copied()) != Some((trigger, rules));
            if rules > 0 && is_new {
                tracing::warn!(
                    list = name,
                    trigger,
                    rules,
                    "these rules are inactive, for no name servers are looked up; set `ns_lookup: true` for the list"
                );
            }
        }
    }
}
