//! [`suppress`]: hides small counts of entries, and what would let them be worked out.

use std::collections::BTreeMap;

use crate::count::Sum;

/// A sum as it may be shown.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Figure {
    /// What the sum is of; its entry is nothing where it is withheld. Its own `hits` are 0
    /// unless they are shown.
    pub of: Sum,
    /// How many hits, or why that is not shown.
    pub shown: Shown,
}

/// How many hits, or why that is not shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Shown {
    /// So many.
    Hits(u64),
    /// Fewer than are shown, like all that are suppressed in its group.
    Below,
    /// Suppressed; it may be small, or suppressed for the sake of one that is.
    Suppressed,
    /// This row stands for all entries of its group, which are not named either.
    Withheld,
}

impl Figure {
    /// How many hits, where that is shown.
    #[must_use]
    pub const fn hits(&self) -> Option<u64> {
        match self.shown {
            Shown::Hits(hits) => Some(hits),
            Shown::Below | Shown::Suppressed | Shown::Withheld => None,
        }
    }
}

/// Sums as they are, for who may see them.
#[must_use]
pub(super) fn exact(sums: Vec<Sum>) -> Vec<Figure> {
    sums.into_iter()
        .map(|sum| Figure {
            shown: Shown::Hits(sum.hits),
            of: sum,
        })
        .collect()
}

/// Sums by entry with the small ones hidden (field.md section 5.4).
///
/// The rule. Cells that differ in their entry alone (same time, list, category, authority,
/// surface, action) are a group, whose total is known from the figures by list.
///
/// 1. A cell below `below` is suppressed.
/// 2. If the suppressed cells of a group are fewer than two, or add up to less than `below`,
///    or are all 1 or all `below - 1`, the total less the visible cells would give one away:
///    then the smallest visible cell is suppressed too, with all that equal it, until none of
///    that holds.
/// 3. If it holds with the whole group suppressed, its entries are withheld: the group
///    becomes one row without an entry.
///
/// Suppressed cells are said to be below `below` where all of their group are, and merely
/// suppressed where one is not: the same word for the whole group, and never a wrong one.
///
/// Which cells are suppressed depends on their values alone, so that the suppressed values
/// may be exchanged among each other without a visible difference; and they are not all the
/// same, unless as many other values would add up to the same total. So each suppressed cell
/// has two possible values or more, also for who knows this rule and the totals.
#[must_use]
pub fn suppress(sums: Vec<Sum>, below: u64) -> Vec<Figure> {
    let mut groups: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (place, sum) in sums.iter().enumerate() {
        let action = sum.action.as_str();
        let key = (
            sum.start,
            &sum.list,
            &sum.category,
            &sum.authority,
            sum.surface,
            action,
        );
        groups.entry(key).or_default().push(place);
    }
    let mut fates = vec![None; sums.len()];
    for places in groups.into_values() {
        let cells = places
            .iter()
            .filter_map(|place| sums.get(*place))
            .map(|sum| sum.hits);
        for (place, fate) in places.iter().zip(judge(&cells.collect::<Vec<_>>(), below)) {
            if let Some(found) = fates.get_mut(*place) {
                *found = fate;
            }
        }
    }
    let figures = sums.into_iter().zip(fates).filter_map(|(sum, fate)| {
        let shown = fate?;
        let mut figure = Figure { of: sum, shown };
        figure.of.hits = figure.hits().unwrap_or(0);
        if shown == Shown::Withheld {
            figure.of.entry = None;
        }
        Some(figure)
    });
    figures.collect()
}

/// How each cell of a group is shown; nothing for one that is in the row of another.
fn judge(cells: &[u64], below: u64) -> Vec<Option<Shown>> {
    let mut limit = below;
    loop {
        let hidden: Vec<u64> = cells.iter().copied().filter(|hits| *hits < limit).collect();
        if hidden.is_empty() || is_safe(&hidden, below) {
            let word = if hidden.iter().all(|hits| *hits < below) {
                Shown::Below
            } else {
                Shown::Suppressed
            };
            let shown = |hits: &u64| {
                let is_visible = *hits >= limit;
                Some(if is_visible { Shown::Hits(*hits) } else { word })
            };
            return cells.iter().map(shown).collect();
        }
        match cells.iter().filter(|hits| **hits >= limit).min() {
            Some(smallest) => limit = smallest.saturating_add(1),
            None => {
                let mut shown = vec![None; cells.len()];
                if let Some(first) = shown.first_mut() {
                    *first = Some(Shown::Withheld);
                }
                return shown;
            }
        }
    }
}

/// Whether no hidden value follows from their number and sum. A single small cell never is:
/// it adds up to less than `below`.
fn is_safe(hidden: &[u64], below: u64) -> bool {
    let all = |value: u64| hidden.iter().all(|hits| *hits == value);
    hidden.iter().sum::<u64>() >= below && !all(1) && !all(below.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::count::Bucket;
    use crate::policy::{Action, Surface};

    fn sums(cells: &[u64]) -> Vec<Sum> {
        let sum = |(entry, hits): (usize, &u64)| Sum {
            start: Bucket::from_number(0),
            list: Some("a".into()),
            category: Some("phishing".into()),
            authority: Some("x".into()),
            entry: Some(format!("e{entry}")),
            surface: Surface::Dns,
            action: Action::Block,
            hits: *hits,
        };
        cells.iter().enumerate().map(sum).collect()
    }

    #[track_caller]
    fn check(cells: &[u64], below: u64, expected: &str) {
        let shown = suppress(sums(cells), below).into_iter().map(|figure| {
            let entry = figure.of.entry.unwrap_or_else(|| "-".into());
            match figure.shown {
                Shown::Hits(hits) => format!("{entry}={hits}"),
                Shown::Below => format!("{entry}=<"),
                Shown::Suppressed | Shown::Withheld => format!("{entry}=?"),
            }
        });
        assert_eq!(shown.collect::<Vec<_>>().join(" "), expected);
    }

    #[test]
    fn small_cells_take_company() {
        check(&[10, 25], 10, "e0=10 e1=25");
        check(&[3, 9, 25], 10, "e0=< e1=< e2=25");
        check(&[3, 12, 25], 10, "e0=? e1=? e2=25");
        check(&[3, 12, 12], 10, "e0=? e1=? e2=?");
        check(&[1, 2, 40], 10, "e0=? e1=? e2=?");
        check(&[9, 9, 40], 10, "e0=? e1=? e2=?");
        check(&[7, 7, 40], 10, "e0=< e1=< e2=40");
        check(&[1, 1, 1, 9], 3, "e0=? e1=? e2=? e3=?");
        check(&[1, 1, 1], 3, "-=?");
        check(&[3], 10, "-=?");
        check(&[1, 2], 10, "-=?");
        check(&[3, 5], 0, "e0=3 e1=5");
        check(&[1, 5], 1, "e0=1 e1=5");
        check(&[], 10, "");
    }

    #[test]
    fn groups_are_judged_apart() {
        let mut both = sums(&[3, 50, 60]);
        both[0].list = Some("b".into());
        let shown = suppress(both, 10);
        assert_eq!(shown[0].of.entry, None);
        assert_eq!(shown[0].of.list.as_deref(), Some("b"));
        assert_eq!((shown[1].hits(), shown[2].hits()), (Some(50), Some(60)));
    }

    /// All ways in which `cells` values of at least 1 add up to `total`.
    fn ways(cells: usize, total: u64) -> Vec<Vec<u64>> {
        match (cells, total) {
            (0, 0) => vec![Vec::new()],
            (0, _) => Vec::new(),
            _ => (1..=total)
                .flat_map(|first| {
                    ways(cells - 1, total - first)
                        .into_iter()
                        .map(move |mut rest| {
                            rest.insert(0, first);
                            rest
                        })
                })
                .collect(),
        }
    }

    proptest! {
        #[test]
        fn no_suppressed_cell_follows_from_the_total(
            cells in prop::collection::vec(prop_oneof![1_u64..3, 1_u64..9], 1..5),
            below in 2_u64..7,
        ) {
            let published = suppress(sums(&cells), below);
            for figure in &published {
                prop_assert!(figure.hits().is_none_or(|hits| hits >= below));
            }
            // Everything that is consistent with what is published and with the total.
            let total = cells.iter().sum();
            let possible: Vec<Vec<u64>> = ways(cells.len(), total)
                .into_iter()
                .filter(|other| suppress(sums(other), below) == published)
                .collect();
            prop_assert!(possible.contains(&cells));
            for (place, figure) in published.iter().enumerate() {
                if figure.hits().is_none() && figure.of.entry.is_some() {
                    let mut values: Vec<u64> = possible.iter().map(|other| other[place]).collect();
                    values.sort_unstable();
                    values.dedup();
                    prop_assert!(values.len() > 1, "{cells:?} below {below}: e{place} is {values:?}");
                }
            }
        }
    }
}
