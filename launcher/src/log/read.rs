//! Reads a log from its end, and what is written to it from then on.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::older;

/// A log that is read. It need not be there yet.
#[derive(Debug)]
pub struct LogReader {
    path: PathBuf,
    file: Option<File>,
    /// A line whose end is not written yet.
    rest: Vec<u8>,
}

impl LogReader {
    /// The last lines of a log, the older one included, and what reads on from there.
    pub fn last_lines(path: &Path, count: usize) -> io::Result<(Vec<String>, Self)> {
        let mut reader = Self { path: path.to_owned(), file: None, rest: Vec::new() };
        // Before it is looked at again: what is rotated meanwhile is read once, from the new place or from the old one.
        let mut lines = match open(&older(path))? {
            Some(mut file) => reader.rest_of(&mut file)?,
            None => Vec::new(),
        };
        lines.extend(reader.more()?);
        lines.drain(..lines.len().saturating_sub(count));
        Ok((lines, reader))
    }

    /// The lines that were written since, also into a file that has taken the place of the one that was read.
    pub fn more(&mut self) -> io::Result<Vec<String>> {
        let mut lines = Vec::new();
        loop {
            if let Some(mut file) = self.file.take() {
                lines.extend(self.rest_of(&mut file)?);
                self.file = Some(file);
            }
            let Some(there) = open(&self.path)? else { return Ok(lines) };
            let inode = |file: &File| file.metadata().map(|metadata| metadata.ino());
            if let Some(file) = &self.file
                && inode(file)? == inode(&there)?
            {
                return Ok(lines);
            }
            self.file = Some(there);
        }
    }

    fn rest_of(&mut self, file: &mut File) -> io::Result<Vec<String>> {
        let mut text = std::mem::take(&mut self.rest);
        file.read_to_end(&mut text)?;
        let end = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        self.rest = text.split_off(end);
        Ok(String::from_utf8_lossy(&text).lines().map(str::to_owned).collect())
    }
}

fn open(path: &Path) -> io::Result<Option<File>> {
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
    use crate::log::LogFile;

    #[test]
    fn a_log_is_read_from_its_end_and_on_through_its_rotation() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("a.log");
        let (lines, mut reader) = LogReader::last_lines(&path, 3).expect("not there yet");
        assert!(lines.is_empty() && reader.more().expect("nor now").is_empty());
        let mut log = LogFile { max: 16, ..LogFile::open(&path).expect("it opens") };
        let mut write = |text: &str| log.write_all(text.as_bytes()).expect("it is written");
        write("one\ntwo\nthr");
        assert_eq!(reader.more().expect("read"), ["one", "two"]);
        write("ee\n");
        assert_eq!(reader.more().expect("read"), ["three"]);
        // No room: another file.
        write("four\nfive\n");
        assert_eq!(reader.more().expect("read"), ["four", "five"]);
        let (lines, _) = LogReader::last_lines(&path, 3).expect("it is there");
        assert_eq!(lines, ["three", "four", "five"]);
    }
}
