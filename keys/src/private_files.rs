//! Reading and writing files that are for their owner alone: bounded, private, whole or not at all. Unix only.

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

/// What the name of a file that is being written begins with. A process that is killed meanwhile leaves the file behind.
const STAGED_PREFIX: &str = ".new-";

/// Any right of the group or of everybody.
const RIGHTS_OF_OTHERS: u32 = 0o077;

/// What lets others change a file; put files into a directory, or other files in place of those that are there.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// Held by whoever changes something. It stays, since who waits for it must be waiting for the same file.
const LOCK_FILE: &str = ".lock";

/// How long another may hold it, who needs it for a few writes: longer only if that process stands still.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// How often it is looked whether the lock is free, which nothing tells.
const LOCK_RETRY_INTERVAL: Duration = Duration::from_millis(10);

/// What came of writing a file that must not be there yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteOutcome {
    /// The file is there now.
    Written,
    /// Another file was there before, and still is.
    AlreadyExists,
}

/// Which files are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequiredPermissions {
    /// Files with any permissions.
    Any,
    /// Files that only their owner may write, in a directory that only its owner may write to.
    Trusted,
    /// Files that only their owner may read or write, in a directory that only its owner may write to.
    Private,
    /// As [`Reading::Private`], in any directory.
    PrivateAnywhere,
}

/// Why a file was not read or written. Nothing of its content is in any of them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrivateFileError {
    /// Something else is there than a file with a bounded text.
    #[error("{} {reason}", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// What is there, to follow its path.
        reason: String,
    },
    /// Take the others' permissions away: `chmod 600`.
    #[error("{} is open to others (mode {mode:04o}), so circles does not use it", path.display())]
    LoosePermissions {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Take the others' permissions away: `chmod 700`.
    #[error("others can write to {} (mode {mode:04o}), so circles uses no file in it", path.display())]
    WritableDirectory {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Try again once the other process is done; if it stands still, end it.
    #[error("another process holds {} and does not let go of it", path.display())]
    Busy {
        /// The file that it has locked.
        path: PathBuf,
    },
    /// See what the operating system says, which is the source of this error and not in its message.
    #[error("could not {action} {}", path.display())]
    Io {
        /// What it happened to.
        path: PathBuf,
        /// What was tried, to be followed by the path.
        action: &'static str,
        /// What the operating system said.
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

/// Makes the directory, and every missing one above it, for its owner alone; closes an existing one to others.
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

/// The names in the directory that are text, in no order; none if there is no directory.
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

/// The text of a regular file in `dir` of at most `max_bytes`, in a buffer that is wiped when dropped. `None` if there is no
/// such file.
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
    // Of the opened file, so that no other file can take its place in between.
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
    // Room from the start for all that is read: a buffer that grows leaves unwiped pieces behind.
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

/// Writes a file that must not be there yet, mode 0600.
pub fn write_new(dir: &Path, path: &Path, text: &str) -> Result<WriteOutcome, PrivateFileError> {
    match stage(dir, text)?.persist_noclobber(path) {
        Ok(_) => {}
        Err(refused) if refused.error.kind() == io::ErrorKind::AlreadyExists => return Ok(WriteOutcome::AlreadyExists),
        Err(refused) => return Err(PrivateFileError::io(path, "create")(refused.error)),
    }
    sync_dir(dir)?;
    Ok(WriteOutcome::Written)
}

/// Writes a file, in place of the one that may be there, mode 0600.
pub fn replace(dir: &Path, path: &Path, text: &str) -> Result<(), PrivateFileError> {
    stage(dir, text)?.persist(path).map_err(|refused| PrivateFileError::io(path, "replace")(refused.error))?;
    sync_dir(dir)
}

/// Gives a file another name, and never that of another file.
pub fn rename(dir: &Path, from: &Path, to: &Path) -> Result<WriteOutcome, PrivateFileError> {
    match rename_noreplace(from, to) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(WriteOutcome::AlreadyExists),
        Err(error) => return Err(PrivateFileError::io(from, "rename")(error)),
    }
    sync_dir(dir)?;
    Ok(WriteOutcome::Written)
}

/// In one step where the system has it.
#[cfg(any(target_os = "linux", target_vendor = "apple"))]
fn rename_noreplace(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Not every file system can.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => link_noreplace(from, to),
        moved => Ok(moved?),
    }
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn move_to_free(from: &Path, to: &Path) -> io::Result<()> {
    link_noreplace(from, to)
}

/// In two steps, between which the file has both names.
fn link_noreplace(from: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(from, to)?;
    fs::remove_file(from).inspect_err(|_| {
        // As it was; if not even that can be done, the file has two names and is not lost.
        let _two_names = fs::remove_file(to);
    })
}

/// Gives a file the same name in other letters, which on a file system that ignores case is its own already.
pub fn rename_case(dir: &Path, from: &Path, to: &Path) -> Result<(), PrivateFileError> {
    fs::rename(from, to).map_err(PrivateFileError::io(from, "rename"))?;
    sync_dir(dir)
}

/// Removes a file. One that is gone already is no fault.
pub fn remove(dir: &Path, path: &Path) -> Result<(), PrivateFileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(PrivateFileError::io(path, "remove")).and_then(|()| sync_dir(dir)),
    }
}

/// The files of interrupted writes, and of writes that are going on, by name.
pub fn staged_files(dir: &Path) -> Result<Vec<PathBuf>, PrivateFileError> {
    let mut staged: Vec<_> = file_names(dir)?
        .into_iter()
        .filter(|name| name.starts_with(STAGED_PREFIX))
        .map(|name| dir.join(name))
        // A directory of that name is none of ours.
        .filter(|path| path.symlink_metadata().is_ok_and(|metadata| !metadata.is_dir()))
        .collect();
    staged.sort();
    Ok(staged)
}

/// Removes the files of interrupted writes. The caller holds the lock, so no write is going on.
fn remove_staged(dir: &Path) -> Result<(), PrivateFileError> {
    staged_files(dir)?.iter().try_for_each(|path| remove(dir, path))
}

/// Makes the directory where there is none, and keeps other processes from changing its files until the lock is dropped. Removes
/// what interrupted writes have left behind, which nobody else does. `None` on a file system that has no locks.
pub fn begin_change(dir: &Path) -> Result<Option<File>, PrivateFileError> {
    ensure_dir(dir)?;
    let lock = lock(dir)?;
    // Without a lock, another process may be writing one of the files.
    if lock.is_some() {
        remove_staged(dir)?;
    }
    Ok(lock)
}

/// Keeps others from changing anything until it is dropped, also when that is by the end of the process. Blocks, within bounds.
/// `None` on a file system that has no locks, as some in a network: what can be done in one step is safe there, too.
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

/// The text on disk under a passing name in the same directory, from where it takes one step to its place. Removed when
/// dropped.
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

/// Makes a new name last through a power cut.
fn sync_dir(dir: &Path) -> Result<(), PrivateFileError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(PrivateFileError::io(dir, "flush"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{WriteOutcome, file_names, link_noreplace, lock, rename, write_new};

    /// The race that `create` cannot see when it looks for the name.
    #[test]
    fn write_new_keeps_existing_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a.json");
        fs::write(&path, "theirs").expect("written");
        assert_eq!(write_new(dir.path(), &path, "ours").expect("no fault"), WriteOutcome::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).expect("read"), "theirs");
        assert_eq!(file_names(dir.path()).expect("listed"), ["a.json"]);
    }
    /// By whatever way: the file system of one machine does not take both.
    #[test]
    fn rename_does_not_replace_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let (from, to) = (dir.path().join("a.json"), dir.path().join("b.json"));
        fs::write(&from, "a").expect("written");
        fs::write(&to, "b").expect("written");
        assert_eq!(rename(dir.path(), &from, &to).expect("no fault"), WriteOutcome::AlreadyExists);
        link_noreplace(&from, &to).expect_err("it is taken");
        assert_eq!(fs::read_to_string(&to).expect("read"), "b");
        fs::remove_file(&to).expect("removed");
        link_noreplace(&from, &to).expect("it is free");
        assert_eq!(rename(dir.path(), &to, &from).expect("no fault"), WriteOutcome::Written);
        assert_eq!(file_names(dir.path()).expect("listed"), ["a.json"]);
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
