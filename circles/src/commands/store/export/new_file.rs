//! The file of an export, which has no name until it is complete.

use std::{fs::File, io, path::Path};

use tempfile::NamedTempFile;

/// A new file in a directory, which only the user can read, and which does not stay unless it gets a name.
#[derive(Debug)]
pub(super) enum NewFile {
    /// A file without a name, which the system removes at the end of the process.
    Unnamed(File),
    /// A file with a hidden name, on a file system that has no files without a name.
    Hidden(NamedTempFile),
}

impl NewFile {
    pub(super) fn create_in(directory: &Path) -> io::Result<Self> {
        match unnamed_file(directory) {
            Some(file) => Ok(Self::Unnamed(file)),
            None => Self::create_hidden_in(directory),
        }
    }

    pub(super) fn create_hidden_in(directory: &Path) -> io::Result<Self> {
        tempfile::Builder::new().prefix(".").suffix(".export").tempfile_in(directory).map(Self::Hidden)
    }

    pub(super) fn as_file(&self) -> &File {
        match self {
            Self::Unnamed(file) => file,
            Self::Hidden(file) => file.as_file(),
        }
    }

    /// Gives the file its name, and replaces no other file.
    pub(super) fn set_name(self, path: &Path) -> io::Result<()> {
        match self {
            Self::Unnamed(file) => link(&file, path),
            Self::Hidden(file) => file.persist_noclobber(path).map(drop).map_err(|error| error.error),
        }
    }
}

/// Makes a file without a name; `None` if the file system has none, or if the file could not get a name later.
#[cfg(target_os = "linux")]
fn unnamed_file(directory: &Path) -> Option<File> {
    use rustix::fs::{Mode, OFlags, open};

    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    // The hidden file has the error of a directory that takes no file.
    let file = File::from(open(directory, flags, Mode::RUSR | Mode::WUSR).ok()?);
    // A system without /proc has no path of the descriptor.
    descriptor_path(&file).exists().then_some(file)
}

#[cfg(target_os = "linux")]
fn link(file: &File, path: &Path) -> io::Result<()> {
    use rustix::fs::{AtFlags, CWD, linkat};

    linkat(CWD, descriptor_path(file), CWD, path, AtFlags::SYMLINK_FOLLOW).map_err(Into::into)
}

#[cfg(target_os = "linux")]
fn descriptor_path(file: &File) -> std::path::PathBuf {
    use std::os::fd::AsRawFd;

    format!("/proc/self/fd/{}", file.as_raw_fd()).into()
}

#[cfg(not(target_os = "linux"))]
fn unnamed_file(_directory: &Path) -> Option<File> {
    None
}

#[cfg(not(target_os = "linux"))]
fn link(_file: &File, _path: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Syncs the entry of a new file in its directory.
pub(super) fn sync_directory(directory: &Path, sync: impl Fn(&File) -> io::Result<()>) -> io::Result<()> {
    let synced = File::open(directory).and_then(|directory| sync(&directory));
    match synced.as_ref().map_err(io::Error::kind) {
        // Only a directory that the user can read can be synced, and only on a file system that syncs directories.
        Err(io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        _ => synced,
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn new_file_has_no_name_until_it_gets_one_and_replaces_nothing() {
        let directory = tempfile::tempdir().expect("a directory");
        let names = || fs::read_dir(directory.path()).expect("a directory").count();
        for name in ["a", "b"] {
            let create = if name == "a" { NewFile::create_in } else { NewFile::create_hidden_in };
            let before = names();
            let made = create(directory.path()).expect("made");
            assert_eq!(names() - before, usize::from(matches!(made, NewFile::Hidden(_))));
            made.as_file().write_all(b"x").expect("written");
            let path = directory.path().join(name);
            made.set_name(&path).expect("named");
            assert_eq!(names() - before, 1);
            assert_eq!(fs::read(&path).expect("a file"), b"x");
            assert_eq!(path.metadata().expect("a file").permissions().mode() & 0o777, 0o600);

            let second = create(directory.path()).expect("made");
            let refused = second.set_name(&path).expect_err("the name is taken");
            assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
            drop(create(directory.path()).expect("made"));
            assert_eq!((names() - before, fs::read(&path).expect("a file")), (1, b"x".to_vec()));
        }
        NewFile::create_in(&directory.path().join("absent")).expect_err("there is no directory");
    }
}
