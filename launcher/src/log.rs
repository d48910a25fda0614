//! What a circle writes down: its log, and the audit of its plays. Files of its own, bounded by size.

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

/// How large and how old a file gets, and how many older ones are kept beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RotationPolicy {
    /// Bytes of each.
    pub max_bytes: u64,
    /// Older ones.
    pub kept_files: usize,
    /// The age of a file's first line at which the next line begins another file; none, and only the size counts.
    pub max_age: Option<Duration>,
}

impl RotationPolicy {
    /// Those of a log.
    pub const LOG: Self = Self { max_bytes: 4 << 20, kept_files: 1, max_age: None };

    /// Bytes of all files together.
    pub fn total(&self) -> u64 {
        self.max_bytes.saturating_mul(self.kept_files as u64 + 1)
    }
}

/// A file that is written. When it is full it takes the place of the older one, and a new one is begun.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    /// None where there was no room for a new one.
    file: Option<File>,
    /// When the file's first line was written.
    first_line_at: SystemTime,
    policy: RotationPolicy,
    /// The last line lacks its end, which is to come behind it.
    has_partial_line: bool,
}

impl LogFile {
    /// Goes on with a file, or begins it, for the user alone. A disk that is full is no error here: it may have room later.
    pub fn open(path: &Path, policy: RotationPolicy) -> io::Result<Self> {
        let file = match open(path) {
            Ok(file) => Some(file),
            Err(error) if is_full(&error) => None,
            Err(error) => return Err(error),
        };
        let first_line_at = file.as_ref().map_or_else(SystemTime::now, first_line_time);
        Ok(Self { path: path.to_owned(), file, first_line_at, policy, has_partial_line: false })
    }

    /// Lets go of a file that has no room for so many bytes, or that is not at its path any more.
    fn rotate_if_needed(&mut self, room: usize) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        // Asked of the file each time, since the supervisor writes a line now and then, too.
        let size = file.metadata()?.len();
        let is_old = |max_age| self.first_line_at.elapsed().is_ok_and(|age| age >= max_age);
        let is_full = size + room as u64 > self.policy.max_bytes || self.policy.max_age.is_some_and(is_old);
        if size == 0 || !is_full {
            if !is_same_file(file, &self.path)? {
                self.file = None;
            }
            return Ok(());
        }
        // Both find it full: whoever comes second must not move away what the first has begun. Where files cannot be locked
        // that is left to chance.
        let locked = file.lock();
        let turned = match is_same_file(file, &self.path) {
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
        turned
    }

    fn rotate(&mut self) -> io::Result<()> {
        for number in (1..=self.policy.kept_files).rev() {
            match std::fs::rename(rotated_path(&self.path, number - 1), rotated_path(&self.path, number)) {
                // Also where it was moved before and there was no room for a new one.
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        // Those that are left of a time when more were kept.
        let mut number = self.policy.kept_files + 1;
        while std::fs::remove_file(rotated_path(&self.path, number)).is_ok() {
            number += 1;
        }
        self.file = None;
        Ok(())
    }
}

impl Write for LogFile {
    /// Lines that are handed over together stand in one file, and so does a line of which a part could be written.
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

/// Adds a line to a log, for what its circle cannot write itself. Blocks.
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
        // A process was killed within a line. What is written next is another.
        file.write_all(b"\n")?;
    }
    Ok(file)
}

/// When a file's first line was written, as far as the line says; otherwise now.
fn first_line_time(file: &File) -> SystemTime {
    let mut start = [0; 64];
    let length = file.read_at(&mut start, 0).unwrap_or_default();
    line::line_time(&String::from_utf8_lossy(&start[..length])).unwrap_or_else(SystemTime::now)
}

/// Whether that is the file that is there.
fn is_same_file(file: &File, path: &Path) -> io::Result<bool> {
    let identity = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
    match std::fs::metadata(path) {
        Ok(there) => Ok(identity(there) == identity(file.metadata()?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// There is no room now, and may be later.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}

/// What was the file before it was full, so many times ago.
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
        std::fs::write(rotated_path(&path, 2), "of a time when more were kept").expect("written");
        write(&old);
        write(&young);
        assert_eq!((text(&rotated_path(&path, 1)), text(&path)), (old, young.clone()));
        assert!(!rotated_path(&path, 2).exists() && rotated_path(&path, 1).exists());
        write(&young);
        assert_eq!(text(&path), young.clone() + &young, "it is not an hour old");
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
