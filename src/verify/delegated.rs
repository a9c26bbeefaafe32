//! [`Scope`]: the roles that the targets role delegates: `list-X` for `X/*` and `withdraw`
//! for `withdraw/*`. Nothing else that is delegated matters here.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sigstore_tuf::{DelegatedRole, Delegations, Key, Metadata, RoleKeys, Targets};

use super::chain::{
    Chain, TARGETS_OCTETS_MAX, check_fresh, check_pin, lint_error, malformed, read_envelope,
};
use super::offer::Offer;
use super::{TrustedMetadata, VerifyError, lint};

/// A delegated role and the one folder that it speaks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Scope {
    /// The role's name.
    pub(super) role: String,
    /// The first segment of its paths; they have two.
    folder: String,
}

/// Whose signatures on a role counted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Signing {
    /// The ids of the keys.
    pub(super) signers: Vec<String>,
    /// How many had to.
    pub(super) threshold: usize,
    /// How many keys the role has.
    pub(super) keys: usize,
}

impl Scope {
    /// The role of a list.
    pub(super) fn of_list(list: &str) -> Self {
        Self {
            role: format!("list-{list}"),
            folder: list.to_owned(),
        }
    }

    /// The role that can only remove.
    pub(super) fn withdraw() -> Self {
        Self {
            role: WITHDRAW.to_owned(),
            folder: WITHDRAW.to_owned(),
        }
    }

    /// The delegated role of that name; nothing for any other.
    fn of_role(role: &str) -> Option<Self> {
        match role {
            WITHDRAW => Some(Self::withdraw()),
            role => role.strip_prefix("list-").map(Self::of_list),
        }
    }

    /// The role's file, without its version.
    pub(super) fn file(&self) -> String {
        format!("{}.json", self.role)
    }

    /// The error for a role that is not there.
    fn absent(&self) -> VerifyError {
        if self.folder == WITHDRAW {
            return VerifyError::Missing { file: self.file() };
        }
        VerifyError::NotPublished {
            list: self.folder.clone(),
        }
    }

    /// Whether every path in a role is one segment below its folder.
    fn check(&self, targets: &Targets) -> Result<(), VerifyError> {
        let own = |path: &str| {
            path.strip_prefix(&self.folder)
                .and_then(|rest| rest.strip_prefix('/'))
                .is_some_and(|name| !name.is_empty() && !name.contains('/'))
        };
        match targets.targets.keys().find(|path| !own(path)) {
            Some(path) => Err(VerifyError::OutOfScope {
                file: self.file(),
                path: path.clone(),
            }),
            None => Ok(()),
        }
    }
}

impl TrustedMetadata {
    /// Who vouches now for a version of a list, of which `signers` signed it when it came:
    /// those that signed it anew, else those of them whose keys are not revoked. Nothing before
    /// the first round.
    #[must_use]
    pub fn signers_now(&self, list: &str, state: &str, signers: &[String]) -> Option<Vec<String>> {
        let scope = Scope::of_list(list);
        let (delegated, _) = self.chain.delegation(&scope).ok()?;
        let offer = self.chain.offer(list).ok();
        let is_newest = offer.is_some_and(|offer| offer.newest.version.state == state);
        if is_newest && let Some(held) = self.held.get(&scope.file()) {
            return Some(self.chain.signing(list, &held.bytes).ok()?.signers);
        }
        let known = signers.iter().filter(|id| delegated.keyids.contains(id));
        Some(known.cloned().collect())
    }
}

impl Chain {
    /// Takes a delegated role, which the snapshot names.
    pub(super) fn take_delegated(
        &mut self,
        scope: &Scope,
        bytes: &[u8],
        now: Timestamp,
    ) -> Result<(), VerifyError> {
        let file = scope.file();
        self.check_delegated(scope)?;
        let value = read_envelope(&file, bytes, TARGETS_OCTETS_MAX)?;
        let pin = self.role_pin(&scope.role).ok_or_else(|| scope.absent())?;
        check_pin(&file, bytes, &value, pin)?;
        self.step(|next| {
            let targets = next
                .set
                .update_delegated_targets(bytes, &scope.role, "targets", now)
                .map_err(|error| VerifyError::from_rules(&file, error))?;
            check_fresh(&file, Some(targets.expires), now)?;
            scope.check(targets)
        })
    }

    /// Whether a role is delegated as the lint has it, and the snapshot names it.
    ///
    /// # Errors
    /// [`VerifyError::NotPublished`] or [`VerifyError::Missing`] without one,
    /// [`VerifyError::Lint`] for a wrong one.
    pub(super) fn check_delegated(&self, scope: &Scope) -> Result<(), VerifyError> {
        self.delegation(scope)?;
        match self.role_pin(&scope.role) {
            Some(_) => Ok(()),
            None => Err(scope.absent()),
        }
    }

    /// Whether the targets role delegates the role that withdraws.
    pub(super) fn has_withdraw_role(&self) -> bool {
        self.delegations()
            .is_some_and(|all| all.roles.iter().any(|role| role.name == WITHDRAW))
    }

    /// Whether the trusted role is the one that the snapshot names, in its time, and signed
    /// by those to whom it is delegated now.
    pub(super) fn has_current_delegated(&self, scope: &Scope, now: Timestamp) -> bool {
        self.has_current_role(&scope.role, now)
            && self
                .set
                .verify_delegated_targets(&scope.role, "targets", now)
                .is_ok()
    }

    /// Whether a file of a delegated role is signed by those to whom it is delegated now.
    pub(super) fn is_signed_by_delegates(&self, scope: &Scope, role: &[u8]) -> bool {
        let Ok((delegated, keys)) = self.delegation(scope) else {
            return false;
        };
        Metadata::<Targets>::from_slice(role).is_ok_and(|metadata| {
            metadata
                .verify_threshold(keys, &delegated.role_keys(), &scope.role)
                .is_ok()
        })
    }

    /// Whether a file is signed by its role as the root or the delegation has it now.
    pub(super) fn is_signed(&self, role: &str, bytes: &[u8]) -> bool {
        let root = self.set.root();
        let Some(of_role) = root.role(role) else {
            let scope = Scope::of_role(role);
            return scope.is_some_and(|scope| self.is_signed_by_delegates(&scope, bytes));
        };
        let verified = match role {
            "timestamp" => Metadata::<sigstore_tuf::Timestamp>::from_slice(bytes)
                .and_then(|file| file.verify_threshold(&root.keys, of_role, role)),
            "snapshot" => Metadata::<sigstore_tuf::Snapshot>::from_slice(bytes)
                .and_then(|file| file.verify_threshold(&root.keys, of_role, role)),
            _ => Metadata::<Targets>::from_slice(bytes)
                .and_then(|file| file.verify_threshold(&root.keys, of_role, role)),
        };
        verified.is_ok()
    }

    /// A trusted delegated role.
    pub(super) fn delegated(&self, scope: &Scope) -> Option<&Targets> {
        self.set.targets_role(&scope.role)
    }

    /// What the role of a list offers.
    ///
    /// # Errors
    /// [`VerifyError`] as of [`Offer::read`].
    pub(super) fn offer(&self, list: &str) -> Result<Offer, VerifyError> {
        let scope = Scope::of_list(list);
        let role = self.delegated(&scope).ok_or_else(|| scope.absent())?;
        Offer::read(list, role)
    }

    /// Whose signatures on the role of a list counted, and how many had to.
    ///
    /// # Errors
    /// [`VerifyError`] where the list is not delegated, or its role is none.
    pub(super) fn signing(&self, list: &str, role: &[u8]) -> Result<Signing, VerifyError> {
        let scope = Scope::of_list(list);
        let (delegated, keys) = self.delegation(&scope)?;
        let file = scope.role;
        let metadata = Metadata::<Targets>::from_slice(role)
            .map_err(|error| VerifyError::from_rules(&file, error))?;
        let signed = |id: &String| {
            let mut alone: RoleKeys = delegated.role_keys();
            alone.keyids = vec![id.clone()];
            alone.threshold = 1;
            metadata.verify_threshold(keys, &alone, &file).is_ok()
        };
        let signers = delegated.keyids.iter().filter(|id| signed(id));
        Ok(Signing {
            signers: signers.cloned().collect(),
            threshold: delegated.threshold,
            keys: delegated.keyids.len(),
        })
    }

    /// The delegation of a role, linted, with the keys that delegations may use.
    fn delegation(
        &self,
        scope: &Scope,
    ) -> Result<(&DelegatedRole, &BTreeMap<String, Key>), VerifyError> {
        const FILE: &str = "targets.json";
        let Delegations { keys, roles, .. } = self.delegations().ok_or_else(|| scope.absent())?;
        if roles.len() > DELEGATIONS_MAX {
            let reason = format!("delegates more than {DELEGATIONS_MAX} roles");
            return Err(malformed(FILE, &reason));
        }
        let mut named = (0..)
            .zip(roles)
            .filter(|(_, delegated)| delegated.name == scope.role);
        let (place, delegated) = named.next().ok_or_else(|| scope.absent())?;
        if named.next().is_some() {
            let reason = format!("delegates {} twice", scope.role);
            return Err(lint_error(FILE, reason));
        }
        lint::check_delegation(delegated, &scope.folder, keys)
            .map_err(|reason| lint_error(FILE, reason))?;
        if scope.folder == WITHDRAW && !(place == 0 && delegated.terminating) {
            let reason = "delegates withdraw, but not as the first role and terminating";
            return Err(lint_error(FILE, reason.to_owned()));
        }
        Ok((delegated, keys))
    }

    /// What the targets role delegates.
    fn delegations(&self) -> Option<&Delegations> {
        self.set.targets_role("targets")?.delegations.as_ref()
    }
}

/// The role that withdraws, and the first segment of its paths.
pub(super) const WITHDRAW: &str = "withdraw";
/// The most roles that the targets role delegates.
const DELEGATIONS_MAX: usize = 64;
