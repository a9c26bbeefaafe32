//! Passwords of the report's users, as argon2id hashes.

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use sha2::{Digest, Sha256};

/// The hash of a password with a random salt, as a PHC string (argon2id, RFC 9106); nothing
/// when the system has no randomness to give.
#[must_use]
pub(super) fn hash(password: &str) -> Option<String> {
    Argon2::default()
        .hash_password(password.as_bytes())
        .ok()
        .map(|hash| hash.to_string())
}

/// Whether it is the password of that hash. Takes tens of milliseconds and 19 MiB.
#[must_use]
pub(super) fn verify(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| {
        Argon2::default()
            .verify_password(password.as_bytes(), &hash)
            .is_ok()
    })
}

/// Whether that is a hash that [`verify`] understands.
#[must_use]
pub(super) fn is_hash(hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| hash.algorithm.as_str() == "argon2id")
}

/// Verifies against a hash that nobody's password has, so that an unknown name takes as long
/// as a known one.
pub(super) fn verify_nobody(password: &str) {
    let _ = std::hint::black_box(verify(password, NOBODY));
}

/// A digest under which a verified password is remembered for a moment, in memory alone.
#[must_use]
pub(super) fn digest(secret: &[u8; 32], name: &str, password: &str, hash: &str) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update(secret);
    for part in [name, password, hash] {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part.as_bytes());
    }
    digest.finalize().into()
}

/// Shorter passwords are not taken.
pub const PASSWORD_CHARS_MIN: usize = 12;
/// Longer ones neither; nor are they verified.
pub(super) const PASSWORD_OCTETS_MAX: usize = 1024;
/// Of a random password that was thrown away.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5J3Mgc2FsdCE$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_verifies_against_its_own_hash_alone() {
        let one = hash("correct horse").unwrap();
        let other = hash("correct horse").unwrap();
        assert_ne!(one, other, "salted");
        assert!(verify("correct horse", &one) && verify("correct horse", &other));
        assert!(!verify("correct horsf", &one));
        assert!(!verify("", &one));
        assert!(!verify("x", "no hash") && !is_hash("no hash"));
        assert!(is_hash(&one) && is_hash(NOBODY));
        let own = |hash: &str| hash.split('$').nth(3).unwrap().to_owned();
        assert_eq!(own(&one), own(NOBODY), "as costly");
    }
}
