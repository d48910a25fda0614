//! Lock files: who holds a lock, and where its socket is.

use std::{
    fs::{File, TryLockError},
    io::{self, Read, Write},
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::MetadataExt,
    },
    path::{Path, PathBuf},
};

use super::{SupervisorFilesError, private_directory::PrivateDirectory};

/// Bytes of a lock file that are read.
const MAX_HOLDER_BYTES: u64 = 8 << 10;

/// Number of times that the list of locks is read before a lock counts as not there. The kernel returns the list in parts
/// of a page, and skips a lock between two parts if an earlier one is released meanwhile.
const MAX_LOCK_READS: usize = 5;

/// A lock that this process holds: the supervisor lock or the start lock of a configuration.
#[derive(Debug)]
pub struct LockGuard {
    file: File,
    path: PathBuf,
    identity: (u64, u64),
    /// Directory of the socket.
    run_directory: Option<PathBuf>,
    /// Device and inode of the socket.
    socket: Option<(u64, u64)>,
    /// Whether another process had the lock at the last attempt to acquire it again.
    has_successor: bool,
}

impl LockGuard {
    /// Waits until the lock is free. Blocks.
    pub(super) fn acquire(
        directory: impl Fn() -> Result<PrivateDirectory, SupervisorFilesError>,
        name: &str,
    ) -> Result<Self, SupervisorFilesError> {
        loop {
            let opened = directory()?;
            let (file, path) = (opened.lock_file(name)?, opened.path(name));
            let failed = |source| SupervisorFilesError::Io { path: path.clone(), source };
            file.lock().map_err(failed)?;
            let identity = identity(&file).map_err(failed)?;
            if directory()?.identity(name)? != Some(identity) {
                // The file was removed meanwhile, so the lock excludes nobody.
                continue;
            }
            let mut held = Self { file, path, identity, run_directory: None, socket: None, has_successor: false };
            // The record of the last holder is outdated.
            held.write_contents(&[])?;
            return Ok(held);
        }
    }

    /// Acquires the lock again if its file was removed. Returns whether it was still there.
    pub(super) fn reacquire(&mut self, directory: &PrivateDirectory, name: &str) -> Result<bool, SupervisorFilesError> {
        if directory.identity(name)? == Some(self.identity) {
            self.has_successor = false;
            return Ok(true);
        }
        let (file, path) = (directory.lock_file(name)?, directory.path(name));
        let locked = file.try_lock();
        // Readers only take a shared lock.
        let is_taken = |locked: &Result<(), TryLockError>| matches!(locked, Err(TryLockError::WouldBlock));
        self.has_successor = is_taken(&locked) && is_taken(&file.try_lock_shared());
        locked.map_err(|error| match error {
            TryLockError::Error(source) => SupervisorFilesError::Io { path: path.clone(), source },
            TryLockError::WouldBlock => {
                let source = io::Error::new(io::ErrorKind::ResourceBusy, "another supervisor holds it");
                SupervisorFilesError::Io { path: path.clone(), source }
            }
        })?;
        self.identity = identity(&file).map_err(|source| SupervisorFilesError::Io { path: path.clone(), source })?;
        (self.file, self.path) = (file, path);
        Ok(false)
    }

    /// Returns whether another supervisor had the lock when this one tried to acquire it again.
    pub(crate) fn has_successor(&self) -> bool {
        self.has_successor
    }

    pub(super) fn run(&self) -> Option<&Path> {
        self.run_directory.as_deref()
    }

    pub(super) fn socket(&self) -> Option<(u64, u64)> {
        self.socket
    }

    pub(super) fn set_socket(&mut self, socket: Option<(u64, u64)>) {
        self.socket = socket;
    }

    /// Records the process id and the directory of the socket, for clients that do not find the socket.
    pub(super) fn write_holder(&mut self, run: &Path) -> Result<(), SupervisorFilesError> {
        self.write_contents(run.as_os_str().as_bytes())?;
        self.run_directory = Some(run.to_owned());
        Ok(())
    }

    fn write_contents(&mut self, run: &[u8]) -> Result<(), SupervisorFilesError> {
        let failed = |source| SupervisorFilesError::Io { path: self.path.clone(), source };
        let mut contents = format!("{}\n", std::process::id()).into_bytes();
        contents.extend_from_slice(run);
        self.file.set_len(0).and_then(|()| self.file.write_all(&contents)).map_err(failed)
    }
}

/// Record in a lock file of the process that holds it.
#[derive(Debug)]
pub(super) struct LockHolder {
    /// Process id; `None` if that process does not hold the lock, for example because it is in another container.
    pub(super) pid: Option<u32>,
    /// Directory of the socket; `None` if the process does not listen yet.
    pub(super) run: Option<PathBuf>,
}

impl LockHolder {
    /// Reads the record; `None` if nobody holds the lock.
    pub(super) fn read(directory: &PrivateDirectory, name: &str) -> Result<Option<Self>, SupervisorFilesError> {
        let Some(file) = directory.open_file(name)? else { return Ok(None) };
        let failed = |source| SupervisorFilesError::Io { path: directory.path(name), source };
        // A shared lock, for a moment only: a process that wants the lock waits that long.
        match file.try_lock_shared() {
            Ok(()) => return Ok(None),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let mut contents = Vec::new();
        (&file).take(MAX_HOLDER_BYTES).read_to_end(&mut contents).map_err(failed)?;
        let end = contents.iter().position(|byte| *byte == b'\n').unwrap_or(contents.len());
        let pid = std::str::from_utf8(&contents[..end]).ok().and_then(|pid| pid.parse().ok());
        let pid = pid.filter(|pid| has_lock(*pid, &file));
        let run = contents.get(end + 1..).filter(|run| !run.is_empty());
        Ok(Some(Self { pid, run: run.map(|run| std::ffi::OsString::from_vec(run.to_vec()).into()) }))
    }
}

/// Returns device and inode of a file.
fn identity(file: &File) -> io::Result<(u64, u64)> {
    let found = file.metadata()?;
    Ok((found.dev(), found.ino()))
}

/// Returns whether a process has locked the file, according to `/proc/locks` (`proc_locks(5)`); true where there is no
/// such list.
fn has_lock(pid: u32, file: &File) -> bool {
    let Ok(found) = file.metadata() else { return true };
    (0..MAX_LOCK_READS).any(|_| {
        let locks = std::fs::read_to_string("/proc/locks");
        locks.map_or(true, |locks| is_in_locks(&locks, pid, found.ino()))
    })
}

fn is_in_locks(locks: &str, pid: u32, inode: u64) -> bool {
    let (pid, inode) = (pid.to_string(), inode.to_string());
    locks.lines().any(|line| {
        let mut fields = line.split_ascii_whitespace().skip(4);
        fields.next() == Some(&pid) && fields.next().and_then(|file| file.rsplit(':').next()) == Some(&inode)
    })
}

#[cfg(test)]
mod tests {
    use std::{
        cell::{Cell, RefCell},
        time::{Duration, Instant},
    };

    use super::*;

    fn directory(home: &Path) -> Result<PrivateDirectory, SupervisorFilesError> {
        PrivateDirectory::create(home, &["locks"])
    }

    /// Waits for a lock that was released: a child that another test starts holds its file, too, until it executes its
    /// program.
    fn wait_until(mut is_met: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !is_met() {
            assert!(Instant::now() < deadline, "the lock is still held");
            std::thread::yield_now();
        }
    }

    #[test]
    fn lock_is_reacquired_after_its_file_was_removed() {
        let home = tempfile::tempdir().expect("a directory");
        let make = || directory(home.path());
        let (reader_file, other) = (Cell::new(0), RefCell::new(None));
        let held = LockGuard::acquire(
            || {
                reader_file.set(reader_file.get() + 1);
                match reader_file.get() {
                    1 => {}
                    // The file is locked; now another process replaces it.
                    2 => {
                        std::fs::remove_file(home.path().join("locks/lock")).expect("it was there");
                        other.replace(Some(LockGuard::acquire(make, "lock").expect("free")));
                    }
                    _ => drop(other.take()),
                }
                make()
            },
            "lock",
        );
        let held = held.expect("free at last");
        assert_eq!(make().and_then(|made| made.identity("lock")).expect("it is there"), Some(held.identity));
    }

    #[test]
    fn holder_without_lock_is_not_reported() {
        let home = tempfile::tempdir().expect("a directory");
        let held = LockGuard::acquire(|| directory(home.path()), "lock").expect("free");
        let directory = directory(home.path()).expect("a directory");
        let holder = || LockHolder::read(&directory, "lock").expect("it can be read").expect("it is held");
        assert_eq!(holder().pid, Some(std::process::id()));
        if Path::new("/proc/locks").exists() {
            // For example from another PID namespace.
            std::fs::write(home.path().join("locks/lock"), "1\n/run").expect("written");
            assert_eq!((holder().pid, holder().run), (None, Some("/run".into())));
        }
        drop(held);
        wait_until(|| LockHolder::read(&directory, "lock").expect("it can be read").is_none());
    }

    #[test]
    fn lock_has_no_successor_while_others_read_it() {
        let home = tempfile::tempdir().expect("a directory");
        let make = || directory(home.path()).expect("a directory");
        let mut held = LockGuard::acquire(|| directory(home.path()), "lock").expect("free");
        std::fs::remove_file(home.path().join("locks/lock")).expect("it was there");
        let reader_file = make().lock_file("lock").expect("made");
        reader_file.try_lock_shared().expect("free");
        held.reacquire(&make(), "lock").expect_err("a reader has it");
        assert!(!held.has_successor());
        drop(reader_file);
        let successor = LockGuard::acquire(|| directory(home.path()), "lock").expect("free");
        held.reacquire(&make(), "lock").expect_err("another has it");
        assert!(held.has_successor());
        drop(successor);
        wait_until(|| held.reacquire(&make(), "lock").is_ok_and(|was_there| !was_there));
        assert!(!held.has_successor() && held.reacquire(&make(), "lock").expect("it is there"));
    }
}
