//! `circles store export [FILE]`: all entries of a store as JSON Lines.

mod new_file;
mod running;

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write, stdout},
    path::Path,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use frontend::error::{CliError, OutputError};
use server_ws::stored_value;
use store::{Key, Store};
use terminal::{modes::before_exit_on_signal, output::to_stderr, runtime::client_runtime};

use self::new_file::{NewFile, sync_directory};
use super::file::{StoreFile, read_all, read_part};
use crate::cli::ExportArgs;

/// Size of the buffer for the output, in bytes.
const BUFFER_BYTES: usize = 1 << 18;

/// Longest time that a signal waits for the end of an export.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) fn run(args: &ExportArgs) -> Result<(), CliError> {
    let file = StoreFile::find(&args.store)?;
    let store = file.try_open_read_only()?;
    let Some(path) = &args.file else {
        return match store {
            Ok(store) => {
                let mut output = BufWriter::with_capacity(BUFFER_BYTES, stdout().lock());
                write_entries(&store, &mut output, &AtomicBool::new(false), |error| OutputError(error).into()).map(drop)
            }
            // The process that has the store open writes the export.
            Err(_locked) => running::export_to_stdout(&file),
        };
    };
    let count = match store {
        Ok(store) => write_file_until_signal(&store, path)?,
        Err(_locked) => running::export(&client_runtime()?, &file, path)?,
    };
    to_stderr(&format!("exported {count} entries of '{}' to {}\n", file.circle.name, path.display()));
    Ok(())
}

/// Makes a file with the entries. A signal stops the export before it ends the process.
fn write_file_until_signal(store: &Store, path: &Path) -> Result<u64, CliError> {
    let runtime = client_runtime()?;
    let progress = Arc::new(ExportProgress::default());
    let stopped = Arc::clone(&progress);
    before_exit_on_signal(move || stopped.stop());
    let written = write_file(store, path, &progress.is_stopped);
    let written = progress.finish(path, written);
    drop(runtime);
    written
}

/// What the thread that writes an export and the handler of signals share.
#[derive(Debug, Default)]
struct ExportProgress {
    is_stopped: AtomicBool,
    has_ended: Mutex<bool>,
    ended: Condvar,
}

impl ExportProgress {
    /// Stops the export unless it is complete, and waits until nothing is left of it.
    fn stop(&self) {
        let has_ended = self.has_ended.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_stopped.store(true, Relaxed);
        // A disk that hangs must not keep the process.
        let _in_time = self.ended.wait_timeout_while(has_ended, STOP_TIMEOUT, |has_ended| !*has_ended);
    }

    /// Ends the export: removes the file of one that was stopped after it got its name.
    fn finish(&self, path: &Path, written: Result<u64, CliError>) -> Result<u64, CliError> {
        let mut has_ended = self.has_ended.lock().unwrap_or_else(PoisonError::into_inner);
        let written = match written {
            Ok(_) if self.is_stopped.load(Relaxed) => Err(remove_stopped(path)),
            written => written,
        };
        *has_ended = true;
        self.ended.notify_all();
        written
    }
}

/// Makes a file with the entries, which only the user can read. The file has its name once it is complete, and does not
/// stay if the export fails or is stopped.
pub(in crate::commands) fn write_file(store: &Store, path: &Path, is_stopped: &AtomicBool) -> Result<u64, CliError> {
    write_synced_file(store, path, is_stopped, File::sync_all)
}

/// As [`write_file`], with the function that syncs the file and its directory.
fn write_synced_file(
    store: &Store,
    path: &Path,
    is_stopped: &AtomicBool,
    sync: impl Fn(&File) -> io::Result<()>,
) -> Result<u64, CliError> {
    let failed = |error: io::Error| {
        let fix = match error.kind() {
            io::ErrorKind::AlreadyExists => "name another file, or remove this one",
            _ => "check the path and the disk",
        };
        CliError::io(format!("cannot write {}", path.display()), &error, fix)
    };
    if path.symlink_metadata().is_ok() {
        return Err(failed(rustix::io::Errno::EXIST.into()));
    }
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let made = NewFile::create_in(directory).map_err(failed)?;
    let mut output = BufWriter::with_capacity(BUFFER_BYTES, made.as_file());
    let count = write_entries(store, &mut output, is_stopped, failed)?;
    drop(output);
    sync(made.as_file()).map_err(failed)?;
    // The sync of a large file takes long.
    if is_stopped.load(Relaxed) {
        return Err(CliError::Interrupted);
    }
    made.set_name(path).map_err(failed)?;
    let synced = sync_directory(directory, sync);
    if is_stopped.load(Relaxed) {
        return Err(remove_stopped(path));
    }
    synced.map_err(|error| {
        remove(path);
        failed(error)
    })?;
    Ok(count)
}

/// Removes the file of an export that was stopped after it got its name, and returns the error.
fn remove_stopped(path: &Path) -> CliError {
    remove(path);
    CliError::Interrupted
}

fn remove(path: &Path) {
    // Someone else may have removed the file.
    let _absent = fs::remove_file(path);
}

/// Writes the entries and a last line with their number, and returns the number.
fn write_entries(
    store: &Store,
    output: &mut impl Write,
    is_stopped: &AtomicBool,
    failed: impl Fn(io::Error) -> CliError,
) -> Result<u64, CliError> {
    let (mut reader, mut count) = (read_all(store), 0);
    while !reader.is_finished() {
        if is_stopped.load(Relaxed) {
            return Err(CliError::Interrupted);
        }
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

#[cfg(test)]
mod tests {
    use store::StoreOptions;

    use super::*;

    /// An empty store, and the path of an export in a directory.
    fn store_and_path() -> (Store, tempfile::TempDir, std::path::PathBuf) {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("export.jsonl");
        (StoreOptions::new("a").open_in_memory().expect("a store"), directory, path)
    }

    #[test]
    fn stopped_export_leaves_no_file() {
        let (store, directory, path) = store_and_path();
        let files = || fs::read_dir(directory.path()).expect("a directory").count();
        let stopped = write_file(&store, &path, &AtomicBool::new(true));
        assert!(matches!(stopped, Err(CliError::Interrupted)), "{stopped:?}");
        assert_eq!(files(), 0);
        assert_eq!(write_file(&store, &path, &AtomicBool::new(false)).expect("written"), 0);
        assert_eq!(files(), 1);
        write_file(&store, &path, &AtomicBool::new(false)).expect_err("a file that is there");
        assert_eq!(fs::read_to_string(&path).expect("a file"), "{\"entries\":0}\n");
    }

    #[test]
    fn export_that_is_stopped_after_its_last_entry_leaves_no_file() {
        let (store, directory, path) = store_and_path();
        let files = || fs::read_dir(directory.path()).expect("a directory").count();
        for is_directory in [false, true] {
            let is_stopped = AtomicBool::new(false);
            let stopped = write_synced_file(&store, &path, &is_stopped, |file| {
                let synced = file.metadata()?;
                // The file is complete before its sync, and has its name before that of the directory.
                assert!(synced.is_dir() || synced.len() == 14, "{synced:?}");
                assert_eq!(path.exists(), synced.is_dir());
                is_stopped.fetch_or(synced.is_dir() == is_directory, Relaxed);
                Ok(())
            });
            assert!(is_stopped.load(Relaxed) && matches!(stopped, Err(CliError::Interrupted)), "{stopped:?}");
            assert_eq!(files(), 0);
        }
    }

    #[test]
    fn export_that_cannot_be_synced_leaves_no_file() {
        let (store, directory, path) = store_and_path();
        for is_directory in [false, true] {
            let failed = write_synced_file(&store, &path, &AtomicBool::new(false), |file| {
                if file.metadata()?.is_dir() == is_directory { Err(rustix::io::Errno::IO.into()) } else { Ok(()) }
            });
            assert!(matches!(failed, Err(CliError::Usage(_))), "{failed:?}");
            assert_eq!(fs::read_dir(directory.path()).expect("a directory").count(), 0);
        }
    }

    #[test]
    fn export_that_is_stopped_before_it_is_finished_is_removed() {
        let (_store, _directory, path) = store_and_path();
        for is_stopped in [true, false] {
            fs::write(&path, "").expect("written");
            let progress = ExportProgress::default();
            progress.is_stopped.store(is_stopped, Relaxed);
            let finished = progress.finish(&path, Ok(7));
            assert_eq!((matches!(finished, Ok(7)), path.exists()), (!is_stopped, !is_stopped));
            // The export has ended, so a signal does not wait.
            progress.stop();
        }
        let failed = ExportProgress::default().finish(&path, Err(CliError::Interrupted));
        assert!(failed.is_err() && path.exists(), "the file of another command stays");
    }
}
