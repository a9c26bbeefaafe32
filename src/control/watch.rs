//! [`Watch`]: sees that the configuration or a file it names has changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, SystemTime};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};

/// Sees changes of a set of files. Their folders are watched, so that replacing a file by
/// renaming is seen too; where the system reports nothing (network file systems), sizes and
/// times are compared every [`LOOK_INTERVAL`].
#[derive(Debug)]
pub(super) struct Watch {
    files: BTreeMap<PathBuf, Option<Look>>,
    folders: BTreeSet<PathBuf>,
    watcher: Option<RecommendedWatcher>,
    events: Receiver<()>,
}

/// What tells two contents of a file apart without reading it.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Look {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

impl Watch {
    /// Begins to watch these files; those that are absent are seen when they appear.
    #[must_use]
    pub(super) fn new(files: impl IntoIterator<Item = PathBuf>) -> Self {
        // One pending event is enough: it only says "look".
        let (sender, events) = mpsc::sync_channel(1);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| !event.kind.is_access()) {
                let _ = sender.try_send(());
            }
        });
        if let Err(error) = &watcher {
            tracing::warn!(%error, "the system cannot report changed files; they are looked at every 30 s");
        }
        let mut watch = Self {
            files: BTreeMap::new(),
            folders: BTreeSet::new(),
            watcher: watcher.ok(),
            events,
        };
        watch.keep(files);
        watch
    }

    /// Watches these files from now on. What was seen of those that were watched before is
    /// kept, so that no change in between is missed.
    pub(super) fn keep(&mut self, files: impl IntoIterator<Item = PathBuf>) {
        let mut before = std::mem::take(&mut self.files);
        for file in files {
            let seen = before.remove(&file).unwrap_or_else(|| look(&file));
            self.files.insert(file, seen);
        }
        let folders: BTreeSet<PathBuf> = self
            .files
            .keys()
            .filter_map(|file| file.parent())
            .map(Path::to_path_buf)
            .collect();
        if let Some(watcher) = &mut self.watcher {
            for folder in self.folders.difference(&folders) {
                let _ = watcher.unwatch(folder);
            }
            for folder in folders.difference(&self.folders) {
                let folder = if folder.as_os_str().is_empty() {
                    Path::new(".")
                } else {
                    folder
                };
                if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
                    tracing::warn!(folder = %folder.display(), %error, "this folder cannot be watched; it is looked at every 30 s");
                }
            }
        }
        self.folders = folders;
    }

    /// Waits until a file has changed, but no longer than `timeout`; returns the files that
    /// have. A burst of changes is one.
    pub(super) fn changed(&mut self, timeout: Duration) -> Vec<PathBuf> {
        match self.events.recv_timeout(timeout.min(LOOK_INTERVAL)) {
            Ok(()) => {
                // An editor or a copy writes more than once.
                std::thread::sleep(SETTLE);
                while self.events.try_recv().is_ok() {}
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(timeout.min(LOOK_INTERVAL)),
        }
        let mut changed = Vec::new();
        for (file, before) in &mut self.files {
            let now = look(file);
            if now != *before {
                *before = now;
                changed.push(file.clone());
            }
        }
        changed
    }
}

fn look(file: &Path) -> Option<Look> {
    use std::os::unix::fs::MetadataExt;
    let metadata = fs::metadata(file).ok()?;
    Some(Look {
        modified: metadata.modified().ok(),
        length: metadata.len(),
        inode: metadata.ino(),
    })
}

/// How often files are looked at where nothing is reported.
pub(super) const LOOK_INTERVAL: Duration = Duration::from_secs(30);

/// How long after the first sign of a change the file is looked at.
const SETTLE: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_written_renamed_or_removed_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("list.txt");
        fs::write(&file, "one.test\n").unwrap();
        let mut watch = Watch::new([file.clone()]);
        assert_eq!(watch.changed(Duration::ZERO), Vec::<PathBuf>::new());
        fs::write(&file, "one.test\ntwo.test\n").unwrap();
        assert_eq!(
            watch.changed(Duration::from_secs(10)),
            std::slice::from_ref(&file)
        );
        let other = folder.path().join("new.txt");
        fs::write(&other, "three.test\n").unwrap();
        watch.changed(Duration::from_secs(1));
        fs::rename(&other, &file).unwrap();
        assert_eq!(
            watch.changed(Duration::from_secs(10)),
            std::slice::from_ref(&file)
        );
        fs::remove_file(&file).unwrap();
        assert_eq!(watch.changed(Duration::from_secs(10)), [file]);
    }
}
