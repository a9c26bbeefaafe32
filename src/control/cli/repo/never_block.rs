//! `cordon repo never-block`: names that no list may block, signed by the offline keys.

use std::net::IpAddr;
use std::path::PathBuf;

use super::at_hand::{keys, repository};
use super::command::{Output, Place, Stage};
use super::outcome::{exit, read_text};
use super::policy::{AcceptEffects, say_change};
use crate::control::ExitError;
use crate::control::clock;
use crate::verify::read_never_block;

/// What is asked of `cordon repo never-block`.
#[derive(Debug, clap::Args)]
pub(crate) struct NeverBlock {
    #[command(flatten)]
    place: Place,
    /// The names, one a line, each with all names below it; `#` begins a comment.
    #[arg(long)]
    from: PathBuf,
    #[command(flatten)]
    accept: AcceptEffects,
    #[command(flatten)]
    stage: Stage,
    #[command(flatten)]
    output: Output,
}

impl NeverBlock {
    /// Publishes the names, and says which are new and which are gone.
    pub(super) fn run(&self) -> Result<(), ExitError> {
        let text = read_text(&self.from)?;
        let failed =
            |reason: String| ExitError::failed(format!("{}: {reason}", self.from.display()));
        check_lines(&text).map_err(failed)?;
        let names = read_never_block(text.as_bytes()).map_err(failed)?;
        let keys = keys(&self.place)?;
        let mut repository = repository(&self.place, self.stage)?;
        let change = repository
            .never_block(&keys, &names, self.accept.reason(), clock::timestamp())
            .map_err(exit)?;
        drop(repository);
        let staged = self.stage.next(&self.place, &keys)?;
        say_change(
            "The list of names that are never blocked",
            &change,
            staged,
            &self.output,
        )
    }
}

/// Refuses lines that could be read as names and that nobody means as such: they would keep
/// nothing from being blocked.
fn check_lines(text: &str) -> Result<(), String> {
    for (line, number) in text.lines().zip(1..) {
        let name = line.split('#').next().unwrap_or_default().trim();
        let is_address = name.trim_end_matches('.').parse::<IpAddr>().is_ok();
        let mend = if is_address || name.contains([':', '/']) {
            "this is an address, not a name; give the name alone, as it stands in DNS"
        } else if name.starts_with("*.") {
            "a wildcard is not a name; give it without `*.`: every name below it is meant, too"
        } else if is_malformed(name) {
            "a label that begins with xn-- says nothing; write the name in its own script"
        } else {
            continue;
        };
        return Err(format!("line {number}: {name}: {mend}"));
    }
    Ok(())
}

/// Whether a label of a name begins as an A-label and is none (RFC 5890).
fn is_malformed(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let mut labels = name.split('.');
    labels.any(|label| label.starts_with("xn--") && idna::domain_to_unicode(label).1.is_err())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_means_as_a_name_is_refused_with_its_line() {
        let check = |line: &str, expected: Option<&str>| {
            let refused = check_lines(&format!("# ours\nbank.test\n{line} # why\n")).err();
            match (refused, expected) {
                (Some(refused), Some(expected)) => assert!(
                    refused.starts_with("line 3: ") && refused.contains(expected),
                    "{refused}"
                ),
                (refused, expected) => assert_eq!(refused.as_deref(), expected, "{line}"),
            }
        };
        for address in ["192.0.2.1", "192.0.2.1.", "2001:db8::1", "192.0.2.0/24"] {
            check(address, Some("give the name alone"));
        }
        check("https://bank.test/", Some("give the name alone"));
        check("*.bank.test", Some("without `*.`"));
        for malformed in ["xn--", "www.xn--zzzzzz99999.test", "XN--a\u{7f}.test"] {
            check(malformed, Some("in its own script"));
        }
        for name in [
            "xn--bcher-kva.test",
            "b\u{fc}cher.test",
            "_a.test",
            "1.test",
        ] {
            check(name, None);
        }
    }
}
