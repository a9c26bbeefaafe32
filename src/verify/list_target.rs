//! [`ListTarget`]: what the role of a list signs about one file of it, the complete state or
//! a step towards a state, and what is in that file.

use std::io::Read;

use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest, Sha256};
use sigstore_tuf::TargetFile;

use super::{Blocks, Delta, ListVersion, Text, VerifyError, hex};

/// What the role of a list signs about a file: its length and digest, and the fields of
/// trust.md section 7.3.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct ListTarget {
    /// The path of the target, which errors name.
    pub(super) path: String,
    /// Octets of the file.
    pub(super) length: u64,
    /// SHA-256 of the file, in hex; part of its name in the repository.
    digest: String,
    /// The state that it holds, or leads to.
    pub(super) state: SignedState,
    /// Where it leads from; nothing for the complete state.
    pub(super) step: Option<Step>,
}

/// What is signed about one state of a list, however it is come by.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct SignedState {
    /// The path of the target that says it.
    pub(super) path: String,
    /// Which version it is.
    pub(super) version: ListVersion,
    /// Entries in it; the header is none.
    pub(super) entries: u64,
    /// Octets of the plaintext.
    size: u64,
    /// When the authority issued it, by its own clock.
    pub(super) issued_at: Option<Timestamp>,
    /// Why the authority signed it although nodes will hold it, in its words.
    pub(super) accepted: Option<String>,
}

/// What is signed about a step (trust.md section 7.6).
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Step {
    /// The serial that it leads from.
    pub(super) from: u64,
    /// SHA-256 of the plaintext of that state, in hex.
    pub(super) from_state: String,
    /// How many entries come.
    pub(super) add: u64,
    /// How many entries go.
    pub(super) del: u64,
}

impl ListTarget {
    /// Reads what the role of `list` says of its target `name`.
    ///
    /// # Errors
    /// [`VerifyError`] where a field is missing or wrong, the file would exceed the limits,
    /// or its format is none that we know.
    pub(super) fn read(list: &str, name: &str, target: &TargetFile) -> Result<Self, VerifyError> {
        let path = format!("{list}/{name}");
        let custom = target.custom.as_ref().unwrap_or(&Value::Null);
        let fields = Fields {
            path: &path,
            custom,
        };
        fields.check_format(list)?;
        let state = SignedState {
            path: path.clone(),
            version: ListVersion {
                generation: fields.number("generation")?,
                seq: fields.number("seq")?,
                state: fields.digest(custom.get("state").and_then(Value::as_str))?,
            },
            entries: fields.number("entries")?,
            size: fields.number("size")?,
            issued_at: custom
                .get("issued_at")
                .and_then(Value::as_str)
                .and_then(|text| text.parse().ok()),
            accepted: custom
                .pointer("/accepted/reason")
                .and_then(Value::as_str)
                .map(|reason| one_line(reason, ACCEPTED_CHARS_MAX)),
        };
        let step = if name == FULL {
            None
        } else {
            let from_state = custom.get("from_state").and_then(Value::as_str);
            Some(Step {
                from: fields.number("from")?,
                from_state: fields.digest(from_state)?,
                add: fields.number("add")?,
                del: fields.number("del")?,
            })
        };
        let read = Self {
            length: target.length,
            digest: fields.digest(target.hashes.get("sha256").map(String::as_str))?,
            state,
            step,
            path: path.clone(),
        };
        read.check_step(list)?;
        read.check_limits()?;
        Ok(read)
    }

    /// Where the file is, below the repository's address.
    pub(super) fn file(&self) -> String {
        let (list, name) = self.path.split_once('/').unwrap_or_default();
        format!("targets/{list}/{}.{name}", self.digest)
    }

    /// The text in the file of a complete state.
    ///
    /// # Errors
    /// [`VerifyError`] where the file or its text is not what was signed.
    #[cfg(test)]
    fn open_full(&self, file: &[u8]) -> Result<Text, VerifyError> {
        self.check_file(file)?;
        self.state.check(Text::packed(file.to_vec()))
    }

    /// Whether that is the file that was signed.
    ///
    /// # Errors
    /// [`VerifyError::HashMismatch`].
    pub(super) fn check_file(&self, file: &[u8]) -> Result<(), VerifyError> {
        expect(&self.path, "octets", self.length, file.len() as u64)?;
        expect(
            &self.path,
            "SHA-256",
            self.digest.as_str(),
            &hex(&Sha256::digest(file)),
        )
    }

    /// The step in a file that passed [`Self::check_file`]; `left` is how many octets it may
    /// have at most, unpacked, beside those before it.
    ///
    /// # Errors
    /// [`VerifyError`] where it is not the step that the role speaks of, or too long.
    pub(super) fn open_step(
        &self,
        list: &str,
        file: &[u8],
        left: u64,
    ) -> Result<Delta, VerifyError> {
        let octets_max = plaintext_octets_max(self.length).min(left);
        let text = self.unpack(file, octets_max)?;
        if text.len() as u64 > octets_max {
            return Err(self.too_long(octets_max));
        }
        let delta = Delta::read(&text).map_err(|reason| self.malformed(reason))?;
        let Some(step) = &self.step else {
            return Err(self.malformed("is no step".to_owned()));
        };
        let ListVersion {
            generation, seq, ..
        } = self.state.version;
        if delta.list != list {
            return Err(self.malformed(format!("is a step of the list {}", delta.list)));
        }
        let (added, removed) = (delta.added.len() as u64, delta.removed.len() as u64);
        for (what, signed, found) in [
            ("generation", generation, delta.generation),
            ("from", step.from, delta.from),
            ("to", seq, delta.to),
            ("add", step.add, added),
            ("del", step.del, removed),
        ] {
            expect(&self.path, what, signed, found)?;
        }
        Ok(delta)
    }

    /// Decompresses a file; one octet more than `octets_max` at most.
    fn unpack(&self, file: &[u8], octets_max: u64) -> Result<Vec<u8>, VerifyError> {
        let mut text = Vec::new();
        zstd::Decoder::new(file)
            .and_then(|decoder| {
                decoder
                    .take(octets_max.saturating_add(1))
                    .read_to_end(&mut text)
            })
            .map_err(|error| self.malformed(format!("cannot be decompressed: {error}")))?;
        Ok(text)
    }

    /// Whether a step is named after the serials it joins.
    fn check_step(&self, list: &str) -> Result<(), VerifyError> {
        let Some(Step { from, .. }) = self.step else {
            return Ok(());
        };
        let seq = self.state.version.seq;
        if self.path != step_path(list, from, seq) || from.checked_add(1) != Some(seq) {
            return Err(self.malformed(format!("leads from {from} to {seq} by its fields")));
        }
        Ok(())
    }

    /// Whether file and plaintext are within the limits. What a step makes of a state is at
    /// most that state and the step together, so that only the file counts here.
    fn check_limits(&self) -> Result<(), VerifyError> {
        if self.length > FULL_OCTETS_MAX {
            return Err(self.too_long(FULL_OCTETS_MAX));
        }
        let plaintext_max = match self.step {
            None => plaintext_octets_max(self.length),
            Some(_) => PLAINTEXT_OCTETS_MAX,
        };
        if self.state.size > plaintext_max {
            return Err(self.too_long(plaintext_max));
        }
        Ok(())
    }

    fn too_long(&self, octets_max: u64) -> VerifyError {
        VerifyError::TooLong {
            file: self.path.clone(),
            octets_max,
        }
    }

    fn malformed(&self, reason: String) -> VerifyError {
        VerifyError::Malformed {
            file: self.path.clone(),
            reason,
        }
    }
}

impl SignedState {
    /// The most octets that the steps of one way to this state, or to one after it, have
    /// together. More of them change more than the whole state is.
    pub(super) const fn steps_octets_max(&self) -> u64 {
        self.size.saturating_add(STEPS_OCTETS_MORE)
    }

    /// The text, if it is the one that was signed, wherever it comes from.
    ///
    /// # Errors
    /// [`VerifyError::HashMismatch`]; [`VerifyError::Malformed`] where it cannot be read.
    pub(super) fn check(&self, text: Text) -> Result<Text, VerifyError> {
        let blocks = text.blocks().map_err(|reason| self.malformed(reason))?;
        let (_, line_feeds) = self.check_blocks(blocks)?;
        Ok(text.counted(line_feeds))
    }

    /// Whether these are the blocks of the text that was signed; returns them, for what their
    /// steps changed, and the number of line feeds.
    ///
    /// # Errors
    /// The same.
    pub(super) fn check_blocks<'a>(
        &self,
        mut blocks: Blocks<'a>,
    ) -> Result<(Blocks<'a>, u64), VerifyError> {
        let path = &self.path;
        let (mut octets, mut line_feeds, mut digest) = (0_u64, 0_u64, Sha256::new());
        while let Some(block) = blocks.next().map_err(|reason| self.malformed(reason))? {
            octets = octets.saturating_add(block.len() as u64);
            if octets > self.size {
                break;
            }
            let count = memchr::memchr_iter(b'\n', block).count() as u64;
            line_feeds = line_feeds.saturating_add(count);
            digest.update(block);
        }
        expect(path, "octets of plaintext", self.size, octets)?;
        let state = hex(&digest.finalize());
        expect(path, "state", self.version.state.as_str(), &state)?;
        expect(path, "entries", self.entries, line_feeds.saturating_sub(1))?;
        Ok((blocks, line_feeds))
    }

    fn malformed(&self, reason: String) -> VerifyError {
        VerifyError::Malformed {
            file: self.path.clone(),
            reason,
        }
    }
}

/// The fields of our own of one target.
struct Fields<'a> {
    path: &'a str,
    custom: &'a Value,
}

impl Fields<'_> {
    /// Whether they are of a format that we know, and of that list.
    fn check_format(&self, list: &str) -> Result<(), VerifyError> {
        let unsupported = |reason: String| VerifyError::Unsupported {
            file: self.path.to_owned(),
            reason,
        };
        let format = self.number("format")?;
        if format != FORMAT {
            return Err(unsupported(format!("is of format {format}")));
        }
        if self.custom.get("list").and_then(Value::as_str) != Some(list) {
            return Err(self.malformed("its custom field list names another list"));
        }
        if self.custom.get("comp").and_then(Value::as_str) != Some("zstd") {
            return Err(unsupported("is not compressed with zstd".to_owned()));
        }
        if self.custom.get("enc").is_some_and(|enc| !enc.is_null()) {
            return Err(unsupported("is encrypted".to_owned()));
        }
        Ok(())
    }

    fn number(&self, name: &str) -> Result<u64, VerifyError> {
        let number = self.custom.get(name).and_then(Value::as_u64);
        number.ok_or_else(|| self.malformed(&format!("its custom field {name} is not a number")))
    }

    fn digest(&self, value: Option<&str>) -> Result<String, VerifyError> {
        value
            .filter(|text| is_sha256(text))
            .map(str::to_owned)
            .ok_or_else(|| self.malformed("it has no SHA-256"))
    }

    fn malformed(&self, reason: &str) -> VerifyError {
        VerifyError::Malformed {
            file: self.path.to_owned(),
            reason: reason.to_owned(),
        }
    }
}

/// Compares one thing that was signed.
fn expect<T: PartialEq + std::fmt::Display>(
    path: &str,
    what: &str,
    signed: T,
    found: T,
) -> Result<(), VerifyError> {
    if signed == found {
        return Ok(());
    }
    Err(VerifyError::HashMismatch {
        file: path.to_owned(),
        expected: format!("{signed} ({what})"),
        found: found.to_string(),
    })
}

/// The path of the step between two serials of a list.
fn step_path(list: &str, from: u64, to: u64) -> String {
    format!("{list}/{STEP}{from}-{to}")
}

/// The most octets that a file of that length may hold: 64 times as many, and a little for
/// lists so short that their header dominates.
#[must_use]
pub fn plaintext_octets_max(length: u64) -> u64 {
    length
        .saturating_mul(RATIO_MAX)
        .saturating_add(SHORT_OCTETS)
        .min(PLAINTEXT_OCTETS_MAX)
}

/// Whether this is a SHA-256 in lower-case hex.
pub(super) fn is_sha256(text: &str) -> bool {
    text.len() == 64
        && text
            .bytes()
            .all(|octet| octet.is_ascii_digit() || (b'a'..=b'f').contains(&octet))
}

/// The target of the complete state, below the list's name.
pub(super) const FULL: &str = "full";
/// How the targets of steps begin, below the list's name.
pub(super) const STEP: &str = "delta-";
/// The format of list files.
const FORMAT: u64 = 1;
/// The most octets of a list's file.
pub const FULL_OCTETS_MAX: u64 = 256 << 20;
/// The most octets of a list's plaintext; it is in memory while it is compiled.
const PLAINTEXT_OCTETS_MAX: u64 = 1 << 30;
/// How often the plaintext may be longer than the file.
const RATIO_MAX: u64 = 64;
/// What the steps of one way may have beside the length of a state.
const STEPS_OCTETS_MORE: u64 = 1 << 20;
/// What a plaintext may always have.
const SHORT_OCTETS: u64 = 64 << 10;

/// A text of somebody else as one line that is safe to show.
fn one_line(text: &str, chars_max: usize) -> String {
    let chars = text.chars().take(chars_max);
    chars
        .map(|one| if one.is_control() { ' ' } else { one })
        .collect()
}

/// So much of the authority's reason is shown.
const ACCEPTED_CHARS_MAX: usize = 500;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PLAINTEXT: &[u8] = b"{\"header\":1}\n{\"id\":\"1\"}\n";

    fn signed(change: impl FnOnce(&mut Value)) -> (Value, Vec<u8>) {
        let file = zstd::encode_all(PLAINTEXT, 3).unwrap();
        let mut target = json!({
            "length": file.len(),
            "hashes": {"sha256": hex(&Sha256::digest(&file))},
            "custom": {
                "format": 1, "list": "a", "generation": 1, "seq": 7,
                "state": hex(&Sha256::digest(PLAINTEXT)),
                "entries": 1, "size": PLAINTEXT.len(), "comp": "zstd", "enc": null, "epoch": null,
            },
        });
        change(&mut target);
        (target, file)
    }

    fn check(change: impl FnOnce(&mut Value), outcome: &str) {
        let (target, file) = signed(change);
        let target: TargetFile = serde_json::from_value(target).unwrap();
        let opened = ListTarget::read("a", FULL, &target).and_then(|full| full.open_full(&file));
        match opened {
            Ok(text) => {
                assert_eq!(outcome, "ok");
                assert_eq!(text.whole().unwrap().as_ref(), PLAINTEXT);
            }
            Err(error) => assert_eq!(error.outcome(), outcome, "{error}"),
        }
    }

    #[test]
    fn what_was_signed_opens() {
        check(|_| {}, "ok");
    }

    #[test]
    fn what_was_not_signed_does_not() {
        check(|t| t["length"] = json!(9), "hash_mismatch");
        check(
            |t| t["hashes"]["sha256"] = json!("0".repeat(64)),
            "hash_mismatch",
        );
        check(|t| t["hashes"] = json!({"md5": "00"}), "malformed");
        check(
            |t| t["custom"]["state"] = json!("0".repeat(64)),
            "hash_mismatch",
        );
        check(|t| t["custom"]["entries"] = json!(2), "hash_mismatch");
        check(|t| t["custom"]["size"] = json!(5), "hash_mismatch");
        check(|t| t["custom"]["size"] = json!(500), "hash_mismatch");
        check(|t| t["custom"]["size"] = json!(1u64 << 40), "too_long");
        check(|t| t["length"] = json!(1u64 << 40), "too_long");
        check(|t| t["custom"]["list"] = json!("b"), "malformed");
        check(|t| t["custom"]["seq"] = json!("7"), "malformed");
        check(|t| t["custom"]["format"] = json!(2), "unsupported");
        check(|t| t["custom"]["enc"] = json!("age"), "unsupported");
        check(|t| t["custom"]["comp"] = json!("none"), "unsupported");
        check(|t| t["custom"] = Value::Null, "malformed");
    }

    #[test]
    fn a_bomb_is_not_unpacked() {
        let bomb = zstd::encode_all(&vec![b'\n'; 100 << 20][..], 3).unwrap();
        let (mut target, _) = signed(|_| {});
        target["length"] = json!(bomb.len());
        target["hashes"]["sha256"] = json!(hex(&Sha256::digest(&bomb)));
        let target: TargetFile = serde_json::from_value(target).unwrap();
        let error = ListTarget::read("a", FULL, &target)
            .unwrap()
            .open_full(&bomb)
            .unwrap_err();
        assert_eq!(error.outcome(), "hash_mismatch");
    }
}
