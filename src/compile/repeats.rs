//! [`Repeats`]: finds the rows of a list that say what one before them says.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::hash::{BuildHasher, Hash};

use rapidhash::fast::RandomState;

use crate::policy::{Entry, Trigger};

/// What the rows of a list say, as far as they were read. Values are known by hashes alone,
/// which are seeded by chance.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    seed: RandomState,
    /// The first row of each name or URL.
    values: HashMap<u64, Row, RandomState>,
    /// The rows after the first of each name or URL that has more.
    others: HashMap<u64, Vec<Row>, RandomState>,
}

/// A row: half the hash of all that it says, and where it stands.
#[derive(Clone, Copy, Debug)]
struct Row {
    says: u32,
    line: u32,
}

impl Repeats {
    /// Notes a row: what it matches, how far, what it does and when it is in effect.
    ///
    /// # Errors
    /// Why it is left out: it says again what another says, or there are
    /// [`ROWS_OF_A_VALUE_MAX`] of that name or URL already. Every request below a name walks
    /// over all of its rows.
    pub(super) fn note(&mut self, line: u32, entry: &Entry) -> Result<(), String> {
        let (value, says) = match &entry.trigger {
            Trigger::Name { name, scope } => {
                let value = self.seed.hash_one(name.as_wire());
                let says = (scope, entry.reach, entry.action, &entry.life);
                (value, self.says(value, says))
            }
            Trigger::Url { url, scope, query } => {
                let parts = (url.authority(), url.path(), url.query());
                let value = self.seed.hash_one(parts);
                let says = (scope, query, entry.action, &entry.life);
                (value, self.says(value, says))
            }
            Trigger::NsName { name, scope } => {
                let value = self.seed.hash_one(("ns", name.as_wire()));
                (value, self.says(value, (scope, entry.action, &entry.life)))
            }
            Trigger::Address(range) | Trigger::Client(range) | Trigger::NsAddress(range) => {
                let kind = std::mem::discriminant(&entry.trigger);
                let value = self.seed.hash_one((kind, range));
                (value, self.says(value, (entry.action, &entry.life)))
            }
        };
        let row = Row { says, line };
        let first = match self.values.entry(value) {
            Slot::Vacant(free) => {
                free.insert(row);
                return Ok(());
            }
            Slot::Occupied(first) => *first.get(),
        };
        let others = self.others.entry(value).or_default();
        let mut all = std::iter::once(&first).chain(others.iter());
        if let Some(before) = all.find(|before| before.says == says) {
            return Err(format!(
                "this row says again what line {} says",
                before.line
            ));
        }
        if others.len() + 1 >= ROWS_OF_A_VALUE_MAX {
            return Err(format!(
                "there are {ROWS_OF_A_VALUE_MAX} rows of this name or URL already"
            ));
        }
        others.push(row);
        Ok(())
    }

    fn says(&self, value: u64, says: impl Hash) -> u32 {
        let hash = self.seed.hash_one((value, says));
        u32::try_from(hash >> u32::BITS).unwrap_or_default()
    }
}

/// The most rows of a list that may have the same name or URL.
const ROWS_OF_A_VALUE_MAX: usize = 16;
