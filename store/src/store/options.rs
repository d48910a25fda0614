use std::{
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, OnceLock, atomic::AtomicBool},
    thread,
};

use super::{Handle, Shared, Store};
use crate::{
    OpenError, StoreLimits, TransactionLimits,
    committer::Committer,
    engine::{Engine, Failure, Storage, Verify, create},
    environment::{Clock, Disk},
    listeners::Listeners,
    meta::{self, State, Tag},
    once::Claims,
    plan::Checks,
    queue::Queue,
    snapshot::Snapshot,
    turns::Turns,
};

/// How to open a store.
#[derive(Clone)]
pub struct StoreOptions {
    owner: String,
    limits: StoreLimits,
    transaction_limits: TransactionLimits,
    verify: Verify,
    pub(crate) clock: Clock,
    pub(crate) disk: Option<Disk>,
    pub(crate) checks: Checks,
}

impl StoreOptions {
    /// Options with the default limits. The owner is a name of 1 to 255 bytes: only the same owner opens the store
    /// again.
    pub fn new(owner: impl Into<String>) -> Self {
        Self {
            owner: owner.into(),
            limits: StoreLimits::default(),
            transaction_limits: TransactionLimits::default(),
            verify: Verify::default(),
            clock: Clock::system(),
            disk: None,
            checks: Checks::default(),
        }
    }

    /// Sets the bounds of the store.
    #[must_use]
    pub fn limits(self, limits: StoreLimits) -> Self {
        Self { limits, ..self }
    }

    /// Sets the limits of transactions that [`Store::begin`] begins.
    #[must_use]
    pub fn transaction_limits(self, transaction_limits: TransactionLimits) -> Self {
        Self { transaction_limits, ..self }
    }

    /// Verifies the checksum of every page on opening, which reads the whole file, and not only after a crash. Without
    /// it, a file that something else changed after the store was closed may open, and fail or be wrong later.
    #[must_use]
    pub fn verify(self) -> Self {
        Self { verify: Verify::Always, ..self }
    }

    /// Opens the store in a file, which is created if there is none. Its directory must exist.
    ///
    /// Blocks; after a crash for a scan of the whole file.
    ///
    /// # Errors
    ///
    /// See [`OpenError`]. No error changes what the file contains.
    pub fn open(self, path: impl AsRef<Path>) -> Result<Store, OpenError> {
        self.check_owner()?;
        let path: PathBuf = path.as_ref().to_owned();
        // An empty file is as good as none: the owner of the directory may have made it for its permissions.
        let exists = path.metadata().is_ok_and(|metadata| !metadata.is_file() || metadata.len() > 0);
        if !exists && !path.exists() {
            create(&path, |temporary| {
                let (engine, is_new) = Engine::open(Storage::File(temporary.to_owned()), Verify::AfterCrash)?;
                self.prepare(&engine, is_new)?;
                engine.close().map_err(|failure| corrupt(&failure))
            })?;
        }
        let disk = Disk::of_file(path.clone());
        self.open_storage(Storage::File(path), disk)
    }

    /// Opens a store in memory, which is gone when it is closed.
    ///
    /// # Errors
    ///
    /// [`OpenError::OwnerName`].
    pub fn open_in_memory(self) -> Result<Store, OpenError> {
        self.check_owner()?;
        self.open_storage(Storage::Memory, Disk::unbounded())
    }

    fn check_owner(&self) -> Result<(), OpenError> {
        match self.owner.len() {
            1..=255 => Ok(()),
            length => Err(OpenError::OwnerName(length)),
        }
    }

    /// Writes the header of a new store.
    fn prepare(&self, engine: &Engine, is_new: bool) -> Result<Tag, OpenError> {
        let tag = Tag::random()?;
        if is_new {
            meta::initialize(engine, &self.owner, tag).map_err(|failure| corrupt(&failure))?;
        }
        Ok(tag)
    }

    pub(crate) fn open_storage(self, storage: Storage, disk: Disk) -> Result<Store, OpenError> {
        let (engine, is_new) = Engine::open(storage, self.verify)?;
        let tag = self.prepare(&engine, is_new)?;
        let id = meta::check(&engine, &self.owner)?;
        let tables = engine.snapshot().map_err(|failure| corrupt(&failure))?;
        let state = State::read(&tables).map_err(|failure| corrupt(&failure))?;
        let shared = Arc::new(Shared {
            id,
            clock: self.clock,
            disk: self.disk.unwrap_or(disk),
            queue: Queue::new(self.limits.queued_commits),
            claims: Claims::default(),
            listeners: Listeners::default(),
            turns: Turns::default(),
            current: Mutex::new(Arc::new(Snapshot::new(state, tables))),
            advanced: Condvar::new(),
            is_closed: AtomicBool::new(false),
            close_failure: OnceLock::new(),
            limits: self.limits,
        });
        let committer = Committer::new(engine, Arc::clone(&shared), tag, self.checks);
        let committer = thread::Builder::new()
            .name("store-committer".to_owned())
            .spawn(move || committer.run())
            .map_err(OpenError::Io)?;
        let committer = Mutex::new(Some(committer));
        Ok(Store(Arc::new(Handle { shared, transaction_limits: self.transaction_limits, committer })))
    }
}

impl std::fmt::Debug for StoreOptions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("StoreOptions")
            .field("owner", &self.owner)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

fn corrupt(failure: &Failure) -> OpenError {
    OpenError::Corrupt(failure.reason.to_string())
}
