//! Reads scenario files, as `tests/rpz/README.md` says how they are written.

use std::net::Ipv4Addr;
use std::time::Duration;

use cordon::compile::{Ede, Format, From, Mode, PassThru, Settings};
use cordon::policy::{Action, Kind, LocalData, Name};

use super::world::Rows;

/// What happens, in order.
pub(super) enum Step {
    /// What of the node is not as usual.
    Node(Vec<(String, String)>),
    /// A list, or another version of it.
    List(Box<List>),
    /// A list is no longer configured.
    Gone(String),
    /// What is really there, from now on.
    World(Rows),
    /// Questions, each with the same expected answer.
    Ask(Vec<Question>, Vec<Line>),
}

/// One list.
pub(super) struct List {
    pub(super) settings: Settings,
    /// Its text, whole.
    pub(super) text: String,
    /// How many lines of the text come before the first of the file's.
    pub(super) lines_before: u32,
    /// The rows that are left out: their lines in the section, and a part of why.
    pub(super) left_out: Vec<(u32, String)>,
    /// The rows that are taken and strange, likewise.
    pub(super) warned: Vec<(u32, String)>,
}

/// A question, in the words of `dig`.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) name: String,
    pub(super) rtype: String,
    pub(super) is_chaos: bool,
    pub(super) over_udp: bool,
    pub(super) over_tcp: bool,
    pub(super) edns_octets: Option<u16>,
    pub(super) dnssec_ok: bool,
    pub(super) recursion_desired: bool,
    pub(super) checking_disabled: bool,
    pub(super) from: Ipv4Addr,
    /// Two clients ask at the same time.
    pub(super) is_twice: bool,
    /// The list that goes while the question waits.
    pub(super) losing: Option<String>,
}

/// A line of an expected answer.
#[derive(Clone, Debug)]
pub(super) enum Line {
    /// No answer at all.
    Nothing,
    /// The rcode, and the flags that are not as usual.
    Status(String),
    /// A record of the answer section.
    Record(String),
    /// The rule that made the answer: list and owner.
    By(String, String),
    /// The rule that let it pass.
    Passed(String, String),
    /// A rule that was counted and did not act.
    Watched(String, String),
    /// The SOA record in the additional section; `none` for none.
    Soa(String),
    /// The Extended DNS Error; `none` for none.
    Error(String),
    /// A name that the upstream was never asked for.
    Unasked(String),
    /// How often a rule was counted so far.
    Counted(String, String, u64),
}

/// Reads a file.
pub(super) fn read(text: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut waiting = Vec::new();
    let mut versions = std::collections::BTreeMap::new();
    let sections = text.split("\n--- ").skip(1);
    for section in sections {
        let (head, body) = section.split_once('\n').unwrap_or((section, ""));
        let (kind, rest) = head.split_once(' ').unwrap_or((head, ""));
        let (rest, options) = options(rest);
        // Lines keep their numbers.
        let body: Vec<&str> = body
            .lines()
            .map(|line| if line.starts_with('#') { "" } else { line })
            .collect();
        let body = body.join("\n");
        assert!(waiting.is_empty() || kind == "ask", "an answer is missing");
        match kind {
            "node" => steps.push(Step::Node(options)),
            "zone" | "list" => {
                let version = versions.entry(rest.to_owned()).or_insert(0);
                *version += 1;
                let list = list(kind, rest, *version, &options, &body);
                steps.push(Step::List(Box::new(list)));
            }
            "gone" => steps.push(Step::Gone(rest.to_owned())),
            "world" => steps.push(Step::World(Rows::read(&body))),
            "ask" => {
                waiting.push(question(rest));
                if !body.trim().is_empty() {
                    let lines = body.lines().map(str::trim);
                    let lines = lines.filter(|line| !line.is_empty()).map(line).collect();
                    steps.push(Step::Ask(std::mem::take(&mut waiting), lines));
                }
            }
            other => panic!("`{other}` is no section"),
        }
    }
    assert!(waiting.is_empty(), "an answer is missing");
    steps
}

/// What stands before the parentheses, and the options in them.
fn options(head: &str) -> (&str, Vec<(String, String)>) {
    let Some((rest, options)) = head.split_once('(') else {
        return (head.trim(), Vec::new());
    };
    let options = options.strip_suffix(')').unwrap().split(", ");
    let pair = |option: &str| {
        let (key, value) = option
            .split_once(": ")
            .unwrap_or_else(|| panic!("{option} is no option"));
        (key.to_owned(), value.to_owned())
    };
    (rest.trim(), options.map(pair).collect())
}

fn list(kind: &str, name: &str, version: u32, options: &[(String, String)], body: &str) -> List {
    let format = match kind {
        "zone" => Format::Rpz,
        _ => Format::Native,
    };
    let from = From::File {
        path: name.into(),
        format,
        scope: None,
    };
    let mut settings = Settings {
        kinds: Kind::ALL.to_vec(),
        ..Settings::new(name, from)
    };
    for (key, value) in options {
        set(&mut settings, key, value);
    }
    let before = match format {
        Format::Native => format!(
            "{{\"defaults\":{{\"category\":\"csam\",\"legal\":{{\"authority\":\"a\",\"basis\":\"b\"}}}},\"format\":1,\"list\":\"{name}\"}}\n"
        ),
        _ if options.iter().any(|(key, _)| key == "bare") => String::new(),
        _ => format!(
            "$ORIGIN {name}.rpz.test.\n$TTL 300\n@ SOA localhost. nobody.invalid. {version} 60 60 60 60\n@ NS localhost.\n"
        ),
    };
    let marked = |mark: &str| {
        let lines = (1..).zip(body.lines());
        lines
            .filter_map(|(number, line)| {
                let (_, reason) = line.split_once(mark)?;
                Some((number, reason.trim().to_owned()))
            })
            .collect()
    };
    List {
        settings,
        lines_before: u32::try_from(before.lines().count()).unwrap(),
        left_out: marked("; left out:"),
        warned: marked("; warned:"),
        text: format!("{before}{body}\n"),
    }
}

/// Sets an option by its name in the configuration.
fn set(settings: &mut Settings, key: &str, value: &str) {
    let dns = &mut settings.dns;
    let is_true = value == "true";
    match (key, value) {
        ("bare", _) => {}
        ("mode", "monitor") => settings.mode = Mode::Monitor,
        ("override", value) => {
            let (word, target) = value.split_once(' ').unwrap_or((value, ""));
            settings.action = Some(match word {
                "disabled" => Action::Monitor,
                "cname" => Action::LocalData,
                other => Action::from_word(other).unwrap_or_else(|| panic!("{other}")),
            });
            if word == "cname" {
                let (target, is_wildcard) = match target.strip_prefix("*.") {
                    Some(parent) => (parent, true),
                    None => (target, false),
                };
                settings.data = Some(std::sync::Arc::new(LocalData::Alias {
                    target: Name::from_text(target).unwrap(),
                    is_wildcard,
                    ttl: 3600,
                }));
            }
        }
        ("passthru", "list") => settings.passthru = PassThru::List,
        ("passthru", "all") => settings.passthru = PassThru::All,
        ("ede", word) => {
            settings.ede = match word {
                "blocked" => Ede::Blocked,
                "censored" => Ede::Censored,
                "filtered" => Ede::Filtered,
                "prohibited" => Ede::Prohibited,
                "none" => Ede::None,
                other => panic!("{other} is no Extended DNS Error"),
            };
        }
        ("kinds", words) => {
            let kind = |word: &str| {
                let known = Kind::ALL.into_iter().find(|kind| kind.as_str() == word);
                known.unwrap_or_else(|| panic!("{word} is no kind"))
            };
            settings.kinds = words.split(' ').map(kind).collect();
        }
        ("break_dnssec", _) => dns.break_dnssec = is_true,
        ("qname_wait_recurse", _) => dns.qname_wait_recurse = is_true,
        ("recursive_only", _) => dns.recursive_only = is_true,
        ("max_policy_ttl", seconds) => {
            dns.max_policy_ttl = Some(Duration::from_secs(seconds.parse().unwrap()));
        }
        ("ns_lookup", _) => dns.ns_lookup = is_true,
        ("min_ns_dots", dots) => dns.min_ns_dots = dots.parse().unwrap(),
        ("add_soa", _) => dns.add_soa = is_true,
        ("signal_nxdomain_ra", _) => dns.signal_nxdomain_ra = is_true,
        ("clients", networks) => {
            let networks = networks.split(' ').map(|network| network.parse().unwrap());
            dns.clients = networks.collect();
        }
        (key, value) => panic!("`{key}: {value}` is no option of a list"),
    }
}

fn question(text: &str) -> Question {
    let mut question = Question {
        name: String::new(),
        rtype: String::new(),
        is_chaos: false,
        over_udp: true,
        over_tcp: true,
        edns_octets: Some(1232),
        dnssec_ok: false,
        recursion_desired: true,
        checking_disabled: false,
        from: Ipv4Addr::LOCALHOST,
        is_twice: false,
        losing: None,
    };
    let mut words = text.split_whitespace();
    while let Some(word) = words.next() {
        match word {
            "+tcp" => question.over_udp = false,
            "+notcp" => question.over_tcp = false,
            "+noedns" => question.edns_octets = None,
            "+dnssec" => question.dnssec_ok = true,
            "+norec" => question.recursion_desired = false,
            "+cd" => question.checking_disabled = true,
            "from" => question.from = words.next().unwrap().parse().unwrap(),
            "twice" => question.is_twice = true,
            "losing" => question.losing = words.next().map(str::to_owned),
            "CH" => question.is_chaos = true,
            option if option.starts_with("+bufsize=") => {
                question.edns_octets = Some(option[9..].parse().unwrap());
            }
            other if question.name.is_empty() => question.name = format!("{other}."),
            other if question.rtype.is_empty() => other.clone_into(&mut question.rtype),
            other => panic!("`{other}` is no word of a question"),
        }
    }
    if question.name == ".." {
        question.name = ".".to_owned();
    }
    assert!(!question.rtype.is_empty(), "`{text}` has no type");
    question
}

fn line(text: &str) -> Line {
    let words: Vec<&str> = text.split_whitespace().collect();
    let rest = || text.split_once(' ').unwrap().1.trim().to_owned();
    match words.as_slice() {
        ["nothing"] => Line::Nothing,
        ["by", list, owner] => Line::By((*list).to_owned(), (*owner).to_owned()),
        ["passed", list, owner] => Line::Passed((*list).to_owned(), (*owner).to_owned()),
        ["watched", list, owner] => Line::Watched((*list).to_owned(), (*owner).to_owned()),
        ["soa", ..] => Line::Soa(rest()),
        ["ede", ..] => Line::Error(rest()),
        ["unasked", name] => Line::Unasked((*name).to_owned()),
        ["counted", list, owner, times] => Line::Counted(
            (*list).to_owned(),
            (*owner).to_owned(),
            times.parse().unwrap(),
        ),
        [first, ..] if first.chars().all(|c| c.is_ascii_uppercase()) => {
            Line::Status(words.join(" "))
        }
        [name, ..] if name.ends_with('.') => Line::Record(text.to_owned()),
        _ => panic!("`{text}` is no line of an answer"),
    }
}
