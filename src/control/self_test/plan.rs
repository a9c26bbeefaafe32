//! [`Plan`]: what is asked of an edition and what is expected, made of the configuration and
//! the compiled lists alone.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::verdict::{Failure, Fault};
use crate::compile::{Asker, Blocklist, CompiledList, From, Mode, OwnHost};
use crate::config::Config;
use crate::enforce::dns;
use crate::policy::{Action, Decision, Name, RuleId};
use crate::report::Probe;

/// What is asked of an edition and what is expected.
///
/// Positive: of each signed list in force the test entry `LIST.canary.invalid`, the name
/// itself and a fresh one below it, which no cache can know. A list that only watches, or
/// that `override` lets pass, blocks nothing and is left out, with the reason; so is one that is
/// not for the addresses that the node asks from. Negative:
/// `self_test.must_work`. Protected names, and those of mirrors and upstreams, are judged by
/// the lists without a question: their addresses are no concern of the lists.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    /// Test entries that must be blocked.
    pub(super) blocked: Vec<Canary>,
    /// Names that must resolve. No list speaks of them: one that is listed is a failure
    /// without a question, and one that a list watches or spares would be counted as a hit.
    pub(super) resolved: Vec<Name>,
    /// What is tried.
    pub(super) probes: BTreeSet<Probe>,
    /// What the lists themselves have wrong.
    pub(super) failures: Vec<Failure>,
    /// Lists of which nothing can be asked, each with why.
    pub(super) untested: Vec<(String, &'static str)>,
}

/// A test entry, and how its list answers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Canary {
    /// The list, by its name in the configuration.
    pub(super) list: String,
    /// The entry's name.
    pub(super) name: Name,
    /// A fresh name below it.
    pub(super) below: Name,
    /// What the list does, its override applied.
    pub(super) action: Action,
    /// The Extended DNS Error of its answers.
    pub(super) ede: Option<u16>,
    /// Whether upstreams are asked first, so that their failure says nothing of the list.
    pub(super) waits: bool,
}

impl Plan {
    /// The plan for lists under a configuration. `label` is the one of the names that nobody
    /// asked for before, and `askers` are the addresses from which it will be asked.
    pub(super) fn of(
        config: &Config,
        blocklist: &Blocklist,
        is_ready: bool,
        label: &str,
        askers: &[IpAddr],
    ) -> Self {
        let mut plan = Self::default();
        let surfaces = surfaces(config);
        for list in blocklist.lists() {
            plan.expect_blocked(blocklist, list, label, (&surfaces, askers));
        }
        if !plan.blocked.is_empty() {
            plan.probes.extend(surfaces);
        }
        for name in config.protect.names() {
            plan.expect_pass(blocklist, name, "it is protected");
        }
        for own in config.protect.own() {
            if let OwnHost::Name(name) = &own.host
                && !config.self_test.must_work.contains(name)
            {
                plan.expect_pass(blocklist, name, &format!("`{}` names it", own.key));
            }
        }
        for name in &config.self_test.must_work {
            plan.expect_resolved(config, blocklist, is_ready, (name, askers));
        }
        plan.failures.truncate(FAILURES_MAX);
        plan
    }

    /// Adds the test entry of a list.
    fn expect_blocked(
        &mut self,
        blocklist: &Blocklist,
        list: &CompiledList,
        label: &str,
        (surfaces, askers): (&[Probe], &[IpAddr]),
    ) {
        let configured = &list.settings.name;
        let (name, below) = match names(list, label) {
            Ok(names) => names,
            Err(why) => return self.untested.push((configured.clone(), why)),
        };
        let is_own = |rule: &RuleId| {
            let view = blocklist.rule(*rule);
            view.is_some_and(|rule| rule.canary && rule.list.settings.name == *configured)
        };
        if !blocklist.matches(Some(&name), None).iter().any(is_own) {
            return self.untested.push((configured.clone(), NO_TEST_ENTRY));
        }
        if self.blocked.iter().any(|canary| canary.name == name) {
            let why = "a list before it has the same test entry";
            return self.untested.push((configured.clone(), why));
        }
        let dns = &list.settings.dns;
        if !askers.iter().all(|client| dns.is_for(*client)) {
            let why = "it is for other clients than this node";
            return self.untested.push((configured.clone(), why));
        }
        let Some(waits) = waits(blocklist, &[name, below], askers) else {
            let why = "a rule on clients decides for this node's own address";
            return self.untested.push((configured.clone(), why));
        };
        let client = askers.first().copied();
        let decided = [name, below].map(|name| blocklist.decide_name(&name, client).act);
        let acting = decided.map(|act| act.and_then(|(rule, _)| blocklist.rule(rule)));
        match acting {
            [Some(acts), Some(_)] if acts.canary && decided.iter().all(blocks) => {
                self.blocked.push(Canary {
                    list: configured.clone(),
                    name,
                    below,
                    action: acts.action,
                    ede: acts.list.settings.ede.code(),
                    waits,
                });
            }
            [acting, below] => {
                let by = acting.filter(|rule| !rule.canary).or(below);
                let why = by.map_or_else(
                    || "nothing decides it".to_owned(),
                    |rule| {
                        let list = &rule.list.settings.name;
                        format!("entry {} of list {list} decides it", rule.entry_id)
                    },
                );
                for probe in surfaces {
                    self.probes.insert(*probe);
                    self.failures.push(Failure {
                        probe: *probe,
                        fault: Fault::Wrong,
                        list: Some(configured.clone()),
                        subject: name.to_string(),
                        sentence: format!(
                            "The test entry {name} of list {configured} is not blocked: {why}. Entries of {configured} may pass in the same way; look with `cordon explain {name}`."
                        ),
                    });
                }
            }
        }
    }

    /// Adds a name that no list may act on.
    fn expect_pass(&mut self, blocklist: &Blocklist, name: &Name, why: &str) {
        self.probes.insert(Probe::DecidedPass);
        if let Some(failure) = blocked(blocklist, name, Probe::DecidedPass, why)
            && self.failures.len() < FAILURES_MAX
        {
            self.failures.push(failure);
        }
    }

    /// Adds a name that must resolve.
    fn expect_resolved(
        &mut self,
        config: &Config,
        blocklist: &Blocklist,
        is_ready: bool,
        (name, askers): (&Name, &[IpAddr]),
    ) {
        let why = "`self_test.must_work` names it";
        // Where there is no DNS, or it waits for a list, what the lists say is all there is to
        // test.
        let answers = |dns: &dns::Settings| !dns.servfail_until_ready || is_ready;
        let asks = config.dns.as_ref().is_some_and(answers);
        let probe = if asks {
            Probe::DnsPass
        } else {
            Probe::DecidedPass
        };
        self.probes.insert(probe);
        if let Some(failure) = blocked(blocklist, name, probe, why) {
            self.failures.push(failure);
        } else if asks
            && blocklist.decide_name(name, None) == Decision::default()
            && waits(blocklist, &[*name], askers).is_some()
        {
            self.probes.insert(Probe::Upstream);
            self.resolved.push(*name);
        }
    }

    /// Whether a failure of another edition would not be one under this plan's: the name was
    /// blocked, or passed, as it must. A list that was not in force has nothing to go back to.
    pub(super) fn was_well(&self, failure: &Failure) -> bool {
        let same = |own: &&Failure| (own.probe, &own.subject) == (failure.probe, &failure.subject);
        if self.failures.iter().any(|own| same(&own)) {
            return false;
        }
        match failure.probe {
            Probe::DnsBlock | Probe::HttpBlock | Probe::ProxyBlock => {
                let subject = &failure.subject;
                let own = |canary: &Canary| canary.name.to_string() == *subject;
                self.blocked.iter().any(own)
            }
            Probe::DecidedPass | Probe::DnsPass | Probe::Upstream => true,
        }
    }

    /// Adds the failures of lists that were tested under an older plan and have lost their
    /// test entry, although nothing else in the configuration of the list says so.
    pub(super) fn miss_lost(&mut self, before: &Self, surfaces: &[Probe]) {
        for canary in &before.blocked {
            let lost = |(list, why): &(String, &str)| *list == canary.list && *why == NO_TEST_ENTRY;
            if !self.untested.iter().any(lost) {
                continue;
            }
            for probe in surfaces {
                self.probes.insert(*probe);
                self.failures.push(Failure {
                    probe: *probe,
                    fault: Fault::Wrong,
                    list: Some(canary.list.clone()),
                    subject: canary.name.to_string(),
                    sentence: format!(
                        "The new version of list {} has lost its test entry {}.",
                        canary.list, canary.name
                    ),
                });
            }
        }
    }
}

/// The probes of the surfaces that are there.
pub(super) fn surfaces(config: &Config) -> Vec<Probe> {
    let proxy = config.proxy.as_ref();
    let there = [
        (Probe::DnsBlock, config.dns.is_some()),
        (
            Probe::HttpBlock,
            proxy.is_some_and(|proxy| !proxy.http.is_empty()),
        ),
        (
            Probe::ProxyBlock,
            proxy.is_some_and(|proxy| !proxy.forward.is_empty()),
        ),
    ];
    let there = there.into_iter().filter(|(_, there)| *there);
    there.map(|(probe, _)| probe).collect()
}

/// The test entry of a list and a fresh name below it; or why there is nothing to ask.
fn names(list: &CompiledList, label: &str) -> Result<(Name, Name), &'static str> {
    let From::Repository { list: own, .. } = &list.settings.from else {
        return Err("nobody signed it, so that it has no test entry");
    };
    if list.settings.mode == Mode::Monitor {
        return Err("it only watches");
    }
    match list.settings.action {
        Some(Action::PassThru) => return Err("`override` lets its entries pass"),
        Some(Action::Monitor) => return Err("`override` switches it off"),
        _ => {}
    }
    let name = |text: String| Name::from_text(&text).map_err(|_| "its name makes no test entry");
    let canary = format!("{own}.canary.invalid");
    Ok((name(canary.clone())?, name(format!("{label}.{canary}"))?))
}

/// Whether upstreams are asked for one of these names before the lists decide; nothing where a
/// rule on clients decides, which is none on names.
fn waits(blocklist: &Blocklist, names: &[Name], askers: &[IpAddr]) -> Option<bool> {
    let mut waits = false;
    for (client, name) in askers
        .iter()
        .flat_map(|of| names.iter().map(move |name| (of, name)))
    {
        let asker = Asker {
            client: Some(*client),
            recursion_desired: true,
            dnssec_ok: false,
        };
        let explained = blocklist.explain_query(name, asker);
        if explained.decision != blocklist.decide_name(name, Some(*client)) {
            return None;
        }
        waits |= explained.must_know;
    }
    Some(waits)
}

/// Whether a decision blocks in some way.
fn blocks(act: &Option<(RuleId, Action)>) -> bool {
    act.is_some_and(|(_, action)| !matches!(action, Action::PassThru | Action::Monitor))
}

/// The failure where a list blocks a name that must pass.
fn blocked(blocklist: &Blocklist, name: &Name, probe: Probe, why: &str) -> Option<Failure> {
    let decision = blocklist.decide_name(name, None);
    if decision.passes() {
        return None;
    }
    let rule = decision.act.and_then(|(rule, _)| blocklist.rule(rule))?;
    let list = &rule.list.settings.name;
    Some(Failure {
        probe,
        fault: Fault::Wrong,
        list: Some(list.clone()),
        subject: name.to_string(),
        sentence: format!(
            "{name} is blocked by entry {} of list {list}, and must pass: {why}. Tell who publishes the list; `cordon allow` lets it pass at once.",
            rule.entry_id
        ),
    })
}

/// How many failures of the lists are told; the rest is more of the same.
const FAILURES_MAX: usize = 50;
/// Why a list that should have a test entry is not tested.
const NO_TEST_ENTRY: &str = "it has no test entry";

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::path::Path;

    use super::*;
    use crate::compile::{self, Ede, Format, PassThru, Settings};
    use crate::policy::{Kind, Origin, Provenance};

    const CONFIG: &str = r#"
version: 1
dns: { listen: ["127.0.0.1:5300"], resolver: { forward: ["tls://198.51.100.55#dns.test"] } }
protect: { names: [bank.test] }
self_test: { must_work: [works.test] }
"#;

    fn config(text: &str) -> Config {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("test.yaml");
        Config::parse(&file, text).unwrap()
    }

    /// A signed list `NAME`, with its test entry and rows of `KIND VALUE`; changed by `with`.
    fn list(
        name: &str,
        rows: &[&str],
        with: impl FnOnce(&mut Settings),
    ) -> (Settings, Provenance, String) {
        let mut settings = Settings {
            kinds: vec![Kind::Domain],
            ede: Ede::Censored,
            ..Settings::new(
                &format!("my-{name}"),
                From::Repository {
                    repository: "hotline".into(),
                    list: name.into(),
                },
            )
        };
        with(&mut settings);
        let provenance = Provenance {
            list: settings.name.clone(),
            title: name.into(),
            issuer: None,
            origin: Origin::Unsigned {
                path: "x".into(),
                digest: "ab".into(),
            },
        };
        let mut text = format!(
            r#"{{"defaults":{{"category":"csam","legal":{{"authority":"a","basis":"b"}}}},"format":1,"list":"{name}"}}"#
        );
        let canary = format!("canary {name}.canary.invalid");
        for (number, row) in rows.iter().copied().chain([canary.as_str()]).enumerate() {
            let (kind, value) = row.split_once(' ').unwrap();
            let (kind, canary) = match kind {
                "canary" => ("domain", r#""canary":true,"#),
                kind => (kind, ""),
            };
            text += &format!(
                "\n{{{canary}\"id\":\"E-{number}\",\"kind\":\"{kind}\",\"match\":\"subtree\",\"value\":\"{value}\"}}"
            );
        }
        (settings, provenance, text)
    }

    fn plan(config: &Config, lists: &[(Settings, Provenance, String)]) -> Plan {
        let lists: Vec<_> = lists
            .iter()
            .map(|(settings, provenance, text)| {
                (settings.clone(), provenance.clone(), text.as_str())
            })
            .collect();
        let blocklist = compile::example::blocklist(&lists, "2026-11-24T06:00:00Z");
        Plan::of(
            config,
            &blocklist,
            true,
            "t1",
            &[Ipv4Addr::LOCALHOST.into()],
        )
    }

    /// The plan in lines.
    #[track_caller]
    fn check(text: &str, lists: &[(Settings, Provenance, String)], expected: &[&str]) {
        let plan = plan(&config(text), lists);
        let mut found: Vec<String> = Vec::new();
        for canary in &plan.blocked {
            assert_eq!(canary.below.to_string(), format!("t1.{}", canary.name));
            let (list, name, action) = (&canary.list, canary.name, canary.action.as_str());
            let waits = if canary.waits { " waits" } else { "" };
            found.push(format!(
                "blocked {list} {name} {action} {:?}{waits}",
                canary.ede
            ));
        }
        found.extend(plan.resolved.iter().map(|name| format!("resolved {name}")));
        for failure in &plan.failures {
            assert_eq!(failure.fault, Fault::Wrong);
            let list = failure.list.as_deref().unwrap();
            let (probe, subject) = (failure.probe.as_str(), &failure.subject);
            found.push(format!("failure {probe} {list} {subject}"));
        }
        for (list, why) in &plan.untested {
            found.push(format!("untested {list} {why}"));
        }
        assert_eq!(found, expected);
    }

    fn as_it_is(_: &mut Settings) {}

    #[test]
    fn test_entries_are_blocked_as_their_lists_say_and_names_that_must_work_resolve() {
        let drops = |settings: &mut Settings| {
            settings.action = Some(Action::Drop);
            settings.ede = Ede::None;
        };
        check(
            CONFIG,
            &[
                list("csam", &["domain bad.test"], as_it_is),
                list("other", &[], drops),
            ],
            &[
                "blocked my-csam csam.canary.invalid block Some(16)",
                "blocked my-other other.canary.invalid drop None",
                "resolved works.test",
            ],
        );
    }

    #[test]
    fn lists_for_other_clients_are_left_out_and_decide_nothing_here() {
        let others = |settings: &mut Settings| {
            settings.dns.clients = vec!["192.0.2.0/24".parse().unwrap()];
        };
        check(
            CONFIG,
            &[
                list("kids", &["domain csam.canary.invalid"], others),
                list("csam", &[], as_it_is),
                list("ours", &[], |settings| {
                    settings.dns.clients = vec!["127.0.0.0/8".parse().unwrap()];
                }),
            ],
            &[
                "blocked my-csam csam.canary.invalid block Some(16)",
                "blocked my-ours ours.canary.invalid block Some(16)",
                "resolved works.test",
                "untested my-kids it is for other clients than this node",
            ],
        );
    }

    #[test]
    fn lists_that_wait_for_upstreams_are_asked_and_known_to_wait() {
        let waiting = |settings: &mut Settings| settings.dns.qname_wait_recurse = true;
        let addresses = |settings: &mut Settings| settings.kinds.push(Kind::Ip);
        check(
            CONFIG,
            &[
                list("csam", &[], as_it_is),
                list("slow", &[], waiting),
                // What comes behind rules on addresses waits for them.
                list("ips", &["ip 198.51.100.0/24"], addresses),
                list("last", &[], as_it_is),
            ],
            &[
                "blocked my-csam csam.canary.invalid block Some(16)",
                "blocked my-slow slow.canary.invalid block Some(16) waits",
                "blocked my-ips ips.canary.invalid block Some(16)",
                "blocked my-last last.canary.invalid block Some(16) waits",
                "resolved works.test",
            ],
        );
    }

    #[test]
    fn lists_that_block_nothing_are_left_out() {
        check(
            CONFIG,
            &[
                list("a", &[], |settings| settings.mode = Mode::Monitor),
                list("b", &[], |settings| {
                    settings.action = Some(Action::Monitor);
                }),
                list("c", &[], as_it_is),
                list("c", &[], |settings| settings.name = "again".into()),
                list("d", &[], |settings| {
                    settings.from = From::File {
                        path: "x".into(),
                        format: Format::Native,
                        scope: None,
                    };
                }),
            ],
            &[
                "blocked my-c c.canary.invalid block Some(16)",
                "resolved works.test",
                "untested my-a it only watches",
                "untested my-b `override` switches it off",
                "untested again a list before it has the same test entry",
                "untested my-d nobody signed it, so that it has no test entry",
            ],
        );
    }

    #[test]
    fn a_list_that_decides_the_test_entries_of_another_is_a_failure() {
        let all = |settings: &mut Settings| settings.passthru = PassThru::All;
        let csam = || list("csam", &[], as_it_is);
        check(
            CONFIG,
            &[list("early", &["exception canary.invalid"], all), csam()],
            &[
                "blocked my-early early.canary.invalid block Some(16)",
                "resolved works.test",
                "failure dns_block my-csam csam.canary.invalid",
            ],
        );
        check(
            CONFIG,
            &[
                list("early", &["domain csam.canary.invalid"], as_it_is),
                csam(),
            ],
            &[
                "blocked my-early early.canary.invalid block Some(16)",
                "resolved works.test",
                "failure dns_block my-csam csam.canary.invalid",
            ],
        );
    }

    #[test]
    fn names_that_must_pass_and_are_listed_are_failures_without_a_question() {
        let rows = ["domain works.test", "domain dns.test", "domain bank.test"];
        check(
            CONFIG,
            &[list("csam", &rows, as_it_is)],
            &[
                "blocked my-csam csam.canary.invalid block Some(16)",
                "failure decided_pass my-csam bank.test",
                "failure decided_pass my-csam dns.test",
                "failure dns_pass my-csam works.test",
            ],
        );
        // What a list watches would be counted as a hit, were it asked for.
        check(
            CONFIG,
            &[list("csam", &["domain works.test"], |settings| {
                settings.mode = Mode::Monitor;
            })],
            &["untested my-csam it only watches"],
        );
        // Without DNS there is nobody to ask.
        check(
            "version: 1\nself_test: { must_work: [works.test] }\n",
            &[list("csam", &["domain works.test"], as_it_is)],
            &[
                "blocked my-csam csam.canary.invalid block Some(16)",
                "failure decided_pass my-csam works.test",
            ],
        );
    }

    #[test]
    fn only_what_was_well_before_is_a_reason_to_go_back() {
        let config = config(CONFIG);
        let good = plan(&config, &[list("csam", &[], as_it_is)]);
        let bad = plan(&config, &[list("csam", &["domain works.test"], as_it_is)]);
        let failure = bad.failures.first().unwrap();
        assert!(good.was_well(failure));
        assert!(!bad.was_well(failure), "it was so before");
        let silent_canary = |name: &str| Failure {
            probe: Probe::DnsBlock,
            fault: Fault::Wrong,
            list: Some("my-csam".into()),
            subject: name.into(),
            sentence: String::new(),
        };
        assert!(good.was_well(&silent_canary("csam.canary.invalid")));
        assert!(
            !good.was_well(&silent_canary("new.canary.invalid")),
            "to go back would not bring a list that was not there"
        );
        let mut empty = list("csam", &[], as_it_is);
        empty.2 = empty.2.lines().next().unwrap().to_owned();
        let mut lost = plan(&config, &[empty]);
        assert!(lost.failures.is_empty());
        lost.miss_lost(&good, &surfaces(&config));
        let failure = lost.failures.first().unwrap();
        assert!(failure.sentence.contains("has lost its test entry"));
        assert!(good.was_well(failure));
    }
}
