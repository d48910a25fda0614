//! `circles store export [FILE]`: all entries of a store as JSON Lines.

mod running;

use std::{
    fs::OpenOptions,
    io::{self, BufWriter, Write, stdout},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use frontend::error::{CliError, OutputError};
use server_ws::stored_value;
use store::{Key, Store};
use terminal::{output::to_stderr, runtime::client_runtime};

use super::file::{StoreFile, read_all, read_part};
use crate::cli::ExportArgs;

/// Size of the buffer for the output, in bytes.
const BUFFER_BYTES: usize = 1 << 18;

pub(super) fn run(args: &ExportArgs) -> Result<(), CliError> {
    let file = StoreFile::find(&args.store)?;
    let store = file.try_open_read_only()?;
    let Some(path) = &args.file else {
        return match store {
            Some(store) => {
                let mut output = BufWriter::with_capacity(BUFFER_BYTES, stdout().lock());
                write_entries(&store, &mut output, |error| OutputError(error).into()).map(drop)
            }
            None => running::export_to_stdout(&file),
        };
    };
    let count = match store {
        Some(store) => write_file(&store, path)?,
        None => running::export(&client_runtime()?, &file, path)?,
    };
    to_stderr(&format!("exported {count} entries of '{}' to {}\n", file.circle.name, path.display()));
    Ok(())
}

/// Makes a file with the entries, which only the user can read. A file that is not complete does not stay.
pub(in crate::commands) fn write_file(store: &Store, path: &Path) -> Result<u64, CliError> {
    let failed = |error: io::Error| {
        let fix = match error.kind() {
            io::ErrorKind::AlreadyExists => "name another file, or remove this one",
            _ => "check the path and the disk",
        };
        CliError::io(format!("cannot write {}", path.display()), &error, fix)
    };
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    let written = || {
        let mut output = BufWriter::with_capacity(BUFFER_BYTES, &made);
        let count = write_entries(store, &mut output, failed)?;
        drop(output);
        made.sync_all().map_err(failed)?;
        Ok(count)
    };
    written().inspect_err(|_| {
        // The error that is reported is the reason.
        let _still_there = std::fs::remove_file(path);
    })
}

/// Writes the entries and a last line with their number, and returns the number.
fn write_entries(
    store: &Store,
    output: &mut impl Write,
    failed: impl Fn(io::Error) -> CliError,
) -> Result<u64, CliError> {
    let (mut reader, mut count) = (read_all(store), 0);
    while !reader.is_finished() {
        for entry in read_part(&mut reader)? {
            let value = stored_value::to_json(&entry.value).ok_or_else(|| unknown_encoding(&entry.key))?;
            let key = serde_json::Value::from(entry.key.as_str());
            writeln!(output, "{{\"key\":{key},\"value\":{value}}}").map_err(&failed)?;
            count += 1;
        }
    }
    // An import checks that the export is complete.
    writeln!(output, "{{\"entries\":{count}}}").map_err(&failed)?;
    output.flush().map_err(failed)?;
    Ok(count)
}

/// The error for a value that another version wrote.
pub(super) fn unknown_encoding(key: &Key) -> CliError {
    let key = serde_json::Value::from(key.as_str());
    CliError::usage(
        format!("cannot read the value of {key}"),
        "this version does not know its encoding",
        "update circles",
    )
}
