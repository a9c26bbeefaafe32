//! [`Repeats`]: finds the rows of a list that say what one before them says.

use std::collections::HashMap;
use std::hash::BuildHasher;

use rapidhash::fast::RandomState;

use crate::policy::{Entry, Trigger};

/// What the rows of a list say, as far as they were read. Values are known by hashes alone,
/// which are seeded by chance.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    seed: RandomState,
    values: HashMap<u64, Value, RandomState>,
    /// The lines of rows whose value stood in one before, by all that they say.
    others: HashMap<u64, u32, RandomState>,
}

/// A name or URL that rows have.
#[derive(Clone, Copy, Debug)]
struct Value {
    /// What its first row says.
    first: u64,
    /// The line of that.
    line: u32,
    /// How many rows have it.
    rows: u8,
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
                (value, self.seed.hash_one((value, scope)))
            }
            Trigger::Url { url, scope, query } => {
                let parts = (url.authority(), url.path(), url.query());
                let value = self.seed.hash_one(parts);
                (value, self.seed.hash_one((value, scope, query)))
            }
            Trigger::Address(_) => return Ok(()),
        };
        let says = self.seed.hash_one((says, entry.action, &entry.life));
        let Some(known) = self.values.get_mut(&value) else {
            let first = Value {
                first: says,
                line,
                rows: 1,
            };
            self.values.insert(value, first);
            return Ok(());
        };
        let same = (known.first == says).then_some(known.line);
        if let Some(before) = same.or_else(|| self.others.get(&says).copied()) {
            return Err(format!("this row says again what line {before} says"));
        }
        if known.rows >= ROWS_OF_A_VALUE_MAX {
            return Err(format!(
                "there are {ROWS_OF_A_VALUE_MAX} rows of this name or URL already"
            ));
        }
        known.rows += 1;
        self.others.insert(says, line);
        Ok(())
    }
}

/// The most rows of a list that may have the same name or URL.
const ROWS_OF_A_VALUE_MAX: u8 = 16;
