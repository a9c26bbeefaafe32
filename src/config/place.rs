//! [`Place`]: where in a file something is written.

use std::ops::Range;

use serde_saphyr::granit_parser::{Marker, Span};

/// A stretch of a file, for people (line and column) and for programs (octets).
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Place {
    /// The line it starts in, from 1.
    pub line: usize,
    /// The column it starts at, in characters, from 1.
    pub column: usize,
    /// The first octet, from 0.
    pub start: usize,
    /// The octet after the last.
    pub end: usize,
}

impl Place {
    /// The start of a file.
    pub(super) const START: Self = Self {
        line: 1,
        column: 1,
        start: 0,
        end: 0,
    };

    /// The octets of it.
    #[must_use]
    pub const fn octets(&self) -> Range<usize> {
        self.start..self.end
    }

    /// Where the parser saw something.
    pub(super) fn of(span: Span) -> Self {
        let start = Self::at(&span.start);
        Self {
            end: span.end.byte_offset().unwrap_or(start.start),
            ..start
        }
    }

    /// The one place where the parser stood.
    pub(super) fn at(marker: &Marker) -> Self {
        let start = marker.byte_offset().unwrap_or(0);
        Self {
            line: marker.line(),
            column: marker.col().saturating_add(1),
            start,
            end: start,
        }
    }

    /// From the start of this one to the end of the other.
    pub(super) const fn to(self, other: Self) -> Self {
        Self {
            end: other.end,
            ..self
        }
    }
}
