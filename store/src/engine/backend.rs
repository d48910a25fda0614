use std::{
    io,
    ops::Bound,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use redb::{BackendError, StorageBackend};

use super::recovery::RecoveryProgress;

/// What the engine did with the file, in bytes.
#[derive(Debug, Default)]
pub(crate) struct FileCounters {
    length: AtomicU64,
    written: AtomicU64,
    longest: AtomicU64,
}

impl FileCounters {
    /// Length of the file.
    pub(crate) fn length(&self) -> u64 {
        self.length.load(Ordering::Relaxed)
    }

    pub(super) fn forget_longest(&self) {
        self.longest.store(0, Ordering::Relaxed);
    }

    /// The longest that the engine made the file since the last call of `forget_longest`.
    pub(super) fn longest(&self) -> u64 {
        self.longest.load(Ordering::Relaxed)
    }

    /// All that was written since the file was opened. Each page that a commit writes replaces one at most, which
    /// snapshots from before the commit pin.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }
}

/// Counts what the engine writes, and is a type where the engine takes no box.
#[derive(Debug)]
pub(super) struct CountingBackend {
    backend: Box<dyn StorageBackend>,
    counters: Arc<FileCounters>,
    progress: Arc<RecoveryProgress>,
}

impl CountingBackend {
    pub(super) fn new(
        backend: Box<dyn StorageBackend>,
        counters: Arc<FileCounters>,
        progress: Arc<RecoveryProgress>,
    ) -> Self {
        Self { backend, counters, progress }
    }
}

impl StorageBackend for CountingBackend {
    fn len(&self) -> io::Result<u64> {
        let length = self.backend.len()?;
        self.counters.length.store(length, Ordering::Relaxed);
        Ok(length)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.backend.read(offset, out)?;
        self.progress.note_read(out.len(), self.counters.length());
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.backend.set_len(length)?;
        self.counters.longest.fetch_max(length, Ordering::Relaxed);
        self.counters.length.store(length, Ordering::Relaxed);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.backend.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.counters.written.fetch_add(data.len() as u64, Ordering::Relaxed);
        self.backend.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.backend.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.backend.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.backend.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.backend.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.backend.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.backend.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.backend.query_lock_range(start, end)
    }
}
