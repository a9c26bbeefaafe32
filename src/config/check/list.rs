//! Reads one of `lists`.

use crate::compile::{Ede, Format, From, Mode, PassThru, Settings};
use crate::config::scalar::{flag, label, word};
use crate::config::schema::Absent;
use crate::config::section::Section;
use crate::policy::{Kind, Scope, nearest};

use super::repository::{Names, unique};
use super::{guard, instead, rpz_options};

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
        "The kinds of entries that are taken; others are quarantined. All four for an unsigned \
         RPZ zone.",
        word(&KINDS),
    );
    let instead = instead::read(s);
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
    let dns = rpz_options::read(s);
    s.not_yet(
        "on_expiry",
        Absent::Nothing,
        "What becomes of an unsigned list that expires.",
    );

    said(s, signed, unsigned);
    unsigned?;
    let from = from?;
    let kinds = taken(s, &from, kinds?)?;
    let instead = instead?;
    let passthru = passthru?.unwrap_or(match from {
        From::Repository { .. } => PassThru::List,
        From::File { .. } => PassThru::All,
    });
    Some(Settings {
        name: name?,
        from,
        mode: mode?,
        kinds,
        action: instead.action,
        data: instead.data,
        dns: dns?,
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
    let formats = Format::ALL.map(|format| (format.as_str(), format));
    let format = s.optional("format", "How that file is written.", word(&formats));
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

/// The kinds that are taken of a list: where nothing is said, all of an unsigned RPZ zone. Rows
/// that are all left out are a mistake.
fn taken(s: &mut Section<'_, '_>, from: &From, kinds: Vec<Kind>) -> Option<Vec<Kind>> {
    match from {
        From::File {
            format: Format::Rpz,
            ..
        } if !s.has("kinds") => Some(KINDS.map(|(_, kind)| kind).to_vec()),
        From::File {
            format: Format::Addresses,
            ..
        } if !kinds.contains(&Kind::Ip) => s.wrong(
            if s.has("kinds") { "kinds" } else { "from" },
            "a file of addresses holds entries of kind `ip`, which `kinds` does not take",
            "add `kinds: [ip]`, beside `from`",
        ),
        _ => Some(kinds),
    }
}

/// The words of `kinds`.
const KINDS: [(&str, Kind); 4] = [
    ("domain", Kind::Domain),
    ("url", Kind::Url),
    ("ip", Kind::Ip),
    ("client", Kind::Client),
];
