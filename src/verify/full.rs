//! The target file `LIST/full`: what its role says of it, and the plaintext in it.

use std::io::Read;

use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest, Sha256};
use sigstore_tuf::TargetFile;

use super::{ListVersion, VerifyError, hex};

/// What the role of a list signs about the complete state of the list: length and digest
/// of the file, and the fields of trust.md section 7.3.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Full {
    /// The path of the target, which errors name.
    path: String,
    /// Octets of the file.
    pub(super) length: u64,
    /// SHA-256 of the file, in hex; part of its name in the repository.
    pub(super) digest: String,
    /// Which version it is.
    pub(super) version: ListVersion,
    /// Entries in it; the header is none.
    entries: u64,
    /// Octets of the plaintext.
    size: u64,
    /// When the authority issued it, by its own clock.
    pub(super) issued_at: Option<Timestamp>,
}

impl Full {
    /// Reads what the role of `list` says.
    ///
    /// # Errors
    /// [`VerifyError`] where a field is missing or wrong, the file would exceed the limits,
    /// or its format is none that we know.
    pub(super) fn read(list: &str, target: &TargetFile) -> Result<Self, VerifyError> {
        let path = format!("{list}/full");
        let malformed = |reason: &str| VerifyError::Malformed {
            file: path.clone(),
            reason: reason.to_owned(),
        };
        let unsupported = |reason: String| VerifyError::Unsupported {
            file: path.clone(),
            reason,
        };
        let custom = target.custom.as_ref().unwrap_or(&Value::Null);
        let number = |name: &str| {
            custom
                .get(name)
                .and_then(Value::as_u64)
                .ok_or_else(|| malformed(&format!("its custom field {name} is not a number")))
        };
        let digest_of = |value: Option<&str>| {
            value
                .filter(|text| is_sha256(text))
                .map(str::to_owned)
                .ok_or_else(|| malformed("it has no SHA-256"))
        };
        let format = number("format")?;
        if format != FORMAT {
            return Err(unsupported(format!("is of format {format}")));
        }
        if custom.get("list").and_then(Value::as_str) != Some(list) {
            return Err(malformed("its custom field list names another list"));
        }
        if custom.get("comp").and_then(Value::as_str) != Some("zstd") {
            return Err(unsupported("is not compressed with zstd".to_owned()));
        }
        if custom.get("enc").is_some_and(|enc| !enc.is_null()) {
            return Err(unsupported("is encrypted".to_owned()));
        }
        let full = Self {
            length: target.length,
            digest: digest_of(target.hashes.get("sha256").map(String::as_str))?,
            version: ListVersion {
                generation: number("generation")?,
                seq: number("seq")?,
                state: digest_of(custom.get("state").and_then(Value::as_str))?,
            },
            entries: number("entries")?,
            size: number("size")?,
            issued_at: custom
                .get("issued_at")
                .and_then(Value::as_str)
                .and_then(|text| text.parse().ok()),
            path,
        };
        full.check_limits()?;
        Ok(full)
    }

    /// The plaintext in the file that was fetched.
    ///
    /// # Errors
    /// [`VerifyError`] where the file or its plaintext is not what was signed.
    pub(super) fn open(&self, file: &[u8]) -> Result<Vec<u8>, VerifyError> {
        self.expect("octets", self.length, file.len() as u64)?;
        self.expect("SHA-256", &self.digest, &hex(&Sha256::digest(file)))?;
        let limit = self.size.saturating_add(1);
        let mut plaintext = Vec::with_capacity(usize::try_from(self.size).unwrap_or(0));
        zstd::Decoder::new(file)
            .and_then(|decoder| decoder.take(limit).read_to_end(&mut plaintext))
            .map_err(|error| VerifyError::Malformed {
                file: self.path.clone(),
                reason: format!("cannot be decompressed: {error}"),
            })?;
        self.check(&plaintext)?;
        Ok(plaintext)
    }

    /// Whether that is the plaintext that was signed, wherever it comes from.
    ///
    /// # Errors
    /// [`VerifyError::HashMismatch`].
    pub(super) fn check(&self, plaintext: &[u8]) -> Result<(), VerifyError> {
        self.expect("octets of plaintext", self.size, plaintext.len() as u64)?;
        let state = hex(&Sha256::digest(plaintext));
        self.expect("state", &self.version.state, &state)?;
        let lines = plaintext.iter().filter(|octet| **octet == b'\n').count() as u64;
        self.expect("entries", self.entries, lines.saturating_sub(1))
    }

    /// Whether file and plaintext are within the limits.
    fn check_limits(&self) -> Result<(), VerifyError> {
        let too_long = |octets_max| VerifyError::TooLong {
            file: self.path.clone(),
            octets_max,
        };
        if self.length > FULL_OCTETS_MAX {
            return Err(too_long(FULL_OCTETS_MAX));
        }
        let plaintext_max = plaintext_octets_max(self.length);
        if self.size > plaintext_max {
            return Err(too_long(plaintext_max));
        }
        Ok(())
    }

    /// Compares one thing that was signed.
    fn expect<T: PartialEq + std::fmt::Display>(
        &self,
        what: &str,
        signed: T,
        found: T,
    ) -> Result<(), VerifyError> {
        if signed == found {
            return Ok(());
        }
        Err(VerifyError::HashMismatch {
            file: self.path.clone(),
            expected: format!("{signed} ({what})"),
            found: found.to_string(),
        })
    }
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

/// Whether that is a SHA-256 in lower-case hex.
fn is_sha256(text: &str) -> bool {
    text.len() == 64
        && text
            .bytes()
            .all(|octet| octet.is_ascii_digit() || (b'a'..=b'f').contains(&octet))
}

/// The format of list files.
const FORMAT: u64 = 1;
/// The most octets of a list's file.
pub const FULL_OCTETS_MAX: u64 = 256 << 20;
/// The most octets of a list's plaintext; it is in memory while it is compiled.
const PLAINTEXT_OCTETS_MAX: u64 = 1 << 30;
/// How often the plaintext may be longer than the file.
const RATIO_MAX: u64 = 64;
/// What a plaintext may always have.
const SHORT_OCTETS: u64 = 64 << 10;

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
        let opened = Full::read("a", &target).and_then(|full| full.open(&file));
        match opened {
            Ok(plaintext) => {
                assert_eq!(outcome, "ok");
                assert_eq!(plaintext, PLAINTEXT);
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
        let error = Full::read("a", &target).unwrap().open(&bomb).unwrap_err();
        assert_eq!(error.outcome(), "hash_mismatch");
    }
}
