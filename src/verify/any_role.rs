//! One step for a delegated role of any name, as the specification's section 5.6.7 has it.

use jiff::Timestamp;
use sigstore_tuf::{Delegations, Targets};

use super::chain::{Chain, TARGETS_OCTETS_MAX, check_fresh, check_pin};
use super::{VerifyError, alias};

impl Chain {
    /// Takes a role that the snapshot names, as `delegator`, which is trusted, delegates it.
    /// What it may speak for is for whoever asks for a path to heed.
    ///
    /// # Errors
    /// [`VerifyError`]; what was trusted still is.
    pub(super) fn take_delegated_role(
        &mut self,
        role: &str,
        delegator: &str,
        bytes: &[u8],
        now: Timestamp,
    ) -> Result<(), VerifyError> {
        let file = format!("{role}.json");
        let value = self.lint.read(&file, bytes, TARGETS_OCTETS_MAX)?;
        let pin = self
            .role_pin(role)
            .ok_or_else(|| VerifyError::Missing { file: file.clone() })?;
        check_pin(&file, bytes, &value, pin)?;
        let delegator_role = self.set.targets_role(delegator);
        if let Some(Delegations { keys, roles, .. }) =
            delegator_role.and_then(|targets| targets.delegations.as_ref())
        {
            for delegated in roles.iter().filter(|delegated| delegated.name == role) {
                alias::count_once::<Targets>(&file, bytes, keys, &delegated.role_keys())?;
            }
        }
        self.step(|next| {
            let targets = next
                .set
                .update_delegated_targets(bytes, role, delegator, now)
                .map_err(|error| VerifyError::from_rules(&file, error))?;
            check_fresh(&file, Some(targets.expires), now)
        })
    }
}
