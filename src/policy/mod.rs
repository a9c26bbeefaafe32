//! The words: what may be said about names, URLs and addresses. Depends on nothing.

mod action;
mod bounds;
mod decision;
mod entry;
mod legal;
mod life;
mod local_data;
mod name;
mod name_server;
mod nearest;
mod prefix;
mod provenance;
mod rule;
mod surface;
mod trigger;
mod url;
mod withdrawal;

pub use action::Action;
pub use bounds::{Bounds, GuardLimits, OnExpiry};
pub use decision::{Decision, Matches};
pub use entry::{Entry, EntryId};
pub use legal::{Category, LegalRecord, Redress};
pub use life::{Life, Window};
pub use local_data::{LOCAL_RECORDS_MAX, LocalData, LocalRecord};
pub use name::{NAME_OCTETS_MAX, Name, NameError};
pub use name_server::NameServer;
pub use nearest::nearest;
pub use prefix::{Prefix, PrefixError};
pub use provenance::{Origin, Provenance};
pub use rule::RuleId;
pub use surface::Surface;
pub use trigger::{Kind, QueryMatch, Reach, Scope, Trigger, UrlScope};
pub use url::{CanonicalUrl, Host, URL_OCTETS_MAX, UrlError};
pub use withdrawal::{Withdrawal, WithdrawalReason, Withdrawn};
