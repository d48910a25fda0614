//! The log of a circle: a file that the circle writes itself, bounded by size.

mod read;

use std::{
    ffi::OsString,
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::SystemTime,
};

pub use read::LogReader;

/// Bytes of a log, and of the older one that is kept beside it.
const MAX_LOG: u64 = 4 << 20;

/// A log that is written. When it is full it takes the place of the older one, and a new one is begun.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    file: File,
    max: u64,
}

impl LogFile {
    /// Goes on with a log, or begins it, for the user alone.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), file: open(path)?, max: MAX_LOG })
    }
}

impl Write for LogFile {
    /// Writes all of it into one file. A line that is written at once is never torn.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // Asked of the file each time, since the supervisor writes a line now and then, too.
        let size = self.file.metadata()?.len();
        if size > 0 && size + line.len() as u64 > self.max {
            std::fs::rename(&self.path, older(&self.path))?;
            self.file = open(&self.path)?;
        }
        self.file.write_all(line)?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Adds a line to a log, with the time, for what its circle cannot write itself.
pub fn append(path: &Path, line: &str) -> io::Result<()> {
    let now = humantime::format_rfc3339_micros(SystemTime::now());
    LogFile::open(path)?.write_all(format!("{now}  {line}\n").as_bytes())
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

/// What was the log before it was full.
fn older(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".1");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_for_its_user_alone_and_bounded_with_the_older_one_beside_it() {
        use std::os::unix::fs::PermissionsExt;

        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("a.log");
        let mut log = LogFile { max: 100, ..LogFile::open(&path).expect("it opens") };
        for number in 0..100 {
            writeln!(log, "{number:09}").expect("it is written");
        }
        let text = |path: &Path| std::fs::read_to_string(path).expect("it is there");
        assert!(text(&path).ends_with("000000099\n") && text(&path).len() <= 100);
        assert!(text(&older(&path)).ends_with("000000089\n") && text(&older(&path)).len() == 100);
        assert_eq!(std::fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o600);
        append(&path, "killed").expect("it is written");
        assert!(text(&path).ends_with("Z  killed\n"));
        assert_eq!(std::fs::read_dir(home.path()).expect("it is there").count(), 2);
    }
}
