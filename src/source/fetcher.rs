//! [`Source`]: fetches one named file from a mirror, within limits.

use std::time::SystemTime;

use jiff::Timestamp;

use super::directory;
use super::https::{Http, is_http};
use super::{Mirror, Settings, SourceError};

/// The mirrors of one repository. None is trusted: what they send is judged elsewhere.
#[derive(Debug)]
pub struct Source {
    mirrors: Vec<Mirror>,
    http: Option<Http>,
}

/// What a mirror answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Fetched {
    /// The file, and by what the mirror knows this version again.
    File(Vec<u8>, Option<Validator>),
    /// The mirror says that there is no such file.
    Absent,
    /// The file is the one that the validator came with.
    Unchanged,
}

/// By what a mirror knows a version of a file again; worth nothing at another mirror.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Validator {
    /// RFC 9110 section 8.8: ETag and Last-Modified, as the mirror sent them.
    Http {
        /// The entity tag, quotes included.
        etag: Option<String>,
        /// The date.
        modified: Option<String>,
    },
    /// Of a file on this machine.
    Stat {
        /// When it was written.
        modified: SystemTime,
        /// Its length in octets.
        octets: u64,
        /// Its inode.
        inode: u64,
    },
}

impl Source {
    /// The mirrors of the settings. Nothing is connected yet; PEM files are read.
    ///
    /// # Errors
    /// [`SourceError::Tls`] or [`SourceError::Authorities`] when https cannot be spoken.
    pub fn new(settings: &Settings) -> Result<Self, SourceError> {
        let http = settings.mirrors.iter().any(is_http);
        Ok(Self {
            mirrors: settings.mirrors.clone(),
            http: http.then(|| Http::new(settings)).transpose()?,
        })
    }

    /// How many mirrors there are.
    #[must_use]
    pub fn mirror_count(&self) -> usize {
        self.mirrors.len()
    }

    /// The address of a mirror, for people.
    #[must_use]
    pub fn address(&self, mirror: usize) -> String {
        match self.mirrors.get(mirror) {
            Some(Mirror::Http(base)) => base.clone(),
            Some(Mirror::Directory(folder)) => folder.display().to_string(),
            None => String::new(),
        }
    }

    /// Ends the next fetches at `until` at the latest; a long file goes on where it stopped.
    pub fn bound(&mut self, until: tokio::time::Instant) {
        if let Some(http) = &mut self.http {
            http.bound(until);
        }
    }

    /// How often a transfer that broke off was taken up again, since the last call.
    pub fn take_retries(&mut self) -> u64 {
        self.http.as_mut().map_or(0, Http::take_retries)
    }

    /// What time it was at the mirror that answered last over HTTP, by its own word, since
    /// the last call: a hint and no more, for anyone on the way may have set it.
    pub fn take_date(&mut self) -> Option<Timestamp> {
        self.http.as_mut().and_then(Http::take_date)
    }

    /// Fetches the file at `path` below a mirror: at most `octets_max` octets, and only if
    /// it is another than `validator` came with.
    ///
    /// # Errors
    /// [`SourceError`]; only the mirror's own word makes a file [`Fetched::Absent`].
    pub async fn fetch(
        &mut self,
        mirror: usize,
        path: &str,
        octets_max: u64,
        validator: Option<&Validator>,
    ) -> Result<Fetched, SourceError> {
        if !is_plain_path(path) {
            return Err(SourceError::Path(path.to_owned()));
        }
        match (self.mirrors.get(mirror), &mut self.http) {
            (Some(Mirror::Directory(folder)), _) => {
                directory::fetch(folder, path, octets_max, validator)
            }
            (Some(Mirror::Http(base)), Some(http)) => {
                http.fetch(base, path, octets_max, validator).await
            }
            _ => Err(SourceError::Path(path.to_owned())),
        }
    }
}

/// Whether that is a path that stays below where it is put: segments of letters, digits and
/// `-_.~`, none of them empty, `.` or `..`. Other octets stand percent-encoded, in upper case
/// (RFC 3986 section 2.1); a mirror may read them as it likes, here they are not decoded.
fn is_plain_path(path: &str) -> bool {
    path.split('/')
        .all(|segment| !matches!(segment, "" | "." | "..") && is_plain_segment(segment.as_bytes()))
}

/// Whether each octet stands for itself or is percent-encoded.
fn is_plain_segment(mut rest: &[u8]) -> bool {
    let is_hex = |octet: &u8| matches!(octet, b'0'..=b'9' | b'A'..=b'F');
    loop {
        rest = match rest {
            [] => return true,
            [b'%', one, two, more @ ..] if is_hex(one) && is_hex(two) => more,
            [octet, more @ ..] if octet.is_ascii_alphanumeric() || b"-_.~".contains(octet) => more,
            _ => return false,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_below_the_mirror() {
        for path in [
            "metadata/1.root.json",
            "targets/csam/00ff.full",
            "a",
            "1.%2Fb.json",
            "%3F",
        ] {
            assert!(is_plain_path(path), "{path}");
        }
        for path in [
            "",
            "/etc/passwd",
            "../x",
            "a/../b",
            "a//b",
            "a/",
            "./a",
            "a\\b",
            "a%2fb",
            "a%2",
            "a%",
            "%2G",
            "a b",
            "a?b",
            "a#b",
            "a\0",
        ] {
            assert!(!is_plain_path(path), "{path}");
        }
    }
}
