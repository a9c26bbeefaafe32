//! [`Reading`]: how a list is to be read, and what reading it finds.

use std::sync::Arc;

use super::{Format, native};
use crate::policy::{Entry, LegalRecord, LocalRecord, Name, Scope, UrlScope};

/// How one list is to be read.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The list's name, from which ids are derived where the format has none.
    pub list: String,
    /// How it is written.
    pub format: Format,
    /// The scope of names where the format does not say it.
    pub scope: Option<Scope>,
    /// The scope of URLs in [`Format::Urls`].
    pub url_scope: UrlScope,
    /// The legal record of entries whose format has none.
    pub record: Arc<LegalRecord>,
}

/// One thing that a reader found.
#[derive(Clone, Debug)]
pub enum Parsed {
    /// The header of a native list; at most one, and first.
    Header(Box<native::Header>),
    /// An entry and its line, from 1.
    Entry(u32, Box<Entry>),
    /// The apex of a policy zone, where it is said, and its SOA record; at most one.
    Soa(Option<Box<Name>>, LocalRecord),
    /// A row that was left out.
    Reject(Reject),
    /// A row that was taken, and is strange.
    Warning(Reject),
}

/// A row that was left out, and why; the rest of its list is kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reject {
    /// The line, from 1.
    pub line: u32,
    /// Why, as a sentence for the person who keeps the list.
    pub reason: String,
}
