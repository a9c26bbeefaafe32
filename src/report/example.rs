//! An edition of two small lists, for the tests of this folder.

use crate::compile::{self, Ede, Format, From, PassThru, Settings};
use crate::count::HitCounter;
use crate::enforce::Edition;
use crate::policy::{Origin, Provenance, Scope};

/// The time at which the example is looked at.
pub(super) const NOW: &str = "2026-11-24T08:30:00Z";

const GAMBLING: &str = r#"{"defaults":{"category":"gambling","legal":{"authority":"Example Authority","basis":"Gambling Act, s. 4"}},"format":1,"issuer":{"authority_id":"xx","name":"Example Authority"},"list":"gambling","title":{"en":"Register of unlicensed gambling"}}
{"id":"G-1","kind":"domain","match":"subtree","value":"one.test"}
{"id":"G-2","kind":"domain","match":"exact","value":"two.test"}
{"id":"G-3","kind":"url","match":"exact","value":"http://three.test/a"}
{"id":"G-4","kind":"domain","match":"subtree","value":"bad..name.test"}
"#;

fn settings(name: &str, format: Format) -> Settings {
    Settings {
        passthru: PassThru::List,
        ede: Ede::Censored,
        required: false,
        ..Settings::new(
            name,
            From::File {
                path: "x".into(),
                format,
                scope: Some(Scope::Subtree),
            },
        )
    }
}

/// Edition 3: `gambling`, signed, serial 7, three entries and a quarantined row;
/// `house-rules`, unsigned, one entry.
pub(super) fn edition() -> Edition {
    let signed = Provenance {
        list: "gambling".into(),
        title: "gambling".into(),
        issuer: None,
        origin: Origin::Signed {
            repository: "authority".into(),
            generation: 1,
            seq: 7,
            state: "ab".repeat(32),
            signers: vec!["a1b2".into(), "c3d4".into()],
            threshold: 2,
            keys: 3,
            accepted: None,
            issued_at: Some("2026-11-24T06:00:00Z".parse().unwrap()),
            expires: "2026-12-24T06:00:00Z".parse().unwrap(),
        },
    };
    let unsigned = Provenance {
        list: "house-rules".into(),
        title: "house-rules".into(),
        issuer: None,
        origin: Origin::Unsigned {
            path: "/etc/cordon/house-rules.txt".into(),
            digest: "cd".repeat(32),
        },
    };
    let lists = [
        (settings("gambling", Format::Native), signed, GAMBLING),
        (
            settings("house-rules", Format::Domains),
            unsigned,
            "four.test\n",
        ),
    ];
    let blocklist = compile::example::blocklist(&lists, NOW);
    let counter = HitCounter::in_memory(blocklist.rule_count());
    Edition {
        number: 3,
        since: "2026-11-24T07:00:00Z".parse().unwrap(),
        blocklist,
        counter,
    }
}
