//! The configuration: good files are taken, and bad ones give exactly the message beside them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cordon::compile::DnsOptions;
use cordon::config::Config;
use cordon::policy::{Action, Kind, LocalData, Name};
use proptest::prelude::*;

/// The YAML files of a folder below `tests/config`, by their path from the package's folder.
fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new("tests/config").join(folder);
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

#[test]
fn good_files_are_taken() {
    for file in files("good") {
        if let Err(mistakes) = Config::load(&file) {
            panic!("{}:\n{mistakes}", file.display());
        }
    }
}

/// With `CORDON_BLESS` set, the messages are written instead of compared; look at the
/// difference before you commit it.
#[test]
fn bad_files_give_the_message_beside_them() {
    let mut wrong = String::new();
    for file in files("bad") {
        let message = match Config::load(&file) {
            Ok(_) => panic!("{} is taken", file.display()),
            Err(mistakes) => format!("{mistakes}\n"),
        };
        let beside = file.with_extension("stderr");
        if std::env::var_os("CORDON_BLESS").is_some() {
            fs::write(&beside, message).unwrap();
            continue;
        }
        let expected = fs::read_to_string(&beside).unwrap_or_default();
        if message != expected {
            wrong.push_str(&format!(
                "{}: expected\n{expected}found\n{message}",
                file.display()
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_mistake_has_a_place_a_message_and_a_way_to_mend_it() {
    for file in files("bad") {
        let mistakes = Config::load(&file).unwrap_err();
        let objects = mistakes.to_json();
        assert_eq!(objects.as_array().unwrap().len(), mistakes.len());
        for mistake in mistakes.iter() {
            let name = file.display();
            assert!(
                mistake.place.is_some() || name.to_string().contains("utf"),
                "{name}"
            );
            assert!(mistake.message.len() > 10, "{name}: {}", mistake.message);
            assert!(mistake.help.len() > 5, "{name}: {}", mistake.message);
        }
    }
}

#[test]
fn a_file_that_is_not_there_is_one_sentence_with_its_path() {
    let mistakes = Config::load(Path::new("tests/config/no-such.yaml")).unwrap_err();
    assert_eq!(mistakes.len(), 1);
    let message = mistakes.to_string();
    assert!(message.contains("cannot be read"), "{message}");
    assert!(message.contains("tests/config/no-such.yaml"), "{message}");
    assert!(message.contains("--config FILE"), "{message}");
}

#[test]
fn a_file_that_is_too_large_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cordon.yaml");
    fs::write(&file, format!("version: 1\n{}", "#".repeat(1 << 20))).unwrap();
    let message = Config::load(&file).unwrap_err().to_string();
    assert!(message.contains("larger than 1048576 octets"), "{message}");
}

#[test]
fn what_it_depends_on_is_watched() {
    let config = Config::load(Path::new("tests/config/good/full.yaml")).unwrap();
    let watched: Vec<String> = config
        .watched
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    for name in ["names.txt", "protected.txt", "root.json"] {
        let count = watched.iter().filter(|path| path.ends_with(name)).count();
        assert_eq!(count, 1, "{name} in {watched:?}");
    }
    assert_eq!(config.protect.names().len(), 4);
    assert!(config.repositories[0].verify.root.starts_with(b"{"));
}

#[test]
fn rpz_options_reach_the_lists() {
    let config = Config::load(Path::new("tests/config/good/full.yaml")).unwrap();
    let list = |name: &str| {
        let mut lists = config.lists.iter();
        lists.find(|list| list.name == name).unwrap()
    };
    // What nothing is said of, is for everybody.
    assert_eq!(list("csam").dns, DnsOptions::default());
    assert_eq!(list("csam").kinds, [Kind::Domain]);
    let hosts = list("hosts");
    assert_eq!(
        hosts.dns,
        DnsOptions {
            break_dnssec: false,
            qname_wait_recurse: true,
            recursive_only: true,
            max_policy_ttl: Some(Duration::from_secs(5)),
            add_soa: false,
            min_ns_dots: 2,
            ns_lookup: true,
            signal_nxdomain_ra: true,
            clients: vec![
                "192.0.2.0/24".parse().unwrap(),
                "2001:db8::/32".parse().unwrap()
            ],
        }
    );
    assert_eq!(hosts.kinds, [Kind::Domain, Kind::Url]);
    for (name, wildcard) in [("hosts", true), ("zone", false)] {
        let alias = LocalData::Alias {
            target: Name::from_text("garden.example").unwrap(),
            is_wildcard: wildcard,
            ttl: u32::MAX,
        };
        assert_eq!(list(name).action, Some(Action::LocalData));
        assert_eq!(list(name).data.as_deref(), Some(&alias));
    }
    let all = [Kind::Domain, Kind::Url, Kind::Ip, Kind::Client];
    assert_eq!(list("zone").kinds, all);
    assert_eq!(list("addresses").kinds, [Kind::Ip]);
}

/// Reads any text within a bound of time, and shows whatever is wrong with it.
fn survives(text: &str) {
    let start = Instant::now();
    if let Err(mistakes) = Config::parse(Path::new("tests/config/good/x.yaml"), text) {
        assert!(!mistakes.is_empty());
        let shown = mistakes.render(true) + &mistakes.render(false);
        assert!(shown.contains("mistake"));
    }
    let spent = start.elapsed();
    let bound = Duration::from_secs(5);
    assert!(spent < bound, "{spent:?} for {:.300?}", text);
}

#[test]
fn as_many_mistakes_as_fit_are_shown_in_time() {
    let keys = |count: usize| (0..count).map(|n| format!("no_such_key_{n}: [x]\n"));
    survives(&keys(9_000).collect::<String>());
    survives(&format!("lists: [{}]", "{ a: b },".repeat(6_000)));
    survives(&"twice: [x]\n".repeat(9_000));
}

/// A good configuration with some of it cut, doubled or overwritten.
fn mutated() -> impl Strategy<Value = String> {
    let good = ["full", "off", "any-port"]
        .map(|name| fs::read_to_string(format!("tests/config/good/{name}.yaml")).unwrap());
    let pieces = "[\\[\\]{}:,&*!|>'\"#%@`~ \n\t\\-a-z0-9é\u{0}\u{85}\u{feff}\u{2028}]{0,6}";
    let mutation = (
        any::<prop::sample::Index>(),
        0..20_usize,
        pieces,
        any::<bool>(),
    );
    let mutations = prop::collection::vec(mutation, 1..6);
    (prop::sample::select(good.to_vec()), mutations).prop_map(|(mut text, mutations)| {
        for (at, length, piece, double) in mutations {
            let start = text.floor_char_boundary(at.index(text.len() + 1));
            let end = text
                .floor_char_boundary((start + length).min(text.len()))
                .max(start);
            let cut = text[start..end].to_owned();
            let piece = if double { cut.repeat(2) } else { piece };
            text.replace_range(start..end, &piece);
        }
        text
    })
}

proptest! {
    #[test]
    fn random_octets_never_panic(octets in prop::collection::vec(any::<u8>(), 0..300)) {
        survives(&String::from_utf8_lossy(&octets));
    }

    #[test]
    fn random_yaml_never_panics(text in "(version: 1\n)?([a-z]{0,3}(: |- |\\[|\\{|&a |\\*a|\"|'|\n|  ){0,3}){0,40}") {
        survives(&text);
    }

    #[test]
    fn mutated_configurations_never_panic(text in mutated()) {
        survives(&text);
    }
}

/// What `cordon check` says of a file, and its exit code.
fn check(arguments: &[&str]) -> (String, String, Option<i32>) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_cordon"))
        .arg("check")
        .args(arguments)
        .output()
        .unwrap();
    let text = |octets: Vec<u8>| String::from_utf8(octets).unwrap();
    (
        text(output.stdout),
        text(output.stderr),
        output.status.code(),
    )
}

#[test]
fn the_program_says_every_mistake_and_ends_with_78() {
    let file = "tests/config/bad/wrong-type.yaml";
    let (out, error, code) = check(&["--config", file]);
    let expected = fs::read_to_string("tests/config/bad/wrong-type.stderr").unwrap();
    assert_eq!((out.as_str(), code), ("", Some(78)));
    assert!(error.contains(expected.trim_end()), "{error}");

    let (out, _, code) = check(&["--json", "--config", file]);
    let list: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((list[0]["line"].as_u64(), code), (Some(2), Some(78)));
}

#[test]
fn the_program_takes_a_good_file_and_prints_the_schema() {
    let (out, error, code) = check(&["--config", "tests/config/good/full.yaml"]);
    assert_eq!((error.as_str(), code), ("", Some(0)));
    assert!(
        out.contains("list house-rules (unsigned, ") && out.contains("): enforced"),
        "{out}"
    );
    let (out, _, code) = check(&["--schema"]);
    let schema: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((schema["type"].as_str(), code), (Some("object"), Some(0)));
}
