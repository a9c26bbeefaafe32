//! Holds `config/cordon.yaml` equal to the code: every default, every key, every example.

use std::fs;
use std::path::Path;

use super::Config;
use super::check::keys;
use super::node::{Node, Value};
use super::schema::{Absent, Key, Shape};

/// The documented default configuration.
const DOCUMENTED: &str = include_str!("../../config/cordon.yaml");
/// The one to start from.
const MINIMAL: &str = include_str!("../../config/cordon.minimal.yaml");

/// The file with its examples uncommented; a live line whose example follows is left out.
fn with_examples() -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut in_example = false;
    for line in DOCUMENTED.lines() {
        let (indent, rest) = line.split_at(line.len() - line.trim_start().len());
        let example = rest.strip_prefix('#').filter(|text| {
            let starts = text.starts_with(|first: char| !first.is_whitespace());
            starts || (in_example && text.starts_with("  "))
        });
        let Some(example) = example else {
            in_example = false;
            lines.push(line.to_owned());
            continue;
        };
        if !in_example {
            let key = example.split(':').next().unwrap();
            let live = format!("{indent}{key}:");
            let last = lines.iter().rposition(|line| {
                let line = line.trim_start();
                !line.is_empty() && !line.starts_with('#')
            });
            if let Some(last) = last.filter(|last| lines[*last].starts_with(&live)) {
                lines.remove(last);
            }
        }
        in_example = true;
        lines.push(format!("{indent}{example}"));
    }
    lines.join("\n")
}

/// Everything written at a key path, through every item of lists on the way.
fn written<'n>(node: &'n Node, path: &[&str]) -> Vec<&'n Node> {
    let Some((key, rest)) = path.split_first() else {
        return vec![node];
    };
    match &node.value {
        Value::Map(entries) => entries
            .iter()
            .filter(|(written, _)| written.name == **key)
            .flat_map(|(_, node)| written(node, rest))
            .collect(),
        Value::List(items) => items.iter().flat_map(|item| written(item, path)).collect(),
        _ => Vec::new(),
    }
}

/// Calls `with` on every key and the path to it; `in_list` below a list of maps.
fn each_key<'k>(
    keys: &'k [Key],
    path: &mut Vec<&'k str>,
    in_list: bool,
    with: &mut impl FnMut(&Key, &[&str], bool),
) {
    for key in keys {
        path.push(key.name);
        with(key, path, in_list);
        match &key.shape {
            Shape::Section(below) | Shape::OneOrSection(_, below) => {
                each_key(below, path, in_list, with);
            }
            Shape::Sections(below) => each_key(below, path, true, with),
            _ => {}
        }
        path.pop();
    }
}

/// The mistakes of a text whose `/etc/cordon` is `folder`.
fn mistakes(text: &str, folder: &Path) -> Vec<(String, String)> {
    let text = text.replace("/etc/cordon", &folder.to_string_lossy());
    let mistakes = match Config::parse(&folder.join("cordon.yaml"), &text) {
        Ok(_) => return Vec::new(),
        Err(mistakes) => mistakes,
    };
    let lines: Vec<&str> = text.lines().collect();
    mistakes
        .iter()
        .map(|mistake| {
            let line = mistake.place.map_or(0, |place| place.line);
            let line = lines[line - 1].replace(&*folder.to_string_lossy(), "/etc/cordon");
            (mistake.message.clone(), line)
        })
        .collect()
}

/// A folder with every file that the examples name.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["trust", "tls"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    let root = r#"{"signed":{"_type":"root"}}"#;
    for (name, content) in [
        ("trust/hotlines.root.json", root),
        ("tls/hotline-ca.pem", ""),
        ("tls/client.pem", ""),
        ("tls/client.key", ""),
        ("tls/cert.pem", ""),
        ("tls/key.pem", ""),
        ("house-rules.txt", "blocked.example\n"),
        ("house-rules.rpz", ""),
        ("addresses.txt", "192.0.2.1\n"),
        ("protected.txt", "# ours\nbank.example # the bank\n"),
    ] {
        fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

#[test]
fn the_documented_file_means_the_same_as_an_empty_one() {
    let file = Path::new("/etc/cordon/cordon.yaml");
    let documented = Config::parse(file, DOCUMENTED).unwrap();
    assert_eq!(documented, Config::parse(file, "version: 1\n").unwrap());
}

#[test]
fn every_key_with_a_default_is_a_live_line_at_that_default() {
    let live = Node::parse(DOCUMENTED).unwrap();
    let examples = Node::parse(&with_examples()).unwrap();
    let keys = keys();
    let mut count = 0;
    each_key(&keys, &mut Vec::new(), false, &mut |key, path, in_list| {
        count += 1;
        let found = written(&live, path);
        let has_default = matches!(key.absent, Absent::Text(_) | Absent::List(_));
        if has_default && !in_list {
            assert_eq!(found.len(), 1, "{path:?} is no live line");
            assert!(key.absent.is(found[0]), "{path:?}: {:?}", key.absent);
        } else if !in_list && key.name != "version" && !matches!(key.shape, Shape::Section(_)) {
            assert!(
                found.is_empty(),
                "{path:?} has no default, and yet a live line"
            );
        }
        if has_default && in_list {
            let found = written(&examples, path);
            let shown = found.iter().any(|node| key.absent.is(node));
            assert!(
                shown,
                "{path:?} is not shown at its default, {:?}",
                key.absent
            );
        }
    });
    assert!(count > 90, "{count} keys");
}

#[test]
fn every_key_is_mentioned_and_every_example_is_taken() {
    let text = with_examples();
    let examples = Node::parse(&text).unwrap();
    let keys = keys();
    each_key(&keys, &mut Vec::new(), false, &mut |key, path, _| {
        assert!(
            !written(&examples, path).is_empty(),
            "{path:?} is not mentioned"
        );
        assert!(key.about.ends_with('.'), "{path:?}: {}", key.about);
    });
    for (message, line) in mistakes(&text, folder().path()) {
        assert!(
            message.ends_with("is not in this version"),
            "{message}: {line}"
        );
        // What the file says of it is near: on the lines above it.
        let lines: Vec<&str> = text.lines().collect();
        let at = lines.iter().position(|other| other.trim() == line.trim());
        let at = at.unwrap_or_else(|| panic!("{line}"));
        let near = lines[at.saturating_sub(3)..at].join("\n");
        assert!(
            near.to_lowercase().contains("not in this version"),
            "{line}: {near}"
        );
    }
}

#[test]
fn the_minimal_file_is_good() {
    assert_eq!(mistakes(MINIMAL, folder().path()), []);
}

#[test]
fn the_schema_describes_every_key() {
    let schema = super::schema();
    let keys = keys();
    each_key(&keys, &mut Vec::new(), false, &mut |key, path, _| {
        let mut at = &schema;
        for name in path {
            let map = if at.get("items").is_some() {
                &at["items"]
            } else {
                at
            };
            at = &map["properties"][name];
        }
        assert_eq!(at["description"], key.about, "{path:?}");
        let has_default = matches!(key.absent, Absent::Text(_) | Absent::List(_));
        assert_eq!(at.get("default").is_some(), has_default, "{path:?}");
    });
    assert_eq!(schema["required"][0], "version");
    assert_eq!(schema["properties"]["version"]["const"], 1);
    assert_eq!(
        schema["properties"]["proxy"]["properties"]["hybrid"]["const"],
        false
    );
    let ports = &schema["properties"]["proxy"]["properties"]["origins"]["properties"]["ports"];
    assert_eq!(ports["default"][0], 80);
}
