//! [`PolicyFile`]: what an authority writes about how far each of its lists may go.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use serde_saphyr::Spanned;

use super::yaml::{self, YamlMistake};
use crate::policy::{Bounds, Category, GuardLimits, Kind, Name, OnExpiry, nearest};
use crate::verify::SignedPolicy;

/// The YAML of `cordon repo policy --from FILE`, read and checked; what each key is for
/// stands in `config/policy.example.yaml`.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyFile {
    /// The signed part of each list, by its name.
    pub(super) parts: BTreeMap<String, Value>,
}

impl PolicyFile {
    /// Reads the file. `lists` are those of the repository with their generations
    /// ([`super::Repository::generations`]); another name is a mistake.
    ///
    /// # Errors
    /// Every [`YamlMistake`] in it.
    pub fn read(yaml: &str, lists: &BTreeMap<String, u64>) -> Result<Self, Vec<YamlMistake>> {
        let file: Written = yaml::read(yaml)?;
        let mut mistakes = Vec::new();
        let mut parts = BTreeMap::new();
        let names: Vec<&str> = lists.keys().map(String::as_str).collect();
        if file.lists.value.is_empty() && !lists.is_empty() {
            let reason = format!(
                "names no list, which takes the bounds of all away; there are {}: name at least \
                 one of them, such as `{}: {{}}`, which bounds nothing",
                names.join(", "),
                names.first().unwrap_or(&"NAME")
            );
            mistakes.push(YamlMistake::at(&file.lists, reason));
        }
        for (list, part) in file.lists.value {
            let Some(generation) = lists.get(&list) else {
                let help = match nearest(&list, names.iter().copied()) {
                    Some(known) => format!("did you mean {known}?"),
                    None => format!("there are {}", names.join(", ")),
                };
                let reason = format!("no list is called {list}; {help}");
                mistakes.push(YamlMistake::at(&part, reason));
                part.value.part(&mut mistakes);
                continue;
            };
            part.value.check(*generation, &mut mistakes);
            let part = part.value.part(&mut mistakes);
            parts.insert(list, part);
        }
        if mistakes.is_empty() {
            Ok(Self { parts })
        } else {
            Err(mistakes)
        }
    }
}

/// The file as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    lists: Spanned<BTreeMap<String, Spanned<ListPart>>>,
}

/// What it says of one list.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ListPart {
    kinds: Option<Vec<Spanned<String>>>,
    categories: Option<Vec<Spanned<String>>>,
    top_level: Option<Vec<Spanned<String>>>,
    growth: Option<Spanned<String>>,
    shrink: Option<Spanned<String>>,
    growth_per_day: Option<Spanned<String>>,
    shrink_per_day: Option<Spanned<String>>,
    from_changes: Option<u64>,
    min_entries: Option<Spanned<u64>>,
    max_entries: Option<Spanned<u64>>,
    largest_withdrawal: Option<u64>,
    on_expiry: Option<Spanned<String>>,
    drop_after: Option<Spanned<String>>,
    min_generation: Option<Spanned<u64>>,
    add_within: Option<Spanned<String>>,
    withdraw_within: Option<Spanned<String>>,
    critical: Option<Vec<Spanned<String>>>,
}

impl ListPart {
    /// Finds limits that no version of the list could be within; `generation` is the one
    /// that is published.
    fn check(&self, generation: u64, mistakes: &mut Vec<YamlMistake>) {
        if let (Some(fewest), Some(most)) = (&self.min_entries, &self.max_entries)
            && fewest.value > most.value
        {
            let reason = format!(
                "min_entries {} is more than max_entries {}: no list is both",
                fewest.value, most.value
            );
            mistakes.push(YamlMistake::at(fewest, reason));
        }
        let next = generation.saturating_add(1);
        if let Some(lowest) = self.min_generation.as_ref().filter(|it| it.value > next) {
            let reason = format!(
                "min_generation {} is out of reach: the list is of generation {generation}, and \
                 {next} begins it anew",
                lowest.value
            );
            mistakes.push(YamlMistake::at(lowest, reason));
        }
    }

    /// The part as it is signed.
    fn part(self, mistakes: &mut Vec<YamlMistake>) -> Value {
        let drop_after = time(self.drop_after.as_ref(), mistakes);
        let on_expiry = match (
            self.on_expiry.as_ref().map(|word| word.value.as_str()),
            drop_after,
        ) {
            (None | Some("keep"), None) => OnExpiry::Keep,
            (Some("drop"), Some(after)) => OnExpiry::Drop(after),
            (Some("drop"), None) => {
                if let Some(word) = &self.on_expiry
                    && self.drop_after.is_none()
                {
                    let reason = "on_expiry: drop needs drop_after, such as 30d".to_owned();
                    mistakes.push(YamlMistake::at(word, reason));
                }
                OnExpiry::Keep
            }
            (Some("keep") | None, Some(_)) => {
                if let Some(after) = &self.drop_after {
                    let reason = "drop_after means nothing without on_expiry: drop".to_owned();
                    mistakes.push(YamlMistake::at(after, reason));
                }
                OnExpiry::Keep
            }
            (Some(word), _) => {
                if let Some(at) = &self.on_expiry {
                    let reason = format!("{word:?} is neither keep nor drop");
                    mistakes.push(YamlMistake::at(at, reason));
                }
                OnExpiry::Keep
            }
        };
        let kinds = [Kind::Domain, Kind::Url, Kind::Ip].map(|kind| (kind.as_str(), kind));
        let categories = Category::ALL
            .into_iter()
            .filter(|category| *category != Category::Local)
            .map(|category| (category.as_str(), category));
        let bounds = Bounds {
            kinds: words(self.kinds.as_deref(), &kinds, mistakes),
            categories: words(
                self.categories.as_deref(),
                &categories.collect::<Vec<_>>(),
                mistakes,
            ),
            top_level: top_level(self.top_level.as_deref(), mistakes),
            guard: GuardLimits {
                growth: share(self.growth.as_ref(), mistakes),
                shrink: share(self.shrink.as_ref(), mistakes),
                growth_per_day: share(self.growth_per_day.as_ref(), mistakes),
                shrink_per_day: share(self.shrink_per_day.as_ref(), mistakes),
                from_changes: self.from_changes,
                min_entries: self.min_entries.map(|number| number.value),
                max_entries: self.max_entries.map(|number| number.value),
            },
            largest_withdrawal: self.largest_withdrawal,
            on_expiry,
            generation_min: self.min_generation.map_or(0, |number| number.value),
            add_within: time(self.add_within.as_ref(), mistakes),
            withdraw_within: time(self.withdraw_within.as_ref(), mistakes),
        };
        let mut part = SignedPolicy::part(&bounds);
        if let (Some(critical), Value::Object(part)) = (self.critical, &mut part) {
            let known: Vec<(&str, &str)> = SignedPolicy::MEMBERS
                .iter()
                .map(|member| (*member, *member))
                .collect();
            if let Some(members) = words(Some(&critical), &known, mistakes) {
                part.insert("critical".to_owned(), json!(members));
            }
        }
        part
    }
}

/// Words of a closed vocabulary.
fn words<T: Clone>(
    written: Option<&[Spanned<String>]>,
    known: &[(&str, T)],
    mistakes: &mut Vec<YamlMistake>,
) -> Option<Vec<T>> {
    let mut found = Vec::new();
    for word in written? {
        match known.iter().find(|(known, _)| *known == word.value) {
            Some((_, meaning)) => found.push(meaning.clone()),
            None => {
                let known: Vec<&str> = known.iter().map(|(known, _)| *known).collect();
                let help = match nearest(&word.value, known.iter().copied()) {
                    Some(meant) => format!("did you mean {meant}?"),
                    None => format!("it is one of {}", known.join(", ")),
                };
                let reason = format!("{:?} is not known here; {help}", word.value);
                mistakes.push(YamlMistake::at(word, reason));
            }
        }
    }
    Some(found)
}

/// Top-level domains.
fn top_level(
    written: Option<&[Spanned<String>]>,
    mistakes: &mut Vec<YamlMistake>,
) -> Option<Vec<Name>> {
    let mut names = Vec::new();
    for word in written? {
        match Name::from_text(&word.value) {
            Ok(name) if name.label_count() == 1 => names.push(name),
            _ => {
                let reason = format!("{:?} is no top-level domain, such as example", word.value);
                mistakes.push(YamlMistake::at(word, reason));
            }
        }
    }
    Some(names)
}

/// A share in whole per cent, as `20%`.
fn share(written: Option<&Spanned<String>>, mistakes: &mut Vec<YamlMistake>) -> Option<u32> {
    let written = written?;
    let percent = written
        .value
        .strip_suffix('%')
        .and_then(|text| text.parse().ok());
    if percent.is_none() {
        let reason = format!(
            "{:?} is no share in whole per cent, such as 20%",
            written.value
        );
        mistakes.push(YamlMistake::at(written, reason));
    }
    percent
}

/// A time.
fn time(written: Option<&Spanned<String>>, mistakes: &mut Vec<YamlMistake>) -> Option<Duration> {
    let written = written?;
    let time = yaml::duration(&written.value).and_then(|time| Duration::try_from(time).ok());
    if time.is_none() {
        let reason = format!("{:?} is no time such as 30m, 24h or 30d", written.value);
        mistakes.push(YamlMistake::at(written, reason));
    }
    time
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(yaml: &str, expected: Result<Value, &[(u64, &str)]>) {
        let lists = ["csam", "court"].map(|list| (list.to_owned(), 1));
        match (PolicyFile::read(yaml, &lists.into()), expected) {
            (Ok(file), Ok(expected)) => assert_eq!(json!(file.parts), expected),
            (Err(found), Err(expected)) => {
                assert_eq!(found.len(), expected.len(), "{found:?}");
                for (found, (line, reason)) in found.iter().zip(expected) {
                    assert_eq!(found.line, *line, "{found:?}");
                    let says_its_place = found.reason.contains("line ");
                    assert!(!says_its_place, "its place is said already: {found:?}");
                    assert!(found.reason.contains(reason), "{found:?}");
                }
            }
            (found, _) => panic!("{yaml}: {found:?}"),
        }
    }

    #[test]
    fn what_people_write_is_what_is_signed() {
        check(
            "lists:\n  csam: { kinds: [domain, url], growth: 20%, on_expiry: drop, drop_after: 30d, add_within: 6h, critical: [kinds] }\n  court: {}\n",
            Ok(json!({
                "csam": {
                    "kinds": ["domain", "url"], "growth_percent": 20, "on_expiry": "drop",
                    "drop_after_seconds": 2_592_000, "add_within_seconds": 21_600, "critical": ["kinds"],
                },
                "court": {"on_expiry": "keep"},
            })),
        );
    }

    #[test]
    fn every_mistake_is_shown_at_once_with_its_place() {
        check(
            "lists:\n  casm: {}\n  csam:\n    kinds: [domian]\n    growth: 20\n    top_level: [a.b]\n    on_expiry: drop\n    critical: [kind]\n",
            Err(&[
                (2, "did you mean csam?"),
                (7, "needs drop_after"),
                (4, "did you mean domain?"),
                (6, "no top-level domain"),
                (5, "such as 20%"),
                (8, "did you mean kinds?"),
            ]),
        );
        check("lists:\n  csam: { grwoth: 20% }\n", Err(&[(2, "grwoth")]));
        check("lists: {}\n", Err(&[(1, "names no list")]));
        check(
            "lists:\n  csam:\n    min_entries: 9\n    max_entries: 8\n    min_generation: 3\n",
            Err(&[(3, "more than max_entries 8"), (5, "2 begins it anew")]),
        );
        check(
            "lists: { csam: { min_entries: 8, max_entries: 8, min_generation: 2 } }",
            Ok(json!({"csam": {
                "max_entries": 8, "min_entries": 8, "min_generation": 2, "on_expiry": "keep",
            }})),
        );
        check("list: {}\n", Err(&[(1, "list")]));
    }

    #[test]
    fn the_example_that_is_shipped_is_one() {
        let example = include_str!("../../config/policy.example.yaml");
        let lists = ["csam", "gambling"].map(|list| (list.to_owned(), 1));
        let read = PolicyFile::read(example, &lists.into()).unwrap();
        let policy = SignedPolicy::file(read.parts.clone()).to_string();
        let policy = SignedPolicy::read(policy.as_bytes()).unwrap();
        for list in read.parts.keys() {
            policy.bounds(list).unwrap();
        }
        // Every key is shown in it.
        let uncommented = example.replace("    #", "    ");
        for key in [
            "kinds",
            "categories",
            "top_level",
            "growth",
            "shrink",
            "growth_per_day",
            "shrink_per_day",
            "from_changes",
            "min_entries",
            "max_entries",
            "largest_withdrawal",
            "on_expiry",
            "drop_after",
            "min_generation",
            "add_within",
            "withdraw_within",
            "critical",
        ] {
            assert!(uncommented.contains(&format!("    {key}:")), "{key}");
        }
    }
}
