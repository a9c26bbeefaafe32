//! [`Withdrawing`]: lets withdrawals act while the round that brought them goes on.

use jiff::Timestamp;

use crate::control::clock;
use crate::control::rounds::editions::Editions;
use crate::policy::Withdrawal;
use crate::verify::Subscription;

/// Lets withdrawals act at once, whatever becomes of the rest of the round (`trust.md`
/// sections 7.7 and 7.12): a slow mirror of a list does not delay them.
#[derive(Debug)]
pub(crate) struct Withdrawing<'a> {
    subscriptions: &'a [Subscription],
    editions: &'a Editions,
    /// Lists of which more is withdrawn than before, and since when.
    taken: Vec<(&'a Subscription, Timestamp)>,
}

impl<'a> Withdrawing<'a> {
    /// For one round of one repository.
    pub(crate) const fn new(subscriptions: &'a [Subscription], editions: &'a Editions) -> Self {
        Self {
            subscriptions,
            editions,
            taken: Vec::new(),
        }
    }

    /// Takes what is withdrawn of a list, by the name the repository gives it.
    pub(crate) fn take(&mut self, list: &str, withdrawn: &[Withdrawal]) {
        let subscribed = self.subscriptions.iter().filter(|it| it.list == list);
        for subscription in subscribed {
            let mut levers = self.editions.levers();
            levers.now = clock::timestamp();
            let before = levers.withdrawn.remove(&subscription.name);
            let before = before.unwrap_or_default();
            levers
                .withdrawn
                .insert(subscription.name.clone(), withdrawn.to_vec());
            self.editions.move_levers(&levers);
            tracing::warn!(
                list = subscription.name,
                withdrawn = withdrawn.len(),
                "what its authority withdraws is let through"
            );
            if withdrawn.iter().any(|it| !before.contains(it)) {
                self.taken.push((subscription, clock::timestamp()));
            }
        }
    }

    /// Notes how long each took from its publication, which `issued` knows.
    pub(crate) fn measure(self, issued: impl Fn(&str) -> Option<Timestamp>) {
        for (subscription, at) in self.taken {
            if let Some(issued) = issued(&subscription.list) {
                self.editions
                    .note_withdrawal(&subscription.name, issued, at);
            }
        }
    }
}
