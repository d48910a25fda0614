//! The files of earlier versions: one for each circle and key, in rustyline's format.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use crate::history::{HistoryEntry, InputOrigin, file_name_of, is_kept};

/// The first line of a file whose lines are escaped.
const ESCAPED_MARK: &str = "#V2";

/// The maximum number of files.
const MAX_FILES: usize = 1000;

/// The maximum size of a file, in bytes.
const MAX_BYTES: u64 = 64 << 20;

/// A file, and the inputs in it.
pub(super) struct EarlierFile {
    path: PathBuf,
    entries: Vec<HistoryEntry>,
}

/// Reads the files of earlier versions. Leaves out those that cannot be read.
pub(super) fn files(directory: &Path) -> Vec<EarlierFile> {
    let Ok(listed) = fs::read_dir(directory) else { return Vec::new() };
    let paths = listed.filter_map(|entry| Some(entry.ok()?.path()));
    let texts = paths.filter(|path| path.extension().is_some_and(|extension| extension == "txt"));
    texts.take(MAX_FILES).filter_map(|path| read(path).ok()).collect()
}

fn read(path: PathBuf) -> std::io::Result<EarlierFile> {
    let file = File::open(&path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() > MAX_BYTES {
        return Err(std::io::ErrorKind::InvalidData.into());
    }
    let time = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let time = time.map_or(0, |elapsed| elapsed.as_secs());
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let (circle, key) = stem.split_once('-').unwrap_or((stem, "anonymous"));
    let key = Some(key).filter(|key| *key != "anonymous").map(str::to_owned);
    let origin = InputOrigin { circle: circle.to_owned(), name: String::new(), key };
    let mut lines = text.lines().peekable();
    let is_escaped = lines.next_if_eq(&ESCAPED_MARK).is_some();
    let inputs = lines.map(|line| if is_escaped { unescaped(line) } else { line.to_owned() });
    let entries = inputs
        .filter(|input| is_kept(input))
        .map(|input| HistoryEntry { time, origin: origin.clone(), input: input.into() })
        .collect();
    Ok(EarlierFile { path, entries })
}

fn unescaped(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        text.push(match character {
            '\\' => match characters.next() {
                Some('n') => '\n',
                Some(other) => other,
                None => '\\',
            },
            other => other,
        });
    }
    text
}

/// Adds the inputs of files that the history does not have yet, in the order of time.
pub(super) fn merge(entries: &mut Vec<HistoryEntry>, files: &[EarlierFile]) {
    if files.is_empty() {
        return;
    }
    let place = |entry: &HistoryEntry| (file_name_of(&entry.origin.circle), entry.input.clone());
    let known: HashSet<_> = entries.iter().map(place).collect();
    let all = files.iter().flat_map(|file| &file.entries);
    let new: Vec<HistoryEntry> = all.filter(|entry| !known.contains(&place(entry))).cloned().collect();
    entries.extend(new);
    // Stable: inputs of one file stay in order.
    entries.sort_by_key(|entry| entry.time);
}

/// Removes files whose inputs are stored elsewhere.
pub(super) fn remove(files: &[EarlierFile]) {
    for file in files {
        // A file that stays is read again, and adds nothing.
        let _stays = fs::remove_file(&file.path);
    }
}
