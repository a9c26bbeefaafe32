//! [`Terms`]: what the authority says beside its lists, as last verified: the policy, the
//! names never to block, the withdrawals.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use sigstore_tuf::{TargetFile, Targets};

use super::chain::Chain;
use super::delegated::{Scope, WITHDRAW};
use super::list_target::is_sha256;
use super::proof::Proof;
use super::{
    NEVER_BLOCK_OCTETS_MAX, SignedPolicy, VerifyError, WITHDRAW_OCTETS_MAX, WithdrawFile, floors,
    hex, read_never_block,
};
use crate::policy::Name;

/// The terms that hold now; each holds until another of its kind is accepted.
#[derive(Clone, Debug, Default)]
pub(super) struct Terms {
    /// What bounds each list; nothing before the first.
    pub(super) policy: Option<Accepted<SignedPolicy>>,
    /// The names that no list may block; none, of no digest, where there is no such target.
    pub(super) never_block: Accepted<Arc<[Name]>>,
    /// What is withdrawn of each list, by the name the repository gives it.
    pub(super) withdrawn: BTreeMap<String, Accepted<WithdrawFile>>,
}

/// A term with what proves it.
#[derive(Clone, Debug, Default)]
pub(super) struct Accepted<T> {
    /// SHA-256 of its file, in hex.
    pub(super) digest: String,
    /// What it says.
    pub(super) value: T,
    /// The file of the delegated role that named it; empty for the top-level one.
    pub(super) role: String,
}

/// One kind of term.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Term {
    /// The target `policy`.
    Policy,
    /// The target `never-block`.
    NeverBlock,
    /// The target `withdraw/LIST`, of that list.
    Withdrawn(String),
}

/// What a role signs about the file of a term.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct TermTarget {
    path: String,
    /// Octets of the file.
    pub(super) length: u64,
    /// SHA-256 of the file, in hex.
    pub(super) digest: String,
}

/// `target-….json` in the repository's state folder: the file of a term as received, with
/// the metadata that proves it, in one file so that a crash cannot part them.
#[derive(Default, Deserialize, Serialize)]
struct KeptTerm {
    format: u64,
    proof: Proof,
    text: String,
}

impl Terms {
    /// The digest of the file that was accepted for a term.
    pub(super) fn digest(&self, term: &Term) -> Option<&str> {
        match term {
            Term::Policy => self.policy.as_ref().map(|of| of.digest.as_str()),
            Term::NeverBlock => {
                let digest = self.never_block.digest.as_str();
                (!digest.is_empty()).then_some(digest)
            }
            Term::Withdrawn(list) => self.withdrawn.get(list).map(|of| of.digest.as_str()),
        }
    }

    /// Drops a term.
    pub(super) fn remove(&mut self, term: &Term) {
        match term {
            Term::Policy => self.policy = None,
            Term::NeverBlock => self.never_block = Accepted::default(),
            Term::Withdrawn(list) => _ = self.withdrawn.remove(list),
        }
    }

    /// Takes a term, whose file has that digest and was named by that delegated role.
    pub(super) fn take(&mut self, said: Said, digest: String, role: String) {
        match said {
            Said::Policy(value) => {
                self.policy = Some(Accepted {
                    digest,
                    value,
                    role,
                });
            }
            Said::NeverBlock(value) => {
                self.never_block = Accepted {
                    digest,
                    value,
                    role,
                };
            }
            Said::Withdrawn(value) => {
                let accepted = Accepted {
                    digest,
                    role,
                    value,
                };
                let list = accepted.value.list.clone();
                self.withdrawn.insert(list, accepted);
            }
        }
    }
}

/// What the file of a term says.
#[derive(Clone, Debug)]
pub(super) enum Said {
    Policy(SignedPolicy),
    NeverBlock(Arc<[Name]>),
    Withdrawn(WithdrawFile),
}

impl Term {
    /// The term that a file of the state folder keeps, or its copy.
    pub(super) fn of_file(name: &str) -> Option<Self> {
        let name = name.strip_prefix(COPY).unwrap_or(name);
        let kept = name.strip_prefix(KEPT)?.strip_suffix(".json")?;
        match kept {
            POLICY => Some(Self::Policy),
            NEVER_BLOCK => Some(Self::NeverBlock),
            other => {
                let list = other.strip_prefix(WITHDRAW)?.strip_prefix('-')?;
                Some(Self::Withdrawn(list.to_owned()))
            }
        }
    }

    /// Its file in the state folder.
    pub(super) fn file(&self) -> String {
        format!("{KEPT}{}.json", self.path().replace('/', "-"))
    }

    /// The copy of that file, by which it is made good where it is damaged or lost. It is
    /// written before the file is, and removed before.
    pub(super) fn copy(&self) -> String {
        format!("{COPY}{}", self.file())
    }

    /// The path of its target.
    pub(super) fn path(&self) -> String {
        match self {
            Self::Policy => POLICY.to_owned(),
            Self::NeverBlock => NEVER_BLOCK.to_owned(),
            Self::Withdrawn(list) => format!("{WITHDRAW}/{list}"),
        }
    }

    /// The role that speaks of it; nothing for the top-level one.
    pub(super) fn scope(&self) -> Option<Scope> {
        matches!(self, Self::Withdrawn(_)).then(Scope::withdraw)
    }

    /// Reads its file.
    ///
    /// # Errors
    /// [`VerifyError::Malformed`].
    pub(super) fn read(&self, file: &[u8]) -> Result<Said, VerifyError> {
        let said = match self {
            Self::Policy => SignedPolicy::read(file).map(Said::Policy),
            Self::NeverBlock => {
                read_never_block(file).map(|names| Said::NeverBlock(Arc::from(names.as_slice())))
            }
            Self::Withdrawn(list) => WithdrawFile::read(file).and_then(|file| {
                if file.list == *list {
                    Ok(Said::Withdrawn(file))
                } else {
                    Err(format!("withdraws entries of the list {}", file.list))
                }
            }),
        };
        said.map_err(|reason| VerifyError::Malformed {
            file: self.path(),
            reason,
        })
    }

    /// What a role says of its target; nothing where it names none.
    ///
    /// # Errors
    /// [`VerifyError`] where that is not to be read, or the file would be too long.
    pub(super) fn named_by(&self, role: &Targets) -> Result<Option<TermTarget>, VerifyError> {
        let path = self.path();
        role.target(&path)
            .map(|target| TermTarget::read(path, self.octets_max(), target))
            .transpose()
    }

    /// The most octets of its file.
    fn octets_max(&self) -> u64 {
        match self {
            Self::Policy => POLICY_OCTETS_MAX,
            Self::NeverBlock => NEVER_BLOCK_OCTETS_MAX,
            Self::Withdrawn(_) => WITHDRAW_OCTETS_MAX,
        }
    }

    /// The file that keeps it, of the file as received.
    pub(super) fn keep(proof: Proof, file: &[u8]) -> Vec<u8> {
        let kept = KeptTerm {
            format: FORMAT,
            proof,
            text: String::from_utf8_lossy(file).into_owned(),
        };
        serde_json::to_vec(&kept).unwrap_or_default()
    }

    /// Verifies again what keeps it; `chain` gives the chain up to the root of a version.
    ///
    /// # Errors
    /// [`VerifyError`] when it is not what was accepted.
    pub(super) fn restore(
        &self,
        bytes: &[u8],
        chain: impl FnOnce(u64) -> Result<Chain, VerifyError>,
    ) -> Result<(Said, String, String), VerifyError> {
        let file = self.file();
        let kept: KeptTerm = floors::read_own(&file, Some(bytes), FORMAT)?;
        let damaged = || VerifyError::Malformed {
            file: file.clone(),
            reason: "is damaged".to_owned(),
        };
        if kept.format == 0 {
            return Err(damaged());
        }
        let KeptTerm { proof, text, .. } = kept;
        let at: Timestamp = proof.accepted_at;
        let mut chain = chain(proof.root)?;
        chain.take_timestamp(proof.timestamp.as_bytes(), at)?;
        chain.take_snapshot(proof.snapshot.as_bytes(), at)?;
        chain.take_targets(proof.targets.as_bytes(), at)?;
        let role = match self.scope() {
            Some(scope) => {
                chain.take_delegated(&scope, proof.role.as_bytes(), at)?;
                chain.delegated(&scope)
            }
            None => chain.set().targets_role("targets"),
        };
        let target = role.map(|role| self.named_by(role)).transpose()?.flatten();
        let target = target.ok_or_else(damaged)?;
        target.check(text.as_bytes())?;
        Ok((self.read(text.as_bytes())?, target.digest, proof.role))
    }
}

impl TermTarget {
    /// Reads what a role says of it.
    fn read(path: String, octets_max: u64, target: &TargetFile) -> Result<Self, VerifyError> {
        if target.length > octets_max {
            return Err(VerifyError::TooLong {
                file: path,
                octets_max,
            });
        }
        let custom = target.custom.as_ref().unwrap_or(&Value::Null);
        match custom.get("format").and_then(Value::as_u64) {
            Some(FORMAT) => {}
            Some(format) => {
                return Err(VerifyError::Unsupported {
                    file: path,
                    reason: format!("is of format {format}"),
                });
            }
            None => {
                return Err(VerifyError::Malformed {
                    file: path,
                    reason: "does not say its format".to_owned(),
                });
            }
        }
        let digest = target.hashes.get("sha256");
        match digest.filter(|digest| is_sha256(digest)) {
            Some(digest) => Ok(Self {
                path,
                length: target.length,
                digest: digest.clone(),
            }),
            None => Err(VerifyError::Malformed {
                file: path,
                reason: "it has no SHA-256".to_owned(),
            }),
        }
    }

    /// Where the file is, below the repository's address.
    pub(super) fn file(&self) -> String {
        match self.path.rsplit_once('/') {
            Some((folder, name)) => format!("targets/{folder}/{}.{name}", self.digest),
            None => format!("targets/{}.{}", self.digest, self.path),
        }
    }

    /// Whether that is the file that was signed.
    ///
    /// # Errors
    /// [`VerifyError::HashMismatch`].
    pub(super) fn check(&self, file: &[u8]) -> Result<(), VerifyError> {
        let octets = file.len() as u64;
        let found = hex(&Sha256::digest(file));
        if octets == self.length && found == self.digest {
            return Ok(());
        }
        Err(VerifyError::HashMismatch {
            file: self.path.clone(),
            expected: format!("{} octets with the SHA-256 {}", self.length, self.digest),
            found: format!("{octets} octets with {found}"),
        })
    }
}

/// The target of the policy.
const POLICY: &str = "policy";
/// The target of the names never to block.
const NEVER_BLOCK: &str = "never-block";
/// How the files begin that keep terms.
const KEPT: &str = "target-";
/// How the copies of these files begin.
const COPY: &str = "copy-";
/// The most octets of the policy.
const POLICY_OCTETS_MAX: u64 = 1 << 20;
/// The format of these targets, and of the files that keep them.
const FORMAT: u64 = 1;
