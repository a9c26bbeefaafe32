//! Reads one of `repositories`.

use std::net::IpAddr;
use std::path::PathBuf;
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

/// Reads it, and adds its name to `names`.
pub(super) fn read(s: &mut Section<'_, '_>, names: &mut Names) -> Option<Repository> {
    let name = s.required(
        "name",
        "Its name here, and the name of its folder.",
        label(),
    );
    let name = unique(s, name, names);
    let mirror = mirror(s.base().to_owned());
    let mirrors = s.required_list(
        "mirrors",
        "Where its files are: https addresses or folders, tried in order, none trusted.",
        mirror,
    );
    let insecure = s.default(
        "insecure_transport",
        "false",
        "Takes http from other machines: every reader of the network sees what is fetched.",
        flag(),
    );
    let trust = path(s.base());
    let trust = s.required("trust", "The root metadata that it is pinned to.", trust);
    let root = trust.and_then(|trust| root(s, &trust));
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
    s.not_yet(
        "identity",
        Absent::Nothing,
        "The age key that opens secret lists.",
    );
    let mirrors = mirrors.and_then(|mirrors| secure(s, mirrors, insecure?));
    let name = name?;
    Some(Repository {
        source: source::Settings {
            repository: name.clone(),
            mirrors: mirrors?,
            tls: tls?,
            timeout: FETCH_TIMEOUT,
        },
        verify: verify::Settings {
            root: root?,
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

/// Reads `tls`.
fn tls(s: &mut Section<'_, '_>) -> Option<ClientTls> {
    let scalar = || path(s.base());
    let (for_ca, for_certificate, for_key) = (scalar(), scalar(), scalar());
    let ca = s.optional(
        "ca",
        "PEM file of the authorities to trust instead of the system's.",
        for_ca,
    );
    let certificate = s.optional(
        "client_certificate",
        "PEM file of the certificate to show.",
        for_certificate,
    );
    let key = s.optional("client_key", "PEM file of its key.", for_key);
    let (ca, client_certificate, client_key) = (ca?, certificate?, key?);
    let files = [
        ("ca", &ca),
        ("client_certificate", &client_certificate),
        ("client_key", &client_key),
    ];
    let mut readable = Some(());
    for (key, path) in files {
        if let Some(path) = path {
            readable = s.file(key, path).and(readable);
        }
    }
    if client_certificate.is_some() != client_key.is_some() {
        let (there, missing) = match client_key {
            Some(_) => ("client_key", "client_certificate"),
            None => ("client_certificate", "client_key"),
        };
        return s.wrong(
            there,
            format!("`{there}` is of no use without `{missing}`"),
            format!("add `{missing}: …`"),
        );
    }
    readable?;
    Some(ClientTls {
        ca,
        client_certificate,
        client_key,
    })
}

/// The pinned root, if it is one at first sight; whether it is good is for `verify` to say.
fn root(s: &mut Section<'_, '_>, path: &std::path::Path) -> Option<Vec<u8>> {
    let octets = s.content("trust", path, ROOT_OCTETS_MAX)?;
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

/// The mirrors, if http is asked of this machine alone or allowed.
fn secure(
    s: &mut Section<'_, '_>,
    mirrors: Vec<Mirror>,
    insecure_transport: bool,
) -> Option<Vec<Mirror>> {
    let mut good = true;
    for (item, mirror) in mirrors.iter().enumerate() {
        match mirror {
            Mirror::Http(address) => {
                if !insecure_transport && address.starts_with("http:") && !is_loopback(address) {
                    good = false;
                    s.wrong_item(
                        "mirrors",
                        item,
                        "http to another machine is open to everyone on the way",
                        "write https, or add `insecure_transport: true`: the signatures still \
                         hold, but everyone sees which lists are fetched",
                    );
                }
            }
            Mirror::Directory(path) if !path.is_dir() => {
                good = false;
                s.wrong_item(
                    "mirrors",
                    item,
                    "this mirror is neither an https address nor a folder that is there",
                    "write `https://…/`, or the path of the repository's folder",
                );
            }
            Mirror::Directory(_) => {}
        }
    }
    good.then_some(mirrors)
}

/// One mirror: an address, or a folder below `base`.
fn mirror(base: PathBuf) -> Scalar<Mirror> {
    Scalar::new("an https address or a folder", move |text| {
        let Some((scheme, _)) = text.split_once("://") else {
            return match text {
                "" => Err("write `https://…/`, or a folder".to_owned()),
                folder => Ok(Mirror::Directory(base.join(folder))),
            };
        };
        if !matches!(scheme, "http" | "https") {
            return Err("write `https://…/`, or a folder".to_owned());
        }
        let uri: hyper::Uri = text
            .parse()
            .map_err(|_| "write an address such as `https://lists.example/`".to_owned())?;
        let host = uri.host().unwrap_or_default();
        let user = uri
            .authority()
            .is_some_and(|authority| authority.as_str().contains('@'));
        if host.is_empty() || user || uri.query().is_some() || text.contains('#') {
            return Err(
                "write scheme, host and path alone, such as `https://lists.example/`".to_owned(),
            );
        }
        let slash = if text.ends_with('/') { "" } else { "/" };
        Ok(Mirror::Http(format!("{text}{slash}")))
    })
}

/// Whether an http address is of this machine.
fn is_loopback(address: &str) -> bool {
    let uri = address.parse::<hyper::Uri>().ok();
    let host = uri.as_ref().and_then(hyper::Uri::host).unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let is_local = |address: IpAddr| address.to_canonical().is_loopback();
    host == "localhost" || host.parse().is_ok_and(is_local)
}

/// The longest pause between two rounds.
const DAY: Duration = Duration::from_secs(86_400);
/// How long one file may take.
const FETCH_TIMEOUT: Duration = Duration::from_secs(60);
/// The largest pinned root (trust.md 7.6).
const ROOT_OCTETS_MAX: u64 = 512_000;
