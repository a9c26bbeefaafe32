//! Reads `report`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::config::scalar::{count, path};
use crate::config::schema::Absent;
use crate::config::section::Section;
use crate::report::{ServerTls, Settings};

/// What `report` says.
pub(super) struct Report {
    /// Where it is served.
    listen: Vec<SocketAddr>,
    /// Its certificate.
    tls: Option<ServerTls>,
    /// Its users.
    users_file: Option<PathBuf>,
    /// What is too small to be shown.
    small_counts_below: u64,
}

impl Report {
    /// What the server must be told; nothing where no address is given.
    pub(super) fn settings(self, node: &str) -> Option<Settings> {
        (!self.listen.is_empty()).then(|| Settings {
            listen: self.listen,
            tls: self.tls,
            users_file: self.users_file,
            small_counts_below: self.small_counts_below,
            node: node.to_owned(),
        })
    }
}

/// Reads it.
pub(super) fn read(s: &mut Section<'_, '_>) -> Option<Report> {
    let listen = s.listen("Where it is served.");
    let tls = s.optional_section("tls", "Its certificate; needed off loopback.", |s| {
        let about = "PEM file of the certificate chain.";
        let certificate = s.required_file("certificate", about);
        let key = s.required_file("key", "PEM file of its key.");
        Some(ServerTls {
            certificate: certificate?,
            key: key?,
        })
    });
    let for_users = path(s.base());
    let users_file = s.optional(
        "users_file",
        "Who may see what; without it on loopback only, and everyone is an operator.",
        for_users,
    );
    let small_counts_below = s.default(
        "small_counts_below",
        "10",
        "Counts of an entry below this are hidden from regulators and left out of exports.",
        count(0..=1_000_000_u64),
    );
    s.not_yet("store", Absent::Text("sqlite"), "Where the ledger is kept.");

    let users_file = users_file.and_then(|users_file| match &users_file {
        Some(path) => users(s, path).map(|()| users_file),
        None => Some(None),
    });
    let listen = listen?;
    let mut good = true;
    for (item, address) in listen.iter().enumerate() {
        if address.ip().to_canonical().is_loopback() {
            continue;
        }
        let (message, help) = match (s.has("tls"), s.has("users_file")) {
            (false, _) => (
                "`tls` is missing, and this address is not loopback",
                "add `tls: { certificate: …, key: … }` below `report`, or listen on 127.0.0.1",
            ),
            (true, false) => (
                "`users_file` is missing, and this address is not loopback",
                "add `users_file: …` below `report`, or listen on 127.0.0.1: without it \
                 everyone is an operator",
            ),
            (true, true) => continue,
        };
        good = false;
        s.wrong_at(s.place_of_item("listen", item), message, help);
    }
    let report = Report {
        listen,
        tls: tls?,
        users_file: users_file?,
        small_counts_below: small_counts_below?,
    };
    good.then_some(report)
}

/// Whether the users file is there or can be: `cordon user add` makes it, and reads this
/// configuration to know where.
fn users(s: &mut Section<'_, '_>, path: &Path) -> Option<()> {
    if path.exists() {
        return s.readable("users_file", path);
    }
    // A path without a folder part is below the present one.
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    if folder.is_none_or(Path::is_dir) {
        return Some(());
    }
    s.wrong(
        "users_file",
        "the folder of this file is not there",
        "make the folder, then add users with `cordon user add`",
    )
}
