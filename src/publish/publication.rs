//! Publishing a version of a list.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::draft::{Draft, Material};
use super::offline::FIRST_GENERATION;
use super::repository::target_files;
use super::roles::Role;
use super::sense::Judged;
use super::versions::{Version, Versions, number_in};
use super::{Keyring, Legal, PublishError, Repository};
use crate::compile::{Border, Format, Reject};
use crate::guard::Verdict;
use crate::policy::{Scope, UrlScope};
use crate::verify::hex;

/// The next version of a list: a full replacement.
#[derive(Clone, Debug)]
pub struct Publication {
    /// The list's name.
    pub list: String,
    /// The rows.
    pub text: Vec<u8>,
    /// How they are written.
    pub format: Format,
    /// The scope of names where the format does not say it.
    pub scope: Option<Scope>,
    /// The scope of URLs in that format.
    pub url_scope: UrlScope,
    /// What the legal file says.
    pub legal: Legal,
    /// Why it is published even if nodes will hold it until their operators decide.
    pub accept_guard: Option<String>,
}

/// What is now published.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Published {
    /// The list's name.
    pub list: String,
    /// Its serial.
    pub seq: u64,
    /// Whether that is a new one; the same content is not published again.
    pub is_new: bool,
    /// Its entries, without the list's own test entry.
    pub entries: u64,
    /// Entries that the version before did not have.
    pub added: u64,
    /// Entries of the version before that it does not have.
    pub removed: u64,
    /// Rows that say again what another row says.
    pub duplicates: u64,
    /// The rows that were left out, the first thousand of them.
    pub rejects: Vec<Reject>,
    /// How many rows were left out.
    pub rejected: u64,
    /// What nodes will think of it: where it is held, they take it only once their operators
    /// decide.
    pub verdict: Verdict,
    /// Octets of the complete state, which nodes without the list fetch.
    pub octets: u64,
    /// Octets of the step, which nodes with the version before fetch.
    pub step_octets: Option<u64>,
    /// When the list's role expires unless it is renewed.
    pub expires: Timestamp,
    /// What its keeper should know.
    pub warnings: Vec<String>,
}

/// How far publishing has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Progress {
    /// So many rows were read.
    Read(u64),
    /// The rows are read; the list is compressed.
    Compress,
    /// It is signed and written.
    Sign,
}

impl Repository {
    /// Publishes a version of a list.
    ///
    /// # Errors
    /// [`PublishError`]; what was published before still is.
    pub fn publish(
        &mut self,
        keys: &Keyring,
        publication: &Publication,
        now: Timestamp,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Published, PublishError> {
        let list = publication.list.as_str();
        let role = format!("list-{list}");
        // A version replaces what is staged, too, and follows what is published.
        let before = self.published_role(&role);
        let before = before.ok_or_else(|| PublishError::NotDelegated(list.to_owned()))?;
        let before = before.clone();
        for role in [role.as_str(), "snapshot", "timestamp"] {
            self.check_at_hand(keys, role)?;
        }
        let mut warnings = Vec::new();
        let before_text = self.plaintext(&before);
        let is_damaged = before_text.is_err();
        let before_text = before_text.unwrap_or_else(|error| {
            warnings.push(format!(
                "the version before cannot be read, so that every entry counts as new: {error}"
            ));
            Vec::new()
        });
        let border = self.border(list)?;
        let draft = self.draft(publication, &border, &before_text, now, progress)?;
        warnings.extend(draft.warnings(self.about(list).1.as_deref()));
        let state = hex(&Sha256::digest(&draft.plaintext));
        let versions = Versions::new(list, &before);
        let current = versions.newest();
        let seq = number_in(current, "seq");
        let generation = number_in(current, "generation").max(FIRST_GENERATION);
        let generation_min = self.bounds(list)?.generation_min;
        // The offline keys begin the list anew: every node is to have it in that generation.
        let is_begun_anew = !before_text.is_empty() && generation_min > generation;
        let mut published = Published {
            list: list.to_owned(),
            seq,
            is_new: is_begun_anew
                || is_damaged
                || current.get("state").and_then(Value::as_str) != Some(&state),
            entries: draft.entries.saturating_sub(1),
            added: draft.added,
            removed: draft.removed,
            duplicates: draft.duplicates,
            rejects: draft.rejects,
            rejected: draft.rejected,
            verdict: Verdict::default(),
            octets: 0,
            step_octets: None,
            expires: before.expires(),
            warnings,
        };
        let judged = Judged {
            list,
            role: &before,
            before: &before_text,
            after: &draft.plaintext,
            left_out: draft.never_blocked,
        };
        let verdict = self.verdict(&border, &judged, now)?;
        // The same content from a file of names that may never be blocked is a mistake, too.
        let is_change = published.is_new || verdict.difference.change.refused > 0;
        if verdict.is_held && is_change && publication.accept_guard.is_none() {
            return Err(PublishError::Guard {
                list: list.to_owned(),
                verdict: Box::new(verdict),
            });
        }
        published.verdict = verdict;
        if !published.is_new {
            return Ok(published);
        }
        progress(Progress::Compress);
        let accepted = self.accepted(publication, &published.verdict);
        // A serial that a thief put out of reach is left behind with its generation.
        let before_seq = if is_begun_anew && seq > SEQ_KEPT_MAX {
            0
        } else {
            seq
        };
        published.seq = before_seq.saturating_add(1);
        let named = versions.next(&Version {
            seq: published.seq,
            generation: generation.max(generation_min),
            entries: draft.entries,
            plaintext: &draft.plaintext,
            state: &state,
            before: &before_text,
            change: published.verdict.difference.change,
            accepted: accepted.as_ref(),
            now,
        })?;
        progress(Progress::Sign);
        published.octets = named.full_octets;
        published.step_octets = named.step_octets;
        if let Some(role) = self.lists.get_mut(list) {
            role.clone_from(&before);
            role.signed
                .insert("targets".to_owned(), Value::Object(named.targets));
            let still: BTreeSet<String> = target_files(role).into_iter().collect();
            let gone = target_files(&before);
            let gone = gone.into_iter().filter(|file| !still.contains(file));
            self.superseded.extend(gone);
        }
        self.new_files.extend(named.files);
        self.changed.insert(role);
        self.commit(keys, now)?;
        published.expires = self.lists.get(list).map_or(now, Role::expires);
        Ok(published)
    }

    /// The next version, from the rows and the version before.
    fn draft(
        &self,
        publication: &Publication,
        border: &Border,
        before: &[u8],
        now: Timestamp,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Draft, PublishError> {
        let list = publication.list.as_str();
        let (title, category) = self.about(list);
        let material = Material {
            list,
            title,
            category: category.as_deref(),
            legal: &publication.legal,
            border,
            before,
            format: publication.format,
            scope: publication.scope,
            url_scope: publication.url_scope,
            text: &publication.text,
            now,
        };
        Draft::build(&material, &mut |rows| progress(Progress::Read(rows)))
    }

    /// What a version says of itself that nodes will hold: why it was signed all the same,
    /// and which guards it trips. Who decides on a node sees it. A staged one says so in any
    /// case, for what nodes will think of it is asked once more when it is published.
    fn accepted(&self, publication: &Publication, verdict: &Verdict) -> Option<Value> {
        let reason = publication.accept_guard.as_ref()?;
        let trips = verdict.trips.iter().map(|trip| trip.guard.as_str());
        let trips: Vec<&str> = trips.collect();
        (verdict.is_held || self.is_staging).then(|| json!({"reason": reason, "trips": trips}))
    }

    /// The plaintext of the newest version that the role of a list names; empty before the
    /// first.
    pub(super) fn plaintext(&self, role: &Role) -> Result<Vec<u8>, PublishError> {
        match role.name.strip_prefix("list-") {
            Some(list) => Versions::new(list, role).plaintext(&self.folder),
            None => Ok(Vec::new()),
        }
    }
}

/// The highest serial that a new generation counts on from; above it, it begins at 1.
const SEQ_KEPT_MAX: u64 = 1 << 52;
