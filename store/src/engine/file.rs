use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

use redb::{
    StorageBackend,
    backends::{FileBackend, InMemoryBackend},
};

use super::open_error::{io_error, open_error};
use crate::OpenError;

/// Where the bytes of a store are.
pub(crate) enum Storage {
    /// In memory, until the store is closed.
    Memory,
    /// In a file that exists.
    File(PathBuf),
    /// In something else.
    #[cfg(any(test, feature = "faults"))]
    Backend(Box<dyn StorageBackend>),
}

impl Storage {
    pub(super) fn into_backend(self) -> Result<Box<dyn StorageBackend>, OpenError> {
        match self {
            Self::Memory => Ok(Box::new(InMemoryBackend::new())),
            Self::File(path) => {
                let file = OpenOptions::new().read(true).write(true).open(path).map_err(io_error)?;
                Ok(Box::new(FileBackend::new(file).map_err(open_error)?))
            }
            #[cfg(any(test, feature = "faults"))]
            Self::Backend(backend) => Ok(backend),
        }
    }
}

/// Creates a file completely or not at all: `fill` gets a temporary name beside the file, and the file gets its own
/// name once all of it is on the disk. A crash in between leaves the temporary file. Its name is random, because
/// another process may create the same store now.
pub(crate) fn create(path: &Path, fill: impl FnOnce(&Path) -> Result<(), OpenError>) -> Result<(), OpenError> {
    let mut name = path.file_name().ok_or_else(|| io_error(io::ErrorKind::InvalidFilename.into()))?.to_owned();
    let random = getrandom::u64().map_err(|error| OpenError::Io(io::Error::other(error.to_string())))?;
    name.push(format!(".{random:016x}.new"));
    let temporary = path.with_file_name(name);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    // The store has data of users, so others may not read the file.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    drop(options.open(&temporary).map_err(io_error)?);
    fill(&temporary)?;
    // Unlike a rename, a link does not replace a file that another process created in the meantime.
    match fs::hard_link(&temporary, path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        // Some file systems have no links.
        Err(_) => fs::rename(&temporary, path).map_err(io_error)?,
    }
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_error(error)),
        _ => {}
    }
    sync_directory(path).map_err(io_error)
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

/// Free space of the disk that has the file, in bytes, for a user without privileges. Nothing where the system does not
/// say it.
#[cfg(unix)]
pub(crate) fn free_disk_bytes(path: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(path).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(not(unix))]
pub(crate) fn free_disk_bytes(_: &Path) -> Option<u64> {
    None
}
