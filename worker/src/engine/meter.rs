//! Metering of a running play: counts its use after every operation, and exchanges its state with the control thread.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
};

use super::monitor::PlayMonitor;
use crate::{
    message::{LimitKind, PRINT_COST, ScriptProgress, WorkerLimits},
    system::allocator,
};

/// The function that writes the output that the worker has collected.
struct Flush(Box<dyn Fn() + Send + Sync>);

impl std::fmt::Debug for Flush {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Flush")
    }
}

/// Number of operations of a play for which the outcome of the play before waits, so that both can be written together.
const FLUSH_DELAY: u64 = 64;

/// The meter of the evaluating thread.
///
/// Only that thread changes the values. They are atomic because Rhai's feature `sync` requires functions that are
/// `Sync`. A relaxed load or store costs as much as that of a plain value.
#[derive(Debug)]
pub(crate) struct Meter {
    monitor: Arc<PlayMonitor>,
    play: AtomicU64,
    operations: AtomicU64,
    max_operations: u64,
    /// Number of operations after which the play ends or output is flushed; 0 after a breach.
    last_operation: AtomicU64,
    output_left: AtomicU64,
    max_output: u64,
    has_breach: AtomicBool,
    breach: Mutex<Option<(LimitKind, u64)>>,
    /// Number of live bytes at which the play ends.
    max_live: AtomicUsize,
    max_memory: u64,
    /// Number of live bytes before the first play.
    base: AtomicUsize,
    host_calls: AtomicU64,
    flush: Flush,
}

/// Number of bytes that a play may allocate even if the session has reached its memory limit.
const SPARE_BYTES: usize = 1 << 20;

/// Maximum overrun of the memory limit, as a multiple of [`SPARE_BYTES`]. After that, only a fresh environment helps.
const MAX_SPARES: usize = 8;

/// The number of the init script, which runs before the first play.
pub(crate) const INIT_PLAY: u64 = u64::MAX;

impl Meter {
    pub(crate) fn new(
        monitor: Arc<PlayMonitor>,
        limits: &WorkerLimits,
        flush: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        Self {
            monitor,
            play: AtomicU64::new(0),
            operations: AtomicU64::new(0),
            max_operations: limits.operations.unwrap_or(u64::MAX),
            last_operation: AtomicU64::new(0),
            output_left: AtomicU64::new(limits.output_bytes),
            max_output: limits.output_bytes,
            has_breach: AtomicBool::new(false),
            breach: Mutex::new(None),
            max_live: AtomicUsize::new(usize::MAX),
            max_memory: limits.memory_bytes,
            base: AtomicUsize::new(allocator::live_bytes()),
            host_calls: AtomicU64::new(0),
            flush: Flush(Box::new(flush)),
        }
    }

    /// Excludes the memory in use now, which belongs to the setup, from the session's memory.
    pub(crate) fn reset_memory_baseline(&self) {
        self.base.store(allocator::live_bytes(), Relaxed);
        allocator::reset_limit_baseline();
    }

    /// Number of live bytes beyond the baseline.
    pub(crate) fn live_bytes(&self) -> u64 {
        allocator::live_bytes().saturating_sub(self.base.load(Relaxed)) as u64
    }

    /// Begins a play. Returns false if the server has stopped the play already. Waits while the server holds the play.
    pub(crate) fn begin(&self, play: u64) -> bool {
        self.operations.store(0, Relaxed);
        // The outcome of the play before may still wait.
        self.last_operation.store(self.max_operations.min(FLUSH_DELAY), Relaxed);
        self.output_left.store(self.max_output, Relaxed);
        if self.has_breach.load(Relaxed) {
            self.set_breach(None);
        }
        let max = usize::try_from(self.max_memory).unwrap_or(usize::MAX);
        // A session at its limit may still run plays that free memory.
        let full = self.base.load(Relaxed).saturating_add(max);
        let spare =
            allocator::live_bytes().saturating_add(SPARE_BYTES).min(full.saturating_add(MAX_SPARES * SPARE_BYTES));
        self.max_live.store(full.max(spare), Relaxed);
        self.play.store(play, Relaxed);
        self.monitor.begin(play, &self.flush.0)
    }

    /// Whether half of the memory is in use, so that caches should be cleared.
    pub(crate) fn is_half_full(&self) -> bool {
        let half = usize::try_from(self.max_memory / 2).unwrap_or(usize::MAX);
        allocator::live_bytes() > self.base.load(Relaxed).saturating_add(half)
    }

    pub(crate) fn end(&self) {
        self.monitor.end();
    }

    /// Counts an operation. Returns false if the play must end.
    ///
    /// The engine's own counter does not suffice: callbacks of native functions (`map`, `sort`, …) use a copy of it.
    pub(crate) fn count(&self) -> bool {
        // Three comparisons suffice on the fast path; 2^64 operations would take centuries.
        let operations = self.operations.load(Relaxed).wrapping_add(1);
        self.operations.store(operations, Relaxed);
        self.monitor.set_operations(operations);
        if operations > self.last_operation.load(Relaxed) || allocator::live_bytes() > self.max_live.load(Relaxed) {
            return self.check(operations);
        }
        !self.is_stopped()
    }

    /// Flushes the output if that is due, and records which limit an operation has exceeded, unless the play has ended
    /// already. Returns false if the play must end.
    #[cold]
    fn check(&self, operations: u64) -> bool {
        if !self.has_breach.load(Relaxed)
            && operations <= self.max_operations
            && operations > self.last_operation.load(Relaxed)
        {
            self.flush();
        }
        if operations > self.max_operations {
            self.record_breach(LimitKind::Operations, self.max_operations);
        }
        if allocator::live_bytes() > self.max_live.load(Relaxed) {
            self.record_breach(LimitKind::Memory, self.max_memory);
        }
        !self.has_breach.load(Relaxed) && !self.is_stopped()
    }

    /// Whether the play had few operations.
    pub(crate) fn is_short(&self) -> bool {
        self.operations.load(Relaxed) <= FLUSH_DELAY
    }

    /// Writes the output that the worker has collected.
    pub(crate) fn flush(&self) {
        (self.flush.0)();
        self.last_operation.store(if self.has_breach.load(Relaxed) { 0 } else { self.max_operations }, Relaxed);
    }

    /// Counts a print. Returns false if the text must not be printed.
    pub(crate) fn count_print(&self, bytes: usize) -> bool {
        let cost = PRINT_COST.saturating_add(bytes as u64);
        match self.output_left.load(Relaxed).checked_sub(cost) {
            Some(left) if !self.has_breach.load(Relaxed) => {
                self.output_left.store(left, Relaxed);
                !self.is_stopped()
            }
            _ => {
                self.record_breach(LimitKind::Output, self.max_output);
                false
            }
        }
    }

    pub(crate) fn record_breach(&self, kind: LimitKind, max: u64) {
        // The first exceeded limit is reported.
        if !self.has_breach.load(Relaxed) {
            self.set_breach(Some((kind, max)));
            self.last_operation.store(0, Relaxed);
        }
    }

    pub(crate) fn breach(&self) -> Option<(LimitKind, u64)> {
        if !self.has_breach.load(Relaxed) {
            return None;
        }
        *self.breach.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_breach(&self, breach: Option<(LimitKind, u64)>) {
        self.has_breach.store(breach.is_some(), Relaxed);
        *self.breach.lock().unwrap_or_else(PoisonError::into_inner) = breach;
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.monitor.is_stopped()
    }

    /// Stops the running play because its host call was aborted.
    pub(crate) fn stop(&self) {
        self.monitor.stop(self.play.load(Relaxed));
    }

    /// Returns the running play and the number of its next host call, or `None` for the init script, which cannot call
    /// the host.
    pub(crate) fn next_host_call(&self) -> Option<(u64, u64)> {
        let play = Some(self.play.load(Relaxed)).filter(|play| *play != INIT_PLAY)?;
        self.host_calls.store(self.host_calls.load(Relaxed) + 1, Relaxed);
        Some((play, self.host_calls.load(Relaxed)))
    }

    pub(crate) fn operations(&self) -> u64 {
        self.operations.load(Relaxed)
    }

    pub(crate) fn play(&self) -> u64 {
        self.play.load(Relaxed)
    }

    pub(crate) fn set_progress(&self, progress: Option<ScriptProgress>) {
        self.monitor.set_progress(progress);
    }
}
