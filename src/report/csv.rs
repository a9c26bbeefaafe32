//! The API's figures as CSV (RFC 4180): the same columns as the JSON, in a fixed order.

use super::Summary;
use super::json::{end, mode_word, suppressed};
use super::suppression::Figure;
use super::timeline::Period;
use crate::policy::Origin;

/// Hits, a row a figure.
pub(super) fn hits(figures: &[Figure], below: u64) -> String {
    let mut table = Table::new(&[
        "start",
        "list",
        "entry",
        "category",
        "authority",
        "surface",
        "action",
        "hits",
    ]);
    for figure in figures {
        let of = &figure.of;
        let shown = suppressed(figure, below).unwrap_or_else(|| of.hits.to_string());
        table.row(&[
            &of.start.start().to_string(),
            of.list.as_deref().unwrap_or_default(),
            of.entry.as_deref().unwrap_or_default(),
            of.category.as_deref().unwrap_or_default(),
            of.authority.as_deref().unwrap_or_default(),
            of.surface.as_str(),
            of.action.as_str(),
            &shown,
        ]);
    }
    table.text
}

/// Lists, a row a list.
pub(super) fn lists(summary: &Summary) -> String {
    let mut table = Table::new(&[
        "name",
        "title",
        "in_force",
        "required",
        "mode",
        "signed",
        "serial",
        "signers",
        "issued_at",
        "expires",
        "entries",
        "quarantined",
        "error",
    ]);
    for list in &summary.lists {
        let (signed, signers, issued_at, expires) = match list.origin() {
            Some(Origin::Signed {
                signers,
                issued_at,
                expires,
                ..
            }) => (
                "true",
                signers.join(" "),
                issued_at.map(|at| at.to_string()).unwrap_or_default(),
                expires.to_string(),
            ),
            Some(Origin::Unsigned { .. }) => ("false", String::new(), String::new(), String::new()),
            None => ("", String::new(), String::new(), String::new()),
        };
        let mode = list.compiled.as_ref().map(|list| list.settings.mode);
        let serial = list.serial().map(|serial| serial.to_string());
        table.row(&[
            &list.name,
            list.title(),
            if list.compiled.is_some() {
                "true"
            } else {
                "false"
            },
            if list.required { "true" } else { "false" },
            mode.map_or("", mode_word),
            signed,
            &serial.unwrap_or_default(),
            &signers,
            &issued_at,
            &expires,
            &list.entries().to_string(),
            &list.rejected().to_string(),
            list.failure().map_or("", |failure| failure.name),
        ]);
    }
    table.text
}

/// The timeline, a row a list of a period.
pub(super) fn timeline(periods: &[Period]) -> String {
    let mut table = Table::new(&[
        "edition", "from", "to", "ended", "list", "serial", "digest", "signers", "entries",
    ]);
    for period in periods {
        let (to, ended) = end(period.end);
        for list in &period.lists {
            let serial = list.serial.map(|serial| serial.to_string());
            table.row(&[
                &period.edition.to_string(),
                &period.from.to_string(),
                to.as_deref().unwrap_or_default(),
                ended,
                &list.name,
                &serial.unwrap_or_default(),
                &list.digest,
                &list.signers.join(" "),
                &list.entries.to_string(),
            ]);
        }
    }
    table.text
}

struct Table {
    text: String,
}

impl Table {
    fn new(head: &[&str]) -> Self {
        let mut table = Self {
            text: String::new(),
        };
        table.row(head);
        table
    }

    fn row(&mut self, fields: &[&str]) {
        for (place, field) in fields.iter().enumerate() {
            if place > 0 {
                self.text.push(',');
            }
            self.field(field);
        }
        self.text.push_str("\r\n");
    }

    fn field(&mut self, field: &str) {
        // A text from a list must not become a formula in somebody's spreadsheet.
        let is_formula = field.starts_with(['=', '+', '-', '@', '\t', '\r']);
        let is_plain = !is_formula && !field.contains([',', '"', '\n', '\r']);
        if is_plain {
            self.text.push_str(field);
            return;
        }
        self.text.push('"');
        if is_formula {
            self.text.push('\'');
        }
        self.text.push_str(&field.replace('"', "\"\""));
        self.text.push('"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_and_never_a_formula() {
        let mut table = Table::new(&["a", "b"]);
        table.row(&["x,y", "he said \"no\""]);
        table.row(&["=1+1", "@x"]);
        table.row(&["two\nlines", ""]);
        assert_eq!(
            table.text,
            "a,b\r\n\"x,y\",\"he said \"\"no\"\"\"\r\n\"'=1+1\",\"'@x\"\r\n\"two\nlines\",\r\n"
        );
    }
}
