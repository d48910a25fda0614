//! Log and audit files of a circle, bounded in size.

mod audit_rotation;
mod line;
mod line_queue;
mod reader;

use std::{
    ffi::OsString,
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

pub use audit_rotation::AuditRotation;
pub use line::{LogLevel, parse_time};
pub use line_queue::{LineEncoder, LineQueue, WriterGuard};
pub use reader::{LogFilter, LogLine, LogReader};

/// When a file is rotated, and how many rotated files are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RotationPolicy {
    /// Largest size of a file in bytes.
    pub max_bytes: u64,
    /// Number of rotated files.
    pub kept_files: usize,
    /// Age of a file's first line at which the next line starts a new file; `None` if only the size counts.
    pub max_age: Option<Duration>,
}

impl RotationPolicy {
    /// The policy of logs.
    pub const LOG: Self = Self { max_bytes: 4 << 20, kept_files: 1, max_age: None };

    /// Returns the largest size of all files together, in bytes.
    pub fn total(&self) -> u64 {
        self.max_bytes.saturating_mul(self.kept_files as u64 + 1)
    }
}

/// Log or audit file that rotates itself when it is full or too old.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    /// `None` if the disk was too full to create it.
    file: Option<File>,
    /// Time of the file's first line.
    first_line_at: SystemTime,
    policy: RotationPolicy,
    /// Whether the end of the last line has not been written yet.
    has_partial_line: bool,
}

impl LogFile {
    /// Opens a file, or creates it for the user alone. A full disk is not an error here: there may be room later.
    ///
    /// # Errors
    ///
    /// The file can be neither opened nor created.
    pub fn open(path: &Path, policy: RotationPolicy) -> io::Result<Self> {
        let file = match open(path) {
            Ok(file) => Some(file),
            Err(error) if is_full(&error) => None,
            Err(error) => return Err(error),
        };
        let first_line_at = file.as_ref().map_or_else(SystemTime::now, first_line_time);
        Ok(Self { path: path.to_owned(), file, first_line_at, policy, has_partial_line: false })
    }

    /// Closes the file if it has no room for `room` bytes, is too old, or is not at its path any more.
    fn rotate_if_needed(&mut self, room: usize) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        // The size comes from the file each time, because the supervisor also writes a line now and then.
        let size = file.metadata()?.len();
        let is_old = |max_age| self.first_line_at.elapsed().is_ok_and(|age| age >= max_age);
        let is_full = size + room as u64 > self.policy.max_bytes || self.policy.max_age.is_some_and(is_old);
        if size == 0 || !is_full {
            if !is_same_file(file, &self.path)? {
                self.file = None;
            }
            return Ok(());
        }
        // Both writers notice that the file is full: the second one must not rename the file that the first one has
        // just created. On a file system without locks this is a race.
        let locked = file.lock();
        let rotated = match is_same_file(file, &self.path) {
            Ok(true) => self.rotate(),
            Ok(false) => {
                self.file = None;
                Ok(())
            }
            Err(error) => Err(error),
        };
        if let (Some(file), Ok(())) = (&self.file, locked) {
            file.unlock()?;
        }
        rotated
    }

    fn rotate(&mut self) -> io::Result<()> {
        for number in (1..=self.policy.kept_files).rev() {
            match std::fs::rename(rotated_path(&self.path, number - 1), rotated_path(&self.path, number)) {
                // Also if the file was renamed before and there was no room for a new one.
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        // Files from a time when more were kept.
        let mut number = self.policy.kept_files + 1;
        while std::fs::remove_file(rotated_path(&self.path, number)).is_ok() {
            number += 1;
        }
        self.file = None;
        Ok(())
    }
}

impl Write for LogFile {
    /// Lines that are written together, or one line in several parts, end up in the same file.
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        if !self.has_partial_line {
            self.rotate_if_needed(lines.len())?;
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let file = open(&self.path)?;
                self.first_line_at = first_line_time(&file);
                none.insert(file)
            }
        };
        let written = file.write(lines)?;
        self.has_partial_line = written > 0 && lines[written - 1] != b'\n';
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Appends a line to a log on behalf of its circle, which cannot write it itself. Blocks.
pub(crate) fn append(path: &Path, line: &str) -> io::Result<()> {
    LogFile::open(path, RotationPolicy::LOG)?.write_all(line.as_bytes())
}

fn open(path: &Path) -> io::Result<File> {
    let mut file = OpenOptions::new().create(true).read(true).append(true).mode(0o600).open(path)?;
    let mut last = [b'\n'];
    if let Some(end) = file.metadata()?.len().checked_sub(1)
        && file.read_at(&mut last, end)? == 1
        && last != *b"\n"
    {
        // A process was killed in the middle of a line; start a new one.
        file.write_all(b"\n")?;
    }
    Ok(file)
}

/// Returns the time in a file's first line; now, if there is none.
fn first_line_time(file: &File) -> SystemTime {
    let mut start = [0; 64];
    let length = file.read_at(&mut start, 0).unwrap_or_default();
    line::line_time(&String::from_utf8_lossy(&start[..length])).unwrap_or_else(SystemTime::now)
}

/// Returns whether the path still leads to this file.
fn is_same_file(file: &File, path: &Path) -> io::Result<bool> {
    let identity = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
    match std::fs::metadata(path) {
        Ok(there) => Ok(identity(there) == identity(file.metadata()?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Returns whether the disk has no room, which may change.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}

/// Returns the path of a file after so many rotations.
fn rotated_path(path: &Path, number: usize) -> PathBuf {
    let mut name = OsString::from(path);
    if number > 0 {
        name.push(format!(".{number}"));
    }
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LogFormat;

    fn text(path: &Path) -> String {
        std::fs::read_to_string(path).expect("it is there")
    }

    #[test]
    fn log_is_private_and_bounded() {
        use std::os::unix::fs::PermissionsExt;

        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("a.log");
        let mut log =
            LogFile::open(&path, RotationPolicy { max_bytes: 100, kept_files: 2, max_age: None }).expect("it opens");
        for number in 0..100 {
            writeln!(log, "{number:09}").expect("it is written");
        }
        assert!(text(&path).ends_with("000000099\n") && text(&path).len() <= 100);
        assert!(text(&rotated_path(&path, 1)).ends_with("000000089\n") && text(&rotated_path(&path, 1)).len() == 100);
        assert!(text(&rotated_path(&path, 2)).ends_with("000000079\n"));
        assert_eq!(std::fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o600);
        let append =
            |format: LogFormat, line| append(&path, &format.format_line(SystemTime::now(), LogLevel::Warn, line));
        append(LogFormat::Text, "killed").expect("it is written");
        assert!(text(&path).ends_with("Z  WARN killed\n"));
        append(LogFormat::Json, "\"killed\"").expect("it is written");
        assert!(text(&path).ends_with("Z\",\"level\":\"WARN\",\"message\":\"\\\"killed\\\"\"}\n"));
        assert_eq!(std::fs::read_dir(home.path()).expect("it is there").count(), 3);
    }

    #[test]
    fn log_does_not_continue_partial_line() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("a.log");
        std::fs::write(&path, "half a li").expect("written");
        let mut log = LogFile::open(&path, RotationPolicy::LOG).expect("it opens");
        writeln!(log, "whole").expect("it is written");
        assert_eq!(text(&path), "half a li\nwhole\n");
    }

    #[test]
    fn log_with_two_writers_loses_nothing_at_rotation() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("a.log");
        let open =
            || LogFile::open(&path, RotationPolicy { max_bytes: 30, kept_files: 1, max_age: None }).expect("it opens");
        let (mut circle, mut supervisor) = (open(), open());
        for number in 0..3 {
            writeln!(circle, "{number:09}").expect("it is written");
        }
        writeln!(supervisor, "{:09}", 3).expect("it is written");
        writeln!(circle, "{:09}", 4).expect("it is written");
        assert_eq!(text(&path), "000000003\n000000004\n");
        assert_eq!(text(&rotated_path(&path, 1)), "000000000\n000000001\n000000002\n");
    }

    #[test]
    fn full_log_is_rotated_once_by_concurrent_writers() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("a.log");
        let policy = RotationPolicy { max_bytes: 200, kept_files: 200, max_age: None };
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let mut log = LogFile::open(&path, policy).expect("it opens");
                scope.spawn(move || {
                    for number in 0..500 {
                        log.write_all(format!("{writer} {number:07}\n").as_bytes()).expect("it is written");
                    }
                });
            }
        });
        let all: String = (0..=policy.kept_files)
            .rev()
            .filter_map(|n| std::fs::read_to_string(rotated_path(&path, n)).ok())
            .collect();
        let mut lines: Vec<&str> = all.lines().collect();
        lines.sort_unstable();
        lines.dedup();
        assert_eq!(lines.len(), 2000);
    }

    #[test]
    fn file_is_rotated_by_age_and_old_files_are_removed() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("a.audit");
        let line = |ago: u64| {
            let time = SystemTime::now() - Duration::from_secs(ago);
            format!("{{\"timestamp\":\"{}\",\"lost\":1}}\n", humantime::format_rfc3339_micros(time))
        };
        let policy = RotationPolicy { max_bytes: 1 << 20, kept_files: 1, max_age: Some(Duration::from_hours(1)) };
        let write = |text: &str| {
            LogFile::open(&path, policy).and_then(|mut log| log.write_all(text.as_bytes())).expect("it is written");
        };
        let (old, young) = (line(3601), line(60));
        std::fs::write(rotated_path(&path, 2), "from a time when more were kept").expect("written");
        write(&old);
        write(&young);
        assert_eq!((text(&rotated_path(&path, 1)), text(&path)), (old, young.clone()));
        assert!(!rotated_path(&path, 2).exists() && rotated_path(&path, 1).exists());
        write(&young);
        assert_eq!(text(&path), format!("{young}{young}"), "it is not an hour old");
    }

    #[test]
    fn removed_log_is_created_again() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("a.log");
        let mut log = LogFile::open(&path, RotationPolicy::LOG).expect("it opens");
        writeln!(log, "12345678").expect("it is written");
        std::fs::remove_file(&path).expect("it was there");
        writeln!(log, "again").expect("it is written");
        assert_eq!(text(&path), "again\n");
    }
}
