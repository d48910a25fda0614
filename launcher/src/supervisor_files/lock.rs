//! The locks: who holds one, and where its socket is.

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

/// Bytes of what a holder writes down that are read.
const MAX_HOLDER_BYTES: u64 = 8 << 10;

/// Held: no other supervisor of this configuration runs, or else no other is being started.
#[derive(Debug)]
pub struct LockGuard {
    file: File,
    path: PathBuf,
    identity: (u64, u64),
    /// Where it listens, and what tells that socket from another.
    run_directory: Option<PathBuf>,
    socket: Option<(u64, u64)>,
    /// When it was taken again last, another process had it.
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
                // The file was removed meanwhile, so the lock keeps nobody out.
                continue;
            }
            let mut held = Self { file, path, identity, run_directory: None, socket: None, has_successor: false };
            // What its predecessor has written does not hold any more.
            held.write_contents(&[])?;
            return Ok(held);
        }
    }

    /// Takes the lock again where its file is not at its path any more; whether it still was.
    pub(super) fn reacquire(&mut self, directory: &PrivateDirectory, name: &str) -> Result<bool, SupervisorFilesError> {
        if directory.identity(name)? == Some(self.identity) {
            self.has_successor = false;
            return Ok(true);
        }
        let (file, path) = (directory.lock_file(name)?, directory.path(name));
        let locked = file.try_lock();
        // Who only looks shares the lock.
        let is_taken = |locked: &Result<(), TryLockError>| matches!(locked, Err(TryLockError::WouldBlock));
        self.has_successor = is_taken(&locked) && is_taken(&file.try_lock_shared());
        locked.map_err(|error| match error {
            TryLockError::Error(source) => SupervisorFilesError::Io { path: path.clone(), source },
            TryLockError::WouldBlock => {
                let source = io::Error::new(io::ErrorKind::ResourceBusy, "another supervisor has it");
                SupervisorFilesError::Io { path: path.clone(), source }
            }
        })?;
        self.identity = identity(&file).map_err(|source| SupervisorFilesError::Io { path: path.clone(), source })?;
        (self.file, self.path) = (file, path);
        Ok(false)
    }

    /// Whether another supervisor had the lock when this one wanted it again.
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

    /// Writes down which process this is and where it listens, for who does not find it.
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

/// Who holds a lock, as it wrote it down.
#[derive(Debug)]
pub(super) struct LockHolder {
    /// None, where the process that wrote it down does not hold the lock, as that of another container.
    pub(super) pid: Option<u32>,
    /// None, where it does not listen yet.
    pub(super) run: Option<PathBuf>,
}

impl LockHolder {
    /// None, where nobody holds it.
    pub(super) fn read(directory: &PrivateDirectory, name: &str) -> Result<Option<Self>, SupervisorFilesError> {
        let Some(file) = directory.open_file(name)? else { return Ok(None) };
        let failed = |source| SupervisorFilesError::Io { path: directory.path(name), source };
        // Shared with others who look, and for a moment: who wants it waits that long.
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

/// What tells a file from another.
fn identity(file: &File) -> io::Result<(u64, u64)> {
    let found = file.metadata()?;
    Ok((found.dev(), found.ino()))
}

/// Whether a process has locked the file, by the system's list of locks (`proc_locks(5)`). Where there is no list, what was
/// written down is believed.
fn has_lock(pid: u32, file: &File) -> bool {
    let (Ok(locks), Ok(found)) = (std::fs::read_to_string("/proc/locks"), file.metadata()) else { return true };
    let (pid, inode) = (pid.to_string(), found.ino().to_string());
    locks.lines().any(|line| {
        let mut fields = line.split_ascii_whitespace().skip(4);
        fields.next() == Some(&pid) && fields.next().and_then(|file| file.rsplit(':').next()) == Some(&inode)
    })
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    fn directory(home: &Path) -> Result<PrivateDirectory, SupervisorFilesError> {
        PrivateDirectory::create(home, &["locks"])
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
                    // It is locked; now another process has the one that is found.
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
            // Of another namespace, say.
            std::fs::write(home.path().join("locks/lock"), "1\n/run").expect("written");
            assert_eq!((holder().pid, holder().run), (None, Some("/run".into())));
        }
        drop(held);
        assert!(LockHolder::read(&directory, "lock").expect("it can be read").is_none());
    }

    #[test]
    fn lock_has_no_successor_while_others_read_it() {
        let home = tempfile::tempdir().expect("a directory");
        let make = || directory(home.path()).expect("a directory");
        let mut held = LockGuard::acquire(|| directory(home.path()), "lock").expect("free");
        std::fs::remove_file(home.path().join("locks/lock")).expect("it was there");
        let reader_file = make().lock_file("lock").expect("made");
        reader_file.try_lock_shared().expect("free");
        held.reacquire(&make(), "lock").expect_err("it is looked at");
        assert!(!held.has_successor());
        drop(reader_file);
        let successor = LockGuard::acquire(|| directory(home.path()), "lock").expect("free");
        held.reacquire(&make(), "lock").expect_err("another has it");
        assert!(held.has_successor());
        drop(successor);
        assert!(!held.reacquire(&make(), "lock").expect("free"));
        assert!(!held.has_successor() && held.reacquire(&make(), "lock").expect("it is there"));
    }
}
