//! Reads one of `lists`.

use crate::compile::{DnsOptions, Ede, Format, From, Mode, PassThru, Settings};
use crate::config::scalar::{flag, label, word};
use crate::config::schema::Absent;
use crate::config::section::Section;
use crate::policy::{Action, Kind, Scope, nearest};

use super::guard;
use super::repository::{Names, unique};

/// Reads it, and adds its name to `names`.
pub(super) fn read(
    s: &mut Section<'_, '_>,
    repositories: &Names,
    names: &mut Names,
) -> Option<Settings> {
    let name = s.required(
        "name",
        "Its name here, in logs, metrics and reports.",
        label(),
    );
    let name = unique(s, name, names);
    let mut signed = None;
    let from = s.required_section("from", "Where it comes from.", |s| {
        signed = s
            .has("repository")
            .then_some(true)
            .or(s.has("file").then_some(false));
        from(s, repositories)
    });
    let unsigned = s.default(
        "unsigned",
        "false",
        "Has to be said of a list that nobody signed, and is shown wherever the list is.",
        flag(),
    );
    let mode = s.default(
        "mode",
        "enforce",
        "Whether it acts, or is counted only and the next best match acts.",
        word(&[("enforce", Mode::Enforce), ("monitor", Mode::Monitor)]),
    );
    let kinds = s.list(
        "kinds",
        &["domain", "url"],
        "The kinds of entries that are taken; others are quarantined.",
        word(&[("domain", Kind::Domain), ("url", Kind::Url)]).not_yet(&["ip", "client"]),
    );
    let action = s.default(
        "override",
        "given",
        "What is done instead of what the entries say.",
        word(&ACTIONS).map_not_yet(),
    );
    let passthru = s.optional(
        "passthru",
        "How far its exceptions reach: `list`, the default of signed lists, or `all`, of others.",
        word(&[("list", PassThru::List), ("all", PassThru::All)]),
    );
    let ede = s.default(
        "ede",
        "blocked",
        "The Extended DNS Error (RFC 8914) of its answers; `censored` where the law demands it.",
        word(&[
            ("blocked", Ede::Blocked),
            ("censored", Ede::Censored),
            ("filtered", Ede::Filtered),
            ("prohibited", Ede::Prohibited),
            ("none", Ede::None),
        ]),
    );
    let required = s.default(
        "required",
        "true",
        "Whether the node is ready only once this list is in force.",
        flag(),
    );
    let about = "Which changes are too large to be taken unasked.";
    let guard = s.section("guard", about, guard::read);
    not_yet(s);

    said(s, signed, unsigned);
    unsigned?;
    let from = from?;
    let passthru = passthru?.unwrap_or(match from {
        From::Repository { .. } => PassThru::List,
        From::File { .. } => PassThru::All,
    });
    Some(Settings {
        name: name?,
        from,
        mode: mode?,
        kinds: kinds?,
        action: action?,
        data: None,
        dns: DnsOptions::default(),
        passthru,
        ede: ede?,
        required: required?,
        guard: guard?,
    })
}

/// Reads `from`: one of its four origins.
fn from(s: &mut Section<'_, '_>, repositories: &Names) -> Option<From> {
    let repository = s.optional("repository", "The repository it is signed in.", label());
    let list = s.optional("list", "Its name in that repository.", label());
    let file = s.optional_file("file", "The local file it is read from.");
    let formats = word(&formats()).not_yet(&["addresses"]);
    let format = s.optional("format", "How that file is written.", formats);
    let scope = s.optional(
        "match",
        "What a name of that file covers, where its format does not say it.",
        word(&[("exact", Scope::Exact), ("subtree", Scope::Subtree)]),
    );
    s.not_yet("url", Absent::Nothing, "The address it is fetched from.");
    s.not_yet(
        "rpz_transfer",
        Absent::Nothing,
        "The servers that its zone is transferred from.",
    );
    if s.has("url") || s.has("rpz_transfer") {
        return None;
    }
    let (repository, list, file, format, scope) = (repository?, list?, file?, format?, scope?);
    match (repository, file) {
        (Some(repository), None) => signed(s, repositories, repository, list),
        (None, Some(path)) => {
            strange(s, &["list"], "file");
            let format = match format {
                Some(format) => format,
                None => {
                    let names: Vec<&str> =
                        Format::ALL.iter().map(|format| format.as_str()).collect();
                    let help = format!("add `format: …`, one of {}", names.join(", "));
                    return s.wrong("file", "`format` is missing for this file", help);
                }
            };
            matches(s, format, scope)?;
            Some(From::File {
                path,
                format,
                scope,
            })
        }
        (Some(_), Some(_)) => s.wrong(
            "file",
            "`repository` and `file` exclude each other",
            "keep one of them",
        ),
        (None, None) => s.wrong(
            "from",
            "it is not said where the list comes from",
            "write `from: { repository: …, list: … }` or `from: { file: …, format: … }`",
        ),
    }
}

/// A list of a repository.
fn signed(
    s: &mut Section<'_, '_>,
    repositories: &Names,
    repository: String,
    list: Option<String>,
) -> Option<From> {
    strange(s, &["format", "match"], "repository");
    let list = match list {
        Some(list) => Some(list),
        None => s.wrong(
            "repository",
            "`list` is missing beside `repository`",
            "add `list: …`, the name of the list in that repository",
        ),
    };
    let known = || repositories.iter().map(|(name, _)| name.as_str());
    if !known().any(|name| name == repository) {
        let help = match nearest(&repository, known()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if repositories.is_empty() => "add it to `repositories`".to_owned(),
            None => format!("known: {}", known().collect::<Vec<_>>().join(", ")),
        };
        let message = format!("there is no repository `{repository}`");
        return s.wrong("repository", message, help);
    }
    Some(From::Repository {
        repository,
        list: list?,
    })
}

/// Notes the keys that have no meaning beside `beside`.
fn strange(s: &mut Section<'_, '_>, keys: &[&str], beside: &str) {
    for key in keys {
        if s.has(key) {
            let message = format!("`{key}` has no meaning beside `{beside}`");
            let _: Option<()> = s.wrong(key, message, "remove it");
        }
    }
}

/// Whether `match` is given where the format leaves it open, and only there.
fn matches(s: &mut Section<'_, '_>, format: Format, scope: Option<Scope>) -> Option<()> {
    let name = format.as_str();
    match (format == Format::Domains, scope) {
        (true, Some(_)) | (false, None) => Some(()),
        (true, None) => s.wrong(
            "format",
            format!("a file of the format `{name}` does not say what its names cover"),
            "add `match: subtree` for each name and all below it, or `match: exact`",
        ),
        (false, Some(_)) => s.wrong(
            "match",
            format!("a file of the format `{name}` says itself what its entries cover"),
            "remove `match`",
        ),
    }
}

/// Demands that `unsigned` is said of exactly the lists that are.
fn said(s: &mut Section<'_, '_>, signed: Option<bool>, unsigned: Option<bool>) {
    let _: Option<()> = match (signed, unsigned) {
        (Some(false), Some(false)) => s.wrong(
            "from",
            "a list from a file is signed by nobody, which has to be said",
            "add `unsigned: true`, beside `from`",
        ),
        (Some(true), Some(true)) => s.wrong(
            "unsigned",
            "a list from a repository is signed",
            "remove `unsigned: true`",
        ),
        _ => None,
    };
}

/// The formats of files that can be enforced.
fn formats() -> Vec<(&'static str, Format)> {
    Format::ALL
        .into_iter()
        .filter(|format| *format != Format::Addresses)
        .map(|format| (format.as_str(), format))
        .collect()
}

/// The keys whose parts are not built.
fn not_yet(s: &mut Section<'_, '_>) {
    use Absent::{Nothing, Text};
    s.not_yet(
        "on_expiry",
        Nothing,
        "What becomes of an unsigned list that expires.",
    );
    s.not_yet(
        "break_dnssec",
        Text("true"),
        "RPZ: rewrites signed answers too.",
    );
    s.not_yet(
        "qname_wait_recurse",
        Text("false"),
        "RPZ: resolves before it answers.",
    );
    s.not_yet(
        "recursive_only",
        Text("false"),
        "RPZ: only where recursion is asked for.",
    );
    s.not_yet(
        "max_policy_ttl",
        Nothing,
        "RPZ: the highest TTL of policy answers.",
    );
    s.not_yet(
        "add_soa",
        Text("true"),
        "RPZ: names the zone in its answers.",
    );
    s.not_yet(
        "min_ns_dots",
        Text("1"),
        "RPZ: the shortest name NSDNAME looks at.",
    );
    s.not_yet(
        "ns_lookup",
        Text("false"),
        "RPZ: looks name servers up for NSDNAME, NSIP.",
    );
    s.not_yet(
        "signal_nxdomain_ra",
        Text("false"),
        "RPZ: clears RA in NXDOMAIN.",
    );
    s.not_yet("clients", Nothing, "RPZ: the networks the list is for.");
}

/// The words of `override`.
const ACTIONS: [(&str, Option<Action>); 9] = [
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
