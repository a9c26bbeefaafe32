//! [`Step`]: one thing that happens in a history.

use crate::random::Random;

/// What happens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Step {
    /// The authority does something.
    Authority(Act),
    /// The authority does something, and is gone after so many of its hundred new files.
    Crash(Act, usize),
    /// So many minutes pass.
    Time(i64),
    /// The mirrors are like that from now on.
    Mirrors([Lie; 2]),
    /// The node's clock is so many minutes ahead from now on.
    Clock(i64),
    /// The node's disk is like that from now on.
    Disk(Disk),
    /// A thief has the online keys: the authority replaces those of one role, and before a
    /// node hears of it the mirrors have what was published so many moments ago, signed anew.
    Theft(&'static str, usize),
    /// The node ends and starts again.
    Restart,
    /// The node has a round, for these lists.
    Round(&'static [&'static str]),
    /// Everybody is honest again, the disk and the clock are right.
    Recover,
}

/// What an authority does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Act {
    Publish(&'static str, Edit),
    Withdraw(&'static str),
    Undo(&'static str),
    Policy,
    NeverBlock,
    Refresh,
    Rotate(&'static str, Turn),
}

/// How a list changes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Edit {
    Add(usize),
    Remove(usize),
    /// So many entries go, and as many come.
    Change(usize),
    Nothing,
    /// The header, and with it every reader's idea of who orders it.
    Legal,
    /// Every second entry goes, and as many come: no step is worth it.
    Half,
}

/// How the keys of a role change.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Turn {
    /// A new key in the place of one.
    Replace,
    /// A key more.
    Add,
    /// A key more, and one more must sign.
    Raise,
    /// One less must sign.
    Lower,
}

/// What a mirror has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Lie {
    /// Whatever the authority has.
    Honest,
    /// What the authority had so many moments ago.
    Stale(usize),
    /// All of that, under the newest root and signed anew with the online keys of now: what
    /// a thief of these makes of it.
    Replayed(usize),
    /// Some of that, some of now.
    Mixed(usize),
    /// One file in so many is gone.
    Missing(usize),
    /// One file in so many is cut.
    Truncated(usize),
    /// One file in so many has an octet that is another.
    Flipped(usize),
    /// One file in so many never ends.
    Endless(usize),
    /// It has no file at all.
    Empty,
    /// It is not there.
    Gone,
}

/// The node's disk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Disk {
    Works,
    /// There is room for so many pages of 4 KiB.
    Full(usize),
    /// One file in so many cannot be written.
    Refuses(usize),
}

impl Step {
    /// The next thing that happens.
    pub(super) fn draw(random: &mut Random) -> Self {
        match random.below(100) {
            0..32 => Self::Authority(Act::draw(random)),
            32..36 => Self::Crash(Act::draw(random), random.below(101)),
            36..46 => Self::Time(match random.below(20) {
                0..12 => 1 + random.below(60) as i64,
                12..17 => 60 + random.below(8 * 60) as i64,
                _ => 60 * random.below(24 * 9) as i64,
            }),
            46..58 => Self::Mirrors([Lie::draw(random), Lie::draw(random)]),
            58..63 => Self::Clock(match random.below(10) {
                0..3 => 0,
                3..5 => random.below(300) as i64,
                5..7 => -(random.below(300) as i64),
                7..9 => 60 * random.below(24 * 14) as i64,
                _ => 60 * 24 * (30 + random.below(700) as i64),
            }),
            63..69 => Self::Disk(Disk::draw(random)),
            69..74 => Self::Restart,
            74..93 => Self::Round(random.pick::<&[&str]>(ROUNDS)),
            93..95 => {
                let role = random.pick::<&str>(&["snapshot", "timestamp"]);
                Self::Theft(role, 1 + random.below(8))
            }
            _ => Self::Recover,
        }
    }
}

impl Act {
    fn draw(random: &mut Random) -> Self {
        let list = *random.pick(&["a", "a", "b"]);
        match random.below(20) {
            0..10 => Self::Publish(list, Edit::draw(random)),
            10..12 => Self::Withdraw(list),
            12 => Self::Undo(list),
            13 => Self::Policy,
            14 => Self::NeverBlock,
            15..17 => Self::Refresh,
            _ => Self::Rotate(
                random.pick::<&str>(ROLES),
                *random.pick(&[
                    Turn::Replace,
                    Turn::Replace,
                    Turn::Add,
                    Turn::Raise,
                    Turn::Lower,
                ]),
            ),
        }
    }

    /// Whether it gives out a new root, or may: that is published before what follows it.
    pub(super) fn is_of_root(&self) -> bool {
        let of_root = ["root", "targets", "snapshot", "timestamp"];
        matches!(self, Self::Rotate(role, _) if of_root.contains(role)) || *self == Self::Refresh
    }
}

impl Edit {
    fn draw(random: &mut Random) -> Self {
        match random.below(10) {
            0..3 => Self::Add(1 + random.below(4)),
            3..5 => Self::Remove(1 + random.below(3)),
            5..7 => Self::Change(1 + random.below(6)),
            7 => Self::Nothing,
            8 => Self::Legal,
            _ => Self::Half,
        }
    }

    /// The word for it.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Add(_) => "add",
            Self::Remove(_) => "remove",
            Self::Change(_) => "change",
            Self::Nothing => "nothing",
            Self::Legal => "legal",
            Self::Half => "half",
        }
    }
}

impl Lie {
    fn draw(random: &mut Random) -> Self {
        match random.below(16) {
            0..4 => Self::Honest,
            4..6 => Self::Stale(1 + random.below(6)),
            6..8 => Self::Replayed(1 + random.below(6)),
            8..10 => Self::Mixed(1 + random.below(6)),
            10 => Self::Missing(1 + random.below(8)),
            11 => Self::Truncated(1 + random.below(8)),
            12 => Self::Flipped(1 + random.below(8)),
            13 => Self::Endless(1 + random.below(8)),
            14 => Self::Empty,
            _ => Self::Gone,
        }
    }

    /// Whether what it has may be older than what the authority has, and yet signed.
    pub(super) const fn is_old(self) -> bool {
        matches!(self, Self::Stale(_) | Self::Replayed(_) | Self::Mixed(_))
    }

    /// The word for it.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Honest => "honest",
            Self::Stale(_) => "stale",
            Self::Replayed(_) => "replayed",
            Self::Mixed(_) => "mixed",
            Self::Missing(_) => "missing",
            Self::Truncated(_) => "truncated",
            Self::Flipped(_) => "flipped",
            Self::Endless(_) => "endless",
            Self::Empty => "empty",
            Self::Gone => "gone",
        }
    }
}

impl Disk {
    fn draw(random: &mut Random) -> Self {
        match random.below(6) {
            0..2 => Self::Works,
            2..4 => Self::Full(random.below(40)),
            _ => Self::Refuses(1 + random.below(6)),
        }
    }

    /// The word for it.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Works => "works",
            Self::Full(_) => "full",
            Self::Refuses(_) => "refuses",
        }
    }
}

/// Of which lists a round is.
const ROUNDS: &[&[&str]] = &[&["a", "b"], &["a", "b"], &["a"], &["b"]];

/// Whose keys are changed.
const ROLES: &[&str] = &[
    "root",
    "targets",
    "snapshot",
    "timestamp",
    "list-a",
    "list-a",
    "list-b",
    "withdraw",
];
