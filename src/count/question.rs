//! [`Question`]: what is asked of the ledger; [`Sum`]: one row of its answer.

use rusqlite::{Connection, Row, params_from_iter, types::Value};

use super::Bucket;
use crate::policy::{Action, Surface};

/// A question to the ledger: sums of hits from one hour to another.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Question {
    /// From this hour on.
    pub from: Bucket,
    /// Before this hour.
    pub to: Bucket,
    /// What the sums are of.
    pub by: By,
    /// How long a row lasts.
    pub per: Per,
    /// Only hits of these lists; nothing for all.
    pub lists: Option<Vec<String>>,
    /// Only so many rows, those with the most hits; nothing for all, up to [`ROWS_MAX`].
    pub top: Option<usize>,
}

/// What the sums are of. Surfaces and actions are always kept apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum By {
    /// Lists.
    List,
    /// Categories of content.
    Category,
    /// Authorities.
    Authority,
    /// Surfaces alone.
    Surface,
    /// Entries, each with its list, category and authority.
    Entry,
}

/// How long a row of the answer lasts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Per {
    /// An hour.
    Hour,
    /// A day, UTC.
    Day,
    /// All of the time that was asked about.
    Whole,
}

/// One row of an answer: hits of one surface and action. What [`By`] did not ask for is
/// nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sum {
    /// When its time begins.
    pub start: Bucket,
    /// The list.
    pub list: Option<String>,
    /// The class of the content.
    pub category: Option<String>,
    /// The authority.
    pub authority: Option<String>,
    /// The entry's id.
    pub entry: Option<String>,
    /// Where the hits were.
    pub surface: Surface,
    /// What was done.
    pub action: Action,
    /// How many.
    pub hits: u64,
}

impl By {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::List,
        Self::Category,
        Self::Authority,
        Self::Surface,
        Self::Entry,
    ];

    /// The word for it in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Category => "category",
            Self::Authority => "authority",
            Self::Surface => "surface",
            Self::Entry => "entry",
        }
    }

    /// The one of that word; nothing for a word that is none.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|by| by.as_str() == word)
    }

    /// List, category, authority and entry, as columns of the tables of [`Self::tables`].
    const fn columns(self) -> [&'static str; 4] {
        match self {
            Self::List => ["class.list", "NULL", "NULL", "NULL"],
            Self::Category => ["NULL", "class.category", "NULL", "NULL"],
            Self::Authority => ["NULL", "NULL", "class.authority", "NULL"],
            Self::Surface => ["NULL", "NULL", "NULL", "NULL"],
            Self::Entry => [
                "class.list",
                "class.category",
                "class.authority",
                "entry.entry_id",
            ],
        }
    }

    /// The tables with the hits, and the name of the one that has them.
    const fn tables(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Entry => (
                "hits JOIN entry ON entry.id = hits.entry JOIN class ON class.id = entry.class",
                "hits",
                "entry.action",
            ),
            _ => (
                "totals JOIN class ON class.id = totals.class",
                "totals",
                "totals.action",
            ),
        }
    }
}

impl Question {
    /// The rows of the answer, at most one more than [`ROWS_MAX`], by time and then by name;
    /// with `top`, by hits.
    pub(super) fn ask(&self, connection: &Connection) -> rusqlite::Result<Vec<Sum>> {
        let (tables, table, action) = self.by.tables();
        let [list, category, authority, entry] = self.by.columns();
        let mut values = vec![
            Value::Integer(self.from.number()),
            Value::Integer(self.to.number()),
        ];
        let start = match self.per {
            Per::Hour => format!("{table}.hour"),
            Per::Day => format!("{table}.hour - {table}.hour % 24"),
            Per::Whole => "?1".to_owned(),
        };
        let only = match &self.lists {
            None => String::new(),
            Some(lists) => {
                values.extend(lists.iter().cloned().map(Value::Text));
                let places: Vec<String> = (3..values.len() + 1)
                    .map(|place| format!("?{place}"))
                    .collect();
                format!("AND class.list IN ({})", places.join(", "))
            }
        };
        let (order, limit) = match self.top {
            Some(top) => ("8 DESC,", top.min(ROWS_MAX)),
            None => ("", ROWS_MAX + 1),
        };
        let sql = format!(
            "SELECT {start}, {list}, {category}, {authority}, {entry}, {table}.surface, {action}, \
             SUM({table}.hits) FROM {tables} \
             WHERE {table}.hour >= ?1 AND {table}.hour < ?2 {only} \
             GROUP BY 1, 2, 3, 4, 5, 6, 7 ORDER BY {order} 1, 2, 3, 4, 5, 6, 7 LIMIT {limit}"
        );
        let mut statement = connection.prepare_cached(&sql)?;
        let rows = statement.query_map(params_from_iter(values), sum)?;
        // A word that a later version wrote is left out rather than misread.
        rows.filter_map(Result::transpose).collect()
    }
}

fn sum(row: &Row<'_>) -> rusqlite::Result<Option<Sum>> {
    let surface: String = row.get(5)?;
    let action: String = row.get(6)?;
    let surface = Surface::ALL
        .into_iter()
        .find(|known| known.as_str() == surface);
    let (Some(surface), Some(action)) = (surface, Action::from_word(&action)) else {
        return Ok(None);
    };
    Ok(Some(Sum {
        start: Bucket::from_number(row.get(0)?),
        list: row.get(1)?,
        category: row.get(2)?,
        authority: row.get(3)?,
        entry: row.get(4)?,
        surface,
        action,
        hits: row.get::<_, i64>(7)?.cast_unsigned(),
    }))
}

/// The most rows of one answer.
pub const ROWS_MAX: usize = 100_000;
