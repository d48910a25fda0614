//! How far the recovery of a file is.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{AcqRel, Acquire, Relaxed, Release},
        },
    },
};

/// The end of the work, in thousandths.
const DONE: u64 = 1000;

/// What the first scan of the file is of the work, in thousandths; the engine says the same.
const FIRST_SCAN: u64 = 600;

/// What the second scan is, in thousandths.
const SECOND_SCAN: u64 = 300;

/// A function that gets the share of the work that is done, in thousandths, at each step of the work: the same again for
/// a small step.
pub(crate) type OnRecovery = Arc<dyn Fn(u16) + Send + Sync>;

/// What the recovery of one file has done, on the thread that opens the file. The engine reports only the ends of its
/// scans, so what it has read since counts, too.
#[derive(Default)]
pub(crate) struct RecoveryProgress {
    on_progress: Option<OnRecovery>,
    is_recovering: AtomicBool,
    /// What the engine has reported last, in thousandths.
    scanned: AtomicU64,
    /// What it has read since, in bytes.
    read_bytes: AtomicU64,
    /// What the function has got last, in thousandths.
    reported: AtomicU64,
}

impl RecoveryProgress {
    pub(super) fn new(on_progress: Option<OnRecovery>) -> Self {
        Self { on_progress, ..Self::default() }
    }

    /// Notes that the engine recovers the file, and has done a share of the work.
    pub(super) fn note_scan(&self, share: f64) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share is from 0 to 1")]
        let scanned = (share.clamp(0.0, 1.0) * 1000.0).round() as u64;
        self.scanned.store(scanned, Relaxed);
        self.read_bytes.store(0, Relaxed);
        self.is_recovering.store(true, Release);
        self.report(scanned);
    }

    /// Notes that the engine has read from a file of this length.
    pub(super) fn note_read(&self, bytes: usize, length: u64) {
        if !self.is_recovering.load(Acquire) {
            return;
        }
        let read = self.read_bytes.fetch_add(bytes as u64, Relaxed).saturating_add(bytes as u64);
        let scanned = self.scanned.load(Relaxed);
        let scan = if scanned < FIRST_SCAN { FIRST_SCAN - scanned } else { SECOND_SCAN };
        // A scan may read a page again that the cache has lost, and does not read free pages.
        let share = read.saturating_mul(scan) / length.max(1);
        self.report(scanned + share.min(scan.saturating_sub(1)));
    }

    /// Notes that the file is open.
    pub(super) fn finish(&self) {
        if self.is_recovering.swap(false, AcqRel) {
            self.report(DONE);
        }
    }

    fn report(&self, done: u64) {
        let done = self.reported.fetch_max(done, Relaxed).max(done);
        if let Some(on_progress) = &self.on_progress {
            on_progress(u16::try_from(done.min(DONE)).unwrap_or(u16::MAX));
        }
    }
}

impl fmt::Debug for RecoveryProgress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RecoveryProgress").field("reported", &self.reported).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn progress_goes_up_with_what_the_engine_reads() {
        let seen = Arc::<Mutex<Vec<u16>>>::default();
        let sender = Arc::clone(&seen);
        let progress = RecoveryProgress::new(Some(Arc::new(move |done| sender.lock().expect("a list").push(done))));
        progress.note_read(100, 1000);
        progress.note_scan(0.0);
        for _ in 0..12 {
            progress.note_read(100, 1000);
        }
        progress.note_read(1, 1000);
        progress.note_scan(0.6);
        progress.note_read(500, 1000);
        progress.note_scan(0.9);
        progress.finish();
        progress.note_read(1, 1);
        let seen = seen.lock().expect("a list");
        assert_eq!(*seen, [0, 60, 120, 180, 240, 300, 360, 420, 480, 540, 599, 599, 599, 599, 600, 750, 900, 1000]);
    }
}
