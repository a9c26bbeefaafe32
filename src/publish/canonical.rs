//! JSON in its one spelling: what is signed (OLPC), and the lines of a native list.

use serde_json::{Map, Value};

/// The octets that a signature covers: OLPC canonical JSON, as TUF has it.
///
/// Nothing for a number that is not whole.
pub(super) fn signed_octets(value: &Value) -> Option<Vec<u8>> {
    sigstore_tuf::canonical_json::to_canonical_bytes(value).ok()
}

/// JSON with sorted members, no spaces, and the least escaping that JSON allows.
///
/// Nothing for a number that is not whole.
pub(super) fn text(value: &Value) -> Option<String> {
    let mut text = String::new();
    write(value, &mut text).then_some(text)
}

/// Writes an object as [`text`] does.
pub(super) fn object_text(object: &Map<String, Value>) -> Option<String> {
    let mut text = String::new();
    write_object(object, &mut text).then_some(text)
}

fn write(value: &Value, out: &mut String) -> bool {
    match value {
        Value::Number(number) if !number.is_i64() && !number.is_u64() => false,
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                if !write(item, out) {
                    return false;
                }
            }
            out.push(']');
            true
        }
        Value::Object(members) => write_object(members, out),
        plain => {
            out.push_str(&plain.to_string());
            true
        }
    }
}

fn write_object(members: &Map<String, Value>, out: &mut String) -> bool {
    let mut sorted: Vec<(&String, &Value)> = members.iter().collect();
    sorted.sort_unstable_by_key(|(name, _)| *name);
    out.push('{');
    for (index, (name, value)) in sorted.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        out.push_str(&Value::from(name.as_str()).to_string());
        out.push(':');
        if !write(value, out) {
            return false;
        }
    }
    out.push('}');
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn members_are_sorted_and_numbers_whole() {
        let value = json!({"b": [1, -2, null, true], "a": {"d": "\"\\\n\u{e9}", "c": 1}});
        assert_eq!(
            text(&value).unwrap(),
            "{\"a\":{\"c\":1,\"d\":\"\\\"\\\\\\n\u{e9}\"},\"b\":[1,-2,null,true]}"
        );
        assert_eq!(text(&json!([1.5])), None);
        assert_eq!(signed_octets(&json!({"a": 1.5})), None);
    }

    proptest! {
        #[test]
        fn the_one_spelling_reads_back(members in prop::collection::btree_map(".*", ".*", 0..8)) {
            let value = json!(members);
            let spelt = text(&value).unwrap();
            let read: Value = serde_json::from_str(&spelt).unwrap();
            prop_assert_eq!(text(&read).unwrap(), spelt);
            prop_assert_eq!(read, value);
        }
    }
}
