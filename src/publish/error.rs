//! [`PublishError`]: why nothing was published. What was published before still is.

use std::path::PathBuf;

/// Why a command of the authority did nothing.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// A file cannot be read or written.
    #[error("{path}: {source}", path = .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What happened.
        source: std::io::Error,
    },
    /// `init` where there is a repository already.
    #[error("{path}: there is a repository already; it is left as it is", path = .path.display())]
    Exists {
        /// The file that was found.
        path: PathBuf,
    },
    /// No repository, or a damaged one.
    #[error("{path}: {reason}", path = .path.display())]
    Repository {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A key file that cannot be used.
    #[error("{path}: {reason}", path = .path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A key file that would be overwritten.
    #[error("{path}: there is a key already; it is left as it is", path = .path.display())]
    KeyExists {
        /// The file.
        path: PathBuf,
    },
    /// A name that no key file can have.
    #[error(
        "{0:?} is no name of a key file: it has a character at least, does not begin with a dot, and holds neither / nor control characters"
    )]
    KeyName(String),
    /// Keys are needed, and their folder is not there.
    #[error("{path}: there is no such folder; --keys names the folder of the keys", path = .path.display())]
    NoKeys {
        /// The folder.
        path: PathBuf,
    },
    /// Too few keys of a role at hand.
    #[error(
        "{role} is signed by {threshold} of its keys, and {have} are in the keys folder; \
         missing are {missing}{way_out}"
    )]
    KeysMissing {
        /// The role.
        role: String,
        /// Keys that are needed.
        threshold: usize,
        /// Keys at hand.
        have: usize,
        /// Those that are not: names where they are known, and ids.
        missing: String,
        /// What to do about it, as the end of the sentence.
        way_out: &'static str,
    },
    /// Keys that a role cannot have.
    #[error("{role} {reason}")]
    Signers {
        /// The role.
        role: String,
        /// What is wrong with them.
        reason: String,
    },
    /// A change of keys that changes nothing, or that nobody could ever sign again.
    #[error("{0}")]
    Rotation(String),
    /// A change of a role that has a version that waits for signatures.
    #[error(
        "a version of {0} is staged and waits for signatures: add --stage to change it, publish \
         it with `cordon repo publish --staged`, or throw it away with `cordon repo sign --discard`"
    )]
    StagedAlready(String),
    /// A staged version that is not the next one.
    #[error(
        "what is staged for {role} is version {staged}, and version {published} is published: \
         it was not made from the newest; throw it away with `cordon repo sign --discard` and \
         stage the change again"
    )]
    Stale {
        /// The role.
        role: String,
        /// The staged version.
        staged: u64,
        /// The published one.
        published: u64,
    },
    /// There is nothing that waits for signatures.
    #[error("{path}: nothing is staged here", path = .path.display())]
    NothingStaged {
        /// The repository.
        path: PathBuf,
    },
    /// What is staged is not what was shown.
    #[error(
        "what is staged is not what was shown: its digest is {present}, not {shown}; nothing is \
         signed, look at it again"
    )]
    StagedChanged {
        /// The digest that was agreed to.
        shown: String,
        /// The present one.
        present: String,
    },
    /// None of the keys at hand may sign what is staged.
    #[error("{path}: no key here signs what is staged; it is signed by {signers}", path = .path.display())]
    NotASigner {
        /// The keys folder.
        path: PathBuf,
        /// Who signs it.
        signers: String,
    },
    /// Signatures that are still to come.
    #[error("not published: {0}")]
    SignaturesMissing(String),
    /// A name that no list can have.
    #[error("{0:?} is no name of a list: 1 to 63 of a-z, 0-9 and -, neither first nor last a -")]
    ListName(String),
    /// `delegate` for a list that is there.
    #[error("list {0} is delegated already")]
    Delegated(String),
    /// `publish` for a list that is not.
    #[error("list {0} is not delegated; `cordon repo delegate` makes it")]
    NotDelegated(String),
    /// The repository has its role of withdrawals already.
    #[error(
        "the repository has the role withdraw already; `cordon repo rotate --role withdraw` changes its keys"
    )]
    WithdrawExists,
    /// It has none.
    #[error(
        "the repository has no role withdraw; `cordon repo delegate REPO --keys KEYS --withdraw` makes it"
    )]
    NoWithdraw,
    /// A withdrawal that ends too late or has ended.
    #[error(
        "a withdrawal ends after now and by {0}; what is to stay withdrawn, the list itself must drop"
    )]
    WithdrawUntil(jiff::Timestamp),
    /// More than the policy lets a duty officer withdraw.
    #[error(
        "{wanted} entries of list {list} would be withdrawn, and {most} are allowed at a time; publish the list without them instead"
    )]
    WithdrawTooMany {
        /// The list.
        list: String,
        /// How many there would be.
        wanted: usize,
        /// How many there may be.
        most: u64,
    },
    /// What is to be enforced again is not withdrawn.
    #[error(
        "list {list}: there is nothing to undo for {what}: nothing of it is withdrawn; `cordon repo status` says what is"
    )]
    NothingWithdrawn {
        /// The list.
        list: String,
        /// What was named.
        what: String,
    },
    /// What is to be withdrawn is not on the list.
    #[error(
        "list {list} has no {what}; {help} Where nodes enforce it all the same, as after the theft of a key, --unlisted withdraws it"
    )]
    NotListed {
        /// The list.
        list: String,
        /// What was named.
        what: String,
        /// What may have been meant.
        help: String,
    },
    /// A threshold that cannot be met.
    #[error("a threshold is 1 to {0}")]
    Threshold(usize),
    /// A file that the authority writes has mistakes.
    #[error("{}", mistakes.iter().map(|mistake| format!("{}:{}:{}: {}", path.display(), mistake.line, mistake.column, mistake.reason)).collect::<Vec<_>>().join("\n"))]
    Yaml {
        /// The file.
        path: PathBuf,
        /// Each of them.
        mistakes: Vec<super::YamlMistake>,
    },
    /// What an entry must have is nowhere.
    #[error("{what} is missing: give it in the legal file, as `{key}`")]
    Missing {
        /// What is missing.
        what: &'static str,
        /// The key that gives it.
        key: &'static str,
    },
    /// The list's own file has a header that cannot be used.
    #[error("{0}")]
    Header(String),
    /// No row can be used.
    #[error("none of the {rows} rows can be used, so nothing is published; line {line}: {reason}")]
    NoRows {
        /// How many rows there are.
        rows: usize,
        /// The first row's line.
        line: u32,
        /// Why it cannot be used.
        reason: String,
    },
    /// The file has no row at all.
    #[error(
        "there is no row in it, so nothing is published; to withdraw every entry, publish a native file that holds its header alone"
    )]
    Empty,
    /// A list that nodes would refuse for its size.
    #[error("the list is larger than nodes take: {octets} octets where {octets_max} are the most")]
    TooLong {
        /// Its size.
        octets: u64,
        /// The limit.
        octets_max: u64,
    },
    /// Nodes would hold the version back until their operators decide; it was not published.
    #[error(
        "list {list} is not published, for nodes would hold this version: {verdict}\nLook whether the file is the right one. Entries that are withdrawn with `cordon repo withdraw` first may always go; to publish all the same, say why with `--accept-guard REASON`",
        verdict = .verdict.sentence() + "\n" + .verdict.difference.to_text(true).trim_end()
    )]
    Guard {
        /// The list.
        list: String,
        /// What nodes would think of it.
        verdict: Box<crate::guard::Verdict>,
    },
    /// Nodes would leave out what they enforce now; it was not published.
    #[error(
        "not published, for by these terms\n{}\nLook whether this is meant; to publish all the same, give the terms with `--accept-guard REASON`: the reason is signed with them",
        .0.iter().flat_map(super::TermEffect::sentences).collect::<Vec<_>>().join("\n")
    )]
    Terms(Vec<super::TermEffect>),
    /// What is staged is not what nodes would enforce; it was not published.
    #[error(
        "what is staged is not published, for of list {list} {verdicts}\nLook whether this is meant; to publish all the same, stage it again with `--accept-guard REASON`: the reason is signed with it",
        verdicts = .verdicts.iter().take(20).cloned().collect::<Vec<_>>().join("\n")
    )]
    Held {
        /// The list.
        list: String,
        /// What nodes would do with it, a sentence each.
        verdicts: Vec<String>,
    },
    /// A role that everything depends on has expired; nothing else is published before.
    #[error(
        "{role} expired {expires}, and nodes take nothing before it is renewed: `cordon repo refresh` does, where its keys are at hand; with --stage its keepers are asked to sign"
    )]
    Expired {
        /// The role.
        role: String,
        /// When it expired.
        expires: jiff::Timestamp,
    },
    /// Nodes would refuse the result; it was not published.
    #[error("nodes would refuse this, so it is not published: {0}")]
    Rehearsal(#[from] crate::verify::VerifyError),
    /// Something that cannot be written as canonical JSON.
    #[error("{0} cannot be written as canonical JSON: only whole numbers are allowed")]
    Canonical(String),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(String),
}
