//! THE AUTHORITY: makes a repository of signed lists, which `source` gets and `verify`
//! believes: a static folder for any web server.

mod canonical;
mod commit;
mod delegation;
mod difference;
mod draft;
mod error;
mod folder;
mod founding;
mod key_file;
mod keys;
mod legal;
mod passphrases;
mod proposal;
mod public_key;
mod publication;
mod quorum;
mod rehearsal;
mod repository;
mod role_changes;
mod roles;
mod rotation;
mod serve;
mod signature;
mod stage;
mod staging;
mod upkeep;

pub use commit::Renewed;
pub use delegation::Delegation;
pub use difference::ListDifference;
pub use error::PublishError;
pub use founding::Founders;
pub use keys::Keyring;
pub use legal::{Legal, LegalMistake};
pub use passphrases::{Passphrase, Passphrases};
pub use proposal::{Proposal, RoleProposal};
pub use public_key::PublicKey;
pub use publication::{Progress, Publication, Published};
pub use quorum::Quorum;
pub use repository::Repository;
pub use rotation::Rotation;
pub use serve::serve;
pub use upkeep::{Left, ListStatus, Refreshed, RoleStatus, Status};
