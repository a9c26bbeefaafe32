//! What the README says is so: its commands run, its configuration is good, its pictures
//! are there.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use cordon::config::Config;

use crate::harness::authority::Authority;
use crate::harness::node::Node;
use crate::harness::upstream::Upstream;
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

/// The commands of the passage that begins with `first`, without what they say of themselves.
fn passage(first: &str) -> Vec<String> {
    let readme = readme();
    let blocks = readme.split("```sh\n").skip(1);
    let mut blocks = blocks.map(|block| block.split("```").next().unwrap());
    let block = blocks.find(|block| block.starts_with(first));
    let lines = block.unwrap_or_else(|| panic!("no passage begins with {first}"));
    let commands = lines.lines().map(|line| line.split(" # ").next().unwrap());
    commands.map(|line| line.trim_end().to_owned()).collect()
}

/// The words of a command of the authority, with the places of the README below `folder`.
fn placed(command: &str, folder: &Path) -> Vec<OsString> {
    let lists = root().join("blocklists");
    let words = words(command).into_iter().skip(1);
    let place = |word: String| match word.as_str() {
        "REPO" | "KEYS" | "ONLINE" | "ANNA" | "BERT" | "CLEO" => folder.join(word).into(),
        "entries.txt" => lists.join("example.names").into(),
        "legal.yaml" => lists.join("legal.yaml").into(),
        "never-block.txt" => root().join("config/never-block.example.txt").into(),
        "policy.yaml" => {
            // The example, without the list that this repository does not have.
            let policy = fs::read_to_string(root().join("config/policy.example.yaml")).unwrap();
            let file = folder.join(&word);
            // The rows of the example are of another category than a hotline's.
            let policy = policy.replace("categories: [csam]", "categories: [csam, consumer]");
            fs::write(&file, policy.split("\n  gambling:").next().unwrap()).unwrap();
            file.into()
        }
        key if key.ends_with(".pub") => match key.split_once('=') {
            Some((role, file)) => format!("{role}={}", folder.join(file).display()).into(),
            None => folder.join(key).into(),
        },
        _ => word.into(),
    };
    words.map(place).collect()
}

#[test]
fn an_operators_levers_are_as_the_readme_has_them() {
    let authority = Authority::new();
    authority.delegate("csam");
    let names = |count: usize| (0..count).map(|number| format!("n{number}.test"));
    authority.publish_unguarded("csam", &names(300).collect::<Vec<_>>());
    let upstream = Upstream::start();
    let lists = format!(
        "repositories:\n  - {{ name: hotline, mirrors: [\"{}\"], trust: {}, poll: 1h }}\nlists:\n  - {{ name: csam, from: {{ repository: hotline, list: csam }} }}",
        authority.mirror(),
        authority.root().display()
    );
    let mut node = Node::new(&lists, upstream.address);
    node.start();
    authority.publish_unguarded("csam", &names(600).collect::<Vec<_>>());
    node.command(&["update"]);
    let commands = passage("cordon hold ");
    let said = [
        "serial 2 is held",
        "serial 2 of list csam is in force",
        "serial 1 of list csam is in force again",
        "drive.example and all below it pass until",
        "whole",
    ];
    assert_eq!(commands.len(), said.len());
    for (command, part) in commands.iter().zip(said) {
        let words = words(command);
        let words: Vec<&str> = words.iter().skip(1).map(String::as_str).collect();
        let text = node.command(&words);
        assert!(text.contains(part), "{command}: {text}");
    }
    let log = fs::read_to_string(node.state().join("audit.log")).unwrap();
    assert!(log.contains("A. Person") && log.contains("confirmed by telephone"));
}

#[test]
fn two_of_three_keepers_publish_as_the_readme_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let commands = passage("cordon repo key ");
    assert_eq!(commands.len(), 9, "{commands:?}");
    for command in &commands {
        let mut program = cordon();
        program.args(placed(command, folder.path()));
        if command.starts_with("cordon repo sign") {
            // The person is shown it, and says yes to that.
            let mut shown = cordon();
            let shown = must(shown.args(placed(command, folder.path())).arg("--json"));
            let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
            program.args(["--yes", shown["digest"].as_str().unwrap()]);
        }
        must(&mut program);
    }
    assert!(
        folder
            .path()
            .join("REPO/metadata/1.list-csam.json")
            .exists()
    );
}

#[test]
fn the_authoritys_commands_make_a_repository_that_the_example_configuration_takes() {
    let folder = tempfile::tempdir().unwrap();
    let readme = readme();
    for (first, count) in [("cordon repo init ", 4), ("cordon repo policy ", 3)] {
        let commands = passage(first);
        assert_eq!(commands.len(), count, "{commands:?}");
        for command in commands {
            must(cordon().args(placed(&command, folder.path())));
        }
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
