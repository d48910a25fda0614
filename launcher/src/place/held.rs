//! The locks: who holds one, and where its socket is.

use std::{
    fs::{File, TryLockError},
    io::{self, Read, Write},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

use super::{PlaceError, directory::PrivateDirectory};

/// Bytes of what a holder writes down that are read.
const MAX_NOTE: u64 = 8 << 10;

/// Held: no other supervisor of this configuration runs, or else no other is being started.
#[derive(Debug)]
pub struct Held {
    file: File,
    path: PathBuf,
    identity: Option<(u64, u64)>,
    /// Where it listens, and what tells that socket from another.
    run: Option<PathBuf>,
    socket: Option<(u64, u64)>,
    /// When it was taken again last, another process had it.
    has_successor: bool,
}

impl Held {
    /// Waits until the lock is free. Blocks.
    pub(super) fn wait_for(directory: &PrivateDirectory, name: &str) -> Result<Self, PlaceError> {
        let (file, path) = (directory.lock_file(name)?, directory.path(name));
        file.lock().map_err(|source| PlaceError::Io { path: path.clone(), source })?;
        let identity = directory.identity(name)?;
        let mut held = Self { file, path, identity, run: None, socket: None, has_successor: false };
        // What its predecessor has written does not hold any more.
        held.note(&[])?;
        Ok(held)
    }

    /// Takes the lock again where its file is not at its path any more; whether it still was.
    pub(super) fn hold_again(&mut self, directory: &PrivateDirectory, name: &str) -> Result<bool, PlaceError> {
        if self.identity.is_some() && directory.identity(name)? == self.identity {
            self.has_successor = false;
            return Ok(true);
        }
        let (file, path) = (directory.lock_file(name)?, directory.path(name));
        let locked = file.try_lock();
        self.has_successor = matches!(locked, Err(TryLockError::WouldBlock));
        locked.map_err(|error| match error {
            TryLockError::Error(source) => PlaceError::Io { path: path.clone(), source },
            TryLockError::WouldBlock => {
                let source = io::Error::new(io::ErrorKind::ResourceBusy, "another supervisor has it");
                PlaceError::Io { path: path.clone(), source }
            }
        })?;
        (self.file, self.path, self.identity) = (file, path, directory.identity(name)?);
        Ok(false)
    }

    /// Whether another supervisor had the lock when this one wanted it again.
    pub(crate) fn has_successor(&self) -> bool {
        self.has_successor
    }

    pub(super) fn run(&self) -> Option<&Path> {
        self.run.as_deref()
    }

    pub(super) fn socket(&self) -> Option<(u64, u64)> {
        self.socket
    }

    pub(super) fn listens(&mut self, socket: Option<(u64, u64)>) {
        self.socket = socket;
    }

    /// Writes down which process this is and where it listens, for who does not find it.
    pub(super) fn write_down(&mut self, run: &Path) -> Result<(), PlaceError> {
        self.note(run.as_os_str().as_bytes())?;
        self.run = Some(run.to_owned());
        Ok(())
    }

    fn note(&mut self, run: &[u8]) -> Result<(), PlaceError> {
        let failed = |source| PlaceError::Io { path: self.path.clone(), source };
        let mut note = format!("{}\n", std::process::id()).into_bytes();
        note.extend_from_slice(run);
        self.file.set_len(0).and_then(|()| self.file.write_all(&note)).map_err(failed)
    }
}

/// Who holds a lock, as it wrote it down.
#[derive(Debug)]
pub(super) struct Holder {
    pub(super) pid: u32,
    /// None, where it does not listen yet.
    pub(super) run: Option<PathBuf>,
}

impl Holder {
    /// None, where nobody holds it.
    pub(super) fn of(directory: &PrivateDirectory, name: &str) -> Result<Option<Self>, PlaceError> {
        let Some(file) = directory.existing(name)? else { return Ok(None) };
        let failed = |source| PlaceError::Io { path: directory.path(name), source };
        // Shared with others who look, and for a moment: who wants it waits that long.
        match file.try_lock_shared() {
            Ok(()) => return Ok(None),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let mut note = Vec::new();
        file.take(MAX_NOTE).read_to_end(&mut note).map_err(failed)?;
        let end = note.iter().position(|byte| *byte == b'\n').unwrap_or(note.len());
        let pid = std::str::from_utf8(&note[..end]).ok().and_then(|pid| pid.parse().ok()).unwrap_or_default();
        let run = note.get(end + 1..).filter(|run| !run.is_empty());
        Ok(Some(Self { pid, run: run.map(|run| std::ffi::OsString::from_vec(run.to_vec()).into()) }))
    }
}
