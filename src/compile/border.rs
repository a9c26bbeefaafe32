//! [`Border`]: what one list may hold, and which of its rows are left out for that. Nodes
//! and publishers run the same checks.

use std::net::IpAddr;
use std::sync::Arc;

use super::{From, OnTrip, Protected, Reserved, Settings};
use crate::policy::{Bounds, Entry, GuardLimits, Host, Kind, Name, Prefix, Scope, Trigger};

/// The border of one list: what its rows must be within.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Border {
    /// What the signed policy and the configuration say, the stricter of both.
    pub bounds: Bounds,
    /// Names, with all below them, that no list of its repository may block.
    pub never_block: Arc<Reserved>,
    /// What is done with a version that trips a guard of the configuration.
    pub on_trip: OnTrip,
    /// What the signed policy alone says; nothing where it does not speak of the list.
    signed: Option<Bounds>,
    /// Whether an authority signs the list, so that each entry needs a legal basis.
    needs_legal_basis: bool,
    /// The name that the list has in its repository, where it comes from one: its own test
    /// entry stands at that name, and nowhere else.
    own_name: Option<Name>,
}

/// Why a row is left out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// Why, as a sentence for the person who keeps the list.
    pub reason: String,
    /// Whether it is because of what the row would block: a protected name, this node's
    /// own, one of the never-block list, or everything under a suffix that many share. Many
    /// such rows look like the wrong file.
    pub never_blocked: bool,
}

impl Border {
    /// The border of a list: what the configuration says, and the signed policy of its
    /// repository, the stricter of both; `never_block` is that repository's.
    #[must_use]
    pub fn of(settings: &Settings, signed: Option<&Bounds>, never_block: Arc<Reserved>) -> Self {
        let local = Bounds {
            kinds: Some(settings.kinds.clone()),
            guard: settings.guard.limits,
            ..Bounds::default()
        };
        Self {
            bounds: signed.cloned().unwrap_or_default().stricter(&local),
            never_block,
            on_trip: settings.guard.on_trip,
            signed: signed.cloned(),
            needs_legal_basis: matches!(settings.from, From::Repository { .. }),
            own_name: match &settings.from {
                From::Repository { list, .. } => Name::from_text(list).ok(),
                From::File { .. } => None,
            },
        }
    }

    /// The border of a list whose repository says nothing, or that has none.
    #[must_use]
    pub fn local(settings: &Settings) -> Self {
        Self::of(settings, None, Arc::default())
    }

    /// The border that an authority's own list must be within before it is signed: the
    /// signed policy, and the guards as nodes have them unless they are told otherwise.
    #[must_use]
    pub fn draft(signed: Option<&Bounds>, guard: GuardLimits, never_block: Arc<Reserved>) -> Self {
        let usual = Bounds {
            guard,
            ..Bounds::default()
        };
        Self {
            bounds: signed.cloned().unwrap_or_default().stricter(&usual),
            never_block,
            on_trip: OnTrip::Hold,
            signed: signed.cloned(),
            needs_legal_basis: true,
            own_name: None,
        }
    }

    /// The guard limits of the signed policy alone, which no configuration softens; nothing
    /// where it does not speak of the list.
    #[must_use]
    pub fn signed_guard(&self) -> Option<&GuardLimits> {
        self.signed.as_ref().map(|signed| &signed.guard)
    }

    /// Whether a row may be enforced (field.md section 3, the pipeline, in its order): the
    /// scope of the signed policy, the legal basis, this node's own names and addresses,
    /// protected names, the never-block list, public suffixes and shared platforms, kinds.
    ///
    /// # Errors
    /// Why it is left out; the rest of the list is kept.
    pub fn check(&self, protected: &Protected, entry: &Entry) -> Result<(), Refusal> {
        if entry.canary {
            return check_canary(self.own_name.as_ref(), entry);
        }
        let name = named(entry);
        self.check_signed_scope(name.as_ref(), entry)
            .map_err(Refusal::plain)?;
        self.check_legal_basis(entry).map_err(Refusal::plain)?;
        if entry.kind() != Kind::Exception {
            check_own(protected, name.as_ref(), entry).map_err(Refusal::never_blocked)?;
            self.check_reserved(protected, name.as_ref())
                .map_err(Refusal::never_blocked)?;
            if !self.is_default(entry) {
                check_suffix(entry).map_err(Refusal::never_blocked)?;
            }
        }
        self.check_kind(entry).map_err(Refusal::plain)
    }

    /// The names below a wide entry that stay open all the same, at most `most` of them.
    #[must_use]
    pub fn holes(&self, protected: &Protected, entry: &Entry, most: usize) -> Vec<Name> {
        let Trigger::Name { name, scope } = &entry.trigger else {
            return Vec::new();
        };
        if *scope == Scope::Exact || entry.kind() == Kind::Exception || entry.canary {
            return Vec::new();
        }
        let mut holes = protected.below(name, most);
        let room = most.saturating_sub(holes.len());
        holes.extend(self.never_block.below(name, room));
        holes
    }

    /// The kinds, categories and top-level domains that the offline keys allow.
    fn check_signed_scope(&self, name: Option<&Name>, entry: &Entry) -> Result<(), String> {
        let Some(signed) = &self.signed else {
            return Ok(());
        };
        let kind = entry.kind();
        if let Some(kinds) = &signed.kinds
            && !kinds.contains(&needed(kind))
        {
            let kind = kind.as_str();
            return Err(format!(
                "the signed policy does not allow this list entries of kind {kind}"
            ));
        }
        if let Some(categories) = &signed.categories
            && !categories.contains(&entry.record.category)
        {
            let category = entry.record.category.as_str();
            return Err(format!(
                "the signed policy does not allow this list the category {category}"
            ));
        }
        let Some(top_level) = &signed.top_level else {
            return Ok(());
        };
        match name {
            Some(name) if top_level.iter().any(|top| name.is_at_or_below(top)) => Ok(()),
            None if matches!(kind, Kind::Ip | Kind::Client) => Ok(()),
            _ => {
                let top_level: Vec<String> = top_level.iter().map(Name::to_string).collect();
                Err(format!(
                    "the signed policy allows this list names below {} alone",
                    top_level.join(", ")
                ))
            }
        }
    }

    /// Whether a row is the operator's own word for all names that nothing else speaks of: `*`
    /// at the apex of a policy zone that nobody signs (rpz.md T19).
    fn is_default(&self, entry: &Entry) -> bool {
        let is_every = matches!(
            &entry.trigger,
            Trigger::Name { name, scope: Scope::Wildcard } if name.is_root()
        );
        is_every && !self.needs_legal_basis
    }

    /// A block without a law behind it is none that an authority may ask for.
    fn check_legal_basis(&self, entry: &Entry) -> Result<(), String> {
        let missing = match &entry.record {
            _ if !self.needs_legal_basis => return Ok(()),
            record if record.basis.is_empty() => "legal basis",
            record if record.authority.is_empty() => "authority",
            _ => return Ok(()),
        };
        Err(format!("the entry has no {missing}"))
    }

    /// Names that the operator protects, and those of the never-block list.
    fn check_reserved(&self, protected: &Protected, name: Option<&Name>) -> Result<(), String> {
        let Some(name) = name else {
            return Ok(());
        };
        if let Some(reserved) = protected.find(name) {
            return Err(format!(
                "{name} is protected here{}: `protect` in the configuration outranks every list",
                by(name, reserved)
            ));
        }
        match self.never_block.find(name) {
            Some(reserved) => Err(format!(
                "{name} may not be blocked{}: it is on the never-block list of the repository",
                by(name, reserved)
            )),
            None => Ok(()),
        }
    }

    /// The kinds that are taken here.
    fn check_kind(&self, entry: &Entry) -> Result<(), String> {
        let kind = entry.kind();
        match &self.bounds.kinds {
            Some(kinds) if !kinds.contains(&needed(kind)) => Err(format!(
                "entries of kind {} are not among this list's kinds",
                kind.as_str()
            )),
            _ => Ok(()),
        }
    }
}

impl Refusal {
    /// A row that is not within what the list may hold.
    const fn plain(reason: String) -> Self {
        Self {
            reason,
            never_blocked: false,
        }
    }

    /// A row that would block what may never be blocked.
    const fn never_blocked(reason: String) -> Self {
        Self {
            reason,
            never_blocked: true,
        }
    }
}

/// A list's own test entry is exempt from every check and from every count, so it may stand
/// at the one place alone where it can do no harm; that of a list whose name is known at that
/// name's.
fn check_canary(own: Option<&Name>, entry: &Entry) -> Result<(), Refusal> {
    let is_there = match (&entry.trigger, own) {
        (Trigger::Name { name, scope }, Some(own)) => {
            *scope == Scope::Subtree && name.to_string() == format!("{own}.{CANARY_PARENT}")
        }
        (Trigger::Name { name, .. }, None) => Name::from_text(CANARY_PARENT)
            .is_ok_and(|parent| *name != parent && name.is_at_or_below(&parent)),
        _ => false,
    };
    if is_there {
        return Ok(());
    }
    Err(Refusal::plain(format!(
        "it says that it is the list's own test entry, which is LIST.{CANARY_PARENT} with all below it"
    )))
}

/// What this node itself stands on.
fn check_own(protected: &Protected, name: Option<&Name>, entry: &Entry) -> Result<(), String> {
    let is_below = matches!(
        &entry.trigger,
        Trigger::Name {
            scope: Scope::Children | Scope::Wildcard,
            ..
        }
    );
    if let Some(name) = name.filter(|_| !is_below)
        && let Some(key) = protected.find_own(name)
    {
        return Err(format!(
            "{name} is this node's own (`{key}` in the configuration)"
        ));
    }
    if let Some(range) = addresses(entry)
        && let Some((address, key)) = protected.find_own_address(&range)
    {
        return Err(format!(
            "{address} is this node's own address (`{key}` in the configuration)"
        ));
    }
    Ok(())
}

/// Refuses an entry that would cover every name under a suffix that many share, or the name of
/// a registry itself.
fn check_suffix(entry: &Entry) -> Result<(), String> {
    let Trigger::Name { name, scope } = &entry.trigger else {
        return Ok(());
    };
    let is_exact = *scope == Scope::Exact;
    if name.is_root() {
        return Err(match is_exact {
            true => "this is the root of all names".to_owned(),
            false => "this would cover every name there is".to_owned(),
        });
    }
    let text = name.to_string();
    if is_exact {
        let suffix = psl::suffix(text.as_bytes());
        let is_registry = suffix.is_some_and(|suffix| {
            suffix.as_bytes() == text.as_bytes() && suffix.typ() == Some(psl::Type::Icann)
        });
        return match is_registry && !entry.is_shared_acknowledged {
            true => Err(format!(
                "{text} is a public suffix: this would block the name of a registry"
            )),
            false => Ok(()),
        };
    }
    if SHARED_PARENTS.contains(&text.as_str()) {
        return check_shared(&text, entry);
    }
    match psl::suffix(text.as_bytes()) {
        Some(suffix) if suffix.as_bytes() == text.as_bytes() => match suffix.typ() {
            Some(psl::Type::Icann) => Err(format!(
                "{text} is a public suffix: this would cover every name registered under it"
            )),
            Some(psl::Type::Private) => check_shared(&text, entry),
            None => Ok(()),
        },
        _ => Ok(()),
    }
}

/// Whether everything below a name is for others to register: a public suffix of registries,
/// or a single label. Not one of the shared platforms, which have owners.
#[must_use]
pub fn is_registry(name: &Name) -> bool {
    let text = name.to_string();
    let suffix = psl::suffix(text.as_bytes());
    let is_suffix = suffix.is_some_and(|suffix| {
        suffix.as_bytes() == text.as_bytes() && suffix.typ() == Some(psl::Type::Icann)
    });
    is_suffix || name.label_count() == 1
}

/// Demands that the authority has looked at who else is there.
fn check_shared(text: &str, entry: &Entry) -> Result<(), String> {
    if entry.is_shared_acknowledged {
        return Ok(());
    }
    Err(format!(
        "{text} is a platform that many share: this would cover all of their names; an authority that has looked at that says so in the entry's `collateral`, with `shared`, `checked_at` and `ack_by`"
    ))
}

/// The kind that a list must be allowed for an entry; exceptions count as domains.
const fn needed(kind: Kind) -> Kind {
    match kind {
        Kind::Exception => Kind::Domain,
        kind => kind,
    }
}

/// The name that an entry speaks of; nothing for an address.
fn named(entry: &Entry) -> Option<Name> {
    match &entry.trigger {
        Trigger::Name { name, .. } | Trigger::NsName { name, .. } => Some(*name),
        Trigger::Url { url, .. } => url.host().as_name(),
        Trigger::Address(_) | Trigger::Client(_) | Trigger::NsAddress(_) => None,
    }
}

/// The addresses that an entry speaks of; nothing for a name.
fn addresses(entry: &Entry) -> Option<Prefix> {
    match &entry.trigger {
        // A client's address is none that is blocked.
        Trigger::Name { .. } | Trigger::NsName { .. } | Trigger::Client(_) => None,
        Trigger::Address(range) | Trigger::NsAddress(range) => Some(*range),
        Trigger::Url { url, .. } => match url.host() {
            Host::Name(_) => None,
            Host::Address(address) => Prefix::new(*address, width(*address)).ok(),
        },
    }
}

/// The number of bits of an address.
const fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// Says which name covers another, where that is not itself.
fn by(name: &Name, reserved: &Name) -> String {
    if name == reserved {
        String::new()
    } else {
        format!(", as all below {reserved}")
    }
}

/// What every list's own test entry is below.
const CANARY_PARENT: &str = "canary.invalid";
/// Parents of the largest dynamic-DNS service, which strangers share and the public suffix
/// list does not have; mooo.com took 84,000 names with it in 2011 (field.md section 3).
const SHARED_PARENTS: &[&str] = &[
    "chickenkiller.com",
    "crabdance.com",
    "ignorelist.com",
    "jumpingcrab.com",
    "mooo.com",
    "strangled.net",
    "twilightparadox.com",
    "us.to",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::parse::native::{read_entry, read_header};
    use crate::compile::{Own, OwnHost};
    use crate::policy::Category;

    fn name(text: &str) -> Name {
        Name::from_text(text).unwrap()
    }

    /// A list that may hold domains, URLs and addresses of the categories csam and phishing,
    /// below test, com, org and example; on a node that protects bank.test.
    fn border() -> (Border, Protected) {
        let signed = Bounds {
            kinds: Some(vec![Kind::Domain, Kind::Url, Kind::Ip]),
            categories: Some(vec![Category::Csam, Category::Phishing]),
            top_level: Some(["test", "com", "io", "uk", "dk"].map(name).to_vec()),
            ..Bounds::default()
        };
        let never: Vec<Name> = ["google.com", "drive.test"].map(name).to_vec();
        let never = Arc::new(Reserved::new(never.into()));
        let mut border = Border::draft(Some(&signed), GuardLimits::default(), never);
        border.bounds.kinds = Some(vec![Kind::Domain, Kind::Url]);
        let own = |key, text: &str| Own {
            key,
            host: match text.parse() {
                Ok(address) => OwnHost::Address(address),
                Err(_) => OwnHost::Name(name(text)),
            },
        };
        let own = vec![
            own("repositories.mirrors", "lists.hotline.test"),
            own("dns.stop_page", "192.0.2.80"),
            own("dns.listen", "2001:db8::53"),
        ];
        (border, Protected::new(vec![name("bank.test")], own))
    }

    /// What becomes of an entry `KIND MATCH VALUE`, with further members.
    #[track_caller]
    fn check(entry: &str, more: &str, expected: Result<&[&str], (&str, bool)>) {
        let header = r#"{"format":1,"list":"l","defaults":{"category":"csam","legal":{"basis":"b","authority":"a"}}}"#;
        let words: Vec<&str> = entry.split(' ').collect();
        let (kind, word, value) = (words[0], words[1], words[2]);
        let word = match word {
            "-" => String::new(),
            word => format!(",\"match\":\"{word}\""),
        };
        let line =
            format!("{{\"id\":\"1\",\"kind\":\"{kind}\"{word},\"value\":\"{value}\"{more}}}");
        let read = read_entry(&line, &read_header(header).unwrap()).unwrap();
        let (border, protected) = border();
        match (border.check(&protected, &read), expected) {
            (Ok(()), Ok(holes)) => {
                let found = border.holes(&protected, &read, 10);
                let found: Vec<String> = found.iter().map(Name::to_string).collect();
                assert_eq!(found, holes, "{entry}");
            }
            (Err(refusal), Err((part, never_blocked))) => {
                assert!(refusal.reason.contains(part), "{entry}: {}", refusal.reason);
                assert_eq!(refusal.never_blocked, never_blocked, "{entry}");
            }
            (found, _) => panic!("{entry}: {found:?}"),
        }
    }

    #[test]
    fn an_authority_lists_only_what_the_offline_keys_allow() {
        check("domain subtree ok.test", "", Ok(&[]));
        let own = ",\"category\":\"copyright\"";
        check(
            "domain exact a.test",
            own,
            Err(("category copyright", false)),
        );
        check("domain exact a.se", "", Err(("below test, com", false)));
        check("url - http://a.se/x", "", Err(("below test, com", false)));
        check("url - http://198.51.100.1/", "", Err(("below test", false)));
    }

    #[test]
    fn russia_a_list_cannot_turn_a_node_against_itself() {
        let own = Err(("this node's own (`repositories.mirrors`", true));
        check("domain exact lists.hotline.test", "", own);
        check("url - http://lists.hotline.test/metadata/", "", own);
        check("domain subtree lists.hotline.test", "", own);
        check("domain subtree customer.lists.hotline.test", "", Ok(&[]));
        check("domain children lists.hotline.test", "", Ok(&[]));
        check(
            "domain subtree hotline.test",
            "",
            Ok(&["lists.hotline.test"]),
        );
        check("ip - 192.0.2.0/24", "", Err(("`dns.stop_page`", true)));
        check("ip - 2001:db8::53", "", Err(("`dns.listen`", true)));
    }

    #[test]
    fn protected_names_are_judged_equal_below_and_above() {
        check("domain exact bank.test", "", Err(("protected here:", true)));
        check("domain children bank.test", "", Err(("protected", true)));
        check(
            "domain exact www.bank.test",
            "",
            Err(("below bank.test", true)),
        );
        check("url - http://bank.test/x", "", Err(("protected", true)));
        check(
            "domain subtree test",
            "",
            Ok(&["lists.hotline.test", "bank.test", "drive.test"]),
        );
        check("domain exact test", "", Ok(&[]));
        check("exception subtree bank.test", "", Ok(&[]));
    }

    #[test]
    fn google_drive_names_below_a_never_block_name_are_held_back() {
        let below = Err((
            "as all below google.com: it is on the never-block list",
            true,
        ));
        check("domain exact drive.usercontent.google.com", "", below);
        check("domain subtree google.com", "", Err(("never-block", true)));
        check("domain exact notgoogle.com", "", Ok(&[]));
    }

    #[test]
    fn mooo_com_and_other_shared_parents_are_not_taken_whole() {
        for parent in ["mooo.com", "github.io"] {
            let entry = format!("domain subtree {parent}");
            check(&entry, "", Err(("a platform that many share", true)));
            let entry = format!("domain subtree user.{parent}");
            check(&entry, "", Ok(&[]));
        }
        check("domain subtree co.uk", "", Err(("public suffix", true)));
        check("domain exact co.uk", "", Err(("name of a registry", true)));
        check("domain exact com", "", Err(("name of a registry", true)));
        check("domain exact a.com", "", Ok(&[]));
        check("domain children dk", "", Err(("public suffix", true)));
    }

    #[test]
    fn norway_a_shared_host_is_blocked_only_by_who_has_looked_at_it() {
        let entry = "domain children github.io";
        let whole = ",\"collateral\":{\"shared\":true,\"checked_at\":\"2026-11-01\",\"ack_by\":\"A. Clerk\"}";
        check(entry, whole, Ok(&[]));
        for less in [
            ",\"collateral\":{\"shared\":false,\"checked_at\":\"2026-11-01\",\"ack_by\":\"A. Clerk\"}",
            ",\"collateral\":{\"shared\":true,\"checked_at\":\"soon\",\"ack_by\":\"A. Clerk\"}",
            ",\"collateral\":{\"shared\":true,\"checked_at\":\"2026-11-01\",\"ack_by\":\" \"}",
            ",\"collateral\":{\"shared\":true,\"ack_by\":\"A. Clerk\"}",
            ",\"collateral\":{}",
        ] {
            check(entry, less, Err(("a platform that many share", true)));
        }
        check("domain exact github.io", "", Ok(&[]));
        check("domain exact com", whole, Ok(&[]));
        let icann = "domain subtree co.uk";
        check(icann, whole, Err(("public suffix", true)));
    }

    #[test]
    fn asic_addresses_are_not_taken_unless_they_are_allowed() {
        check(
            "ip - 198.51.100.7",
            "",
            Err(("kind ip are not among this list's kinds", false)),
        );
        let (mut border, protected) = border();
        border.signed = Some(Bounds {
            kinds: Some(vec![Kind::Domain]),
            ..Bounds::default()
        });
        let entry = Entry::plain(
            crate::policy::EntryId::new("1"),
            Trigger::Address("198.51.100.7".parse().unwrap()),
            crate::policy::Action::Block,
            Arc::new(crate::policy::LegalRecord {
                basis: "b".into(),
                authority: "a".into(),
                ..Default::default()
            }),
        );
        let refusal = border.check(&protected, &entry).unwrap_err();
        assert!(
            refusal.reason.contains("signed policy"),
            "{}",
            refusal.reason
        );
        border.signed = None;
        let unlawful = Entry {
            record: Arc::default(),
            ..entry
        };
        let refusal = border.check(&protected, &unlawful).unwrap_err();
        assert!(
            refusal.reason.contains("no legal basis"),
            "{}",
            refusal.reason
        );
    }

    #[test]
    fn a_list_has_one_test_entry_alone() {
        let header = r#"{"format":1,"list":"l","defaults":{"category":"csam","legal":{"basis":"b","authority":"a"}}}"#;
        let header = read_header(header).unwrap();
        let border = Border {
            own_name: Some(name("l")),
            ..Border::default()
        };
        for (word, value, is_taken) in [
            ("subtree", "l.canary.invalid", true),
            ("exact", "l.canary.invalid", false),
            ("subtree", "m.canary.invalid", false),
            ("subtree", "a.l.canary.invalid", false),
        ] {
            let line = format!(
                r#"{{"canary":true,"id":"1","kind":"domain","match":"{word}","value":"{value}"}}"#
            );
            let entry = read_entry(&line, &header).unwrap();
            let found = border.check(&Protected::default(), &entry);
            assert_eq!(found.is_ok(), is_taken, "{word} {value}");
        }
    }

    #[test]
    fn a_test_entry_cannot_hide_a_block_from_the_counts() {
        let canary = ",\"canary\":true";
        check("domain subtree l.canary.invalid", canary, Ok(&[]));
        check(
            "domain subtree bank.test",
            canary,
            Err(("test entry", false)),
        );
        check(
            "domain subtree canary.invalid",
            canary,
            Err(("test entry", false)),
        );
        check(
            "url - http://a.canary.invalid/",
            canary,
            Err(("test entry", false)),
        );
    }
}
