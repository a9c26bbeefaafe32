//! [`AuditLog`]: what people did and overrode, one line each, chained by hashes.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::control::levers::audit_check::{self, Checked};
use crate::control::levers::audit_line::{
    Act, FORMAT, HASH_MEMBER, HEAD, Head, LINE_OCTETS_MAX, REASON_CHARS_MAX, REFUSED_CHARS_MAX,
    Record, Refused, SUBJECT_CHARS_MAX, WHO_CHARS_MAX, bounded, hash, read_head,
};
use crate::source;

/// `state/audit.log`: a JSON line for every thing that a person did, overrode or was refused
/// (`trust.md` section 7; issue "Trust", point 6). Each line holds the hash of the one before
/// it, and `audit.head` holds the last, so that a line that is changed, taken out or cut off
/// is noticed. A line is durable before what it speaks of takes effect.
///
/// Whoever may write to the state folder can write the whole chain anew; what the chain shows
/// is that nobody changed a part of it, or did so without care. Keep `audit.head` elsewhere,
/// now and then, to show more.
#[derive(Clone, Debug)]
pub(crate) struct AuditLog {
    state: PathBuf,
}

/// Why nothing can be written to the log; then nothing is done, either.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuditError {
    /// The system refuses.
    #[error(
        "{} cannot be written: {source}; nothing was done, for what a person does has to be on record first. Make space, or give the file to the user that runs cordon",
        path.display()
    )]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The head cannot be made durable.
    #[error("the head of the audit log cannot be written: {0}; nothing was done")]
    Head(#[from] source::SourceError),
}

impl AuditLog {
    /// The log of a state folder.
    #[must_use]
    pub(crate) fn new(state: &Path) -> Self {
        Self {
            state: state.to_owned(),
        }
    }

    /// Writes down what a person did, durably. The daemon and a command may both write: one
    /// waits for the other. Of what was refused the log takes so much a day; that there was
    /// more is one line.
    ///
    /// # Errors
    /// [`AuditError`]; the log is as it was before then.
    pub(crate) fn append(&self, act: &Act, now: Timestamp) -> Result<(), AuditError> {
        let lock = self.state.join(LOCK);
        let locked = self.open(&lock)?;
        locked.lock().map_err(|error| failed(&lock, error))?;
        let mut head = self.mend(now)?;
        self.rotate()?;
        match act.is_refused {
            true => self.write_refused(act, now, &mut head)?,
            false => self.write(act, now, &mut head)?,
        }
        if !is_begun(&self.state) {
            // Where this is not taken, the next line does it.
            let _ = (&locked).write_all(b"begun\n");
        }
        Ok(())
    }

    /// Whether the present file has that something was done, by the word for it.
    pub(crate) fn has(&self, what: &str) -> bool {
        let text = fs::read(self.state.join(LOG)).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        // What people say has its quotes escaped, and a changed line still says so much.
        let (what, done) = (format!("\"what\":\"{what}\""), "\"outcome\":\"done\"");
        text.lines()
            .any(|line| line.contains(&what) && line.contains(done))
    }

    /// Writes down what was refused, within what the day has left for that.
    fn write_refused(&self, act: &Act, now: Timestamp, head: &mut Head) -> Result<(), AuditError> {
        let day = now.as_second().div_euclid(DAY_SECONDS);
        if head.refused.day != day {
            head.refused = Refused {
                day,
                ..Refused::default()
            };
        }
        if head.refused.is_more {
            return Ok(());
        }
        let short = |text: &str| bounded(text, REFUSED_CHARS_MAX);
        let act = Act {
            subject: short(&act.subject),
            reason: short(&act.reason),
            outcome: short(&act.outcome),
            ..act.clone()
        };
        let length = self.line(&act, now, head)?.0.len();
        let taken = head.refused.octets.saturating_add(length as u64);
        if taken > REFUSED_OCTETS_MAX {
            head.refused.is_more = true;
            let more = Act {
                what: "more_refused",
                reason: "more was refused today than is written down".to_owned(),
                outcome: "noted".to_owned(),
                ..Act::default()
            };
            return self.write(&more, now, head);
        }
        head.refused.octets = taken;
        self.write(&act, now, head)
    }

    /// Checks the whole chain.
    ///
    /// # Errors
    /// A sentence that names the first line that is not what was written, or the file that
    /// cannot be read.
    pub(crate) fn check(&self) -> Result<Checked, String> {
        audit_check::check(&self.state)
    }

    /// Finds the end of the chain; a line that a crash left unfinished is cut off, and what
    /// is not as the head says is written down.
    fn mend(&self, now: Timestamp) -> Result<Head, AuditError> {
        let path = self.state.join(LOG);
        let mut anchor = read_head(&self.state);
        let mut last = self.last_line(&path)?;
        if last.is_empty() {
            last = self.last_line(&self.state.join(rotated(1)))?;
        }
        let (last, torn) = match last.iter().rposition(|octet| *octet == b'\n') {
            Some(end) => last.split_at(end + 1),
            None => last.split_at(0),
        };
        let last = last.strip_suffix(b"\n").unwrap_or_default();
        let start = last.iter().rposition(|octet| *octet == b'\n');
        let last = last.get(start.map_or(0, |start| start + 1)..);
        let found = last.and_then(audit_check::read_line);
        if anchor.is_none() && last.is_none_or(<[u8]>::is_empty) && !is_begun(&self.state) {
            // The head is there before the first line: a log without one has lost it.
            let none = Head::none();
            self.write_head(&none)?;
            anchor = Some(none);
        }
        let note = |what, reason: String, head: &mut Head| {
            let act = Act {
                what,
                subject: LOG.to_owned(),
                reason,
                outcome: "noted".to_owned(),
                ..Act::default()
            };
            self.write(&act, now, head)
        };
        let mut head = match &found {
            Some((record, hash)) => Head {
                format: FORMAT,
                number: record.number,
                hash: hash.clone(),
                refused: anchor
                    .as_ref()
                    .map_or_else(Refused::default, |anchor| anchor.refused),
            },
            None => anchor.clone().unwrap_or_else(Head::none),
        };
        if !torn.is_empty() {
            let length = fs::metadata(&path).map_or(0, |metadata| metadata.len());
            let whole = length.saturating_sub(u64::try_from(torn.len()).unwrap_or(0));
            let file = self.open(&path)?;
            file.set_len(whole)
                .and_then(|()| file.sync_all())
                .map_err(|error| failed(&path, error))?;
            let reason = format!(
                "{} octets of a line that was not finished are cut off",
                torn.len()
            );
            note("audit_torn_line", reason, &mut head)?;
        }
        // After a crash the log may be one line ahead of its head, and no more.
        let is_sound = match (&found, &anchor) {
            (Some((record, hash)), Some(anchor)) => {
                *hash == anchor.hash || record.previous == anchor.hash
            }
            (None, Some(anchor)) => anchor.number == 0,
            (_, None) => false,
        };
        if !is_sound {
            let named = anchor.map_or(0, |anchor| anchor.number);
            let reason = format!(
                "{HEAD} names line {named} and that is not how the log ends: lines were cut off or changed"
            );
            note(BROKEN, reason, &mut head)?;
        }
        Ok(head)
    }

    /// Writes one line behind `head`, and `head` anew.
    fn write(&self, act: &Act, now: Timestamp, head: &mut Head) -> Result<(), AuditError> {
        let path = self.state.join(LOG);
        let (line, hash) = self.line(act, now, head)?;
        let mut file = self.open(&path)?;
        let before = file.metadata().map_err(|error| failed(&path, error))?.len();
        let written = file
            .seek(SeekFrom::End(0))
            .and_then(|_| file.write_all(line.as_bytes()))
            .and_then(|()| file.sync_all());
        if let Err(error) = written {
            // What is left of it would be a torn line, which the next one mends.
            let _ = file.set_len(before);
            return Err(failed(&path, error));
        }
        *head = Head {
            number: head.number.saturating_add(1),
            hash,
            ..head.clone()
        };
        self.write_head(head)
    }

    /// The line that follows `head`, and its hash.
    fn line(&self, act: &Act, now: Timestamp, head: &Head) -> Result<(String, String), AuditError> {
        let record = Record {
            format: FORMAT,
            number: head.number.saturating_add(1),
            time: now,
            who: bounded(&act.who, WHO_CHARS_MAX),
            uid: act.uid,
            what: act.what.to_owned(),
            subject: bounded(&act.subject, SUBJECT_CHARS_MAX),
            reason: bounded(&act.reason, REASON_CHARS_MAX),
            outcome: bounded(&act.outcome, REASON_CHARS_MAX),
            previous: head.hash.clone(),
        };
        let text = serde_json::to_string(&record)
            .map_err(|error| failed(&self.state.join(LOG), std::io::Error::other(error)))?;
        let hash = hash(&text);
        let line = format!(
            "{}{HASH_MEMBER}{hash}\"}}\n",
            text.strip_suffix('}').unwrap_or(&text)
        );
        Ok((line, hash))
    }

    fn write_head(&self, head: &Head) -> Result<(), AuditError> {
        let bytes = serde_json::to_vec(head).unwrap_or_default();
        Ok(source::replace(&self.state.join(HEAD), &bytes)?)
    }

    /// Begins a new file where the present one is full; the chain goes on in it.
    fn rotate(&self) -> Result<(), AuditError> {
        let path = self.state.join(LOG);
        if fs::metadata(&path).map_or(0, |metadata| metadata.len()) < LOG_OCTETS_MAX {
            return Ok(());
        }
        for number in (1..FILES_MAX).rev() {
            let (from, to) = (rotated(number), rotated(number + 1));
            match fs::rename(self.state.join(&from), self.state.join(&to)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(failed(&self.state.join(from), error));
                }
                _ => {}
            }
        }
        fs::rename(&path, self.state.join(rotated(1))).map_err(|error| failed(&path, error))
    }

    /// The end of a file, enough for its last line; empty where there is no file.
    fn last_line(&self, path: &Path) -> Result<Vec<u8>, AuditError> {
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(path, error)),
        };
        let mut end = Vec::new();
        let read = file.metadata().and_then(|metadata| {
            let from = metadata.len().saturating_sub(2 * LINE_OCTETS_MAX);
            file.seek(SeekFrom::Start(from))?;
            file.take(2 * LINE_OCTETS_MAX).read_to_end(&mut end)
        });
        read.map_err(|error| failed(path, error))?;
        Ok(end)
    }

    /// Opens a file of the log, and makes it where it is not. What root makes belongs to whom
    /// the state folder belongs to, so that the daemon can go on with it.
    fn open(&self, path: &Path) -> Result<File, AuditError> {
        let is_new = !path.exists();
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o640)
            .open(path)
            .map_err(|error| failed(path, error))?;
        if is_new && let Ok(folder) = fs::metadata(&self.state) {
            // Only root may give a file away, and nobody else has to.
            let _ = std::os::unix::fs::fchown(&file, Some(folder.uid()), Some(folder.gid()));
        }
        Ok(file)
    }
}

/// Whether something was ever written down in a state folder: then log and head are not gone
/// by themselves.
pub(crate) fn is_begun(state: &Path) -> bool {
    fs::metadata(state.join(LOCK)).is_ok_and(|lock| lock.len() > 0)
}

/// The name of a file that was full; 1 is the newest.
pub(crate) fn rotated(number: usize) -> String {
    format!("{LOG}.{number}")
}

fn failed(path: &Path, source: std::io::Error) -> AuditError {
    AuditError::Io {
        path: path.to_owned(),
        source,
    }
}

/// The file.
pub(crate) const LOG: &str = "audit.log";
/// Who holds its lock may write.
const LOCK: &str = "audit.lock";
/// What is written down where the log does not end as its head says.
pub(crate) const BROKEN: &str = "audit_broken";
/// A longer file is put aside and another begun, in octets.
const LOG_OCTETS_MAX: u64 = 8 << 20;
/// So many files that were full are kept; the oldest goes.
pub(crate) const FILES_MAX: usize = 8;
/// So many octets a day are written on what was refused: all files together hold what was
/// done for six years at least, whoever asks in vain.
const REFUSED_OCTETS_MAX: u64 = 32 << 10;
/// A day, in seconds.
const DAY_SECONDS: i64 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    fn act(what: &'static str) -> Act {
        Act {
            who: "Anna".into(),
            uid: Some(1000),
            what,
            subject: "list csam, serial 8".into(),
            reason: "checked by phone".into(),
            outcome: "done".into(),
            is_refused: false,
        }
    }

    fn at() -> Timestamp {
        "2026-11-24T06:00:00Z".parse().unwrap()
    }

    /// A log of three lines.
    fn three() -> (tempfile::TempDir, AuditLog) {
        let state = tempfile::tempdir().unwrap();
        let log = AuditLog::new(state.path());
        assert_eq!(log.check().unwrap().records, 0);
        for what in ["hold_accept", "rollback", "allow"] {
            log.append(&act(what), at()).unwrap();
        }
        assert_eq!(log.check().unwrap().records, 3);
        (state, log)
    }

    /// Changes the text of the log; the chain then fails with a sentence that has `part`.
    #[track_caller]
    fn check(change: impl FnOnce(String) -> String, part: &str) {
        let (state, log) = three();
        let path = state.path().join(LOG);
        let text = change(fs::read_to_string(&path).unwrap());
        fs::write(&path, text).unwrap();
        let error = log.check().unwrap_err();
        assert!(error.contains(part), "{error}");
        // It can be gone on with, and what happened stays visible.
        log.append(&act("allow"), at()).unwrap();
        assert!(log.check().is_err());
    }

    #[test]
    fn a_line_that_is_changed_taken_out_or_cut_off_is_named() {
        check(|text| text.replacen("rollback", "rollbakk", 1), "line 2");
        check(
            |text| {
                let lines: Vec<&str> = text.split_inclusive('\n').collect();
                [lines[0], lines[2]].concat()
            },
            "line 2",
        );
        check(
            |text| text.split_inclusive('\n').take(2).collect(),
            "cut off",
        );
        check(|_| String::new(), "cut off");
        check(|text| text.replacen("Anna", "Bert", 1), "line 1");
        check(
            |text| {
                let lines: Vec<&str> = text.split_inclusive('\n').collect();
                [lines[1], lines[0], lines[2]].concat()
            },
            "line 2",
        );
    }

    #[test]
    fn without_its_head_the_log_is_not_believed_whatever_is_left_of_it() {
        for lines in 1..=3 {
            let (state, log) = three();
            let path = state.path().join(LOG);
            let text = fs::read_to_string(&path).unwrap();
            let left: String = text.split_inclusive('\n').take(lines).collect();
            fs::write(&path, left).unwrap();
            fs::remove_file(state.path().join(HEAD)).unwrap();
            assert!(log.check().unwrap_err().contains(HEAD), "{lines}");
            // What is done next does not heal it.
            log.append(&act("allow"), at()).unwrap();
            assert!(log.check().is_err(), "{lines}");
        }
    }

    #[test]
    fn what_is_refused_pushes_nothing_out_that_was_done() {
        let (state, log) = three();
        let refused = Act {
            subject: "x".repeat(900),
            outcome: "refused: no list is called so".into(),
            is_refused: true,
            ..act("hold_accept")
        };
        let length = || fs::metadata(state.path().join(LOG)).unwrap().len();
        let before = length();
        for _ in 0..300 {
            log.append(&refused, at()).unwrap();
        }
        let full = length();
        assert!(full - before > REFUSED_OCTETS_MAX / 2);
        assert!(full - before < REFUSED_OCTETS_MAX + 2 * LINE_OCTETS_MAX / 64);
        // What is done is written down on the same day, and what is refused on the next.
        log.append(&act("allow"), at()).unwrap();
        let done = length();
        assert!(done > full);
        log.append(&refused, at()).unwrap();
        assert_eq!(length(), done);
        let tomorrow = at() + jiff::SignedDuration::from_hours(24);
        log.append(&refused, tomorrow).unwrap();
        assert!(length() > done);
        log.check().unwrap();
        let text = fs::read_to_string(state.path().join(LOG)).unwrap();
        assert_eq!(text.matches("more_refused").count(), 1);
        let years = LOG_OCTETS_MAX * FILES_MAX as u64 / (REFUSED_OCTETS_MAX + 1024) / 365;
        assert!(years >= 5, "{years}");
    }

    #[test]
    fn a_line_that_a_crash_left_unfinished_is_cut_off_and_noted() {
        let (state, log) = three();
        let path = state.path().join(LOG);
        let mut text = fs::read_to_string(&path).unwrap();
        text.push_str("{\"format\":1,\"num");
        fs::write(&path, text).unwrap();
        let checked = log.check().unwrap();
        assert_eq!((checked.records, checked.is_torn), (3, true));
        log.append(&act("allow"), at()).unwrap();
        let checked = log.check().unwrap();
        assert_eq!((checked.records, checked.is_torn), (5, false));
        assert!(
            fs::read_to_string(&path)
                .unwrap()
                .contains("audit_torn_line")
        );
    }

    #[test]
    fn a_crash_between_the_line_and_its_head_is_no_damage() {
        let (state, log) = three();
        let head = fs::read(state.path().join(HEAD)).unwrap();
        log.append(&act("allow"), at()).unwrap();
        fs::write(state.path().join(HEAD), head).unwrap();
        assert_eq!(log.check().unwrap().records, 4);
        log.append(&act("allow"), at()).unwrap();
        assert_eq!(log.check().unwrap().records, 5);
    }

    #[test]
    fn the_chain_goes_on_in_the_next_file() {
        let (state, log) = three();
        let path = state.path().join(LOG);
        let mut filled = 3;
        for _ in 0..4 {
            // As rotation does when the file is full.
            for number in (1..4).rev() {
                let _ = fs::rename(
                    state.path().join(rotated(number)),
                    state.path().join(rotated(number + 1)),
                );
            }
            fs::rename(&path, state.path().join(rotated(1))).unwrap();
            log.append(&act("allow"), at()).unwrap();
            filled += 1;
            assert_eq!(log.check().unwrap().records, filled);
        }
        let gone = state.path().join(rotated(4));
        fs::remove_file(gone).unwrap();
        assert!(log.check().is_ok(), "the oldest file goes with time");
    }

    #[test]
    fn nothing_is_done_where_the_log_cannot_be_written() {
        let (state, log) = three();
        fs::remove_file(state.path().join(LOG)).unwrap();
        fs::create_dir(state.path().join(LOG)).unwrap();
        let error = log.append(&act("allow"), at()).unwrap_err().to_string();
        assert!(error.contains("nothing was done"), "{error}");
    }
}
