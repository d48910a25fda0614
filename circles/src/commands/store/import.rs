//! `circles store import FILE`: entries of an export into a store.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read, stdin},
    path::{Path, PathBuf},
};

use frontend::{error::CliError, visible::visible};
use serde::Deserialize;
use serde_json::value::RawValue;
use server_ws::stored_value;
use store::{Error, Limit, Store, Transaction};
use terminal::output::to_stderr;

use super::file::{StoreFile, read_all, read_part};
use crate::{cli::StoreImportArgs, confirmation};

/// Argument that stands for standard input.
const STDIN: &str = "-";

/// Longest line of an export, in bytes.
const MAX_LINE_BYTES: u64 = 64 << 20;

/// Entries, and bytes of lines, of one transaction.
const BATCH_ENTRIES: u64 = 1000;
const BATCH_BYTES: usize = 1 << 20;

pub(super) fn run(args: &StoreImportArgs) -> Result<(), CliError> {
    let file = StoreFile::find(&args.store)?;
    let is_stdin = args.file == Path::new(STDIN);
    let source = if is_stdin { "standard input".to_owned() } else { args.file.display().to_string() };
    let input: Box<dyn BufRead> = if is_stdin {
        Box::new(stdin().lock())
    } else {
        Box::new(BufReader::new(File::open(&args.file).map_err(|error| read_error(&source, &error))?))
    };
    let mut lines = ExportLines { input, source, number: 0 };
    let is_new = !file.path.exists();
    // Held until the end: no circle starts on this store meanwhile.
    let store = file.open(&file.path)?;
    // The target of a symbolic link.
    let path = file.path.canonicalize().map_err(|error| replace_error(&file.path, &error))?;
    let imported = import(args, &file, &path, &store, &mut lines);
    if imported.is_err() && is_new && is_empty(&store).is_ok_and(|is_empty| is_empty) {
        // The error that is reported is the reason.
        let _still_there = fs::remove_file(&path);
    }
    let count = imported?;
    drop(store);
    to_stderr(&format!("imported {count} entries into the store of '{}'\n", file.circle.name));
    Ok(())
}

/// Imports the lines, after all of them are checked; returns the number of entries. `store` is open in `path`.
fn import(
    args: &StoreImportArgs,
    file: &StoreFile,
    path: &Path,
    store: &Store,
    lines: &mut ExportLines,
) -> Result<u64, CliError> {
    let name = &file.circle.name;
    if !args.merge && !is_empty(store)? {
        if !args.replace {
            return Err(CliError::usage(
                format!("the store of '{name}' is not empty"),
                "",
                "--replace replaces the store; --merge adds the entries to it",
            ));
        }
        confirmation::confirm(
            args.yes,
            &format!("Replace the store of {name}, {}?", file.path.display()),
            &format!("cannot replace the store of '{name}'"),
        )?;
    }
    let temporary = TemporaryStore::beside(path);
    // Of an earlier process that had the same id and was killed.
    temporary.remove();
    let imported = file.open(&temporary.0)?;
    let count = import_lines(lines, &imported, args.replace)?;
    if args.merge {
        merge(&imported, store)?;
    } else {
        replace(imported, &temporary, path)?;
    }
    Ok(count)
}

fn is_empty(store: &Store) -> Result<bool, CliError> {
    Ok(read_part(&mut read_all(store))?.is_empty())
}

/// Puts a store in the place of a file.
fn replace(imported: Store, temporary: &TemporaryStore, path: &Path) -> Result<(), CliError> {
    imported.close().map_err(|error| CliError::usage("cannot write the store", error.to_string(), ""))?;
    let moved = fs::rename(&temporary.0, path).and_then(|()| {
        let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
    });
    moved.map_err(|error| replace_error(path, &error))
}

/// Puts entries into a store, in transactions of bounded size.
fn merge(imported: &Store, store: &Store) -> Result<(), CliError> {
    let fix = "some entries may be in the store; import the file again when the reason is gone";
    let mut reader = read_all(imported);
    while !reader.is_finished() {
        let mut transaction = store.begin();
        for entry in read_part(&mut reader)? {
            let put = transaction.put(entry.key.as_str(), entry.value);
            put.map_err(|error| CliError::usage("cannot write the store", error.to_string(), fix))?;
        }
        commit(transaction, fix)?;
    }
    Ok(())
}

fn replace_error(path: &Path, error: &io::Error) -> CliError {
    CliError::io(format!("cannot replace {}", path.display()), error, "check its directory and the disk")
}

/// A store that is not complete yet; it does not stay.
struct TemporaryStore(PathBuf);

impl TemporaryStore {
    fn beside(path: &Path) -> Self {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.import", std::process::id()));
        Self(path.with_file_name(name))
    }

    fn remove(&self) {
        // After a rename there is nothing to remove.
        let _absent = fs::remove_file(&self.0);
    }
}

impl Drop for TemporaryStore {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Imports lines into a new store, in transactions of bounded size; returns the number of entries.
fn import_lines(lines: &mut ExportLines, store: &Store, requires_count: bool) -> Result<u64, CliError> {
    let (mut count, mut bytes, mut transaction) = (0, 0, store.begin());
    let expected = loop {
        let Some(line) = lines.next()? else { break None };
        if let Ok(EntryCount { entries }) = serde_json::from_str(&line) {
            break Some(entries);
        }
        insert(&mut transaction, &line).map_err(|(why, fix)| lines.error(&why, fix))?;
        count += 1;
        bytes += line.len();
        if count % BATCH_ENTRIES == 0 || bytes >= BATCH_BYTES {
            commit(transaction, "")?;
            (bytes, transaction) = (0, store.begin());
        }
    };
    commit(transaction, "")?;
    match expected {
        Some(_) if lines.next()?.is_some() => {
            return Err(
                lines.error("it comes after the line with the number of entries", "import one export at a time")
            );
        }
        Some(expected) if expected == count => {}
        Some(expected) => {
            let why = format!("its last line says that it has {expected} entries, and it has {count}");
            return Err(lines.incomplete_error(&why));
        }
        None if requires_count || count == 0 => {
            return Err(lines.incomplete_error("it has no last line with the number of entries"));
        }
        None => to_stderr(&format!(
            "warning: {} may be incomplete: it has no last line {{\"entries\": COUNT}}\n",
            visible(&lines.source)
        )),
    }
    Ok(count)
}

/// The last line of an export.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryCount {
    entries: u64,
}

/// Inserts the entry of a line. The error says what is wrong with the line, and what to do.
fn insert(transaction: &mut Transaction, line: &str) -> Result<(), (String, &'static str)> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct ExportedEntry<'a> {
        key: String,
        #[serde(borrow)]
        value: &'a RawValue,
    }

    let entry: ExportedEntry = serde_json::from_str(line).map_err(|error| {
        let message = error.to_string();
        let why = message.rsplit_once(" at line ").map_or(message.as_str(), |(why, _)| why);
        (why.to_owned(), "write lines as circles store export does: {\"key\": KEY, \"value\": VALUE}")
    })?;
    let key = serde_json::Value::from(entry.key.as_str());
    let value = stored_value::from_json(entry.value).map_err(|why| (format!("the value of {key}: {why}"), ""))?;
    transaction.insert(&entry.key, value).map_err(|error| match error {
        Error::Exists(_) => (format!("an earlier line has the key {key}, too"), "keep one of the lines"),
        Error::Limit { limit: Limit::ValueBytes, maximum } => (
            format!("the value of {key} is larger than {maximum} bytes"),
            "raise value_kib in the limits of the circle, or make the value smaller",
        ),
        Error::Key(error) => (error.to_string(), ""),
        error => (format!("{key}: {error}"), ""),
    })
}

fn commit(transaction: Transaction, fix: &str) -> Result<(), CliError> {
    let committed = transaction.commit().wait();
    committed.map(drop).map_err(|error| CliError::usage("cannot write the store", error.to_string(), fix))
}

/// The lines of an export.
struct ExportLines {
    input: Box<dyn BufRead>,
    source: String,
    number: u64,
}

impl ExportLines {
    /// Returns the next line that is not empty.
    fn next(&mut self) -> Result<Option<String>, CliError> {
        loop {
            let mut line = String::new();
            let read = (&mut self.input).take(MAX_LINE_BYTES + 1).read_line(&mut line);
            if read.map_err(|error| read_error(&self.source, &error))? == 0 {
                return Ok(None);
            }
            self.number += 1;
            if line.len() as u64 > MAX_LINE_BYTES {
                return Err(self.error("it is longer than 64 MiB", "make the value smaller"));
            }
            if !line.trim().is_empty() {
                return Ok(Some(line));
            }
        }
    }

    /// The error for the line that was read last.
    fn error(&self, why: &str, fix: &str) -> CliError {
        CliError::usage(format!("cannot import line {} of {}", self.number, self.source), why, fix)
    }

    fn incomplete_error(&self, why: &str) -> CliError {
        let fix = "export the store again; a complete export ends with the line {\"entries\": COUNT}";
        CliError::usage(format!("{} is incomplete", self.source), why, fix)
    }
}

fn read_error(source: &str, error: &io::Error) -> CliError {
    CliError::io(format!("cannot read {source}"), error, "name an export in UTF-8, or - for standard input")
}
