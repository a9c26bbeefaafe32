//! The JSON shapes of a native list's lines, as they are read (interface.md, "Native list
//! format").

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Deref;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::policy::{Category, LegalRecord, Redress};

/// A text of a line; it is copied only where it holds escapes. A field that is an
/// `Option<Cow<str>>` would be copied always.
#[derive(Clone, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
#[serde(transparent)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

#[derive(Deserialize)]
pub(super) struct HeaderLine<'a> {
    pub(super) format: u64,
    #[serde(borrow)]
    pub(super) list: Text<'a>,
    #[serde(borrow, default)]
    pub(super) title: BTreeMap<Text<'a>, Text<'a>>,
    #[serde(borrow)]
    pub(super) issuer: Option<IssuerLine<'a>>,
    #[serde(borrow, default)]
    pub(super) defaults: DefaultsLine<'a>,
}

#[derive(Deserialize)]
pub(super) struct IssuerLine<'a> {
    #[serde(borrow)]
    pub(super) name: Option<Text<'a>>,
}

#[derive(Default, Deserialize)]
pub(super) struct DefaultsLine<'a> {
    #[serde(borrow)]
    pub(super) category: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) legal: LegalLine<'a>,
    #[serde(borrow)]
    pub(super) redress: Option<RedressLine<'a>>,
    #[serde(borrow, default)]
    pub(super) reason: BTreeMap<Text<'a>, Text<'a>>,
    #[serde(borrow)]
    pub(super) action: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) review_by: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) expires_at: Option<Text<'a>>,
}

#[derive(Deserialize)]
pub(super) struct EntryLine<'a> {
    #[serde(borrow)]
    pub(super) id: Text<'a>,
    #[serde(borrow)]
    pub(super) kind: Text<'a>,
    #[serde(borrow)]
    pub(super) value: Text<'a>,
    #[serde(borrow)]
    pub(super) r#match: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) query: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) action: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) category: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) legal: Option<LegalLine<'a>>,
    #[serde(borrow)]
    pub(super) redress: Option<RedressLine<'a>>,
    #[serde(borrow, default)]
    pub(super) reason: BTreeMap<Text<'a>, Text<'a>>,
    #[serde(borrow)]
    pub(super) added_at: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) effective_from: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) expires_at: Option<Text<'a>>,
    #[serde(default)]
    pub(super) canary: bool,
    #[serde(default)]
    pub(super) cname: bool,
    #[serde(default)]
    pub(super) records: Vec<String>,
    #[serde(default)]
    pub(super) critical: Vec<String>,
    #[serde(borrow)]
    pub(super) collateral: Option<CollateralLine<'a>>,
    #[serde(borrow)]
    pub(super) review_by: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) window: Option<Vec<WindowLine<'a>>>,
    pub(super) scheme: Option<IgnoredAny>,
}

#[derive(Deserialize)]
pub(super) struct WindowLine<'a> {
    #[serde(borrow)]
    pub(super) from: Text<'a>,
    #[serde(borrow)]
    pub(super) to: Text<'a>,
}

#[derive(Clone, Default, Deserialize)]
pub(super) struct LegalLine<'a> {
    #[serde(borrow)]
    pub(super) basis: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) authority: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) order_ref: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) decided_at: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) notice_url: Option<Text<'a>>,
}

#[derive(Clone, Deserialize)]
pub(super) struct RedressLine<'a> {
    #[serde(borrow)]
    pub(super) url: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) email: Option<Text<'a>>,
    pub(super) deadline_days: Option<u32>,
    #[serde(borrow)]
    pub(super) court: Option<Text<'a>>,
}

#[derive(Deserialize)]
pub(super) struct CollateralLine<'a> {
    #[serde(default)]
    pub(super) shared: bool,
    #[serde(borrow)]
    pub(super) checked_at: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) ack_by: Option<Text<'a>>,
}

impl CollateralLine<'_> {
    /// Whether somebody answers for what others lose: an assessment is said to have been
    /// made, when, and by whom.
    pub(super) fn is_acknowledged(&self) -> bool {
        let given =
            |text: &Option<Text<'_>>| text.as_deref().is_some_and(|text| !text.trim().is_empty());
        let is_date =
            |text: &str| text.parse::<Timestamp>().is_ok() || text.parse::<Date>().is_ok();
        self.shared && self.checked_at.as_deref().is_some_and(is_date) && given(&self.ack_by)
    }
}

impl LegalLine<'_> {
    /// Writes what is given over what `record` has.
    pub(super) fn merge(
        self,
        record: &mut LegalRecord,
        category: Option<&str>,
        redress: Option<RedressLine<'_>>,
        reason: BTreeMap<Text<'_>, Text<'_>>,
    ) -> Result<(), String> {
        if let Some(word) = category {
            record.category = Category::from_word(word)
                .filter(|category| *category != Category::Local)
                .ok_or_else(|| format!("`{word}` is no category"))?;
        }
        over(&mut record.basis, self.basis);
        over(&mut record.authority, self.authority);
        over_optional(&mut record.order_ref, self.order_ref);
        over_optional(&mut record.decided_at, self.decided_at);
        over_optional(&mut record.notice_url, self.notice_url);
        if let Some(redress) = redress {
            let to: &mut Redress = &mut record.redress;
            over_optional(&mut to.url, redress.url);
            over_optional(&mut to.email, redress.email);
            over_optional(&mut to.court, redress.court);
            to.deadline_days = redress.deadline_days.or(to.deadline_days);
        }
        for (language, text) in reason {
            record.reason.insert(shown(language), shown(text));
        }
        Ok(())
    }
}

/// A text that people are shown, on pages and in terminals: what would act on a terminal or
/// turn the order of what is read around is replaced by U+FFFD.
pub(super) fn shown(text: Text<'_>) -> String {
    let acts = |letter: char| {
        letter.is_control()
            || matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}'
                | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if text.chars().any(acts) {
        text.replace(acts, "\u{fffd}")
    } else {
        text.0.into_owned()
    }
}

pub(super) fn over(to: &mut String, from: Option<Text<'_>>) {
    if let Some(from) = from {
        *to = shown(from);
    }
}

pub(super) fn over_optional(to: &mut Option<String>, from: Option<Text<'_>>) {
    if let Some(from) = from {
        *to = Some(shown(from));
    }
}
