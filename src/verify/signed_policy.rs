//! [`SignedPolicy`]: the target `policy`, by which the offline keys bound each list.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::json;
use crate::policy::{Bounds, Category, GuardLimits, Kind, Name, OnExpiry};

/// What each list of a repository may hold and do (trust.md section 7.3).
///
/// ```text
/// {"format":1,"lists":{"csam":{"categories":["csam"],"kinds":["domain","url"],
///  "growth_percent":20,"max_entries":2000000,"on_expiry":"keep","critical":["kinds"]}}}
/// ```
///
/// Members that are not known are passed over, unless `critical` names them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SignedPolicy {
    /// What is understood of each list's part, and why that is not enough, where it is not.
    lists: BTreeMap<String, (Bounds, Option<String>)>,
}

impl SignedPolicy {
    /// The members that are known, and so may be critical.
    pub const MEMBERS: &[&str] = &[
        "kinds",
        "categories",
        "top_level",
        "growth_percent",
        "shrink_percent",
        "growth_per_day_percent",
        "shrink_per_day_percent",
        "from_changes",
        "min_entries",
        "max_entries",
        "largest_withdrawal",
        "on_expiry",
        "drop_after_seconds",
        "min_generation",
        "min_format",
        "add_within_seconds",
        "withdraw_within_seconds",
        "critical",
    ];

    /// Reads the file.
    ///
    /// # Errors
    /// What is wrong with the whole of it, as the end of a sentence that begins with its
    /// name. What is wrong with one list's part is that list's alone: [`Self::bounds`].
    pub fn read(file: &[u8]) -> Result<Self, String> {
        let value = json::read(file).map_err(|error| error.to_string())?;
        match value.get("format").and_then(Value::as_u64) {
            Some(FORMAT) => {}
            Some(format) => return Err(format!("is of format {format}; a newer cordon is needed")),
            None => return Err("does not say its format".to_owned()),
        }
        let lists = value.get("lists").and_then(Value::as_object);
        let lists = lists.ok_or("has no object `lists`")?;
        if lists.len() > LISTS_MAX {
            return Err(format!("bounds more than {LISTS_MAX} lists"));
        }
        let bounds = |(list, part): (&String, &Value)| (list.clone(), read_bounds(part));
        Ok(Self {
            lists: lists.iter().map(bounds).collect(),
        })
    }

    /// What bounds a list; the widest where the policy does not speak of it.
    ///
    /// # Errors
    /// What this version cannot hold to: that list keeps its last edition.
    pub fn bounds(&self, list: &str) -> Result<Bounds, String> {
        match self.lists.get(list) {
            Some((_, Some(reason))) => Err(reason.clone()),
            Some((bounds, None)) => Ok(bounds.clone()),
            None => Ok(Bounds::default()),
        }
    }

    /// What this version understands of what bounds a list, also where that is not enough to
    /// take a new version: what is in force stays within it.
    #[must_use]
    pub fn understood(&self, list: &str) -> Bounds {
        let part = self.lists.get(list);
        part.map(|(bounds, _)| bounds.clone()).unwrap_or_default()
    }

    /// The names of the lists that it speaks of.
    pub fn lists(&self) -> impl Iterator<Item = &str> {
        self.lists.keys().map(String::as_str)
    }

    /// The part of one list as it stands in the file.
    #[must_use]
    pub fn part(bounds: &Bounds) -> Value {
        let mut part = Map::new();
        let mut set = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                part.insert(name.to_owned(), value);
            }
        };
        let words = |words: Vec<String>| Some(json!(words));
        let guard = &bounds.guard;
        set(
            "kinds",
            bounds.kinds.as_ref().and_then(|kinds| {
                words(kinds.iter().map(|kind| kind.as_str().to_owned()).collect())
            }),
        );
        set(
            "categories",
            bounds.categories.as_ref().and_then(|categories| {
                words(
                    categories
                        .iter()
                        .map(|category| category.as_str().to_owned())
                        .collect(),
                )
            }),
        );
        set(
            "top_level",
            bounds
                .top_level
                .as_ref()
                .and_then(|names| words(names.iter().map(Name::to_string).collect())),
        );
        set("growth_percent", guard.growth.map(Value::from));
        set("shrink_percent", guard.shrink.map(Value::from));
        set(
            "growth_per_day_percent",
            guard.growth_per_day.map(Value::from),
        );
        set(
            "shrink_per_day_percent",
            guard.shrink_per_day.map(Value::from),
        );
        set("from_changes", guard.from_changes.map(Value::from));
        set("min_entries", guard.min_entries.map(Value::from));
        set("max_entries", guard.max_entries.map(Value::from));
        set(
            "largest_withdrawal",
            bounds.largest_withdrawal.map(Value::from),
        );
        match bounds.on_expiry {
            OnExpiry::Keep => set("on_expiry", Some("keep".into())),
            OnExpiry::Drop(after) => {
                set("on_expiry", Some("drop".into()));
                set("drop_after_seconds", Some(after.as_secs().into()));
            }
        }
        set(
            "min_generation",
            (bounds.generation_min > 0).then(|| bounds.generation_min.into()),
        );
        let seconds = |time: Option<Duration>| time.map(|time| Value::from(time.as_secs()));
        set("add_within_seconds", seconds(bounds.add_within));
        set("withdraw_within_seconds", seconds(bounds.withdraw_within));
        Value::Object(part)
    }

    /// The whole file as a JSON value, of the parts of its lists.
    #[must_use]
    pub fn file(parts: BTreeMap<String, Value>) -> Value {
        json!({"format": FORMAT, "lists": parts})
    }
}

/// Reads the part of one list: the members that are understood, and why that is not enough,
/// where it is not.
fn read_bounds(part: &Value) -> (Bounds, Option<String>) {
    let Some(part) = part.as_object() else {
        let reason = "its part of the policy is no object".to_owned();
        return (Bounds::default(), Some(reason));
    };
    let mut reasons: Vec<String> = check_demands(part).err().into_iter().collect();
    let kinds = words(part, "kinds", kind, &mut reasons);
    let categories = words(part, "categories", Category::from_word, &mut reasons);
    let top_level = |word: &str| {
        let name = Name::from_text(word).ok();
        name.filter(|name| name.label_count() == 1)
    };
    let top_level = words(part, "top_level", top_level, &mut reasons);
    let on_expiry = read_on_expiry(part).unwrap_or_else(|reason| {
        reasons.push(reason);
        OnExpiry::Keep
    });
    let mut too_large = Vec::new();
    let mut number = |name: &str| {
        number(part, name).unwrap_or_else(|reason| {
            reasons.push(reason);
            None
        })
    };
    let mut percent = |name: &str| {
        let percent = number(name)?;
        let percent = u32::try_from(percent);
        percent
            .map_err(|_| too_large.push(format!("`{name}` is too large")))
            .ok()
    };
    let (growth, shrink) = (percent("growth_percent"), percent("shrink_percent"));
    let growth_per_day = percent("growth_per_day_percent");
    let shrink_per_day = percent("shrink_per_day_percent");
    let bounds = Bounds {
        kinds,
        categories,
        top_level,
        guard: GuardLimits {
            growth,
            shrink,
            growth_per_day,
            shrink_per_day,
            from_changes: number("from_changes"),
            min_entries: number("min_entries"),
            max_entries: number("max_entries"),
        },
        largest_withdrawal: number("largest_withdrawal"),
        on_expiry,
        generation_min: number("min_generation").unwrap_or(0),
        add_within: number("add_within_seconds").map(Duration::from_secs),
        withdraw_within: number("withdraw_within_seconds").map(Duration::from_secs),
    };
    (bounds, reasons.into_iter().chain(too_large).next())
}

/// Whether the policy demands nothing that this version does not know.
fn check_demands(part: &Map<String, Value>) -> Result<(), String> {
    let mut reasons = Vec::new();
    let critical = words(part, "critical", |word| Some(word.to_owned()), &mut reasons);
    if let Some(reason) = reasons.pop() {
        return Err(reason);
    }
    for member in critical.unwrap_or_default() {
        if !SignedPolicy::MEMBERS.contains(&member.as_str()) {
            return Err(format!(
                "the policy demands `{member}`, which this version does not know"
            ));
        }
    }
    if let Some(format) = number(part, "min_format")?
        && format > LIST_FORMAT
    {
        return Err(format!("the policy demands list format {format}"));
    }
    match part.get("log").and_then(Value::as_str) {
        None | Some("off" | "warn") => Ok(()),
        Some(mode) => Err(format!(
            "the policy demands `log: {mode}`, which is not in this version"
        )),
    }
}

/// What becomes of a list that expires.
fn read_on_expiry(part: &Map<String, Value>) -> Result<OnExpiry, String> {
    match part.get("on_expiry").and_then(Value::as_str) {
        None | Some("keep") => Ok(OnExpiry::Keep),
        Some("drop") => {
            let after = number(part, "drop_after_seconds")?.unwrap_or_default();
            Ok(OnExpiry::Drop(Duration::from_secs(after)))
        }
        Some(word) => Err(format!("`on_expiry: {word}` is neither keep nor drop")),
    }
}

/// The kind of that word, of those that a list may be allowed.
fn kind(word: &str) -> Option<Kind> {
    [Kind::Domain, Kind::Url, Kind::Ip]
        .into_iter()
        .find(|kind| kind.as_str() == word)
}

/// A member that is a list of words: those that are understood, and nothing where none is.
fn words<T>(
    part: &Map<String, Value>,
    name: &str,
    read: impl Fn(&str) -> Option<T>,
    reasons: &mut Vec<String>,
) -> Option<Vec<T>> {
    let value = part.get(name)?;
    let Some(items) = value.as_array() else {
        reasons.push(format!("`{name}` is not a list"));
        return None;
    };
    let mut known = Vec::new();
    for item in items {
        match item.as_str().and_then(&read) {
            Some(word) => known.push(word),
            None => reasons.push(format!(
                "`{name}` holds {item}, which this version does not know"
            )),
        }
    }
    // A list of which nothing is understood is no bound, and not one that nothing is within.
    (items.is_empty() || !known.is_empty()).then_some(known)
}

/// A member that is a whole number.
fn number(part: &Map<String, Value>, name: &str) -> Result<Option<u64>, String> {
    match part.get(name) {
        None => Ok(None),
        Some(value) => match value.as_u64() {
            Some(number) => Ok(Some(number)),
            None => Err(format!("`{name}` is not a whole number from 0 on")),
        },
    }
}

/// The format of the file.
const FORMAT: u64 = 1;
/// The newest format of lists that this version reads.
const LIST_FORMAT: u64 = 1;
/// The most lists that a policy speaks of.
const LISTS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(part: &Value, expected: Result<Bounds, &str>) {
        let file = SignedPolicy::file(BTreeMap::from([("a".to_owned(), part.clone())]));
        let policy = SignedPolicy::read(file.to_string().as_bytes()).unwrap();
        match (policy.bounds("a"), expected) {
            (Ok(bounds), Ok(expected)) => {
                assert_eq!(bounds, expected);
                let again = SignedPolicy::part(&bounds);
                assert_eq!(read_bounds(&again), (bounds, None));
            }
            (Err(error), Err(expected)) => assert!(error.contains(expected), "{error}"),
            (found, _) => panic!("{part}: {found:?}"),
        }
        assert_eq!(policy.bounds("b"), Ok(Bounds::default()));
    }

    #[test]
    fn what_is_unknown_is_passed_over_unless_it_is_critical() {
        check(
            &json!({"kinds": ["domain"], "x-new": 1}),
            Ok(Bounds {
                kinds: Some(vec![Kind::Domain]),
                ..Bounds::default()
            }),
        );
        check(&json!({"x-new": 1, "critical": ["x-new"]}), Err("x-new"));
        check(&json!({"kinds": ["quantum"]}), Err("quantum"));
        check(&json!({"top_level": ["a.b"]}), Err("a.b"));
        check(&json!({"log": "require"}), Err("log: require"));
        check(&json!({"min_format": 2}), Err("format 2"));
        check(&json!({"growth_percent": -1}), Err("growth_percent"));
        check(&json!([]), Err("no object"));
        check(
            &json!({"on_expiry": "drop", "drop_after_seconds": 60, "growth_percent": 5, "top_level": ["test"]}),
            Ok(Bounds {
                on_expiry: OnExpiry::Drop(Duration::from_secs(60)),
                top_level: Some(vec![Name::from_text("test").unwrap()]),
                guard: GuardLimits {
                    growth: Some(5),
                    ..GuardLimits::default()
                },
                ..Bounds::default()
            }),
        );
    }

    #[test]
    fn what_is_understood_holds_beside_what_is_not() {
        let understood = |part: Value| {
            let file = SignedPolicy::file(BTreeMap::from([("a".to_owned(), part)]));
            let policy = SignedPolicy::read(file.to_string().as_bytes()).unwrap();
            assert!(policy.bounds("a").is_err());
            policy.understood("a")
        };
        let domains = Bounds {
            kinds: Some(vec![Kind::Domain]),
            ..Bounds::default()
        };
        for part in [
            json!({"kinds": ["domain"], "x-new": 1, "critical": ["x-new"]}),
            json!({"kinds": ["domain", "quantum"]}),
            json!({"kinds": ["domain"], "max_entries": "many"}),
            json!({"kinds": ["domain"], "on_expiry": "burn", "top_level": ["a.b"]}),
        ] {
            assert_eq!(understood(part.clone()), domains, "{part}");
        }
        assert_eq!(understood(json!([])), Bounds::default());
    }

    #[test]
    fn what_is_no_policy_is_refused() {
        for (file, complaint) in [
            ("", "EOF"),
            ("{}", "format"),
            ("{\"format\":2,\"lists\":{}}", "newer"),
            ("{\"format\":1}", "lists"),
        ] {
            let error = SignedPolicy::read(file.as_bytes()).unwrap_err();
            assert!(error.contains(complaint), "{file}: {error}");
        }
    }
}
