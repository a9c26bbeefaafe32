//! The target `never-block`: names that no list of its repository may block.

use crate::policy::Name;

/// Reads the file: one name a line, which stands for itself and all below it; `#` begins a
/// comment.
///
/// # Errors
/// What is wrong with it, as the end of a sentence that begins with its name. It is taken
/// whole or not at all: a name that is passed over would be blocked.
pub fn read_never_block(file: &[u8]) -> Result<Vec<Name>, String> {
    let text = std::str::from_utf8(file).map_err(|_| "is not UTF-8".to_owned())?;
    let mut names = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let name = line.split('#').next().unwrap_or_default().trim();
        if name.is_empty() {
            continue;
        }
        let name =
            Name::from_text(name).map_err(|error| format!("line {number}: {name}: {error}"))?;
        if name.is_root() {
            return Err(format!(
                "line {number}: the root name would let everything through"
            ));
        }
        names.push(name);
        if names.len() > NAMES_MAX {
            return Err(format!("has more than {NAMES_MAX} names"));
        }
    }
    names.sort_unstable_by_key(Name::to_string);
    names.dedup();
    Ok(names)
}

/// Writes the file.
#[must_use]
pub fn write_never_block(names: &[Name]) -> Vec<u8> {
    let mut lines: Vec<String> = names.iter().map(|name| format!("{name}\n")).collect();
    lines.sort_unstable();
    lines.dedup();
    lines.concat().into_bytes()
}

/// The most octets of the file.
pub const NEVER_BLOCK_OCTETS_MAX: u64 = 4 << 20;
/// The most names in it.
const NAMES_MAX: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(file: &str, expected: Result<&str, &str>) {
        match (read_never_block(file.as_bytes()), expected) {
            (Ok(names), Ok(expected)) => {
                let written = write_never_block(&names);
                assert_eq!(String::from_utf8_lossy(&written), expected);
            }
            (Err(error), Err(expected)) => assert!(error.contains(expected), "{error}"),
            (found, _) => panic!("{file:?}: {found:?}"),
        }
    }

    #[test]
    fn one_name_a_line() {
        check(
            "B.test # a bank\n\n# no\na.test.\na.test\n",
            Ok("a.test\nb.test\n"),
        );
        check("a.test\n*.b.test\n", Err("line 2"));
        check(".\n", Err("line 1"));
        check("", Ok(""));
    }
}
