//! [`LegalRecord`]: why an entry is there, and what can be done about it.

use std::collections::BTreeMap;

/// The legal record of an entry (field.md section 8.3): who ordered it, under which law,
/// and how to contest it. It travels to the stop page, `explain` and the reports; entries
/// of one list mostly share one.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct LegalRecord {
    /// The class of the content.
    pub category: Category,
    /// Act and article.
    pub basis: String,
    /// The authority that decided.
    pub authority: String,
    /// Which decision.
    pub order_ref: Option<String>,
    /// The day of the decision, as the authority writes it.
    pub decided_at: Option<String>,
    /// The public notice of the decision.
    pub notice_url: Option<String>,
    /// A short text for the page by language; it never describes content.
    pub reason: BTreeMap<String, String>,
    /// How to contest it.
    pub redress: Redress,
}

/// How a block can be contested.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Redress {
    /// The authority's page for appeals.
    pub url: Option<String>,
    /// The authority's address for appeals.
    pub email: Option<String>,
    /// Days within which an appeal must be made.
    pub deadline_days: Option<u32>,
    /// The court that decides in the end.
    pub court: Option<String>,
}

/// The class of the content; a closed vocabulary (field.md section 8.3).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Category {
    /// Child sexual abuse material.
    Csam,
    /// Terrorist content.
    Terrorism,
    /// Unlicensed gambling.
    Gambling,
    /// Phishing.
    Phishing,
    /// Malware.
    Malware,
    /// Copyright.
    Copyright,
    /// Copyright, live events.
    CopyrightLive,
    /// Unlicensed financial services.
    Finance,
    /// Consumer protection.
    Consumer,
    /// Sanctions.
    Sanctions,
    /// Another court order.
    CourtOther,
    /// An operator's own rule; only in lists that no authority signed.
    #[default]
    Local,
}

impl Category {
    /// Every category.
    pub const ALL: [Self; 12] = [
        Self::Csam,
        Self::Terrorism,
        Self::Gambling,
        Self::Phishing,
        Self::Malware,
        Self::Copyright,
        Self::CopyrightLive,
        Self::Finance,
        Self::Consumer,
        Self::Sanctions,
        Self::CourtOther,
        Self::Local,
    ];

    /// The word for it in lists and reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Csam => "csam",
            Self::Terrorism => "terrorism",
            Self::Gambling => "gambling",
            Self::Phishing => "phishing",
            Self::Malware => "malware",
            Self::Copyright => "copyright",
            Self::CopyrightLive => "copyright_live",
            Self::Finance => "finance",
            Self::Consumer => "consumer",
            Self::Sanctions => "sanctions",
            Self::CourtOther => "court_other",
            Self::Local => "local",
        }
    }

    /// The category of that word; nothing for a word that is none.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|category| category.as_str() == word)
    }
}
