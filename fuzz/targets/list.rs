//! The other formats of lists: read, compiled, and asked for what their entries are about.

use cordon::compile::{Blocklist, Compiler, Format, Protected, RuleView};
use cordon::policy::{CanonicalUrl, Decision, Kind, Name, Reach, RuleId};
use cordon::verify::Verified;

use super::octets::Octets;
use super::policy::settings;

/// The format, then the list.
pub(super) fn run(octets: &[u8]) {
    let mut octets = Octets(octets);
    let format = octets.pick(&FORMATS);
    let text = octets.0;
    let mut compiler = Compiler::new(&Protected::default(), jiff::Timestamp::UNIX_EPOCH);
    let settings = settings("list", format);
    compiler.add(&settings, &Verified::unsigned("list", "list", text.into()));
    let blocklist = compiler.finish();
    let lines = text.split(|octet| *octet == b'\n').count();
    for reject in &blocklist.lists()[0].rejects {
        let line = usize::try_from(reject.line).expect("a line");
        assert!(line >= 1 && line <= lines, "{reject:?}");
    }
    for number in 0..blocklist.rule_count() {
        let rule = RuleId(u32::try_from(number).expect("few rules"));
        let view = blocklist.rule(rule).expect("a rule that is counted");
        if blocklist.is_active(rule) && !view.canary {
            check(&blocklist, &view);
        }
    }
    for line in text.split(|octet| *octet == b'\n') {
        if let Ok(line) = std::str::from_utf8(line)
            && let Ok(url) = CanonicalUrl::parse(line)
        {
            let again = CanonicalUrl::parse(&url.to_string());
            assert_eq!(again.as_ref(), Ok(&url), "{line:?} has two spellings");
        }
    }
}

/// An entry that was taken and is in effect, or one before it, decides on its own value.
fn check(blocklist: &Blocklist, view: &RuleView<'_>) {
    let decision = match (view.kind, view.match_word) {
        (Kind::Url, _) => {
            let url = CanonicalUrl::parse(view.value);
            let url = url.expect("a taken URL is one");
            assert_eq!(url.to_string(), view.value);
            blocklist.decide_url(&url, None)
        }
        (Kind::Domain | Kind::Exception, "exact" | "subtree")
            if view.reach != Reach::PolicyZone =>
        {
            let name = Name::from_text(view.value).expect("a taken name is one");
            blocklist.decide_name(&name, None)
        }
        _ => return,
    };
    assert_ne!(decision, Decision::default(), "{view:?}");
}

const FORMATS: [Format; 6] = [
    Format::Native,
    Format::Domains,
    Format::Hosts,
    Format::Urls,
    Format::Addresses,
    Format::Rpz,
];
