//! Reads `self_test`: what the node asks itself, and how often.

use std::time::Duration;

use crate::config::SelfTestSettings;
use crate::config::scalar::{Scalar, duration};
use crate::config::section::Section;
use crate::policy::Name;

/// Reads it.
pub(super) fn read(s: &mut Section<'_, '_>) -> Option<SelfTestSettings> {
    let interval = s.default(
        "interval",
        "60s",
        "The pause between two self-tests; every new edition is tested at once besides.",
        duration(Duration::from_secs(1), HOUR),
    );
    let must_work = s.list(
        "must_work",
        &[],
        "Names that must resolve here; no list blocks these very names.",
        Scalar::new("a domain name", must_work),
    )?;
    if must_work.len() > MUST_WORK_MAX {
        let place = s.place_of_item("must_work", MUST_WORK_MAX);
        s.wrong_at(
            place,
            format!("these are more than {MUST_WORK_MAX} names"),
            "name the few that everything else hangs on; `protect` takes as many as you like",
        );
        return None;
    }
    Some(SelfTestSettings {
        interval: interval?,
        must_work,
    })
}

/// A name that can be looked up.
fn must_work(text: &str) -> Result<Name, String> {
    match Name::from_text(text) {
        Ok(name) if name == Name::ROOT => Err("the root has no address".to_owned()),
        Ok(name) => Ok(name),
        Err(error) => Err(error.to_string()),
    }
}

/// The longest pause.
const HOUR: Duration = Duration::from_secs(3_600);
/// How many names are looked up in one self-test.
const MUST_WORK_MAX: usize = 50;
