//! [`Timeline`]: which edition was in force from when to when; lines are appended.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ReportError;
use crate::enforce::Edition;
use crate::policy::Origin;

/// Which edition was in force from when to when, over restarts. A file of JSON lines: a head
/// with the format, then a line for each edition that came into force and for each orderly
/// end. It is appended to; beyond `OCTETS_MAX` the lines that are not read any more go.
#[derive(Debug)]
pub struct Timeline {
    path: PathBuf,
    file: Mutex<File>,
}

/// A time in which one edition was in force.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Period {
    /// The edition's number; it goes on over restarts.
    pub edition: u64,
    /// Since when.
    pub from: Timestamp,
    /// How it ended.
    pub end: End,
    /// What it enforced.
    pub lists: Vec<ListInForce>,
}

/// How a period ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// It is in force now.
    InForce,
    /// Another edition took its place.
    Replaced(Timestamp),
    /// The program was stopped.
    Stopped(Timestamp),
    /// The program ended without a word, as by a kill, before this time.
    Lost(Timestamp),
}

/// One list of an edition, as the timeline keeps it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ListInForce {
    /// The list's name in the configuration.
    pub name: String,
    /// Its serial; an unsigned list has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<u64>,
    /// SHA-256 of its whole text, in hex.
    pub digest: String,
    /// The ids of the keys that signed it; none for an unsigned list.
    #[serde(default)]
    pub signers: Vec<String>,
    /// How many entries were in force.
    pub entries: u64,
}

/// A line of the file.
#[derive(Debug, Deserialize, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Line {
    /// The first line.
    Head { format: u64 },
    /// An edition came into force.
    InForce {
        at: String,
        edition: u64,
        lists: Vec<ListInForce>,
    },
    /// The program stopped in good order.
    Stopped { at: String },
}

impl Timeline {
    /// Opens the file, or begins one.
    ///
    /// # Errors
    /// [`ReportError::Timeline`], [`ReportError::Newer`].
    pub fn open(path: &Path) -> Result<Self, ReportError> {
        let failed = |error| ReportError::Timeline {
            path: path.to_owned(),
            error,
        };
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .map_err(failed)?;
        let len = file.metadata().map_err(failed)?.len();
        if len == 0 {
            append(&mut file, &Line::Head { format: FORMAT }).map_err(failed)?;
        } else {
            let mut first = Vec::new();
            BufReader::new(&file)
                .take(LINE_OCTETS_MAX)
                .read_until(b'\n', &mut first)
                .map_err(failed)?;
            match serde_json::from_slice(&first) {
                Ok(Line::Head { format }) if format > FORMAT => {
                    return Err(ReportError::Newer {
                        path: path.to_owned(),
                        found: format,
                        known: FORMAT,
                    });
                }
                // A damaged head loses no line behind it.
                _ => end_last_line(&mut file, len).map_err(failed)?,
            }
        }
        Ok(Self {
            path: path.to_owned(),
            file: Mutex::new(file),
        })
    }

    /// Notes that an edition is in force since `at`.
    ///
    /// # Errors
    /// [`ReportError::Timeline`]; nothing else depends on it.
    pub fn in_force(&self, edition: &Edition, at: Timestamp) -> Result<(), ReportError> {
        let lists = edition.blocklist.lists().iter().map(|list| {
            let (digest, signers) = match &list.provenance.origin {
                Origin::Signed { state, signers, .. } => (state.clone(), signers.clone()),
                Origin::Unsigned { digest, .. } => (digest.clone(), Vec::new()),
            };
            ListInForce {
                name: list.settings.name.clone(),
                serial: list.provenance.seq(),
                digest,
                signers,
                entries: list.entries.iter().map(|(_, count)| *count as u64).sum(),
            }
        });
        self.append(&Line::InForce {
            at: at.to_string(),
            edition: edition.number,
            lists: lists.collect(),
        })
    }

    /// Notes that the program stops in good order.
    ///
    /// # Errors
    /// [`ReportError::Timeline`].
    pub fn stopped(&self, at: Timestamp) -> Result<(), ReportError> {
        self.append(&Line::Stopped { at: at.to_string() })
    }

    /// The last periods, the newest first, at most `max` and none older than what the last
    /// `READ_OCTETS_MAX` of the file hold.
    ///
    /// # Errors
    /// [`ReportError::Timeline`].
    pub fn periods(&self, max: usize) -> Result<Vec<Period>, ReportError> {
        let failed = |error| ReportError::Timeline {
            path: self.path.clone(),
            error,
        };
        let mut file = File::open(&self.path).map_err(failed)?;
        let len = file.metadata().map_err(failed)?.len();
        let skipped = len.saturating_sub(READ_OCTETS_MAX);
        file.seek(SeekFrom::Start(skipped)).map_err(failed)?;
        let mut bytes = Vec::new();
        file.take(READ_OCTETS_MAX)
            .read_to_end(&mut bytes)
            .map_err(failed)?;
        let text = String::from_utf8_lossy(&bytes);
        // A line that begins before the part that is read, or that was cut off, is no line.
        let lines = text.lines().skip(usize::from(skipped > 0));
        Ok(periods(lines, max))
    }

    fn append(&self, line: &Line) -> Result<(), ReportError> {
        let mut file = self.file();
        append(&mut file, line).map_err(|error| ReportError::Timeline {
            path: self.path.clone(),
            error,
        })?;
        // Where it cannot be shortened, that is tried again with the next line.
        if let Ok(Some(shorter)) = shorten(&self.path, &file) {
            *file = shorter;
        }
        Ok(())
    }

    fn file(&self) -> MutexGuard<'_, File> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn append(file: &mut File, line: &Line) -> io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    file.write_all(&text)?;
    file.sync_data()
}

/// Puts a file with the newest [`READ_OCTETS_MAX`] alone in the place of one that is too long,
/// at once or not at all; nothing where it is not.
fn shorten(path: &Path, file: &File) -> io::Result<Option<File>> {
    let len = file.metadata()?.len();
    if len <= OCTETS_MAX {
        return Ok(None);
    }
    let mut newest = Vec::new();
    let mut read = File::open(path)?;
    read.seek(SeekFrom::Start(len.saturating_sub(READ_OCTETS_MAX)))?;
    read.read_to_end(&mut newest)?;
    let end = newest.iter().position(|octet| *octet == b'\n');
    newest.drain(..end.map_or(newest.len(), |end| end + 1));
    let temporary = path.with_extension("tmp");
    match std::fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut shorter = OpenOptions::new()
        .read(true)
        .append(true)
        .create_new(true)
        .open(&temporary)?;
    append(&mut shorter, &Line::Head { format: FORMAT })?;
    shorter.write_all(&newest)?;
    shorter.sync_all()?;
    std::fs::rename(&temporary, path)?;
    Ok(Some(shorter))
}

/// A line that a crash cut off must not swallow the next one.
fn end_last_line(file: &mut File, len: u64) -> io::Result<()> {
    let mut last = [0];
    file.seek(SeekFrom::Start(len - 1))?;
    file.read_exact(&mut last)?;
    if last != *b"\n" {
        file.write_all(b"\n")?;
    }
    Ok(())
}

fn periods<'a>(lines: impl Iterator<Item = &'a str>, max: usize) -> Vec<Period> {
    let mut periods: Vec<Period> = Vec::new();
    for line in lines {
        match serde_json::from_str(line) {
            Ok(Line::InForce { at, edition, lists }) => {
                let Ok(from) = at.parse() else { continue };
                if let Some(last) = periods.last_mut()
                    && last.end == End::InForce
                {
                    // Numbers begin anew with a start, so that one that does not rise is
                    // the first sign of a program that ended without a word.
                    last.end = if edition > last.edition {
                        End::Replaced(from)
                    } else {
                        End::Lost(from)
                    };
                }
                periods.push(Period {
                    edition,
                    from,
                    end: End::InForce,
                    lists,
                });
            }
            Ok(Line::Stopped { at }) => {
                if let (Some(last), Ok(at)) = (periods.last_mut(), at.parse())
                    && last.end == End::InForce
                {
                    last.end = End::Stopped(at);
                }
            }
            Ok(Line::Head { .. }) | Err(_) => {}
        }
    }
    periods.reverse();
    periods.truncate(max);
    periods
}

/// The format that is written, and the highest that is read.
const FORMAT: u64 = 1;
/// How much of the file's end is read at most, in bytes.
const READ_OCTETS_MAX: u64 = 4 * 1024 * 1024;
/// How long the file may be, in bytes; twice what is read, so that it is seldom shortened.
const OCTETS_MAX: u64 = 2 * READ_OCTETS_MAX;
/// How much of the head is read at most, in bytes.
const LINE_OCTETS_MAX: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn ends(timeline: &Timeline) -> Vec<(u64, String)> {
        let periods = timeline.periods(10).unwrap();
        let ends = periods.iter().map(|period| match period.end {
            End::InForce => (period.edition, "in force".into()),
            End::Replaced(at) => (period.edition, format!("replaced {at}")),
            End::Stopped(at) => (period.edition, format!("stopped {at}")),
            End::Lost(at) => (period.edition, format!("lost {at}")),
        });
        ends.collect()
    }

    #[test]
    fn editions_follow_each_other_over_restarts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("timeline");
        let mut edition = example::edition();
        let timeline = Timeline::open(&path).unwrap();
        edition.number = 1;
        timeline
            .in_force(&edition, at("2026-11-24T08:00:00Z"))
            .unwrap();
        edition.number = 2;
        timeline
            .in_force(&edition, at("2026-11-24T09:00:00Z"))
            .unwrap();
        timeline.stopped(at("2026-11-24T10:00:00Z")).unwrap();
        drop(timeline);
        let timeline = Timeline::open(&path).unwrap();
        edition.number = 1;
        timeline
            .in_force(&edition, at("2026-11-24T11:00:00Z"))
            .unwrap();
        drop(timeline);
        // Killed while a line was written.
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"{\"event\":\"in_fo").unwrap();
        let timeline = Timeline::open(&path).unwrap();
        timeline
            .in_force(&edition, at("2026-11-24T12:00:00Z"))
            .unwrap();
        assert_eq!(
            ends(&timeline),
            [
                (1, "in force".into()),
                (1, "lost 2026-11-24T12:00:00Z".into()),
                (2, "stopped 2026-11-24T10:00:00Z".into()),
                (1, "replaced 2026-11-24T09:00:00Z".into()),
            ]
        );
        let newest = &timeline.periods(1).unwrap()[0];
        assert_eq!(newest.lists[0].serial, Some(7));
        assert_eq!(newest.lists[0].signers, ["a1b2", "c3d4"]);
        assert_eq!(newest.lists[1].serial, None);
    }

    #[test]
    fn reading_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("timeline");
        let timeline = Timeline::open(&path).unwrap();
        let edition = example::edition();
        timeline
            .in_force(&edition, at("2026-11-24T08:00:00Z"))
            .unwrap();
        let line = std::fs::read_to_string(&path).unwrap();
        let line = line.lines().nth(1).unwrap();
        let many = usize::try_from(READ_OCTETS_MAX).unwrap() / line.len() + 10;
        let text = format!("{line}\n").repeat(many);
        std::fs::write(&path, text).unwrap();
        let timeline = Timeline::open(&path).unwrap();
        assert!(timeline.periods(usize::MAX).unwrap().len() < many);
        assert_eq!(timeline.periods(3).unwrap().len(), 3);
    }

    #[test]
    fn the_file_is_bounded_and_loses_nothing_that_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("timeline.jsonl");
        let timeline = Timeline::open(&path).unwrap();
        let mut edition = example::edition();
        edition.number = 1;
        let begin = at("2026-11-24T08:00:00Z");
        timeline.in_force(&edition, begin).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let line = text.lines().nth(1).unwrap();
        let many = usize::try_from(OCTETS_MAX).unwrap() / line.len() + 10;
        std::fs::write(&path, format!("{line}\n").repeat(many)).unwrap();
        // What a crash in the midst of shortening left.
        std::fs::write(path.with_extension("tmp"), "x").unwrap();
        for number in 2..5 {
            edition.number = number;
            timeline.in_force(&edition, begin).unwrap();
            let len = std::fs::metadata(&path).unwrap().len();
            assert!(len < READ_OCTETS_MAX + 4096, "{len}");
        }
        drop(timeline);
        assert!(!path.with_extension("tmp").exists());
        let periods = Timeline::open(&path).unwrap().periods(usize::MAX).unwrap();
        let numbers: Vec<u64> = periods
            .iter()
            .take(4)
            .map(|period| period.edition)
            .collect();
        assert_eq!(numbers, [4, 3, 2, 1]);
        let read = usize::try_from(READ_OCTETS_MAX).unwrap() / (line.len() + 1);
        assert!(periods.len() > read - 10, "{}", periods.len());
    }

    #[test]
    fn a_later_format_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("timeline");
        std::fs::write(&path, "{\"event\":\"head\",\"format\":2}\n").unwrap();
        assert!(matches!(
            Timeline::open(&path),
            Err(ReportError::Newer { found: 2, .. })
        ));
    }
}
