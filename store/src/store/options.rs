use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, atomic::AtomicBool},
    thread,
};

use super::{Handle, Shared, Store};
use crate::{
    OpenError, StoreLimits, TransactionLimits,
    committer::Committer,
    engine::{Engine, OnRecovery, Storage, Verify, create, open_failure},
    environment::{Clock, Disk},
    listeners::Listeners,
    lock_holder::{HolderNote, find_holder},
    meta::{self, State, Tag},
    once::Claims,
    plan::Checks,
    queue::Queue,
    snapshot::{LiveSnapshots, Snapshot},
    timer::Timer,
    trim::last_time,
    turns::Turns,
    value_cache::ValueCache,
    waiters::Waiters,
};

/// How to open a store.
#[derive(Clone)]
pub struct StoreOptions {
    owner: String,
    limits: StoreLimits,
    transaction_limits: TransactionLimits,
    verify: Verify,
    is_read_only: bool,
    on_recovery: Option<OnRecovery>,
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
            is_read_only: false,
            on_recovery: None,
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

    /// Calls a function with the share of the scan that is done, from 0 to 1000, while opening scans the whole file: after
    /// a crash, and with [`StoreOptions::verify`]. It runs on the thread that opens the file, after each read, also if the
    /// share is still the same, and must not block.
    #[must_use]
    pub fn on_recovery(self, on_recovery: impl Fn(u16) + Send + Sync + 'static) -> Self {
        Self { on_recovery: Some(Arc::new(on_recovery)), ..self }
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
        if !path.exists() {
            create(&path, |temporary| {
                let (engine, is_new) = Engine::open(Storage::NewFile(temporary.to_owned()), Verify::AfterCrash, None)?;
                self.prepare(&engine, is_new)?;
                engine.close().map_err(|failure| open_failure(&failure))
            })?;
        }
        self.open_storage(Storage::File(path))
    }

    /// Opens the store in a file for reading only, after verifying the checksum of every page. Commits fail with
    /// [`CommitError::ReadOnly`](crate::CommitError::ReadOnly).
    ///
    /// Nothing is written to the file, not even to recover it after a crash: the recovery is in memory. Several readers
    /// may have the file open at the same time, and no writer. Blocks for a scan of the whole file.
    ///
    /// # Errors
    ///
    /// See [`OpenError`]; [`OpenError::EmptyFile`] for an empty file.
    pub fn open_read_only(self, path: impl AsRef<Path>) -> Result<Store, OpenError> {
        self.check_owner()?;
        let options = Self { verify: Verify::Always, is_read_only: true, ..self };
        options.open_storage(Storage::ReadOnly(path.as_ref().to_owned()))
    }

    /// Opens a store in memory, which is gone when it is closed.
    ///
    /// # Errors
    ///
    /// [`OpenError::OwnerName`].
    pub fn open_in_memory(self) -> Result<Store, OpenError> {
        self.check_owner()?;
        self.open_storage(Storage::Memory)
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
            meta::initialize(engine, &self.owner, tag).map_err(|failure| open_failure(&failure))?;
        }
        Ok(tag)
    }

    pub(crate) fn open_storage(self, storage: Storage) -> Result<Store, OpenError> {
        let limits = self.limits.clone().normalize();
        let path = storage.path().map(Path::to_owned);
        let opened = Engine::open(storage, self.verify, self.on_recovery.clone());
        let (engine, is_new) = opened.map_err(|error| match (error, &path) {
            (OpenError::Locked { .. }, Some(path)) => OpenError::Locked { holder: find_holder(path) },
            (error, _) => error,
        })?;
        let tag = self.prepare(&engine, is_new)?;
        let id = meta::check(&engine, &self.owner)?;
        let tables = engine.snapshot().map_err(|failure| open_failure(&failure))?;
        let state = State::read(&tables).map_err(|failure| open_failure(&failure))?;
        let last_time = last_time(&tables, &state).map_err(|failure| open_failure(&failure))?;
        let shared = Arc::new(Shared {
            id,
            clock: self.clock.start(last_time),
            disk: self.disk.unwrap_or_else(|| engine.disk().clone()),
            queue: Queue::new(&limits, self.is_read_only),
            claims: Claims::default(),
            listeners: Listeners::default(),
            turns: Turns::default(),
            cache: ValueCache::new(limits.cached_bytes, state.revision),
            current: Mutex::new(Arc::new(Snapshot::new(state, tables, engine.counters().written()))),
            advanced: Waiters::default(),
            latch: engine.latch().clone(),
            timer: Timer::default(),
            live: LiveSnapshots::default(),
            file: Arc::clone(engine.counters()),
            counters: Arc::default(),
            is_closed: AtomicBool::new(false),
            close_failure: OnceLock::new(),
            // Several readers may have the file open.
            holder: path.filter(|_| !self.is_read_only).map(|path| HolderNote::write(&path)),
            limits,
        });
        let waiting = Arc::downgrade(&shared);
        engine.latch().on_failure(move || {
            if let Some(shared) = waiting.upgrade() {
                shared.advanced.wake_all();
            }
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
