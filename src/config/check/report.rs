//! Reads `report`.

use std::net::SocketAddr;
use std::path::PathBuf;

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
        let (for_certificate, for_key) = (path(s.base()), path(s.base()));
        let about = "PEM file of the certificate chain.";
        let certificate = s.required("certificate", about, for_certificate);
        let key = s.required("key", "PEM file of its key.", for_key);
        let (certificate, key) = (certificate?, key?);
        let readable = (s.file("certificate", &certificate), s.file("key", &key));
        readable.0.and(readable.1)?;
        Some(ServerTls { certificate, key })
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

    let (listen, tls, users_file) = (listen?, tls?, users_file?);
    if let Some(users_file) = &users_file {
        users(s, users_file)?;
    }
    let mut good = true;
    for (item, address) in listen.iter().enumerate() {
        if address.ip().to_canonical().is_loopback() {
            continue;
        }
        let (message, help) = match (&tls, &users_file) {
            (None, _) => (
                "`tls` is missing, and this address is not loopback",
                "add `tls: { certificate: …, key: … }` below `report`, or listen on 127.0.0.1",
            ),
            (_, None) => (
                "`users_file` is missing, and this address is not loopback",
                "add `users_file: …` below `report`, or listen on 127.0.0.1: without it \
                 everyone is an operator",
            ),
            _ => continue,
        };
        good = false;
        s.wrong_item("listen", item, message, help);
    }
    good.then_some(Report {
        listen,
        tls,
        users_file,
        small_counts_below: small_counts_below?,
    })
}

/// Whether the users file is there or can be: `cordon user add` makes it, and reads this
/// configuration to know where.
fn users(s: &mut Section<'_, '_>, path: &std::path::Path) -> Option<()> {
    if path.exists() {
        return s.file("users_file", path);
    }
    if path.parent().is_some_and(std::path::Path::is_dir) {
        return Some(());
    }
    s.wrong(
        "users_file",
        "the folder of this file is not there",
        "make the folder, then add users with `cordon user add`",
    )
}
