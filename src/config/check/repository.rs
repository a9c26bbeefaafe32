//! Reads one of `repositories`.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::Value as Json;

use crate::config::scalar::{Scalar, count, duration, flag, label, path};
use crate::config::schema::Absent;
use crate::config::section::Section;
use crate::config::{Place, Repository};
use crate::source::{self, ClientTls, Mirror};
use crate::verify;

/// The names that are taken, and where they are written.
pub(super) type Names = Vec<(String, Place)>;

/// The pinned roots, the names of their repositories, and where they are written.
pub(super) type Roots = Vec<(Vec<u8>, String, Place)>;

/// Reads it, and adds its name to `names` and its root to `roots`.
pub(super) fn read(
    s: &mut Section<'_, '_>,
    names: &mut Names,
    roots: &mut Roots,
) -> Option<Repository> {
    let name = s.required(
        "name",
        "Its name here, and the name of its folder.",
        label(),
    );
    let name = unique(s, name, names);
    let insecure = s.default(
        "insecure_transport",
        "false",
        "Takes http from other machines: everyone on the way sees what is fetched.",
        flag(),
    );
    let mirror = mirror(s.base(), insecure.unwrap_or(true));
    let mirrors = s.required_list(
        "mirrors",
        "Where its files are: https addresses or folders, tried in order, none trusted.",
        mirror,
    );
    let trust = path(s.base());
    let trust = s.required("trust", "The root metadata that it is pinned to.", trust);
    let root = trust.as_deref().and_then(|trust| root(s, trust));
    let poll = s.default(
        "poll",
        "60s",
        "How often it is asked for news, give or take 15 %.",
        duration(Duration::from_secs(1), DAY),
    );
    let min_root_threshold = s.default(
        "min_root_threshold",
        "1",
        "How many keys a root must need; at 1 a single key decides, which is then shown.",
        count(1..=32_u16),
    );
    let tls = s.optional_section("tls", "TLS towards its https mirrors.", tls);
    let about = "The age key that opens secret lists.";
    s.not_yet("identity", Absent::Nothing, about);

    insecure?;
    let (name, root) = (name?, root?);
    only(s, &name, &root, roots);
    Some(Repository {
        source: source::Settings {
            repository: name.clone(),
            mirrors: mirrors?,
            tls: tls?,
            timeout: FETCH_TIMEOUT,
        },
        trust: trust?,
        verify: verify::Settings {
            root,
            min_root_threshold: min_root_threshold?,
        },
        name,
        poll: poll?,
    })
}

/// The name, if no other has it.
pub(super) fn unique(
    s: &mut Section<'_, '_>,
    name: Option<String>,
    names: &mut Names,
) -> Option<String> {
    let name = name?;
    if let Some((_, first)) = names.iter().find(|(other, _)| *other == name) {
        let message = format!("the name `{name}` is taken");
        let other = (*first, "by this one".to_owned());
        s.wrong_with("name", message, "give it another name", other);
        return None;
    }
    names.push((name.clone(), s.place_of("name")));
    Some(name)
}

/// Notes where another repository is pinned to the same root: each would have floors and terms of
/// its own, and the one behind a stale mirror would go back.
fn only(s: &mut Section<'_, '_>, name: &str, root: &[u8], roots: &mut Roots) {
    if let Some((_, other, place)) = roots.iter().find(|(other, ..)| other == root) {
        let message =
            format!("`{other}` and `{name}` are pinned to the same root: they are one repository");
        let help = format!(
            "write all mirrors to `{other}`, let the lists come from it, and leave `{name}` out"
        );
        let first = (*place, "as this one".to_owned());
        return s.wrong_with("trust", message, help, first);
    }
    roots.push((root.to_vec(), name.to_owned(), s.place_of("trust")));
}

/// Reads `tls`.
fn tls(s: &mut Section<'_, '_>) -> Option<ClientTls> {
    let ca = s.optional_file(
        "ca",
        "PEM file of the authorities to trust instead of the system's.",
    );
    let client_certificate =
        s.optional_file("client_certificate", "PEM file of the certificate to show.");
    let client_key = s.optional_file("client_key", "PEM file of its key.");
    let pair = ["client_certificate", "client_key"];
    let alone = pair.map(|key| s.has(key));
    let (there, missing) = match (pair, alone) {
        ([there, missing], [true, false]) | ([missing, there], [false, true]) => (there, missing),
        _ => {
            return Some(ClientTls {
                ca: ca?,
                client_certificate: client_certificate?,
                client_key: client_key?,
            });
        }
    };
    let message = format!("`{there}` is of no use without `{missing}`");
    s.wrong(there, message, format!("add `{missing}: …`"))
}

/// The pinned root, if it is one at first sight; whether it is good is for `verify` to say.
fn root(s: &mut Section<'_, '_>, path: &Path) -> Option<Vec<u8>> {
    let octets = s.content(s.place_of("trust"), path, ROOT_OCTETS_MAX)?;
    let help = "it is the file `metadata/1.root.json` of the repository";
    match serde_json::from_slice::<Json>(&octets) {
        Err(error) => s.wrong(
            "trust",
            format!("the pinned root is not JSON: {error}"),
            help,
        ),
        Ok(json) if json.pointer("/signed/_type") != Some(&Json::from("root")) => {
            s.wrong("trust", "the pinned root is not root metadata", help)
        }
        Ok(_) => Some(octets),
    }
}

/// One mirror: an address, or a folder below `base`. `insecure` takes http from anywhere.
fn mirror(base: &Path, insecure: bool) -> Scalar<Mirror> {
    let base = base.to_owned();
    Scalar::new("an https address or a folder", move |text| {
        if text.contains("://") {
            return address(text, insecure).map(Mirror::Http);
        }
        let folder = base.join(text);
        if !text.is_empty() && folder.is_dir() {
            Ok(Mirror::Directory(folder))
        } else {
            Err("no folder is there: write its path, or `https://lists.example/`".to_owned())
        }
    })
}

/// The address of a mirror, with a slash at its end.
fn address(text: &str, insecure: bool) -> Result<String, String> {
    let help = "write scheme, host and path alone, such as `https://lists.example/`";
    let uri: hyper::Uri = text.parse().map_err(|_| help.to_owned())?;
    let host = uri.host().unwrap_or_default();
    let user = uri
        .authority()
        .is_some_and(|authority| authority.as_str().contains('@'));
    if host.is_empty() || user || uri.query().is_some() || text.contains('#') {
        return Err(help.to_owned());
    }
    match uri.scheme_str() {
        Some("https") => {}
        Some("http") if insecure || is_loopback(host) => {}
        Some("http") => {
            return Err(
                "everyone on the way sees http: write https, or add `insecure_transport: true`; \
                 the signatures hold either way"
                    .to_owned(),
            );
        }
        _ => return Err(help.to_owned()),
    }
    let slash = if text.ends_with('/') { "" } else { "/" };
    Ok(format!("{text}{slash}"))
}

/// Whether a host is this machine.
fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let is_local = |address: IpAddr| address.to_canonical().is_loopback();
    host == "localhost" || host.parse().is_ok_and(is_local)
}

/// The longest pause between two rounds.
const DAY: Duration = Duration::from_secs(86_400);
/// How long one file may take.
const FETCH_TIMEOUT: Duration = Duration::from_secs(60);
/// The largest pinned root (trust.md 7.4).
const ROOT_OCTETS_MAX: u64 = 512_000;
