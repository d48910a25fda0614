//! Reads the last lines of a log or an audit, and follows it.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::{RotationPolicy, line::line_time, rotated_path};

/// Selection of log lines.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogFilter {
    /// The last so many lines; all if `None`.
    pub last: Option<usize>,
    /// Lines written since then.
    pub since: Option<SystemTime>,
}

/// Line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When it was written; for a continuation line, the time of the line before.
    pub time: Option<SystemTime>,
    /// Text without the newline.
    pub text: String,
}

/// Reader of a log, which need not exist yet.
#[derive(Debug)]
pub struct LogReader {
    path: PathBuf,
    bounds: RotationPolicy,
    file: Option<File>,
    /// Line without an end so far.
    partial_line: Vec<u8>,
}

impl LogReader {
    /// Returns the last lines of a log, rotated files included, and a reader that continues from there.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or is not a regular file.
    pub fn last_lines(path: &Path, bounds: RotationPolicy, filter: LogFilter) -> io::Result<(Vec<LogLine>, Self)> {
        let mut reader = Self { path: path.to_owned(), bounds, file: None, partial_line: Vec::new() };
        // All files are opened before any is read, so that a rotation meanwhile changes nothing.
        let files = reader.newer_than(None)?;
        let (mut parts, mut newest) = (Vec::new(), (None, Vec::new()));
        let mut missing = filter.last.unwrap_or(usize::MAX);
        for (age, mut file) in files.into_iter().enumerate() {
            let written = file.metadata()?.modified()?;
            let is_over = filter.since.is_some_and(|since| written < since);
            // The current file is always needed, to follow it from its end.
            if age > 0 && (missing == 0 || is_over) {
                break;
            }
            let mut lines = with_times(reader.read_rest(&mut file)?);
            if age == 0 {
                newest = (Some(file), std::mem::take(&mut reader.partial_line));
            }
            if let Some(since) = filter.since {
                lines.retain(|line| line.time.is_some_and(|time| time >= since));
            }
            lines.drain(..lines.len().saturating_sub(missing));
            missing -= lines.len();
            parts.push(lines);
        }
        (reader.file, reader.partial_line) = newest;
        Ok((parts.into_iter().rev().flatten().collect(), reader))
    }

    /// Returns the lines that were written since the last call, across rotations.
    ///
    /// # Errors
    ///
    /// A file cannot be read.
    pub fn read_new(&mut self) -> io::Result<Vec<LogLine>> {
        let mut lines = Vec::new();
        if let Some(mut file) = self.file.take() {
            lines.extend(self.read_rest(&mut file)?);
            self.file = Some(file);
        }
        let newer = self.newer_than(self.file.as_ref())?;
        if !newer.is_empty()
            && let Some(mut file) = self.file.take()
        {
            // Lines that were written before the rotation.
            lines.extend(self.read_rest(&mut file)?);
        }
        for mut file in newer.into_iter().rev() {
            lines.extend(self.read_rest(&mut file)?);
            self.file = Some(file);
        }
        Ok(with_times(lines))
    }

    /// Returns the files that are newer than `file`, newest first; all if `None`.
    fn newer_than(&self, file: Option<&File>) -> io::Result<Vec<File>> {
        let mut inodes: Vec<u64> = file.map(inode).transpose()?.into_iter().collect();
        let mut files = Vec::new();
        for number in 0..=self.bounds.kept_files {
            let Some(there) = open(&rotated_path(&self.path, number))? else { continue };
            let inode = inode(&there)?;
            match inodes.iter().position(|known| *known == inode) {
                Some(0) if file.is_some() => break,
                // Rotated while the files are being opened.
                Some(_) => {}
                None => {
                    inodes.push(inode);
                    files.push(there);
                }
            }
        }
        Ok(files)
    }

    fn read_rest(&mut self, file: &mut File) -> io::Result<Vec<String>> {
        let mut text = std::mem::take(&mut self.partial_line);
        file.read_to_end(&mut text)?;
        let end = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        self.partial_line = text.split_off(end);
        Ok(String::from_utf8_lossy(&text).lines().map(str::to_owned).collect())
    }
}

fn with_times(lines: Vec<String>) -> Vec<LogLine> {
    let mut last = None;
    let timed = lines.into_iter().map(|text| {
        last = line_time(&text).or(last);
        LogLine { time: last, text }
    });
    timed.collect()
}

fn inode(file: &File) -> io::Result<u64> {
    file.metadata().map(|metadata| metadata.ino())
}

fn open(path: &Path) -> io::Result<Option<File>> {
    // Another kind of file may have no end, or block.
    if std::fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return Err(io::Error::other("not a regular file"));
    }
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::log::{LogFile, parse_time};

    const BOUNDS: RotationPolicy = RotationPolicy { max_bytes: 16, kept_files: 2, max_age: None };

    fn texts(lines: Vec<LogLine>) -> Vec<String> {
        lines.into_iter().map(|line| line.text).collect()
    }

    fn last(path: &Path, count: usize) -> Vec<String> {
        let filter = LogFilter { last: Some(count), since: None };
        texts(LogReader::last_lines(path, BOUNDS, filter).expect("it is there").0)
    }

    #[test]
    fn reader_follows_log_through_rotations() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("a.log");
        let (lines, mut reader) = LogReader::last_lines(&path, BOUNDS, LogFilter::default()).expect("not there yet");
        assert!(lines.is_empty() && reader.read_new().expect("nor now").is_empty());
        let mut log = LogFile::open(&path, BOUNDS).expect("it opens");
        let mut write = |text: &str| log.write_all(text.as_bytes()).expect("it is written");
        let mut more = || texts(reader.read_new().expect("read"));
        write("one\ntwo\nthr");
        assert_eq!(more(), ["one", "two"]);
        write("ee\n");
        assert_eq!(more(), ["three"]);
        // No room: the log is rotated.
        write("four\nfive\n");
        assert_eq!(more(), ["four", "five"]);
        assert_eq!(last(&path, 3), ["three", "four", "five"]);
        // Several rotations between two reads.
        write("six, seven\n");
        write("eight, nine\n");
        assert_eq!(more(), ["six, seven", "eight, nine"]);
        assert_eq!(last(&path, 3), ["five", "six, seven", "eight, nine"]);
        assert!(more().is_empty());
    }

    #[test]
    fn reader_ignores_what_is_not_a_file() {
        let end = LogReader::last_lines(Path::new("/dev/zero"), BOUNDS, LogFilter::default());
        assert_eq!(end.expect_err("it has no end").to_string(), "not a regular file");
    }

    #[test]
    fn reader_includes_continuation_lines() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("a.log");
        let text = "2026-11-24T12:00:00Z one\n2026-11-24T12:00:01Z two\nand more\n";
        std::fs::write(&path, text).expect("written");
        let since = |time: &str| {
            let filter = LogFilter { last: None, since: parse_time(time) };
            texts(LogReader::last_lines(&path, BOUNDS, filter).expect("it is there").0)
        };
        assert_eq!(since("2026-11-24T12:00:00.5Z"), ["2026-11-24T12:00:01Z two", "and more"]);
        assert_eq!(since("2026-11-24T12:00:00Z").len(), 3);
        assert!(since("2026-11-24T12:00:02Z").is_empty());
    }
}
