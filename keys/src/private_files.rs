//! Reads and writes files that only their owner may access: bounded in size, mode 0600, replaced atomically. Unix only.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use tempfile::NamedTempFile;
use zeroize::{Zeroize as _, Zeroizing};

/// Prefix of the temporary files of writes. A process that is killed during a write leaves its file behind.
const STAGED_PREFIX: &str = ".new-";

/// Permission bits of the group and of others.
const RIGHTS_OF_OTHERS: u32 = 0o077;

/// Permission bits that let others change a file, or add and replace files in a directory.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// Lock file that a process locks while it changes the directory. It is never removed, because all waiting processes
/// must wait for the same file.
const LOCK_FILE: &str = ".lock";

/// How long to wait for the lock. Its holder needs it for a few writes only, unless that process is stopped.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// Interval between attempts to take the lock: there is no notification of its release.
const LOCK_RETRY_INTERVAL: Duration = Duration::from_millis(10);

/// The outcome of writing a file that must not exist yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteOutcome {
    /// The file was written.
    Written,
    /// A file of that name existed and is unchanged.
    AlreadyExists,
}

/// The permissions that a file must have to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequiredPermissions {
    /// Any permissions.
    Any,
    /// Only the owner may write the file, and only the owner of the directory may write to the directory.
    Trusted,
    /// Only the owner may read or write the file, and only the owner of the directory may write to the directory.
    Private,
    /// Only the owner may read or write the file; the directory may have any permissions.
    PrivateAnywhere,
}

/// The reason why a file was not read or written. No error contains any of the file's content.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrivateFileError {
    /// The path is not a regular file with UTF-8 text of bounded size.
    #[error("{} {reason}", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// What it is instead, as a phrase that follows the path.
        reason: String,
    },
    /// Others can access the file. To fix it: `chmod 600`.
    #[error("{} is open to others (mode {mode:04o}), so circles does not use it", path.display())]
    LoosePermissions {
        /// The file.
        path: PathBuf,
        /// The permission bits.
        mode: u32,
    },
    /// Others can write to the directory. To fix it: `chmod 700`.
    #[error("others can write to {} (mode {mode:04o}), so circles uses no file in it", path.display())]
    WritableDirectory {
        /// The directory.
        path: PathBuf,
        /// The permission bits.
        mode: u32,
    },
    /// Another process holds the lock. To fix it, try again when that process has finished, or end it if it is stuck.
    #[error("another process has held the lock {} for more than {} s", path.display(), LOCK_TIMEOUT.as_secs())]
    Busy {
        /// The locked file.
        path: PathBuf,
    },
    /// The operating system reported an error: it is the source of this error and not part of the message.
    #[error("could not {action} {}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The failed action, as a verb phrase that the path follows.
        action: &'static str,
        /// The operating system's error.
        source: io::Error,
    },
}

impl PrivateFileError {
    fn io(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), action, source }
    }

    fn not_text(path: &Path, reason: impl Into<String>) -> Self {
        Self::NotText { path: path.to_owned(), reason: reason.into() }
    }
}

/// Creates the directory and its missing parents with mode 0700; removes the permissions of others from an existing
/// one.
fn ensure_dir(dir: &Path) -> Result<(), PrivateFileError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(PrivateFileError::io(dir, "create the directory"))?;
    let mode = fs::metadata(dir).map_err(PrivateFileError::io(dir, "look at"))?.permissions().mode();
    if mode & RIGHTS_OF_OTHERS != 0 {
        fs::set_permissions(dir, Permissions::from_mode(0o700))
            .map_err(PrivateFileError::io(dir, "take others' permissions away from"))?;
    }
    Ok(())
}

/// Lists the names in a directory that are UTF-8, in no particular order. A missing directory is empty.
///
/// # Errors
///
/// Returns [`PrivateFileError::Io`] if the directory cannot be listed.
pub fn file_names(dir: &Path) -> Result<Vec<String>, PrivateFileError> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(PrivateFileError::io(dir, "list"))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(PrivateFileError::io(dir, "list"))?;
        names.extend(entry.file_name().into_string());
    }
    Ok(names)
}

/// Reads the text of a regular file in `dir`, at most `max_bytes`, into a buffer that is wiped on drop. Returns `None`
/// if there is no such file.
///
/// # Errors
///
/// Returns [`PrivateFileError::LoosePermissions`] or [`PrivateFileError::WritableDirectory`] if the permissions are not
/// those `required`, [`PrivateFileError::NotText`] if the path is not a regular file with UTF-8 text within the bound,
/// and [`PrivateFileError::Io`] if it cannot be read.
pub fn read_text(
    dir: &Path,
    path: &Path,
    max_bytes: u64,
    required: RequiredPermissions,
) -> Result<Option<Zeroizing<String>>, PrivateFileError> {
    if matches!(required, RequiredPermissions::Trusted | RequiredPermissions::Private) {
        match fs::metadata(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            metadata => match permission_bits(&metadata.map_err(PrivateFileError::io(dir, "look at"))?) {
                mode if mode & WRITABLE_BY_OTHERS != 0 => {
                    return Err(PrivateFileError::WritableDirectory { path: dir.to_owned(), mode });
                }
                _ => {}
            },
        }
    }
    let refused = match required {
        RequiredPermissions::Any => 0,
        RequiredPermissions::Trusted => WRITABLE_BY_OTHERS,
        RequiredPermissions::Private | RequiredPermissions::PrivateAnywhere => RIGHTS_OF_OTHERS,
    };
    // Without NONBLOCK, opening a named pipe waits for a writer.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(None),
        file => File::from(file.map_err(io::Error::from).map_err(PrivateFileError::io(path, "open"))?),
    };
    // Take the metadata of the open file, so that nobody can exchange the file in between.
    let metadata = file.metadata().map_err(PrivateFileError::io(path, "look at"))?;
    if !metadata.is_file() {
        return Err(PrivateFileError::not_text(path, "is not a regular file"));
    }
    match permission_bits(&metadata) {
        mode if mode & refused != 0 => {
            return Err(PrivateFileError::LoosePermissions { path: path.to_owned(), mode });
        }
        _ => {}
    }
    // Allocate the final size up front: a buffer that grows leaves copies that are not wiped.
    let room = usize::try_from(metadata.len().min(max_bytes) + 1).unwrap_or_default();
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.take(max_bytes + 1).read_to_end(&mut bytes).map_err(PrivateFileError::io(path, "read"))?;
    if bytes.len() as u64 > max_bytes {
        return Err(PrivateFileError::not_text(path, format!("is larger than {max_bytes} bytes")));
    }
    match String::from_utf8(std::mem::take(&mut *bytes)) {
        Ok(text) => Ok(Some(Zeroizing::new(text))),
        Err(error) => {
            error.into_bytes().zeroize();
            Err(PrivateFileError::not_text(path, "is not UTF-8 text"))
        }
    }
}

fn permission_bits(metadata: &Metadata) -> u32 {
    metadata.permissions().mode() & 0o7777
}

/// Writes a file that must not exist yet, mode 0600.
///
/// # Errors
///
/// Returns [`PrivateFileError::Io`] if the file cannot be written.
pub fn write_new(dir: &Path, path: &Path, text: &str) -> Result<WriteOutcome, PrivateFileError> {
    match stage(dir, text)?.persist_noclobber(path) {
        Ok(_) => {}
        Err(refused) if refused.error.kind() == io::ErrorKind::AlreadyExists => return Ok(WriteOutcome::AlreadyExists),
        Err(refused) => return Err(PrivateFileError::io(path, "create")(refused.error)),
    }
    sync_dir(dir)?;
    Ok(WriteOutcome::Written)
}

/// Writes a file, mode 0600, and atomically replaces an existing one.
///
/// # Errors
///
/// Returns [`PrivateFileError::Io`] if the file cannot be written.
pub fn replace(dir: &Path, path: &Path, text: &str) -> Result<(), PrivateFileError> {
    stage(dir, text)?.persist(path).map_err(|refused| PrivateFileError::io(path, "replace")(refused.error))?;
    sync_dir(dir)
}

/// Renames a file without replacing another one.
///
/// # Errors
///
/// Returns [`PrivateFileError::Io`] if the file cannot be renamed.
pub fn rename(dir: &Path, from: &Path, to: &Path) -> Result<WriteOutcome, PrivateFileError> {
    match rename_noreplace(from, to) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(WriteOutcome::AlreadyExists),
        Err(error) => return Err(PrivateFileError::io(from, "rename")(error)),
    }
    sync_dir(dir)?;
    Ok(WriteOutcome::Written)
}

/// Renames atomically where the operating system and the file system support it.
#[cfg(any(target_os = "linux", target_vendor = "apple"))]
fn rename_noreplace(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Not every file system supports this flag.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => link_noreplace(from, to),
        moved => Ok(moved?),
    }
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn rename_noreplace(from: &Path, to: &Path) -> io::Result<()> {
    link_noreplace(from, to)
}

/// Renames in two steps, between which the file has both names.
fn link_noreplace(from: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(from, to)?;
    fs::remove_file(from).inspect_err(|_| {
        // Restore the previous state. If that fails too, the file has two names and is not lost.
        let _two_names = fs::remove_file(to);
    })
}

/// Changes only the case of a file's name. A file system that ignores case would report the new name as existing.
///
/// # Errors
///
/// Returns [`PrivateFileError::Io`] if the file cannot be renamed.
pub fn rename_case(dir: &Path, from: &Path, to: &Path) -> Result<(), PrivateFileError> {
    fs::rename(from, to).map_err(PrivateFileError::io(from, "rename"))?;
    sync_dir(dir)
}

/// Removes a file. A missing file is not an error.
///
/// # Errors
///
/// Returns [`PrivateFileError::Io`] if the file cannot be removed.
pub fn remove(dir: &Path, path: &Path) -> Result<(), PrivateFileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(PrivateFileError::io(path, "remove")).and_then(|()| sync_dir(dir)),
    }
}

/// Lists the temporary files of interrupted and of ongoing writes, sorted.
///
/// # Errors
///
/// Returns [`PrivateFileError::Io`] if the directory cannot be listed.
pub fn staged_files(dir: &Path) -> Result<Vec<PathBuf>, PrivateFileError> {
    let mut staged: Vec<_> = file_names(dir)?
        .into_iter()
        .filter(|name| name.starts_with(STAGED_PREFIX))
        .map(|name| dir.join(name))
        // A directory of that name is not a temporary file of a write.
        .filter(|path| path.symlink_metadata().is_ok_and(|metadata| !metadata.is_dir()))
        .collect();
    staged.sort();
    Ok(staged)
}

/// Removes the files of interrupted writes. The caller holds the lock, so no write is in progress.
fn remove_staged(dir: &Path) -> Result<(), PrivateFileError> {
    staged_files(dir)?.iter().try_for_each(|path| remove(dir, path))
}

/// Prepares a change of a directory: creates it if necessary, locks it until the returned lock is dropped, and removes
/// the files of interrupted writes. Returns `None` on a file system without locks.
///
/// # Errors
///
/// Returns [`PrivateFileError::Busy`] if another process holds the lock for too long, and [`PrivateFileError::Io`] if
/// the directory cannot be created, locked or cleaned up.
pub fn begin_change(dir: &Path) -> Result<Option<File>, PrivateFileError> {
    ensure_dir(dir)?;
    let lock = lock(dir)?;
    // Without a lock, another process may be writing one of the files.
    if lock.is_some() {
        remove_staged(dir)?;
    }
    Ok(lock)
}

/// Locks the directory until the lock is dropped or the process ends. Blocks for at most [`LOCK_TIMEOUT`].
///
/// Returns `None` on a file system without locks, such as some network file systems: changes in one step are safe even
/// there.
fn lock(dir: &Path) -> Result<Option<File>, PrivateFileError> {
    let path = dir.join(LOCK_FILE);
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(&path)
        .map_err(PrivateFileError::io(&path, "open"))?;
    let deadline = Instant::now() + LOCK_TIMEOUT;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => thread::sleep(LOCK_RETRY_INTERVAL),
            Err(TryLockError::WouldBlock) => return Err(PrivateFileError::Busy { path }),
            Err(TryLockError::Error(error)) => {
                return match Errno::from_io_error(&error) {
                    Some(Errno::NOLCK | Errno::NOSYS | Errno::OPNOTSUPP | Errno::INVAL) => Ok(None),
                    _ => Err(PrivateFileError::io(&path, "lock")(error)),
                };
            }
        }
    }
}

/// Writes the text to a temporary file in the same directory, from where one rename puts it in place. The file is
/// removed on drop.
fn stage(dir: &Path, text: &str) -> Result<NamedTempFile, PrivateFileError> {
    let mut file = tempfile::Builder::new()
        .prefix(STAGED_PREFIX)
        .permissions(Permissions::from_mode(0o600))
        .tempfile_in(dir)
        .map_err(PrivateFileError::io(dir, "create a file in"))?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.as_file().sync_all())
        .map_err(PrivateFileError::io(file.path(), "write"))?;
    Ok(file)
}

/// Flushes the directory, so that a new name survives a power failure.
fn sync_dir(dir: &Path) -> Result<(), PrivateFileError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(PrivateFileError::io(dir, "flush"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{WriteOutcome, file_names, link_noreplace, lock, rename, write_new};

    /// The race that `create` cannot detect when it checks the name.
    #[test]
    fn write_new_keeps_existing_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a.json");
        fs::write(&path, "theirs").expect("write");
        assert_eq!(write_new(dir.path(), &path, "ours").expect("no error"), WriteOutcome::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).expect("read"), "theirs");
        assert_eq!(file_names(dir.path()).expect("list"), ["a.json"]);
    }
    /// Tests both implementations of the rename: the file system of one machine uses only one of them.
    #[test]
    fn rename_does_not_replace_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let (from, to) = (dir.path().join("a.json"), dir.path().join("b.json"));
        fs::write(&from, "a").expect("write");
        fs::write(&to, "b").expect("write");
        assert_eq!(rename(dir.path(), &from, &to).expect("no error"), WriteOutcome::AlreadyExists);
        link_noreplace(&from, &to).expect_err("it is taken");
        assert_eq!(fs::read_to_string(&to).expect("read"), "b");
        fs::remove_file(&to).expect("remove");
        link_noreplace(&from, &to).expect("it is free");
        assert_eq!(rename(dir.path(), &to, &from).expect("no error"), WriteOutcome::Written);
        assert_eq!(file_names(dir.path()).expect("list"), ["a.json"]);
    }

    #[test]
    fn lock_is_exclusive() {
        let dir = tempfile::tempdir().expect("a directory");
        let held = lock(dir.path()).expect("free").expect("a file system with locks");
        let other = fs::File::open(dir.path().join(".lock")).expect("it is there");
        other.try_lock().expect_err("it is held");
        drop(held);
        other.try_lock().expect("it is free");
    }
}
