//! What nodes will think of a version of a list, before it is signed: the publisher runs
//! their row checks and their guards (trust.md section 7.9).

use std::sync::Arc;

use jiff::Timestamp;

use super::roles::Role;
use super::versions::Versions;
use super::{PublishError, Repository};
use crate::compile::parse::{Format, Reading};
use crate::compile::{Border, Guard, Protected, Reserved};
use crate::guard::{Comparison, Verdict};
use crate::policy::UrlScope;
use crate::verify::Text;

/// A version of a list that is to be judged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judged<'a> {
    /// The list.
    pub(super) list: &'a str,
    /// Its role as it is published; the version before is what that names.
    pub(super) role: &'a Role,
    /// The plaintext of the version before; empty for a first version.
    pub(super) before: &'a [u8],
    /// The plaintext of the version.
    pub(super) after: &'a [u8],
    /// Rows that were left out already, for what they would block may never be blocked.
    pub(super) left_out: u64,
}

impl Repository {
    /// What a list must be within: the signed policy, the never-block list, and the guards as
    /// nodes have them unless they are told otherwise.
    ///
    /// # Errors
    /// [`PublishError::Repository`] where policy or never-block list cannot be read.
    pub(super) fn border(&self, list: &str) -> Result<Border, PublishError> {
        self.border_by(&self.targets, list)
    }

    /// The same by the terms that a targets role names.
    ///
    /// # Errors
    /// As [`Repository::border`].
    pub(super) fn border_by(&self, targets: &Role, list: &str) -> Result<Border, PublishError> {
        let bounds = self.bounds_by(targets, list)?;
        let never_block = Arc::new(Reserved::new(self.never_blocked_by(targets)?.into()));
        Ok(Border::draft(
            Some(&bounds),
            Guard::USUAL.limits,
            never_block,
        ))
    }

    /// What a node that has the version before will think of a version: which guards it
    /// trips, and what it changes. A node may be told to be stricter; that cannot be known.
    ///
    /// # Errors
    /// [`PublishError::Repository`] where policy, never-block list or withdrawals cannot be
    /// read.
    pub(super) fn verdict(
        &self,
        border: &Border,
        judged: &Judged<'_>,
        now: Timestamp,
    ) -> Result<Verdict, PublishError> {
        let comparison = Comparison {
            reading: &as_published(judged.list),
            border,
            protected: &Protected::default(),
            withdrawn: &self.running(judged.list, now)?,
            now,
        };
        let versions = Versions::new(judged.list, judged.role);
        let entries = (!judged.before.is_empty()).then(|| versions.entries());
        let mut difference = comparison.versions(
            &Text::plain(judged.before.to_vec()),
            entries,
            &Text::plain(judged.after.to_vec()),
        );
        let change = &mut difference.change;
        change.refused = change
            .refused
            .max(suspicious(judged.left_out, change.entries()));
        let day = versions.day(now).with(now, change);
        Ok(Verdict::of(border, difference, &day))
    }
}

/// How a published version is read.
pub(super) fn as_published(list: &str) -> Reading {
    Reading {
        list: list.to_owned(),
        format: Format::Native,
        scope: None,
        url_scope: UrlScope::Exact,
        record: Arc::default(),
    }
}

/// How many of the rows that were left out count as new. A few that stand in the authority's
/// file since long do not make every version of it suspicious: all count where they are more
/// than a twentieth of the file, none otherwise.
const fn suspicious(left_out: u64, entries: u64) -> u64 {
    if left_out.saturating_mul(20) > entries.saturating_add(left_out) {
        left_out
    } else {
        0
    }
}
