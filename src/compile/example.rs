//! A blocklist of small lists with any provenance, for the tests of the stages above.

use super::{Blocklist, Compiler, Protected, Settings};
use crate::policy::Provenance;
use crate::verify::Verified;

/// The blocklist of these lists, as it is at `now`; title and issuer are those of a native
/// list's header.
pub(crate) fn blocklist(lists: &[(Settings, Provenance, &str)], now: &str) -> Blocklist {
    let mut compiler = Compiler::new(&Protected::default(), now.parse().unwrap());
    for (settings, _, text) in lists {
        let file = Verified::unsigned(&settings.name, "x", text.as_bytes().to_vec());
        compiler.add(settings, &file);
    }
    let mut blocklist = compiler.finish();
    for (list, (_, provenance, _)) in blocklist.lists.iter_mut().zip(lists) {
        list.provenance.origin = provenance.origin.clone();
    }
    blocklist
}
