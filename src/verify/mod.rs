//! 2 · TRUST: says which file it wants next, judges what it gets. No I/O.

mod alias;
mod any_role;
mod blocks;
mod chain;
mod client;
mod damage;
mod delegated;
mod delta;
mod error;
mod evidence;
mod floors;
mod json;
mod lint;
mod list_file;
mod list_steps;
mod list_target;
mod never_block;
mod offer;
mod proof;
mod replacement;
mod restore;
mod search;
mod settings;
mod signature;
mod signed_policy;
mod stepping;
mod steps;
mod target;
mod term_steps;
mod terms;
mod text;
mod trusted;
mod verified;
mod wanted;
mod withdraw_file;

pub use chain::ROOT_OCTETS_MAX;
pub use client::{Client, WantedMetadata, quoted};
pub use damage::SetAside;
pub use delta::{Applied, Delta, apply};
pub use error::VerifyError;
pub use evidence::Evidence;
pub use floors::ListVersion;
pub use lint::{is_list_name, octets_of_hex};
pub use list_target::{FULL_OCTETS_MAX, plaintext_octets_max};
pub use never_block::{NEVER_BLOCK_OCTETS_MAX, read_never_block, write_never_block};
pub use replacement::{REPLACED, Replacement};
pub use settings::Settings;
pub use signed_policy::SignedPolicy;
pub use target::Target;
pub use text::{Blocks, Text};
pub use trusted::{
    Answer, FLOORS, NetChange, Subscription, TermChanges, TrustSummary, TrustedMetadata, Verdict,
    Write,
};
pub use verified::{ListFile, Verified, digest, hex};
pub use wanted::{Cost, Place, Wanted};
pub use withdraw_file::{UNTIL_MAX, WITHDRAW_OCTETS_MAX, WITHDRAWALS_MAX, WithdrawFile};
