//! [`VerifyError`]: why a file was refused; one variant per attack, in TUF's words.

use jiff::Timestamp;

/// Why a file was refused. Whatever was trusted before still is.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum VerifyError {
    /// Too few valid signatures by distinct keys of the role: arbitrary content.
    #[error(
        "{file}: {valid} of {threshold} signatures that are needed are valid; the file was not signed by its role"
    )]
    ThresholdNotMet {
        /// The file.
        file: String,
        /// Signatures that counted.
        valid: usize,
        /// Signatures that are needed.
        threshold: usize,
    },
    /// A version below one that was accepted before.
    #[error(
        "{file}: version {offered} is older than {trusted}, which was accepted before{}",
        way_out_of_rollback(file)
    )]
    Rollback {
        /// The file or role.
        file: String,
        /// The version accepted before.
        trusted: u64,
        /// The version offered.
        offered: u64,
    },
    /// Its time is over: indefinite freeze, or nobody renews it.
    #[error("{file}: expired at {expires}; {}", meaning_of_expiry(file))]
    Expired {
        /// The file.
        file: String,
        /// When it expired.
        expires: Timestamp,
    },
    /// Other bytes than the signed digest or length says.
    #[error("{file}: has {found} where {expected} was signed")]
    HashMismatch {
        /// The file.
        file: String,
        /// The signed digest or length.
        expected: String,
        /// What the file has.
        found: String,
    },
    /// Not the version that its parent names: mix and match.
    #[error("{file}: is version {found} where version {expected} is named")]
    VersionMismatch {
        /// The file.
        file: String,
        /// The version named by the parent role.
        expected: u64,
        /// The version of the file.
        found: u64,
    },
    /// More octets than the limit: endless data.
    #[error("{file}: is longer than {octets_max} octets")]
    TooLong {
        /// The file.
        file: String,
        /// The limit.
        octets_max: u64,
    },
    /// Not what such a file looks like.
    #[error("{file}: {reason}")]
    Malformed {
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// TUF would have it, but the lint at the border does not (trust.md section 7.4).
    #[error("{file}: {reason}")]
    Lint {
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// A role speaks for a path that is not its own.
    #[error("{file}: names {path}, which is outside the paths of its role")]
    OutOfScope {
        /// The file.
        file: String,
        /// The foreign path.
        path: String,
    },
    /// A file that must be there is not, or a role vanished from the snapshot.
    #[error("{file}: is missing, though it is named by signed metadata or always present")]
    Missing {
        /// The file.
        file: String,
    },
    /// The repository has no list of that name, or nothing was published in it yet.
    #[error("the repository publishes no list {list}")]
    NotPublished {
        /// The list's name.
        list: String,
    },
    /// No role that may speak for the path names it.
    #[error("{path}: no role that may speak for it names it")]
    NoTarget {
        /// The path of the target file.
        path: String,
    },
    /// Issued by a clock far ahead of ours: one of the two is wrong.
    #[error("{file}: says it was issued at {issued}, but it is {now} here; one clock is wrong")]
    FromTheFuture {
        /// The file.
        file: String,
        /// When its publisher says it is.
        issued: Timestamp,
        /// When it is here.
        now: Timestamp,
    },
    /// Another content under a serial that was accepted under the root before, which was
    /// replaced by hand: no key is misused by that.
    #[error(
        "list {list}: serial {seq} was accepted under the root before, with another content; a list goes on above it, or is begun anew by `min_generation` in the authority's policy"
    )]
    TakenBefore {
        /// The list's name.
        list: String,
        /// The serial.
        seq: u64,
    },
    /// Another content under a serial that was accepted before: possible misuse of a key.
    #[error("{list}: serial {seq} was accepted before with another content")]
    Equivocation {
        /// The list's name.
        list: String,
        /// The serial.
        seq: u64,
    },
    /// A repository that had a policy has none any more.
    #[error(
        "targets.json: names no policy, though one was accepted before; without it nothing would bound the lists, so that this version of the repository is refused"
    )]
    PolicyGone,
    /// A version of a list that the signed policy does not have.
    #[error("list {list}: serial {seq} is beyond the signed policy: {reason}")]
    BeyondPolicy {
        /// The list's name.
        list: String,
        /// The serial.
        seq: u64,
        /// What is beyond it.
        reason: String,
    },
    /// Withdrawals made before those that were accepted: a replay.
    #[error(
        "withdraw/{list}: was made at {offered}, before the withdrawals of {trusted} that were accepted; those stay"
    )]
    OlderWithdrawals {
        /// The list's name.
        list: String,
        /// When the accepted ones were made.
        trusted: Timestamp,
        /// When the offered ones were made.
        offered: Timestamp,
    },
    /// More withdrawals at once than one officer's key may make.
    #[error(
        "withdraw/{list}: withdraws {found} entries at once, and at most {most} are allowed; none of them is taken, and the withdrawals before stay. The officers' key may be misused: ask the authority"
    )]
    TooManyWithdrawn {
        /// The list's name.
        list: String,
        /// How many entries are withdrawn.
        found: u64,
        /// How many may be.
        most: u64,
    },
    /// Another content under a version that was accepted before: possible misuse of a key.
    #[error(
        "{file}: version {version} was accepted before with another content; the key of its role may be misused, ask the authority. Ours is kept, and both are kept as evidence"
    )]
    SameVersion {
        /// The file.
        file: String,
        /// The version.
        version: u64,
    },
    /// A newer format, or something this version cannot do; needs an upgrade.
    #[error("{file}: {reason}; this version of cordon cannot read it, a newer one may")]
    Unsupported {
        /// The file.
        file: String,
        /// What it asks for.
        reason: String,
    },
}

impl VerifyError {
    /// The stable short name, for metrics and `status`.
    #[must_use]
    pub const fn outcome(&self) -> &'static str {
        match self {
            Self::ThresholdNotMet { .. } => "threshold_not_met",
            Self::Rollback { .. } => "rollback",
            Self::Expired { .. } => "expired",
            Self::HashMismatch { .. } => "hash_mismatch",
            Self::VersionMismatch { .. } => "version_mismatch",
            Self::TooLong { .. } => "too_long",
            Self::Malformed { .. } => "malformed",
            Self::Lint { .. } => "lint",
            Self::OutOfScope { .. } => "out_of_scope",
            Self::Missing { .. } => "missing",
            Self::NotPublished { .. } => "not_published",
            Self::NoTarget { .. } => "no_target",
            Self::FromTheFuture { .. } => "from_the_future",
            Self::Equivocation { .. } | Self::SameVersion { .. } => "equivocation",
            Self::PolicyGone => "policy_gone",
            Self::BeyondPolicy { .. } => "beyond_policy",
            Self::OlderWithdrawals { .. } | Self::TakenBefore { .. } => "rollback",
            Self::TooManyWithdrawn { .. } => "too_many_withdrawn",
            Self::Unsupported { .. } => "unsupported",
        }
    }

    /// What the rules of the library say about a file, in our words.
    pub(super) fn from_rules(file: &str, error: sigstore_tuf::Error) -> Self {
        use sigstore_tuf::Error as Rules;
        let file = file.to_owned();
        match error {
            Rules::ThresholdNotMet {
                found, threshold, ..
            } => Self::ThresholdNotMet {
                file,
                valid: found,
                threshold,
            },
            Rules::Rollback { trusted, new, .. } => Self::Rollback {
                file,
                trusted,
                offered: new,
            },
            Rules::BadRootVersion { trusted, new } => Self::VersionMismatch {
                file,
                expected: trusted.saturating_add(1),
                found: new,
            },
            Rules::Expired { expires, .. } => Self::Expired { file, expires },
            other => Self::Malformed {
                file,
                reason: other.to_string(),
            },
        }
    }
}

/// What the authority does where a thief of a list's key took its serial away from it.
fn way_out_of_rollback(file: &str) -> &'static str {
    match file.starts_with("list ") {
        true => {
            "; if a stolen key signed that, `min_generation` in the authority's policy begins the \
             list anew"
        }
        false => "",
    }
}

/// What it means that a file has expired, and what to do.
fn meaning_of_expiry(file: &str) -> &'static str {
    match file {
        "root.json" => {
            "the authority's ceremony is overdue, or a mirror holds this node at an old root (freeze); ask the authority"
        }
        "timestamp.json" | "snapshot.json" => {
            "the repository is not being renewed, or a mirror holds this node at an old state (freeze); ask the authority"
        }
        "targets.json" => {
            "the authority's offline signers are overdue to renew it; ask the authority"
        }
        _ => "the signers of this list are overdue to renew it; ask the authority",
    }
}
