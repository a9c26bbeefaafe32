//! [`Rules`]: the compiled entries and their texts, in one run of memory each.

use crate::policy::{Action, Entry, Kind, QueryMatch, Reach, Scope, Trigger, UrlScope};

/// Compiled entries by their numbers, from 0.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    rules: Vec<Rule>,
    /// Of each rule its id and behind it its value, one after the other.
    texts: String,
}

/// The compiled form of one entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    /// Where its id begins in the texts.
    at: u32,
    /// Which [`super::index::Terms`] it has.
    pub(super) terms: u32,
    /// The next rule under the same name; [`NO_RULE`] for none.
    pub(super) next: u32,
    value_octets: u16,
    id_octets: u8,
    pub(super) canary: bool,
    /// The place of its list in the operator's order.
    pub(super) list: u16,
    pub(super) kind: Kind,
    pub(super) action: Action,
    pub(super) reach: Reach,
    pub(super) shape: Shape,
}

/// What kind of trigger a rule has, without its value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Shape {
    Name(Scope),
    Url(UrlScope, QueryMatch),
    Address,
    Client,
    NsName(Scope),
    NsAddress,
}

impl Rules {
    /// Adds an entry and says its number; nothing when memory for texts is used up.
    pub(super) fn push(
        &mut self,
        list: u16,
        action: Action,
        terms: u32,
        entry: &Entry,
    ) -> Option<u32> {
        let number = u32::try_from(self.rules.len())
            .ok()
            .filter(|number| *number != NO_RULE)?;
        let shape = Shape::of(&entry.trigger);
        let at = u32::try_from(self.texts.len()).ok()?;
        let id_octets = u8::try_from(entry.id.as_str().len()).ok()?;
        self.texts.push_str(entry.id.as_str());
        let value_at = self.texts.len();
        entry.trigger.write_value(&mut self.texts);
        let Ok(value_octets) = u16::try_from(self.texts.len() - value_at) else {
            self.texts.truncate(at as usize);
            return None;
        };
        self.rules.push(Rule {
            at,
            terms,
            next: NO_RULE,
            value_octets,
            id_octets,
            canary: entry.canary,
            list,
            kind: entry.kind(),
            action,
            reach: entry.reach,
            shape,
        });
        Some(number)
    }

    /// The rule of that number.
    pub(super) fn get(&self, number: u32) -> Option<&Rule> {
        self.rules.get(number as usize)
    }

    /// Puts a rule in front of others under the same name.
    pub(super) fn chain(&mut self, number: u32, next: u32) {
        if let Some(rule) = self.rules.get_mut(number as usize) {
            rule.next = next;
        }
    }

    /// Every rule with its number.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Rule)> {
        (0..).zip(&self.rules)
    }

    /// How many there are.
    pub(super) const fn len(&self) -> usize {
        self.rules.len()
    }

    /// The entry's id.
    pub(super) fn id(&self, rule: &Rule) -> &str {
        let at = rule.at as usize;
        self.texts
            .get(at..at + usize::from(rule.id_octets))
            .unwrap_or_default()
    }

    /// What it matches, in its canonical spelling.
    pub(super) fn value(&self, rule: &Rule) -> &str {
        let at = rule.at as usize + usize::from(rule.id_octets);
        self.texts
            .get(at..at + usize::from(rule.value_octets))
            .unwrap_or_default()
    }

    /// Gives back what growing left over.
    pub(super) fn shrink_to_fit(&mut self) {
        self.rules.shrink_to_fit();
        self.texts.shrink_to_fit();
    }
}

impl Shape {
    /// The shape of a trigger.
    pub(super) const fn of(trigger: &Trigger) -> Self {
        match trigger {
            Trigger::Name { scope, .. } => Self::Name(*scope),
            Trigger::Url { scope, query, .. } => Self::Url(*scope, *query),
            Trigger::Address(_) => Self::Address,
            Trigger::Client(_) => Self::Client,
            Trigger::NsName { scope, .. } => Self::NsName(*scope),
            Trigger::NsAddress(_) => Self::NsAddress,
        }
    }

    /// How far it goes, in the word for it in lists.
    pub(super) const fn match_word(self) -> &'static str {
        match self {
            Self::Name(scope) | Self::NsName(scope) => scope.as_str(),
            Self::Url(scope, _) => scope.as_str(),
            Self::Address | Self::Client | Self::NsAddress => "range",
        }
    }
}

/// The number of no rule: the end of a chain.
pub(super) const NO_RULE: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_small() {
        assert!(size_of::<Rule>() <= 24, "{}", size_of::<Rule>());
    }
}
