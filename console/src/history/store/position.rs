//! The place up to which a console has read the history's file, and the entries behind it.

use std::{
    fs::{File, Metadata},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::MetadataExt,
    path::Path,
};

use crate::history::HistoryEntry;

/// The number of bytes before the place that a console compares: a new file can get the inode of a removed one.
const TAIL_BYTES: usize = 64;

/// The maximum number of bytes that are read at once.
const MAX_READ_BYTES: u64 = 2 * super::MAX_FILE_BYTES;

/// A place in the history's file.
#[derive(Debug)]
pub(super) struct ReadPosition {
    device: u64,
    inode: u64,
    /// The offset behind the last entry that was read, in bytes.
    offset: u64,
    /// The last bytes before the offset.
    tail: Vec<u8>,
}

/// What a file held when it was read.
pub(super) struct StoredFile {
    /// The size, in bytes.
    pub(super) size: u64,
    pub(super) entries: Vec<HistoryEntry>,
    pub(super) position: ReadPosition,
}

impl ReadPosition {
    /// Returns the place behind `read`, which are the first bytes of the file.
    pub(super) fn behind(read: &[u8], metadata: &Metadata) -> Self {
        let tail = read[read.len().saturating_sub(TAIL_BYTES)..].to_vec();
        Self { device: metadata.dev(), inode: metadata.ino(), offset: read.len() as u64, tail }
    }

    /// Reads the entries behind the place, and moves the place behind them; `None` if another file is there now.
    pub(super) fn read_on(&mut self, path: &Path) -> io::Result<Option<Vec<HistoryEntry>>> {
        let mut file = File::open(path)?;
        let metadata = file.metadata()?;
        if (metadata.dev(), metadata.ino()) != (self.device, self.inode) || metadata.len() < self.offset {
            return Ok(None);
        }
        if metadata.len() == self.offset {
            return Ok(Some(Vec::new()));
        }
        file.seek(SeekFrom::Start(self.offset - self.tail.len() as u64))?;
        let mut bytes = Vec::new();
        file.take(MAX_READ_BYTES).read_to_end(&mut bytes)?;
        let Some(new) = bytes.strip_prefix(self.tail.as_slice()) else { return Ok(None) };
        let (entries, length) = parse(new);
        let end = self.tail.len() + length;
        self.offset += length as u64;
        self.tail = bytes[end.saturating_sub(TAIL_BYTES)..end].to_vec();
        Ok(Some(entries))
    }
}

/// Reads the file, without lines that are no entries; `None` if there is no file.
pub(super) fn read_file(path: &Path) -> io::Result<Option<StoredFile>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let metadata = file.metadata()?;
    let mut bytes = Vec::new();
    file.take(MAX_READ_BYTES).read_to_end(&mut bytes)?;
    let (entries, length) = parse(&bytes);
    let position = ReadPosition::behind(&bytes[..length], &metadata);
    Ok(Some(StoredFile { size: bytes.len() as u64, entries, position }))
}

/// Returns the entries in some bytes, and the number of bytes that are done with: another console may be writing the
/// last line.
fn parse(bytes: &[u8]) -> (Vec<HistoryEntry>, usize) {
    let entry = |line: &[u8]| serde_json::from_slice(line).ok();
    let complete = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
    let mut entries: Vec<HistoryEntry> = bytes[..complete].split(|byte| *byte == b'\n').filter_map(entry).collect();
    match entry(&bytes[complete..]) {
        Some(last) => {
            entries.push(last);
            (entries, bytes.len())
        }
        None => (entries, complete),
    }
}
