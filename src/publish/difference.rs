//! [`ListDifference`]: what a version of a list would change, entry by entry.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// What a version of a list would change. Its texts are safe to show at a terminal.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ListDifference {
    /// Entries of the version before, without the list's own test entry.
    pub entries_before: u64,
    /// Entries of this version, likewise.
    pub entries: u64,
    /// What changes in the header.
    pub header: Vec<String>,
    /// The entries that come.
    pub added: Vec<String>,
    /// The entries that go.
    pub removed: Vec<String>,
    /// The entries that stay and say something else, each with what.
    pub changed: Vec<String>,
}

/// What an entry matches: kind, value, match.
type Key = (String, String, String);

impl ListDifference {
    /// Compares two plaintexts; the one before is empty for a first version.
    pub(super) fn between(before: &[u8], after: &[u8]) -> Self {
        let (header_before, lines_before) = lines(before);
        let (header, lines_after) = lines(after);
        let mut difference = Self {
            entries_before: lines_before.iter().filter(|line| !is_canary(line)).count() as u64,
            entries: lines_after.iter().filter(|line| !is_canary(line)).count() as u64,
            ..Self::default()
        };
        let header_of = |line| match object(line) {
            Value::Null => Value::Object(Map::new()),
            header => header,
        };
        members(
            "",
            &header_of(header_before),
            &header_of(header),
            &mut difference.header,
        );
        let gone = lines_before.difference(&lines_after);
        let mut gone: BTreeMap<Key, Vec<Value>> = gone.fold(BTreeMap::new(), |mut gone, line| {
            let (key, entry) = keyed(line);
            gone.entry(key).or_default().push(entry);
            gone
        });
        for line in lines_after.difference(&lines_before) {
            let (key, entry) = keyed(line);
            match gone.get_mut(&key).and_then(Vec::pop) {
                None if is_canary(line) => {
                    let text = format!("its own test entry is new: {}", shown(&entry));
                    difference.header.push(text);
                }
                None => difference.added.push(shown(&entry)),
                Some(other) => {
                    let mut what = Vec::new();
                    members("", &other, &entry, &mut what);
                    let text = format!("{}; changed: {}", shown(&entry), what.join(", "));
                    difference.changed.push(text);
                }
            }
        }
        difference.removed = gone.values().flatten().map(shown).collect();
        difference
    }
}

/// Says what differs between two values of JSON, member by member; `path` is that of the
/// values.
pub(super) fn members(path: &str, before: &Value, after: &Value, out: &mut Vec<String>) {
    let below = |name: &str| match path {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    };
    match (before, after) {
        (before, after) if before == after => {}
        (Value::Object(old), Value::Object(new)) => {
            let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            for name in names {
                let value =
                    |object: &Map<String, Value>| object.get(name).cloned().unwrap_or_default();
                members(&below(name), &value(old), &value(new), out);
            }
        }
        (Value::Null, after) => out.push(plain(&format!("{path} is new: {}", short(after)))),
        (before, Value::Null) => {
            out.push(plain(&format!("{path} goes, which was {}", short(before))));
        }
        (before, after) => out.push(plain(&format!(
            "{path} was {}, is {}",
            short(before),
            short(after)
        ))),
    }
}

/// The same for a text of several lines, which stay.
#[must_use]
pub fn plain_lines(text: &str) -> String {
    text.split('\n').map(plain).collect::<Vec<_>>().join("\n")
}

/// A text without what could make a terminal, or an eye, see something else.
pub(super) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        let is_hidden = character.is_control()
            || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
        match is_hidden {
            true => plain.extend(character.escape_unicode()),
            false => plain.push(character),
        }
    }
    plain
}

/// A value in few words.
fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(VALUE_CHARS_MAX) {
        Some((end, _)) => format!("{}… ({} octets)", text.get(..end).unwrap_or(""), text.len()),
        None => text,
    }
}

/// The header and the entries of a plaintext.
fn lines(plaintext: &[u8]) -> (&str, BTreeSet<&str>) {
    let mut lines = std::str::from_utf8(plaintext).unwrap_or_default().lines();
    let header = lines.next().unwrap_or_default();
    (header, lines.collect())
}

/// A line as JSON; what is none stands for itself.
fn object(line: &str) -> Value {
    match serde_json::from_str(line) {
        Ok(value) => value,
        Err(_) if line.is_empty() => Value::Null,
        Err(_) => Value::from(line),
    }
}

/// An entry by what it matches.
fn keyed(line: &str) -> (Key, Value) {
    let entry = object(line);
    let text = |name: &str| text_of(&entry, name).to_owned();
    ((text("kind"), text("value"), text("match")), entry)
}

/// An entry in a line: what it matches in words, and every other member as it is signed.
fn shown(entry: &Value) -> String {
    let Value::Object(members) = entry else {
        return plain(&entry.to_string());
    };
    let mut words = NAMED.map(|name| text_of(entry, name)).to_vec();
    words.retain(|word| !word.is_empty());
    let mut text = format!("{} ({})", words.join(" "), text_of(entry, "id"));
    let mut mark = ':';
    for (name, value) in members {
        let is_said = name == "id" || NAMED.contains(&name.as_str());
        if !is_said || !value.is_string() {
            text.push_str(&format!("{mark} {name} {value}"));
            mark = ',';
        }
    }
    plain(&text)
}

fn text_of<'a>(entry: &'a Value, name: &str) -> &'a str {
    entry.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Whether that line is the list's own test entry.
fn is_canary(line: &str) -> bool {
    line.contains("\"canary\":true") && object(line).get("canary") == Some(&Value::Bool(true))
}

/// The members of an entry that are said without their names.
const NAMED: [&str; 4] = ["kind", "value", "match", "action"];
/// How much of a value is shown.
const VALUE_CHARS_MAX: usize = 300;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const BEFORE: &str = "{\"list\":\"a\",\"title\":{\"en\":\"A\"}}\n\
        {\"canary\":true,\"id\":\"canary\",\"kind\":\"domain\",\"value\":\"a.canary.invalid\"}\n\
        {\"id\":\"1\",\"kind\":\"domain\",\"match\":\"subtree\",\"value\":\"one.test\"}\n\
        {\"id\":\"2\",\"kind\":\"domain\",\"match\":\"exact\",\"value\":\"two.test\"}\n";

    fn check(after: &str, expected: &ListDifference) {
        let found = ListDifference::between(BEFORE.as_bytes(), after.as_bytes());
        assert_eq!(&found, expected);
    }

    #[test]
    fn the_same_list_changes_nothing() {
        let expected = ListDifference {
            entries_before: 2,
            entries: 2,
            ..ListDifference::default()
        };
        check(BEFORE, &expected);
    }

    #[test]
    fn entries_come_go_and_change() {
        let after = BEFORE
            .replace("\"en\":\"A\"", "\"en\":\"B\"")
            .replace("one.test", "three.test")
            .replace("\"id\":\"2\"", "\"expires_at\":\"never\",\"id\":\"2\"");
        let expected = ListDifference {
            entries_before: 2,
            entries: 2,
            header: vec!["title.en was \"A\", is \"B\"".to_owned()],
            added: vec!["domain three.test subtree (1)".to_owned()],
            removed: vec!["domain one.test subtree (1)".to_owned()],
            changed: vec![
                "domain two.test exact (2): expires_at \"never\"; changed: expires_at is new: \"never\""
                    .to_owned(),
            ],
        };
        check(&after, &expected);
    }

    #[test]
    fn what_an_entry_does_is_shown() {
        let entry = json!({
            "action": "redirect", "cname": "evil.test", "effective_from": "2026-12-01T00:00:00Z",
            "id": "1", "kind": "domain", "match": "exact", "value": "one.test",
        });
        let expected = "domain one.test exact redirect (1): cname \"evil.test\", effective_from \
                        \"2026-12-01T00:00:00Z\"";
        assert_eq!(shown(&entry), expected);
        // What should be a text and is none is not left out.
        assert_eq!(
            shown(&json!({"id": 7, "kind": "domain"})),
            "domain (): id 7"
        );
    }

    #[test]
    fn a_first_version_is_new_throughout() {
        let found = ListDifference::between(b"", BEFORE.as_bytes());
        assert_eq!((found.entries_before, found.entries), (0, 2));
        assert_eq!(found.added.len(), 2);
        // The test entry that every list carries counts as no entry, and is shown.
        assert_eq!(found.header.len(), 3, "{:?}", found.header);
    }

    #[test]
    fn nothing_hidden_reaches_the_terminal() {
        let hostile = json!({"kind": "domain", "value": "a\u{1b}[2Kb\u{202e}c\n", "id": "1"});
        assert_eq!(shown(&hostile), "domain a\\u{1b}[2Kb\\u{202e}c\\u{a} (1)");
        let mut out = Vec::new();
        members("x", &json!("\u{7}"), &json!("y".repeat(400)), &mut out);
        assert!(out[0].len() < 400, "{out:?}");
        assert!(!out[0].contains('\u{7}'));
    }
}
