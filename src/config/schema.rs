//! [`Key`]: what reading a configuration says about each of its keys, and the JSON Schema
//! made of that.

use serde_json::{Map, Value as Json, json};

use super::node::{Node, Value};

/// One key as the code that reads it declares it.
#[derive(Clone, Debug)]
pub(super) struct Key {
    /// The key.
    pub(super) name: &'static str,
    /// What it is for, in a sentence.
    pub(super) about: &'static str,
    /// What it means where it is not written.
    pub(super) absent: Absent,
    /// How its value is written.
    pub(super) shape: Shape,
}

/// What it means that a key is not written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Absent {
    /// It is a mistake.
    Wrong,
    /// There is no such thing, or something that depends on the rest.
    Nothing,
    /// The same as this text.
    Text(&'static str),
    /// The same as this list.
    List(&'static [&'static str]),
}

impl Absent {
    /// Whether a value says the same as leaving the key out.
    pub(super) fn is(&self, node: &Node) -> bool {
        let text = |node: &Node, expected: &str| match &node.value {
            Value::Text { text, .. } => text == expected,
            _ => false,
        };
        match (self, &node.value) {
            (Self::Text(expected), _) => text(node, expected),
            (Self::List(expected), Value::List(items)) => {
                let same = |(item, expected): (&Node, &&str)| text(item, expected);
                items.len() == expected.len() && items.iter().zip(*expected).all(same)
            }
            _ => false,
        }
    }
}

/// How the value of a key is written.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    /// A scalar, by its JSON Schema.
    One(Json),
    /// A scalar, by its JSON Schema, or keys below it.
    OneOrSection(Json, Vec<Key>),
    /// A list of scalars, by the JSON Schema of one.
    Many(Json),
    /// Keys below it.
    Section(Vec<Key>),
    /// A list of such.
    Sections(Vec<Key>),
    /// Its part is not built: the value that leaves it off, or nothing at all.
    NotInThisVersion,
}

/// The JSON Schema (draft 2020-12) of the keys of a whole configuration.
pub(super) fn schema(keys: &[Key]) -> Json {
    let mut schema = section(keys);
    if let Some(schema) = schema.as_object_mut() {
        let dialect = "https://json-schema.org/draft/2020-12/schema";
        schema.insert("$schema".to_owned(), json!(dialect));
        schema.insert("title".to_owned(), json!("The configuration of cordon"));
    }
    schema
}

/// The schema of a map with these keys.
fn section(keys: &[Key]) -> Json {
    let properties: Map<String, Json> = keys
        .iter()
        .map(|key| (key.name.to_owned(), described(key)))
        .collect();
    let required: Vec<&str> = keys
        .iter()
        .filter(|key| key.absent == Absent::Wrong)
        .map(|key| key.name)
        .collect();
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
        "required": required,
    })
}

/// The schema of the keys below a key. Nothing written there is the same as no keys, unless
/// there have to be some.
fn section_or_nothing(key: &Key, keys: &[Key]) -> Json {
    let mut schema = section(keys);
    if let Some(kind) = schema
        .get_mut("type")
        .filter(|_| key.absent != Absent::Wrong)
    {
        *kind = json!(["object", "null"]);
    }
    schema
}

/// The schema of a scalar, or a map with these keys.
fn one_or_section(one: &Json, keys: &[Key]) -> Json {
    let mut schema = section(keys);
    if let Some(schema) = schema.as_object_mut() {
        // What is said of keys holds for maps alone.
        schema.remove("type");
        schema.insert("anyOf".to_owned(), json!([one, {"type": "object"}]));
    }
    schema
}

/// The schema of the value of a key, with what it is for.
fn described(key: &Key) -> Json {
    let (mut schema, item) = match &key.shape {
        Shape::One(schema) => (schema.clone(), schema.clone()),
        Shape::OneOrSection(schema, keys) => (one_or_section(schema, keys), schema.clone()),
        Shape::Many(item) => (json!({"type": "array", "items": item}), item.clone()),
        Shape::Section(keys) => (section_or_nothing(key, keys), json!({})),
        Shape::Sections(keys) => {
            let item = section(keys);
            (json!({"type": "array", "items": item}), item)
        }
        Shape::NotInThisVersion => (not_in_this_version(&key.absent), json!({})),
    };
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("description".to_owned(), json!(key.about));
        let default = match &key.absent {
            Absent::Wrong | Absent::Nothing => None,
            Absent::Text(text) => Some(value(text, &item)),
            Absent::List(texts) => Some(texts.iter().map(|text| value(text, &item)).collect()),
        };
        if let Some(default) = default {
            schema.insert("default".to_owned(), default);
        }
    }
    schema
}

/// The schema of a key whose part is not built: its one value, or none.
fn not_in_this_version(absent: &Absent) -> Json {
    match absent {
        Absent::Wrong | Absent::Nothing => json!({"not": {}}),
        Absent::Text(text) => json!({"const": value(text, &json!({}))}),
        Absent::List(texts) => json!({"const": texts}),
    }
}

/// A default as JSON: a number or a flag where the schema of it, or YAML, says so.
fn value(text: &str, schema: &Json) -> Json {
    let kind = schema.get("type").and_then(Json::as_str);
    match (kind, text) {
        (Some("integer" | "boolean"), _) | (None, "true" | "false") => {
            serde_json::from_str(text).unwrap_or_else(|_| json!(text))
        }
        (None, digits) => digits
            .parse::<u64>()
            .map_or_else(|_| json!(text), Json::from),
        _ => json!(text),
    }
}
