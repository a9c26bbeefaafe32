//! [`Border`]: what one list may hold, and which of its rows are left out for that.

use std::sync::Arc;

use super::Settings;
use crate::policy::{Bounds, Entry, Host, Kind, Name, Scope, Trigger};

/// The border of one list: what its rows must be within.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Border {
    /// What the signed policy and the configuration say, the stricter of both.
    pub bounds: Bounds,
    /// Names, with all below them, that no list of its repository may block.
    pub never_block: Arc<[Name]>,
}

/// Whether a row may be enforced, as far as the row alone says.
///
/// # Errors
/// A sentence that says why not.
pub(super) fn admit(settings: &Settings, entry: &Entry) -> Result<(), String> {
    let kind = entry.kind();
    let needed = match kind {
        Kind::Exception => Kind::Domain,
        kind => kind,
    };
    if kind == Kind::Ip {
        return Err("entries of kind ip are not enforced in this version".to_owned());
    }
    if !settings.kinds.contains(&needed) && !entry.canary {
        return Err(format!(
            "entries of kind {} are not among this list's kinds",
            kind.as_str()
        ));
    }
    match &entry.trigger {
        Trigger::Name { name, scope } if kind == Kind::Domain => check_public_suffix(name, *scope),
        _ => Ok(()),
    }
}

/// The name that an entry would block; nothing for an exception or an address.
pub(super) fn blocked_name(entry: &Entry) -> Option<Name> {
    if entry.kind() == Kind::Exception {
        return None;
    }
    match &entry.trigger {
        Trigger::Name { name, .. } => Some(*name),
        Trigger::Url { url, .. } => match url.host() {
            Host::Name(_) => url.host().as_name(),
            Host::Address(_) => None,
        },
        Trigger::Address(_) => None,
    }
}

/// Refuses an entry that would cover every name under a public suffix.
fn check_public_suffix(name: &Name, scope: Scope) -> Result<(), String> {
    if scope == Scope::Exact {
        return Ok(());
    }
    if name.is_root() {
        return Err("this would cover every name there is".to_owned());
    }
    let text = name.to_string();
    match psl::suffix(text.as_bytes()) {
        Some(suffix)
            if suffix.typ() == Some(psl::Type::Icann) && suffix.as_bytes() == text.as_bytes() =>
        {
            Err(format!(
                "{text} is a public suffix: this would cover every name registered under it"
            ))
        }
        _ => Ok(()),
    }
}
