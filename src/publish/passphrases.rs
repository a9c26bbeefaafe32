//! [`Passphrases`]: where the passphrases of encrypted key files come from.

use std::fmt;
use std::path::Path;

use pkcs8::der::zeroize::Zeroizing;

use super::PublishError;

/// A passphrase; its memory is wiped when it is dropped.
pub type Passphrase = Zeroizing<String>;

/// Where the passphrases of encrypted key files come from.
#[derive(Clone, Default)]
pub enum Passphrases {
    /// There is none: encrypted keys stay closed.
    #[default]
    Absent,
    /// This one, for every key.
    Given(Passphrase),
    /// A person is asked, with the path of the key file; the error is a sentence.
    Asked(fn(&Path) -> Result<Passphrase, String>),
}

impl Passphrases {
    /// A passphrase that is known already, for every key.
    #[must_use]
    pub fn given(passphrase: &str) -> Self {
        Self::Given(Zeroizing::new(passphrase.to_owned()))
    }

    /// The passphrase of a key file.
    ///
    /// # Errors
    /// [`PublishError::Key`] where there is none to be had.
    pub(super) fn of(&self, path: &Path) -> Result<Passphrase, PublishError> {
        let refused = |reason: String| PublishError::Key {
            path: path.to_owned(),
            reason,
        };
        match self {
            Self::Absent => Err(refused(
                "is encrypted; give --passphrase-file, or run this at a terminal, where it asks"
                    .to_owned(),
            )),
            Self::Given(passphrase) => Ok(passphrase.clone()),
            Self::Asked(ask) => ask(path).map_err(refused),
        }
    }
}

impl fmt::Debug for Passphrases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "Absent",
            Self::Given(_) => "Given",
            Self::Asked(_) => "Asked",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passphrase_is_never_shown() {
        let given = Passphrases::given("correct horse");
        assert_eq!(format!("{given:?}"), "Given");
        assert_eq!(&**given.of(Path::new("x")).unwrap(), "correct horse");
        let asked = Passphrases::Asked(|path| Err(format!("{} is not asked for", path.display())));
        let error = asked.of(Path::new("k.pem")).unwrap_err().to_string();
        assert_eq!(error, "k.pem: k.pem is not asked for");
        assert!(Passphrases::Absent.of(Path::new("k.pem")).is_err());
    }
}
