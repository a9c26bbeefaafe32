//! Reads `override` of a list: what is done instead of what its entries say.

use std::sync::Arc;

use crate::config::scalar::{Scalar, word};
use crate::config::section::Section;
use crate::policy::{Action, LocalData, Name};

/// What is done instead; nothing for `given`.
#[derive(Clone, Debug, Default)]
pub(super) struct Instead {
    /// The action.
    pub(super) action: Option<Action>,
    /// What is answered, where that is local data.
    pub(super) data: Option<Arc<LocalData>>,
}

/// Reads it.
pub(super) fn read(s: &mut Section<'_, '_>) -> Option<Instead> {
    let words = WORDS.map(|(word, action)| (word, Instead { action, data: None }));
    let mut words = word(&words);
    words.expected += ", or `{ cname: NAME }`";
    s.default_or_section(
        "override",
        "given",
        "What is done instead of what the entries say.",
        words,
        |s| {
            let target = s.required(
                "cname",
                "What every listed name is an alias of; with `*.` in front, below it.",
                alias(),
            );
            Some(Instead {
                action: Some(Action::LocalData),
                data: Some(Arc::new(target?)),
            })
        },
    )
}

/// A name that others are made an alias of, or `*.` and one that they are put in front of.
fn alias() -> Scalar<LocalData> {
    Scalar::new("a domain name, or `*.` and one", |text| {
        let (parent, is_wildcard) = match text.strip_prefix("*.") {
            Some(parent) => (parent, true),
            None => (text, false),
        };
        let target = match parent {
            "" | "." => Name::ROOT,
            parent => Name::from_text(parent).map_err(|error| error.to_string())?,
        };
        if target.is_root() {
            let word = if is_wildcard { "nodata" } else { "nxdomain" };
            return Err(format!("write `override: {word}`"));
        }
        let top = parent.trim_end_matches('.').rsplit('.').next();
        if top.is_some_and(|top| top.to_ascii_lowercase().starts_with("rpz-")) {
            return Err("this is an action of RPZ: write its word, as in `override: drop`".into());
        }
        Ok(LocalData::Alias {
            target,
            is_wildcard,
            // As long as any answer of this node: `max_policy_ttl` and `dns.ttl` are shorter.
            ttl: u32::MAX,
        })
    })
}

/// The words.
const WORDS: [(&str, Option<Action>); 9] = [
    ("given", None),
    ("block", Some(Action::Block)),
    ("nxdomain", Some(Action::NxDomain)),
    ("nodata", Some(Action::NoData)),
    ("refused", Some(Action::Refused)),
    ("passthru", Some(Action::PassThru)),
    ("drop", Some(Action::Drop)),
    ("tcp_only", Some(Action::TcpOnly)),
    ("disabled", Some(Action::Monitor)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<(&str, bool), &str>) {
        match (alias().read(text), expected) {
            (
                Ok(LocalData::Alias {
                    target,
                    is_wildcard,
                    ttl,
                }),
                Ok((name, wildcard)),
            ) => {
                assert_eq!((target.to_string().as_str(), is_wildcard), (name, wildcard));
                assert_eq!(ttl, u32::MAX);
            }
            (Err(help), Err(part)) => assert!(help.contains(part), "{text}: {help}"),
            (found, _) => panic!("{text}: {found:?}"),
        }
    }

    #[test]
    fn an_alias_is_a_name_or_a_wildcard() {
        check("garden.example", Ok(("garden.example", false)));
        check("Garden.Example.", Ok(("garden.example", false)));
        check("*.garden.example", Ok(("garden.example", true)));
        check(".", Err("override: nxdomain"));
        check("*.", Err("override: nodata"));
        check("rpz-passthru.", Err("write its word"));
        check("x.RPZ-drop", Err("write its word"));
        check("a..b", Err("label"));
        check("", Err("override: nxdomain"));
    }
}
