//! Reads JSON as signed files must be: no member twice, no fraction, bounded depth.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Reads one JSON value.
///
/// # Errors
/// When it is not JSON, nests deeper than 128, has a member twice or a number that is not an
/// integer: readers disagree about such files, so nobody may sign them.
pub(super) fn read(bytes: &[u8]) -> Result<Value, serde_json::Error> {
    serde_json::from_slice::<Strict>(bytes).map(|strict| strict.0)
}

/// A value read strictly.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

/// Builds the value, and refuses what [`read`] says.
struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without fractions")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((name, Strict(value))) = members.next_entry::<String, Strict>()? {
            if object.contains_key(&name) {
                return Err(A::Error::custom(format_args!(
                    "member {name:?} occurs twice"
                )));
            }
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, complaint: Option<&str>) {
        match (read(text.as_bytes()), complaint) {
            (Ok(value), None) => {
                let loose: Value = serde_json::from_str(text).unwrap();
                assert_eq!(value, loose);
            }
            (Err(error), Some(complaint)) => {
                assert!(error.to_string().contains(complaint), "{error}");
            }
            (outcome, _) => panic!("{text}: {outcome:?}"),
        }
    }

    #[test]
    fn plain_values_are_read() {
        check(
            r#"{"a":[1,-2,null,true,"x"],"b":{"a":18446744073709551615}}"#,
            None,
        );
    }

    #[test]
    fn what_readers_disagree_about_is_refused() {
        check(r#"{"version":2,"version":3}"#, Some("occurs twice"));
        check(r#"[{"a":{"b":1,"c":2,"b":1}}]"#, Some("occurs twice"));
        check(r#"{"version":2.0}"#, Some("without fractions"));
        check(r#"{"version":2e0}"#, Some("without fractions"));
        check("{}x", Some("trailing"));
    }

    #[test]
    fn depth_is_bounded() {
        let deep = "[".repeat(15_000);
        check(&deep, Some("recursion limit"));
        let deep = format!("{}{}", "[".repeat(15_000), "]".repeat(15_000));
        check(&deep, Some("recursion limit"));
    }
}
