//! The store of a circle.

mod access;
mod call_attempts;
mod error;
mod location;
mod modules;
mod observer;
mod run_transaction;
mod value;

use std::{
    fmt,
    fs::File,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::Instant,
};

use protocol::Limits;
use store::{Store, StoreLimits, StoreOptions, TransactionLimits};

pub(crate) use access::{StoreAccess, StoreRights};
pub(crate) use call_attempts::{CallAttempts, Retry};
#[cfg(feature = "faults")]
pub use location::SkippedCheck;
pub use location::StoreLocation;
pub(crate) use modules::{EVENTS, STORE};
pub(crate) use observer::StoreObserver;
pub(crate) use run_transaction::RunTransaction;

use crate::{
    calls::RunStore, circle::build_error::BuildError, host::AnyModule, quota::Caller, subscriptions::EventHub,
};

/// Number of commits that may wait for the store.
pub(crate) const QUEUED_COMMITS: u64 = 1024;

/// KiB of a result that the store records for `once`.
pub(crate) const RECORDED_KIB: u64 = 4;

/// Length of a file up to which reads do not wait for the disk: half of the cache of the engine.
const RESIDENT_BYTES: u64 = 32 << 20;

/// A function that gets the progress while a store is recovered after a crash, in thousandths.
pub(crate) struct RecoveryListener(pub(crate) Box<dyn Fn(u16) + Send + Sync>);

impl fmt::Debug for RecoveryListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecoveryListener").finish_non_exhaustive()
    }
}

/// The store of a circle, which is open as long as the circle exists.
#[derive(Debug)]
pub(crate) struct CircleStore {
    pub(crate) store: Store,
    pub(crate) events: EventHub,
    /// Size of all records of `once`, in bytes.
    once_bytes: u64,
}

impl CircleStore {
    /// Opens a store. Blocks.
    pub(crate) fn open(
        location: &StoreLocation,
        circle: &str,
        limits: &Limits,
        on_recovery: Option<RecoveryListener>,
    ) -> Result<Self, BuildError> {
        let mut options =
            StoreOptions::new(circle).limits(store_limits(limits)).transaction_limits(transaction_limits(limits));
        if let Some(RecoveryListener(on_recovery)) = on_recovery {
            options = options.on_recovery(on_recovery);
        }
        let opened = match location {
            StoreLocation::Memory => options.open_in_memory(),
            StoreLocation::File(path) => options.open(path),
            #[cfg(feature = "faults")]
            StoreLocation::Faulty { path, skipped } => skipped.apply(options).open(path),
        };
        let store = opened.map_err(|source| BuildError::Store { location: location.clone(), source })?;
        if let StoreLocation::File(path) = location
            && store.file_bytes() <= RESIDENT_BYTES
        {
            warm(path);
        }
        let events = EventHub::new(store.clone(), limits);
        let once_bytes = store_limits(limits).once_bytes.min(limits.store_mib.saturating_mul(1 << 18));
        Ok(Self { store, events, once_bytes })
    }

    /// Tells other processes which server has the store open, for the error that they get. Does not block.
    pub(crate) fn describe_holder(&self, circle: &str, address: SocketAddr) {
        let (store, text) = (self.store.clone(), format!("the circle '{circle}' on {address}"));
        drop(tokio::task::spawn_blocking(move || store.describe_holder(&text)));
    }

    /// Returns an observer, which does not keep the store open.
    pub(crate) fn observer(&self) -> StoreObserver {
        StoreObserver::new(&self.store, &self.events)
    }

    /// Begins the transaction of a play.
    pub(crate) fn begin_run(&self) -> RunStore {
        RunStore::Own(Arc::new(RunTransaction::new(self.store.begin(), self.may_block(), None)))
    }

    /// Whether half of the space for records of `once` is used. The other half is for members: anyone can make keys.
    pub(crate) fn is_once_half_full(&self) -> bool {
        self.store.once_bytes() > self.once_bytes / 2
    }

    /// Whether reads may wait for the disk: the file does not fit into the cache of the engine.
    fn may_block(&self) -> bool {
        self.store.file_bytes() > RESIDENT_BYTES
    }

    /// Begins the attempts of a call. On a hot key, callers take turns.
    pub(crate) fn begin_call(&self, caller: Caller, deadline: Instant) -> CallAttempts {
        let mut hasher = DefaultHasher::new();
        caller.hash(&mut hasher);
        CallAttempts::new(&self.store, hasher.finish(), self.may_block(), deadline)
    }
}

/// Reads a file, so that the first reads of its store find it in memory. An error shows when the store reads.
fn warm(path: &Path) {
    let _error = File::open(path).and_then(|mut file| io::copy(&mut file, &mut io::sink()));
}

/// Returns the modules that scripts of a circle with a store have.
pub(crate) fn modules() -> [Arc<dyn AnyModule>; 2] {
    [modules::store_module().erase(), modules::events_module().erase()]
}

fn store_limits(limits: &Limits) -> StoreLimits {
    let mut values = StoreLimits::default();
    values.queued_commits = size(QUEUED_COMMITS);
    values.once_result_bytes = size(RECORDED_KIB * 1024);
    values.bytes = limits.store_mib.saturating_mul(1 << 20);
    values.log_bytes = limits.log_mib.saturating_mul(1 << 20);
    values
}

fn transaction_limits(limits: &Limits) -> TransactionLimits {
    let mut values = TransactionLimits::default();
    values.reads = size(limits.store_reads);
    values.writes = size(limits.store_writes);
    values.write_bytes = size(limits.store_kib.saturating_mul(1024));
    values.value_bytes = size(limits.value_kib.saturating_mul(1024));
    values.events = size(limits.events);
    values
}

fn size(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}
