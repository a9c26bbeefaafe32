//! [`Proposal`]: what is staged, as its keepers are shown it before they sign.

use jiff::Timestamp;
use serde_json::json;

use super::difference::{ListDifference, plain};
use super::quorum::Quorum;
use super::roles::Role;
use super::sense::Judged;
use super::versions::Versions;
use super::{Keyring, PublishError, Repository, TermEffect};
use crate::compile::{Border, Compiler, Ede, From, Guard, Protected, Settings};
use crate::guard::Trip;
use crate::verify::Verified;

/// What is staged: everything that a signature would say yes to. Its texts are safe to show
/// at a terminal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Proposal {
    /// The digest of what is staged, which covers every octet that a signature covers.
    pub digest: String,
    /// What is staged, by role.
    pub roles: Vec<RoleProposal>,
    /// What was found and left aside, such as signatures that are none.
    pub warnings: Vec<String>,
}

/// What is staged for one role.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RoleProposal {
    /// Its name.
    pub role: String,
    /// The staged version.
    pub version: u64,
    /// When that expires.
    pub expires: Timestamp,
    /// What it changes beside that: keys, thresholds, delegations, files; a sentence each.
    pub changes: Vec<String>,
    /// What it changes in the list, where it has other content.
    pub list: Option<ListDifference>,
    /// What the node's own code says of that content.
    pub verdicts: Vec<String>,
    /// Who has signed and who has yet to.
    pub quorums: Vec<Quorum>,
}

impl Repository {
    /// What is staged.
    ///
    /// # Errors
    /// [`PublishError::Repository`] where a file of it is missing or damaged.
    pub fn proposal(&self, keys: &Keyring, now: Timestamp) -> Result<Proposal, PublishError> {
        self.check_staged_files()?;
        let mut roles = Vec::new();
        for (name, staged) in &self.stage.roles {
            let empty = Role::new(name, "", json!({}));
            let before = self.published.get(name).unwrap_or(&empty);
            let mut changes = Vec::new();
            self.say_changes(before, staged, keys, &mut changes)?;
            let list = self.list_difference(before, staged)?;
            let verdicts = match name.as_str() {
                "targets" => {
                    let effects = self.staged_term_effects(now)?;
                    effects.iter().flat_map(TermEffect::sentences).collect()
                }
                _ => self.verdicts(staged, &self.targets, now)?,
            };
            roles.push(RoleProposal {
                role: name.clone(),
                version: staged.version(),
                expires: staged.expires(),
                changes,
                list,
                verdicts,
                quorums: self.quorums(name),
            });
        }
        Ok(Proposal {
            digest: self.staged_digest()?,
            roles,
            warnings: self.staged_warnings(),
        })
    }

    /// Refuses what nodes would hold or leave out: of a staged list, and of every list where
    /// other terms are staged. Who staged it may have said why it is published all the same.
    ///
    /// # Errors
    /// [`PublishError::Held`], [`PublishError::Terms`].
    pub(super) fn check_staged_sense(&self, now: Timestamp) -> Result<(), PublishError> {
        // What was accepted of terms covers what they do, and neither lists nor other terms.
        let terms = self.with_published_terms(true);
        for (list, role) in &self.lists {
            let is_staged = self.stage.roles.contains_key(&role.name);
            let accepted = Versions::new(list, role).newest().get("accepted");
            if !is_staged || accepted.is_some() {
                continue;
            }
            let verdicts = self.verdicts(role, &terms, now)?;
            if !verdicts.is_empty() {
                return Err(PublishError::Held {
                    list: list.clone(),
                    verdicts,
                });
            }
        }
        match self.term_effects(&self.with_published_terms(false), now)? {
            effects if effects.is_empty() => Ok(()),
            effects => Err(PublishError::Terms(effects)),
        }
    }

    /// What the node's own code says of the list that a role names, by the terms of a targets
    /// role: the rows that it would leave out, and the guards that it would trip.
    fn verdicts(
        &self,
        role: &Role,
        terms: &Role,
        now: Timestamp,
    ) -> Result<Vec<String>, PublishError> {
        let Some(list) = role.name.strip_prefix("list-") else {
            return Ok(Vec::new());
        };
        let text = self.plaintext(role)?;
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let border = self.border_by(terms, list)?;
        let held = self.guards(&border, role, &text, now)?;
        let draft = Verified::draft(list, text);
        let mut compiler = Compiler::new(&Protected::default(), now);
        compiler.add_within(&as_a_node_reads(list), &border, &draft);
        let blocklist = compiler.finish();
        let Some(compiled) = blocklist.lists().first() else {
            return Ok(Vec::new());
        };
        let mut verdicts: Vec<String> = compiled
            .rejects
            .iter()
            .map(|reject| {
                plain(&format!(
                    "nodes leave out line {}: {}",
                    reject.line, reject.reason
                ))
            })
            .collect();
        let more = compiled.rejected.saturating_sub(verdicts.len());
        if more > 0 {
            verdicts.push(format!("nodes leave out {more} more lines"));
        }
        verdicts.extend(held);
        Ok(verdicts)
    }

    /// Why nodes would hold a version back until their operators decide.
    fn guards(
        &self,
        border: &Border,
        role: &Role,
        text: &[u8],
        now: Timestamp,
    ) -> Result<Vec<String>, PublishError> {
        let list = role.name.strip_prefix("list-").unwrap_or(&role.name);
        let empty = Role::new(&role.name, "", json!({}));
        let before = self.published_role(&role.name).unwrap_or(&empty);
        let judged = Judged {
            list,
            role: before,
            before: &self.plaintext(before).unwrap_or_default(),
            after: text,
            left_out: 0,
        };
        let verdict = self.verdict(border, &judged, now)?;
        let sentence = |trip: &Trip| format!("nodes hold this version: {}", trip.sentence);
        Ok(verdict.trips.iter().map(sentence).collect())
    }

    /// What a version changes in its list, whether it is named whole or by a step; nothing
    /// where the content stays.
    fn list_difference(
        &self,
        before: &Role,
        staged: &Role,
    ) -> Result<Option<ListDifference>, PublishError> {
        let after = self.plaintext(staged)?;
        // A version before that is lost shows everything as new; to sign is still possible.
        let before = self.plaintext(before).unwrap_or_default();
        Ok((before != after).then(|| ListDifference::between(&before, &after)))
    }
}

/// How a node reads a list whose configuration says nothing else.
fn as_a_node_reads(list: &str) -> Settings {
    Settings {
        ede: Ede::Censored,
        required: false,
        guard: Guard::USUAL,
        ..Settings::new(
            list,
            From::Repository {
                repository: "staged".to_owned(),
                list: list.to_owned(),
            },
        )
    }
}
