//! Publishing a version of a list.

use std::io::Read;

use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::draft::{Draft, Material};
use super::repository::target_files;
use super::roles::{Role, utc};
use super::stage::staged_file;
use super::{Keyring, Legal, PublishError, Repository};
use crate::compile::{Format, Reject};
use crate::policy::{Scope, UrlScope};
use crate::verify::{FULL_OCTETS_MAX, hex, plaintext_octets_max};

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
    /// Octets of the file that nodes fetch.
    pub octets: u64,
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
        let plaintext = self.plaintext(&before).unwrap_or_else(|error| {
            warnings.push(format!(
                "the version before cannot be read, so that every entry counts as new: {error}"
            ));
            Vec::new()
        });
        let draft = self.draft(publication, &plaintext, now, progress)?;
        let state = hex(&Sha256::digest(&draft.plaintext));
        let current = custom(&before, list);
        let number = |name| current.get(name).and_then(Value::as_u64);
        let seq = number("seq").unwrap_or(0);
        let mut published = Published {
            list: list.to_owned(),
            seq,
            is_new: current.get("state").and_then(Value::as_str) != Some(&state),
            entries: draft.entries.saturating_sub(1),
            added: draft.added,
            removed: draft.removed,
            duplicates: draft.duplicates,
            rejects: draft.rejects,
            rejected: draft.rejected,
            octets: 0,
            expires: before.expires(),
            warnings,
        };
        if !published.is_new {
            return Ok(published);
        }
        progress(Progress::Compress);
        let file = compress(&draft.plaintext)?;
        progress(Progress::Sign);
        published.octets = file.len() as u64;
        published.seq = seq.saturating_add(1);
        let digest = hex(&Sha256::digest(&file));
        let target = json!({
            "custom": {
                "comp": "zstd",
                "enc": null,
                "entries": draft.entries,
                "epoch": null,
                "format": 1,
                "generation": number("generation").unwrap_or(1),
                "issued_at": utc(now),
                "list": list,
                "seq": published.seq,
                "size": draft.plaintext.len(),
                "state": state,
            },
            "hashes": {"sha256": digest},
            "length": file.len(),
        });
        if let Some(role) = self.lists.get_mut(list) {
            role.clone_from(&before);
            role.edit("targets", |targets| {
                _ = targets.insert(full_path(list), target)
            });
        }
        self.superseded.extend(target_files(&before));
        self.new_files
            .push((format!("targets/{list}/{digest}.full"), file));
        self.changed.insert(role);
        self.commit(keys, now)?;
        published.expires = self.lists.get(list).map_or(now, Role::expires);
        Ok(published)
    }

    /// The next version, from the rows and the version before.
    fn draft(
        &self,
        publication: &Publication,
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
            before,
            format: publication.format,
            scope: publication.scope,
            url_scope: publication.url_scope,
            text: &publication.text,
            now,
        };
        Draft::build(&material, &mut |rows| progress(Progress::Read(rows)))
    }

    /// The plaintext of the version that a role names; empty before the first.
    pub(super) fn plaintext(&self, role: &Role) -> Result<Vec<u8>, PublishError> {
        let full = target_files(role);
        let Some(file) = full.iter().find(|file| file.ends_with(".full")) else {
            return Ok(Vec::new());
        };
        let waiting = staged_file(file);
        let (path, bytes) = match self.folder.path(file).exists() {
            false if self.folder.path(&waiting).exists() => {
                (self.folder.path(&waiting), self.folder.read(&waiting)?)
            }
            _ => (self.folder.path(file), self.folder.read(file)?),
        };
        let limit = plaintext_octets_max(bytes.len() as u64);
        let mut plaintext = Vec::new();
        zstd::Decoder::new(bytes.as_slice())
            .and_then(|decoder| decoder.take(limit).read_to_end(&mut plaintext))
            .map_err(|source| PublishError::Io {
                path: path.clone(),
                source,
            })?;
        let state = role
            .name
            .strip_prefix("list-")
            .and_then(|list| custom(role, list).get("state")?.as_str().map(str::to_owned));
        if state != Some(hex(&Sha256::digest(&plaintext))) {
            let reason = "is not the list that its role names: its digest is another; copy the \
                          file back from a mirror or a backup";
            return Err(PublishError::Repository {
                path,
                reason: reason.to_owned(),
            });
        }
        Ok(plaintext)
    }
}

/// The fields of our own of a list's complete state.
pub(super) fn custom(role: &Role, list: &str) -> Value {
    let targets = role.signed.get("targets");
    let full = targets.and_then(|targets| targets.get(full_path(list)));
    let custom = full.and_then(|full| full.get("custom"));
    custom.cloned().unwrap_or(Value::Null)
}

/// The path of a list's complete state.
fn full_path(list: &str) -> String {
    format!("{list}/full")
}

/// Compresses a plaintext, within what nodes take.
fn compress(plaintext: &[u8]) -> Result<Vec<u8>, PublishError> {
    let octets = plaintext.len() as u64;
    let file = zstd::encode_all(plaintext, ZSTD_LEVEL).map_err(|source| PublishError::Io {
        path: "zstd".into(),
        source,
    })?;
    let length = file.len() as u64;
    for (octets, octets_max) in [
        (length, FULL_OCTETS_MAX),
        (octets, plaintext_octets_max(length)),
    ] {
        if octets > octets_max {
            return Err(PublishError::TooLong { octets, octets_max });
        }
    }
    Ok(file)
}

/// The level of compression: levels above cost seconds for a few per cent.
const ZSTD_LEVEL: i32 = 6;
