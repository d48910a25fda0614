//! Reads a log or an audit from its end, and what is written to it from then on.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::{RotationPolicy, line::line_time, rotated_path};

/// Which of the lines there are.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogFilter {
    /// The last so many; all, without a number.
    pub last: Option<usize>,
    /// Those that were written since then.
    pub since: Option<SystemTime>,
}

/// A line, and when it was written: as the line before it, where it does not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When.
    pub time: Option<SystemTime>,
    /// Without its newline.
    pub text: String,
}

/// A log that is read. It need not be there yet.
#[derive(Debug)]
pub struct LogReader {
    path: PathBuf,
    bounds: RotationPolicy,
    file: Option<File>,
    /// A line whose end is not written yet.
    partial_line: Vec<u8>,
}

impl LogReader {
    /// The last lines of a log, the older ones included, and what reads on from there.
    pub fn last_lines(path: &Path, bounds: RotationPolicy, filter: LogFilter) -> io::Result<(Vec<LogLine>, Self)> {
        let mut reader = Self { path: path.to_owned(), bounds, file: None, partial_line: Vec::new() };
        // All are opened before any is read: what is rotated meanwhile stays what it is.
        let files = reader.newer_than(None)?;
        let (mut parts, mut newest) = (Vec::new(), (None, Vec::new()));
        let mut missing = filter.last.unwrap_or(usize::MAX);
        for (age, mut file) in files.into_iter().enumerate() {
            let written = file.metadata()?.modified()?;
            let is_over = filter.since.is_some_and(|since| written < since);
            // Of the one that is written now the end is needed in any case.
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

    /// The lines that were written since, also into files that have taken the place of the one that was read.
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
            // What was written to it before it was full.
            lines.extend(self.read_rest(&mut file)?);
        }
        for mut file in newer.into_iter().rev() {
            lines.extend(self.read_rest(&mut file)?);
            self.file = Some(file);
        }
        Ok(with_times(lines))
    }

    /// The files that were begun after that one, the newest first; all, without one.
    fn newer_than(&self, file: Option<&File>) -> io::Result<Vec<File>> {
        let mut inodes: Vec<u64> = file.map(inode).transpose()?.into_iter().collect();
        let mut files = Vec::new();
        for number in 0..=self.bounds.kept_files {
            let Some(there) = open(&rotated_path(&self.path, number))? else { continue };
            let inode = inode(&there)?;
            match inodes.iter().position(|known| *known == inode) {
                Some(0) if file.is_some() => break,
                // Rotated while they are opened.
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
    // Anything else may have no end, or be waited for.
    if std::fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return Err(io::Error::other("it is no file"));
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
        // No room: another file.
        write("four\nfive\n");
        assert_eq!(more(), ["four", "five"]);
        assert_eq!(last(&path, 3), ["three", "four", "five"]);
        // Several, before anyone looks.
        write("six, seven\n");
        write("eight, nine\n");
        assert_eq!(more(), ["six, seven", "eight, nine"]);
        assert_eq!(last(&path, 3), ["five", "six, seven", "eight, nine"]);
        assert!(more().is_empty());
    }

    #[test]
    fn reader_ignores_what_is_not_a_file() {
        let end = LogReader::last_lines(Path::new("/dev/zero"), BOUNDS, LogFilter::default());
        assert_eq!(end.expect_err("it has no end").to_string(), "it is no file");
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
