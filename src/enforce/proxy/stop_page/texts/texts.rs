//! [`Texts`]: everything the pages say in one language.

use super::{de, en, fr, nl, pl};
use crate::policy::Category;

/// Everything the pages say in one language. Texts may hold the placeholders and sections
/// of a template; they are part of the program and stand unescaped.
#[derive(Debug)]
pub(in super::super) struct Texts {
    /// The BCP 47 primary tag.
    pub(in super::super) language: &'static str,
    /// The operator's name where it is not configured, at the start of a sentence.
    pub(in super::super) operator: &'static str,
    /// The title of the stop page.
    pub(in super::super) title: &'static str,
    /// Who stopped it, at whose request.
    pub(in super::super) lead: &'static str,
    /// Label: who stopped it.
    pub(in super::super) blocked_by: &'static str,
    /// Label: at whose request.
    pub(in super::super) authority: &'static str,
    /// Label: under which law.
    pub(in super::super) basis: &'static str,
    /// Label: which decision.
    pub(in super::super) order: &'static str,
    /// Label: the day of the decision.
    pub(in super::super) decided_at: &'static str,
    /// Label: the public notice.
    pub(in super::super) notice: &'static str,
    /// Label: the class of the content.
    pub(in super::super) category: &'static str,
    /// Label: the list's own reason.
    pub(in super::super) reason: &'static str,
    /// Label: the list and its serial.
    pub(in super::super) list: &'static str,
    /// Of a list that nobody signed.
    pub(in super::super) unsigned: &'static str,
    /// Heading: how to contest it.
    pub(in super::super) redress: &'static str,
    /// How to contest it.
    pub(in super::super) redress_lead: &'static str,
    /// Label: the authority's addresses for appeals.
    pub(in super::super) appeal: &'static str,
    /// Label: the time limit of an appeal.
    pub(in super::super) deadline: &'static str,
    /// Label: the court.
    pub(in super::super) court: &'static str,
    /// Label: the operator's address for questions.
    pub(in super::super) contact: &'static str,
    /// Label: the operator's page about blocking.
    pub(in super::super) about: &'static str,
    /// Label: the block reference.
    pub(in super::super) reference: &'static str,
    /// What the block reference is for.
    pub(in super::super) reference_note: &'static str,
    /// Heading: what someone may do next.
    pub(in super::super) help: &'static str,
    /// Heading: what becomes of the visit.
    pub(in super::super) privacy: &'static str,
    /// What becomes of the visit.
    pub(in super::super) privacy_text: &'static str,
    /// So many days.
    pub(in super::super) days: fn(u32) -> String,
    /// The class of the content, in words.
    pub(in super::super) categories: fn(Category) -> &'static str,
    /// What the law says of such content.
    pub(in super::super) statement: fn(Category) -> &'static str,
    /// What someone who came here may do next.
    pub(in super::super) help_text: fn(Category) -> &'static str,
    /// Title and sentence: the host is not listed.
    pub(in super::super) not_blocked: [&'static str; 2],
    /// Title and sentence: the origin cannot be reached.
    pub(in super::super) unreachable: [&'static str; 2],
    /// Title and sentence: the origin does not answer in time.
    pub(in super::super) timeout: [&'static str; 2],
}

/// Every language there is.
pub(in super::super) const ALL: [&Texts; 5] =
    [&en::TEXTS, &de::TEXTS, &fr::TEXTS, &nl::TEXTS, &pl::TEXTS];

impl Texts {
    /// The texts of a language; nothing where there are none.
    pub(in super::super) fn of(language: &str) -> Option<&'static Self> {
        ALL.into_iter().find(|texts| texts.language == language)
    }

    /// The text that templates know by `name`.
    pub(in super::super) fn by_name(&self, name: &str) -> Option<&'static str> {
        let found = self.named().into_iter().find(|(known, _)| *known == name);
        found.map(|(_, text)| text)
    }

    /// The texts that templates use, by name.
    pub(in super::super) const fn named(&self) -> [(&'static str, &'static str); 24] {
        [
            ("title", self.title),
            ("lead", self.lead),
            ("blocked_by", self.blocked_by),
            ("authority", self.authority),
            ("basis", self.basis),
            ("order", self.order),
            ("decided_at", self.decided_at),
            ("notice", self.notice),
            ("category", self.category),
            ("reason", self.reason),
            ("list", self.list),
            ("unsigned", self.unsigned),
            ("redress", self.redress),
            ("redress_lead", self.redress_lead),
            ("appeal", self.appeal),
            ("deadline", self.deadline),
            ("court", self.court),
            ("contact", self.contact),
            ("about", self.about),
            ("reference", self.reference),
            ("reference_note", self.reference_note),
            ("help", self.help),
            ("privacy", self.privacy),
            ("privacy_text", self.privacy_text),
        ]
    }
}
