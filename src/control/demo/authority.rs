//! The demo's authority: throw-away keys, a repository, and the lists of `blocklists/`,
//! signed at start.

use std::path::Path;

use crate::compile::Format;
use crate::control::ExitError;
use crate::control::clock;
use crate::policy::{Category, Scope, UrlScope};
use crate::publish::{
    Delegation, Keyring, Legal, Publication, PublishError, Published, Repository,
};

/// The operator's own rules, which nobody signs.
pub(super) const HOUSE_RULES: &str = include_str!("../../../blocklists/example.rpz");

/// Makes the repository below `folder`, or opens the one that is there, and publishes the
/// lists.
pub(super) fn publish(folder: &Path) -> Result<Vec<Published>, ExitError> {
    let repository = folder.join("repository");
    let now = clock::timestamp();
    let mut keys = Keyring::open(&folder.join("keys")).map_err(ExitError::failed)?;
    let is_new = !repository.join("metadata").is_dir();
    let mut repository = if is_new {
        let (repository, _) =
            Repository::init(&repository, &mut keys, 1, now).map_err(ExitError::failed)?;
        repository
    } else {
        Repository::open(&repository).map_err(ExitError::failed)?
    };
    let legal =
        Legal::read(include_str!("../../../blocklists/legal.yaml")).map_err(|mistakes| {
            ExitError::failed(PublishError::Yaml {
                path: "blocklists/legal.yaml".into(),
                mistakes,
            })
        })?;
    let mut published = Vec::new();
    for (list, title, format, text) in LISTS {
        if is_new {
            let delegation = Delegation {
                list: list.to_owned(),
                title: title.to_owned(),
                category: Category::Consumer,
                threshold: 1,
            };
            repository
                .delegate(&mut keys, &delegation, now)
                .map_err(ExitError::failed)?;
        }
        let publication = Publication {
            list: list.to_owned(),
            text: text.as_bytes().to_vec(),
            format,
            scope: (format == Format::Domains).then_some(Scope::Subtree),
            url_scope: UrlScope::Exact,
            legal: legal.clone(),
            accept_guard: None,
        };
        let done = repository
            .publish(&keys, &publication, now, &mut |_| {})
            .map_err(ExitError::failed)?;
        published.push(done);
    }
    repository.refresh(&keys, now).map_err(ExitError::failed)?;
    Ok(published)
}

/// Signs anew what is past half its life, so that a demo that runs for days stays fresh.
pub(super) fn refresh(folder: &Path) -> Result<(), ExitError> {
    let keys = Keyring::open(&folder.join("keys")).map_err(ExitError::failed)?;
    let mut repository = Repository::open(&folder.join("repository")).map_err(ExitError::failed)?;
    repository
        .refresh(&keys, clock::timestamp())
        .map_err(ExitError::failed)?;
    Ok(())
}

/// The signed lists: name, title, format, rows.
const LISTS: [(&str, &str, Format, &str); 2] = [
    (
        "consumer",
        "Consumer protection: names",
        Format::Domains,
        include_str!("../../../blocklists/example.names"),
    ),
    (
        "pages",
        "Consumer protection: single pages",
        Format::Urls,
        include_str!("../../../blocklists/example.urls"),
    ),
];
