use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

use redb::{
    StorageBackend,
    backends::{FileBackend, InMemoryBackend},
};

use super::{
    open_error::{io_error, open_error},
    overlay::Overlay,
};
use crate::{OpenError, environment::Disk};

/// Where the bytes of a store are.
pub(crate) enum Storage {
    /// In memory, until the store is closed.
    Memory,
    /// In a file that has a store.
    File(PathBuf),
    /// In an empty file.
    NewFile(PathBuf),
    /// In a file that stays as it is: what the engine writes is in memory.
    ReadOnly(PathBuf),
    /// In something else.
    #[cfg(any(test, feature = "faults"))]
    Backend(Box<dyn StorageBackend>),
}

pub(super) struct OpenStorage {
    pub(super) backend: Box<dyn StorageBackend>,
    pub(super) disk: Disk,
    /// A database without tables becomes a store.
    pub(super) may_initialize: bool,
}

impl Storage {
    /// The file of the store.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::File(path) | Self::NewFile(path) | Self::ReadOnly(path) => Some(path),
            Self::Memory => None,
            #[cfg(any(test, feature = "faults"))]
            Self::Backend(_) => None,
        }
    }

    pub(super) fn open(self) -> Result<OpenStorage, OpenError> {
        let mut options = OpenOptions::new();
        options.read(true).write(!matches!(self, Self::ReadOnly(_)));
        match self {
            Self::Memory => Ok(OpenStorage::unbounded(Box::new(InMemoryBackend::new()))),
            Self::NewFile(path) => {
                let file = options.open(path).map_err(io_error)?;
                Ok(OpenStorage::unbounded(Box::new(FileBackend::new(file).map_err(open_error)?)))
            }
            Self::File(path) => {
                let file = open_existing(&options, &path)?;
                let disk = Disk::of_file(file.try_clone().map_err(io_error)?);
                let backend = Box::new(FileBackend::new(file).map_err(open_error)?);
                Ok(OpenStorage { backend, disk, may_initialize: false })
            }
            Self::ReadOnly(path) => {
                let backend = FileBackend::new(open_existing(&options, &path)?).map_err(open_error)?;
                let backend = Box::new(Overlay::new(Box::new(backend)).map_err(io_error)?);
                Ok(OpenStorage { backend, disk: Disk::unbounded(), may_initialize: false })
            }
            #[cfg(any(test, feature = "faults"))]
            Self::Backend(backend) => Ok(OpenStorage::unbounded(backend)),
        }
    }
}

impl OpenStorage {
    fn unbounded(backend: Box<dyn StorageBackend>) -> Self {
        Self { backend, disk: Disk::unbounded(), may_initialize: true }
    }
}

/// The engine would make a database of an empty file, which a power loss may interrupt.
fn open_existing(options: &OpenOptions, path: &Path) -> Result<File, OpenError> {
    let file = options.open(path).map_err(io_error)?;
    let metadata = file.metadata().map_err(io_error)?;
    if metadata.is_file() && metadata.len() == 0 { Err(OpenError::EmptyFile) } else { Ok(file) }
}

/// A file under a temporary name, which is removed in the end. The name is random, because another process may create
/// the same store now.
struct Temporary(PathBuf);

impl Temporary {
    fn create(path: &Path) -> Result<Self, OpenError> {
        let mut name = path.file_name().ok_or_else(|| io_error(io::ErrorKind::InvalidFilename.into()))?.to_owned();
        let random = getrandom::u64().map_err(|error| OpenError::Io(io::Error::other(error.to_string())))?;
        name.push(format!(".{random:016x}.new"));
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        // The store has data of users, so others may not read the file.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let path = path.with_file_name(name);
        drop(options.open(&path).map_err(io_error)?);
        Ok(Self(path))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // After a rename there is nothing under this name.
        drop(fs::remove_file(&self.0));
    }
}

/// Creates a file completely or not at all: `fill` gets a temporary name beside the file, and the file gets its own
/// name once all of it is on the disk. Only a crash in between leaves the temporary file. If another process creates the
/// file meanwhile, that file stays.
pub(crate) fn create(path: &Path, fill: impl FnOnce(&Path) -> Result<(), OpenError>) -> Result<(), OpenError> {
    let temporary = Temporary::create(path)?;
    fill(&temporary.0)?;
    let linked = fs::hard_link(&temporary.0, path);
    // Some file systems have no links. A plain rename would replace the file of another process.
    let named = linked.or_else(|error| if is_taken(&error) { Err(error) } else { rename_new(&temporary.0, path) });
    match named {
        Err(error) if !is_taken(&error) => return Err(io_error(error)),
        _ => drop(temporary),
    }
    sync_directory(path).map_err(io_error)
}

fn is_taken(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AlreadyExists
}

/// Renames a file, unless another file has the name.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)?)
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn rename_new(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "the file system has no links"))
}

#[cfg(unix)]
fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

#[cfg(not(unix))]
fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rename_replaces_no_file() {
        let directory = tempfile::tempdir().expect("a directory");
        let [new, live] = ["new", "live"].map(|name| directory.path().join(name));
        fs::write(&new, "new").expect("a file");
        fs::write(&live, "live").expect("a file");
        assert!(is_taken(&rename_new(&new, &live).expect_err("a taken name")));
        assert_eq!(fs::read(&live).expect("a file"), b"live");
        fs::remove_file(&live).expect("a file");
        rename_new(&new, &live).expect("a free name");
        assert_eq!(fs::read(&live).expect("a file"), b"new");
    }

    #[test]
    fn creation_keeps_the_file_of_another_process() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a.store");
        let fill = |temporary: &Path| {
            fs::write(temporary, "ours").map_err(io_error)?;
            fs::write(&path, "theirs").map_err(io_error)
        };
        create(&path, fill).expect("a file of another process");
        assert_eq!(fs::read(&path).expect("a file"), b"theirs");
        assert_eq!(fs::read_dir(directory.path()).expect("a directory").count(), 1);
    }

    #[test]
    fn failed_creation_leaves_nothing() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a.store");
        let error = create(&path, |_| Err(OpenError::NotAStore)).expect_err("an error");
        assert!(matches!(error, OpenError::NotAStore));
        assert_eq!(fs::read_dir(directory.path()).expect("a directory").count(), 0);
    }
}
