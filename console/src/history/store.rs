//! The history's file: a line of JSON for each input.

mod import;
mod position;

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use directories::ProjectDirs;

use self::position::{ReadPosition, StoredFile, read_file};
use super::{HistoryEntry, is_kept};

/// The name of the file.
const FILE: &str = "history.jsonl";

/// The name of the file whose lock a console holds while it changes the history.
const LOCK_FILE: &str = "history.lock";

/// The size that the file is cut to, in bytes.
const MAX_BYTES: u64 = 16 << 20;

/// The size from which the file is cut, in bytes.
const MAX_FILE_BYTES: u64 = 2 * MAX_BYTES;

/// The longest wait for another console that changes the history.
const LOCK_TIMEOUT: Duration = Duration::from_secs(1);

/// The interval between attempts to lock the history.
const LOCK_INTERVAL: Duration = Duration::from_millis(5);

/// Access to the history's file.
#[derive(Debug, Clone)]
pub struct HistoryStore {
    /// `None` if the user has no state directory; then the history is not kept.
    directory: Option<PathBuf>,
    capacity: usize,
}

/// Reads the history's file again and again: first all of it, then what other consoles and this one have appended.
#[derive(Debug)]
pub struct HistoryReader {
    store: HistoryStore,
    /// `None` before the first read, and if there is no file.
    position: Option<ReadPosition>,
}

/// What a [`HistoryReader`] has read.
#[derive(Debug, Default)]
pub struct HistoryUpdate {
    /// The entries, oldest first.
    pub entries: Vec<HistoryEntry>,
    /// Whether these are all entries of the file, and not only those behind the ones read before.
    pub is_whole: bool,
}

/// Returns the directory of the history: `history` in the user's state directory.
pub fn default_directory() -> Option<PathBuf> {
    let dirs = ProjectDirs::from("", "", "circles")?;
    Some(dirs.state_dir().unwrap_or_else(|| dirs.data_local_dir()).join("history"))
}

impl HistoryStore {
    /// Returns the history in a directory, of at most this many inputs. With 0 or without a directory, nothing is kept.
    pub fn new(directory: Option<PathBuf>, capacity: usize) -> Self {
        Self { directory: directory.filter(|_| capacity > 0), capacity }
    }

    /// Whether inputs are stored.
    pub(super) fn is_enabled(&self) -> bool {
        self.directory.is_some()
    }

    /// Returns a reader of the file, which has read nothing.
    pub fn reader(&self) -> HistoryReader {
        HistoryReader { store: self.clone(), position: None }
    }

    /// Reads all inputs, oldest first, and returns the place behind them. Takes in the files of earlier versions, and
    /// cuts a file that has become too large. Blocks.
    fn read(&self) -> Result<(Vec<HistoryEntry>, Option<ReadPosition>), String> {
        let Some(directory) = self.directory.as_deref().filter(|directory| directory.is_dir()) else {
            return Ok((Vec::new(), None));
        };
        let lock = lock(directory);
        let file = directory.join(FILE);
        let stored = read_file(&file).map_err(|error| read_error(&file, &error))?;
        let (size, mut entries, mut position) =
            stored.map_or((0, Vec::new(), None), |stored| (stored.size, stored.entries, Some(stored.position)));
        // Without the lock, another console is changing the files.
        if lock.is_some() {
            let earlier = import::files(directory);
            let is_large = size > MAX_FILE_BYTES || entries.len() > self.capacity + self.capacity / 4;
            if !earlier.is_empty() || is_large {
                import::merge(&mut entries, &earlier);
                self.cut(&mut entries);
                // The files of earlier versions stay until their inputs are stored safely.
                let replaced = replace(directory, &entries)
                    .map_err(|error| format!("cannot write the history file {}: {error}", file.display()))?;
                position = Some(replaced);
                import::remove(&earlier);
            }
        }
        self.cut(&mut entries);
        Ok((entries, position))
    }

    /// Appends an input, unless the history must not keep it. Blocks.
    pub fn append(&self, entry: &HistoryEntry) -> Result<(), String> {
        let Some(directory) = self.directory.as_deref().filter(|_| is_kept(&entry.input)) else { return Ok(()) };
        let file = directory.join(FILE);
        self.append_to(directory, &file, entry)
            .map_err(|error| format!("cannot write the history file {}: {error}", file.display()))
    }

    fn append_to(&self, directory: &Path, path: &Path, entry: &HistoryEntry) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let lock = lock(directory);
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
        let size = file.metadata()?.len();
        let mut line = Vec::new();
        // A console that was killed may have left half a line.
        if size > 0 && last_byte(&mut file)? != b'\n' {
            line.push(b'\n');
        }
        serde_json::to_writer(&mut line, entry)?;
        line.push(b'\n');
        // One write: lines of several consoles never mix, even if one of them did not get the lock.
        file.write_all(&line)?;
        if size > MAX_FILE_BYTES && lock.is_some() {
            let mut entries = read_file(path)?.map_or_else(Vec::new, |StoredFile { entries, .. }| entries);
            self.cut(&mut entries);
            replace(directory, &entries)?;
        }
        Ok(())
    }

    /// Drops the oldest entries, beyond the number and the size that are kept.
    fn cut(&self, entries: &mut Vec<HistoryEntry>) {
        let mut left = MAX_BYTES;
        let fits = entries.iter().rev().take(self.capacity).take_while(|entry| {
            let size = (entry.input.len() + entry.origin.circle.len()) as u64;
            left.checked_sub(size).map(|rest| left = rest).is_some()
        });
        let kept = fits.count();
        entries.drain(..entries.len() - kept);
    }
}

impl HistoryReader {
    /// Reads what the file has got since the last time; all of it the first time, and after another console has
    /// replaced the file. Blocks.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or cannot be cut. The message names the file and the reason.
    pub fn read(&mut self) -> Result<HistoryUpdate, String> {
        if let (Some(position), Some(directory)) = (&mut self.position, &self.store.directory) {
            let file = directory.join(FILE);
            match position.read_on(&file) {
                Ok(Some(entries)) => return Ok(HistoryUpdate { entries, is_whole: false }),
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(read_error(&file, &error)),
            }
        }
        let (entries, position) = self.store.read()?;
        self.position = position;
        // Without a file, nothing is known of the entries.
        Ok(HistoryUpdate { entries, is_whole: self.position.is_some() })
    }
}

/// Locks the history; `None` if another console holds the lock too long.
fn lock(directory: &Path) -> Option<File> {
    let path = directory.join(LOCK_FILE);
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path).ok()?;
    let until = Instant::now() + LOCK_TIMEOUT;
    loop {
        match file.try_lock() {
            Ok(()) => return Some(file),
            Err(TryLockError::WouldBlock) if Instant::now() < until => std::thread::sleep(LOCK_INTERVAL),
            Err(_) => return None,
        }
    }
}

fn last_byte(file: &mut File) -> io::Result<u8> {
    let mut byte = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut byte)?;
    Ok(byte[0])
}

/// Replaces the file, so that a crash leaves the old one or the new one. Returns the place behind its entries.
fn replace(directory: &Path, entries: &[HistoryEntry]) -> io::Result<ReadPosition> {
    let mut bytes = Vec::new();
    for entry in entries {
        serde_json::to_writer(&mut bytes, entry)?;
        bytes.push(b'\n');
    }
    let new = directory.join(format!("{FILE}.new"));
    // Left behind by a crash, perhaps.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    let position = ReadPosition::behind(&bytes, &file.metadata()?);
    fs::rename(&new, directory.join(FILE))?;
    Ok(position)
}

fn read_error(file: &Path, error: &io::Error) -> String {
    format!("cannot read the history file {}: {error}", file.display())
}

#[cfg(test)]
mod tests;
