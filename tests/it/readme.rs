//! What the README says is so: its commands run, its configuration is good, its pictures
//! are there.

use std::fs;
use std::path::Path;

use cordon::config::Config;

use crate::harness::{cordon, must};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn readme() -> String {
    fs::read_to_string(root().join("README.md")).unwrap()
}

/// The words of a shell line, with the quotations of the README: double quotes alone.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (place, part) in line.split('"').enumerate() {
        if place % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

#[test]
fn the_authoritys_four_commands_make_a_repository_that_the_example_configuration_takes() {
    let folder = tempfile::tempdir().unwrap();
    let lists = root().join("blocklists");
    let readme = readme();
    let commands: Vec<&str> = readme
        .lines()
        .filter(|line| line.starts_with("cordon repo "))
        .map(|line| line.split(" # ").next().unwrap())
        .collect();
    assert_eq!(commands.len(), 4, "{commands:?}");
    for command in commands {
        let mut program = cordon();
        for word in words(command).into_iter().skip(1) {
            program.arg(match word.as_str() {
                "REPO" | "KEYS" => folder.path().join(word).into_os_string(),
                "entries.txt" => lists.join("example.names").into_os_string(),
                "legal.yaml" => lists.join("legal.yaml").into_os_string(),
                _ => word.into(),
            });
        }
        must(&mut program);
    }

    let yaml = readme
        .split("```yaml\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    let pinned = folder.path().join("REPO/metadata/1.root.json");
    let file = folder.path().join("cordon.yaml");
    let trust = "/etc/cordon/trust/hotline.root.json";
    assert!(yaml.contains(trust));
    fs::write(&file, yaml.replace(trust, pinned.to_str().unwrap())).unwrap();
    let config =
        Config::load(&file).unwrap_or_else(|mistakes| panic!("{}", mistakes.render(false)));
    assert_eq!(config.lists.len(), 1);
}

#[test]
fn every_file_that_the_readme_names_is_there() {
    let readme = readme();
    let mut named = 0;
    for (place, part) in readme.split('`').enumerate() {
        let first = part.split('/').next().unwrap_or_default();
        let is_path = ["src", "config", "blocklists", "tests", "packaging"].contains(&first)
            && !part.contains(' ');
        if place % 2 == 1 && (is_path || part.ends_with(".md")) {
            assert!(root().join(part).exists(), "{part}");
            named += 1;
        }
    }
    assert!(named > 4, "the README names the places of the project");
    for picture in readme
        .split("](")
        .skip(1)
        .map(|rest| rest.split(')').next().unwrap())
    {
        if !picture.starts_with("http") {
            assert!(root().join(picture).exists(), "{picture}");
        }
    }
}
