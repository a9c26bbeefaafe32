//! Withdrawals act while the round that brought them goes on.

use crate::control::clock;
use crate::control::rounds::repositories::subscriptions;
use crate::control::rounds::update::Updater;

impl Updater {
    /// Lets what a repository withdraws act at once, whatever becomes of the rest of the round
    /// (`trust.md` sections 7.7 and 7.12): a slow mirror of a list does not delay it. Notes how
    /// long it took from its publication.
    pub(crate) fn let_through(&mut self, repository: &str) {
        let Some(puller) = self.repositories.puller(repository) else {
            return;
        };
        let changed = puller.take_withdrawn();
        if changed.is_empty() {
            return;
        }
        let before = self.editions.levers().withdrawn;
        self.move_levers();
        let Some(puller) = self.repositories.puller(repository) else {
            return;
        };
        for subscription in subscriptions(&self.config, repository) {
            let (name, list) = (&subscription.name, &subscription.list);
            if !changed.contains(list) {
                continue;
            }
            let (withdrawn, before) = (puller.withdrawals(list), before.get(name));
            tracing::warn!(
                list = name,
                withdrawn = withdrawn.len(),
                "what its authority withdraws is let through"
            );
            let is_new = |it| before.is_none_or(|before| !before.contains(it));
            if let Some(issued) = puller.withdrawn_at(list)
                && withdrawn.iter().any(is_new)
            {
                self.editions
                    .note_withdrawal(name, issued, clock::timestamp());
            }
        }
    }
}
