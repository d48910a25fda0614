//! What a running play has used, looked at after every operation, and what the second thread may see and say of it.

use std::{
    cell::Cell,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use crate::{
    message::{LimitKind, ProgressReport, ScriptProgress, WorkerLimits},
    system::allocator,
};

/// Seen by both threads of a worker. Relaxed everywhere: each value stands alone.
#[derive(Debug, Default)]
pub(crate) struct PlayMonitor {
    running: AtomicU64,
    stop: AtomicU64,
    operations: AtomicU64,
    progress: Mutex<Option<ScriptProgress>>,
}

impl PlayMonitor {
    /// Ends that play, now or as soon as it begins; of an earlier one it has no effect.
    pub(crate) fn stop(&self, play: u64) {
        // Plays have greater numbers with each, so the greatest is the one that counts.
        self.stop.fetch_max(play, Relaxed);
    }

    /// Ends whatever is played from now on.
    pub(crate) fn stop_for_good(&self) {
        self.stop(EVERY_PLAY);
    }

    pub(crate) fn report(&self) -> ProgressReport {
        ProgressReport {
            play: self.running.load(Relaxed),
            operations: self.operations.load(Relaxed),
            script: self.progress.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

/// Stands for whatever play there is.
const EVERY_PLAY: u64 = u64::MAX;

/// Of the thread that evaluates.
#[derive(Debug)]
pub(crate) struct Meter {
    watch: Arc<PlayMonitor>,
    play: Cell<u64>,
    operations: Cell<u64>,
    max_operations: u64,
    output_left: Cell<u64>,
    max_output: u64,
    breach: Cell<Option<(LimitKind, u64)>>,
    /// Live bytes at which a play ends.
    max_live: Cell<usize>,
    max_memory: u64,
    /// Live bytes before the first play.
    base: Cell<usize>,
    host_calls: Cell<u64>,
}

/// Live bytes that a play may have more than there are when it begins, however full the session is.
const SPARE_BYTES: usize = 1 << 20;

/// How often over its limit at the most: from then on only a fresh environment helps.
const MAX_SPARES: usize = 8;

/// The number of what is played before the first play.
pub(crate) const INIT_PLAY: u64 = u64::MAX;

/// What each print counts beside its bytes: about what a frame of its own costs the server and the connection.
const PRINT_COST: u64 = 256;

impl Meter {
    pub(crate) fn new(monitor: Arc<PlayMonitor>, limits: &WorkerLimits) -> Self {
        Self {
            watch: monitor,
            play: Cell::new(0),
            operations: Cell::new(0),
            max_operations: limits.operations.unwrap_or(u64::MAX),
            output_left: Cell::new(limits.output_bytes),
            max_output: limits.output_bytes,
            breach: Cell::new(None),
            max_live: Cell::new(usize::MAX),
            max_memory: limits.memory_bytes,
            base: Cell::new(allocator::live_bytes()),
            host_calls: Cell::new(0),
        }
    }

    /// What is there by now is the circle's own.
    pub(crate) fn reset_memory_baseline(&self) {
        self.base.set(allocator::live_bytes());
        allocator::reset_limit_baseline();
    }

    pub(crate) fn begin(&self, play: u64) {
        self.operations.set(0);
        self.output_left.set(self.max_output);
        self.breach.set(None);
        let max = usize::try_from(self.max_memory).unwrap_or(usize::MAX);
        // A session that is full already may still do what makes it less so.
        let full = self.base.get().saturating_add(max);
        let spare =
            allocator::live_bytes().saturating_add(SPARE_BYTES).min(full.saturating_add(MAX_SPARES * SPARE_BYTES));
        self.max_live.set(full.max(spare));
        self.play.set(play);
        self.set_progress(None);
        self.watch.operations.store(0, Relaxed);
        self.watch.running.store(play, Relaxed);
    }

    /// Whether there is so much that what can be had again is better given back.
    pub(crate) fn is_half_full(&self) -> bool {
        let half = usize::try_from(self.max_memory / 2).unwrap_or(usize::MAX);
        allocator::live_bytes() > self.base.get().saturating_add(half)
    }

    pub(crate) fn end(&self) {
        self.watch.running.store(0, Relaxed);
    }

    /// Counts an operation; false if the play is to end. The engine's own counter cannot serve: callbacks of native
    /// functions (`map`, `sort`, …) work on a copy of it.
    pub(crate) fn count(&self) -> bool {
        let operations = self.operations.get() + 1;
        self.operations.set(operations);
        self.watch.operations.store(operations, Relaxed);
        if operations > self.max_operations {
            self.record_breach(LimitKind::Operations, self.max_operations);
        }
        if allocator::live_bytes() > self.max_live.get() {
            self.record_breach(LimitKind::Memory, self.max_memory);
        }
        self.breach.get().is_none() && !self.is_stopped()
    }

    /// Counts a print; false if it is not to be printed.
    pub(crate) fn count_print(&self, bytes: usize) -> bool {
        let cost = PRINT_COST.saturating_add(bytes as u64);
        match self.output_left.get().checked_sub(cost) {
            Some(left) if self.breach.get().is_none() => {
                self.output_left.set(left);
                !self.is_stopped()
            }
            _ => {
                self.record_breach(LimitKind::Output, self.max_output);
                false
            }
        }
    }

    pub(crate) fn record_breach(&self, kind: LimitKind, max: u64) {
        // The first limit that is met is the one that is told.
        if self.breach.get().is_none() {
            self.breach.set(Some((kind, max)));
        }
    }

    pub(crate) fn breach(&self) -> Option<(LimitKind, u64)> {
        self.breach.get()
    }

    pub(crate) fn is_stopped(&self) -> bool {
        let stop = self.watch.stop.load(Relaxed);
        stop == self.play.get() || stop == EVERY_PLAY
    }

    /// The play is not to go on, as the other end has said already or is about to.
    pub(crate) fn stop(&self) {
        self.watch.stop(self.play.get());
    }

    /// The play that calls a host function, and the number of the call; `None` where no one carries it out.
    pub(crate) fn next_host_call(&self) -> Option<(u64, u64)> {
        let play = Some(self.play.get()).filter(|play| *play != INIT_PLAY)?;
        self.host_calls.set(self.host_calls.get() + 1);
        Some((play, self.host_calls.get()))
    }

    pub(crate) fn operations(&self) -> u64 {
        self.operations.get()
    }

    pub(crate) fn play(&self) -> u64 {
        self.play.get()
    }

    pub(crate) fn set_progress(&self, progress: Option<ScriptProgress>) {
        *self.watch.progress.lock().unwrap_or_else(PoisonError::into_inner) = progress;
    }
}
