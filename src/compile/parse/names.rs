//! Names: one a line, or as in a hosts file.

use std::net::IpAddr;

use super::lines::{each_row, reject, without_comment};
use super::{Parsed, Reading};
use crate::policy::{Action, Entry, EntryId, Kind, Name, NameError, Scope, Trigger};

/// Reads one name a line; `#` begins a comment.
pub(super) fn read_domains(reading: &Reading, text: &[u8], take: &mut dyn FnMut(Parsed)) {
    let scope = reading.scope.unwrap_or(Scope::Exact);
    each_row(text, take, |line, text, take| {
        let text = without_comment(text);
        if !text.is_empty() {
            take(name_row(reading, scope, line, text));
        }
    });
}

/// Reads hosts lines: an address, then names, each of them exact. The lines that every
/// hosts file has for the machine itself are not rows.
pub(super) fn read_hosts(reading: &Reading, text: &[u8], take: &mut dyn FnMut(Parsed)) {
    each_row(text, take, |line, text, take| {
        let mut words = without_comment(text).split_whitespace();
        let Some(address) = words.next() else { return };
        // A zone such as `fe80::1%lo0` belongs to the machine's own lines.
        let address = address.split('%').next().unwrap_or_default();
        if address.parse::<IpAddr>().is_err() {
            take(Parsed::Reject(reject(
                line,
                "this line does not begin with an address, as hosts lines do",
            )));
            return;
        }
        for name in words.filter(|name| !OWN_NAMES.contains(name)) {
            take(name_row(reading, Scope::Exact, line, name));
        }
    });
}

fn name_row(reading: &Reading, scope: Scope, line: u32, text: &str) -> Parsed {
    if text.parse::<IpAddr>().is_ok() {
        return Parsed::Reject(reject(
            line,
            "this is an address, not a name; give it in a list of format addresses",
        ));
    }
    if text.contains("://") || text.contains('/') {
        return Parsed::Reject(reject(
            line,
            "this is a URL, not a name; give it in a list of format urls",
        ));
    }
    match Name::from_text(text) {
        Ok(name) if name.is_root() => {
            Parsed::Reject(reject(line, "the root name would cover everything"))
        }
        Ok(name) => {
            let id = EntryId::derive(&reading.list, Kind::Domain, &name.to_string());
            Parsed::Entry(
                line,
                Box::new(Entry::plain(
                    id,
                    Trigger::Name { name, scope },
                    Action::Block,
                    reading.record.clone(),
                )),
            )
        }
        Err(NameError::Character) if text.starts_with("*.") => Parsed::Reject(reject(
            line,
            "a wildcard is not a name; give the name without `*.` and match: subtree",
        )),
        Err(error) => Parsed::Reject(reject(line, error.to_string())),
    }
}

/// What hosts files hold about the machine itself.
const OWN_NAMES: [&str; 14] = [
    "localhost",
    "localhost.localdomain",
    "localhost4",
    "localhost6",
    "local",
    "broadcasthost",
    "0.0.0.0",
    "ip6-localhost",
    "ip6-loopback",
    "ip6-localnet",
    "ip6-mcastprefix",
    "ip6-allnodes",
    "ip6-allrouters",
    "ip6-allhosts",
];

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::native::tests::{check_format, reading};
    use crate::policy::Scope;

    #[test]
    fn domains() {
        let mut reading = reading(Format::Domains);
        reading.scope = Some(Scope::Subtree);
        check_format(
            &reading,
            "# a comment\nOne.Test\r\n\n two.test # why\nb\u{fc}cher.test\nhttp://x.test/\n192.0.2.1\n*.x.test\na..test\n",
            &[
                "2 domain subtree one.test",
                "4 domain subtree two.test",
                "5 domain subtree xn--bcher-kva.test",
            ],
            &[6, 7, 8, 9],
        );
    }

    #[test]
    fn hosts() {
        check_format(
            &reading(Format::Hosts),
            "127.0.0.1 localhost\n0.0.0.0 one.test two.test # both\none.test\n::1 ip6-localhost\nfe80::1%lo0 localhost\n",
            &["2 domain exact one.test", "2 domain exact two.test"],
            &[3],
        );
    }
}
