//! The state of the plays that both threads of a worker share: the evaluating thread begins and ends plays, the control
//! thread stops and holds them and reports their progress.

use std::sync::{
    Condvar, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

use super::meter::INIT_PLAY;
use crate::message::{ProgressReport, ScriptProgress};

/// The monitor of a worker's plays. The atomic values are independent of each other, so their order is relaxed.
#[derive(Debug, Default)]
pub(crate) struct PlayMonitor {
    /// The number of the running play; 0 between plays.
    running: AtomicU64,
    is_stopped: AtomicBool,
    operations: AtomicU64,
    progress: Mutex<Option<ScriptProgress>>,
    order: Mutex<PlayOrder>,
    resumed: Condvar,
}

/// What the control thread has decided about plays before they begin.
#[derive(Debug, Default)]
struct PlayOrder {
    /// The last play that has begun.
    begun: u64,
    /// The stopped plays that have not begun. The server stops a play at most once.
    stopped: Vec<u64>,
    is_every_play_stopped: bool,
    /// No play up to this one may begin.
    held_until: u64,
}

impl PlayMonitor {
    fn order(&self) -> MutexGuard<'_, PlayOrder> {
        // No code panics while it holds the lock.
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a play, once it is not held. Returns false if it was stopped before. Before a wait it flushes the output.
    pub(crate) fn begin(&self, play: u64, flush: &dyn Fn()) -> bool {
        self.set_progress(None);
        self.operations.store(0, Relaxed);
        let mut order = self.order();
        if play <= order.held_until {
            drop(order);
            flush();
            order = self.order();
        }
        while play <= order.held_until && !order.is_every_play_stopped {
            order = self.resumed.wait(order).unwrap_or_else(PoisonError::into_inner);
        }
        if play != INIT_PLAY {
            order.begun = play;
        }
        let is_stopped = order.is_every_play_stopped || order.stopped.contains(&play);
        order.stopped.retain(|stopped| *stopped > play);
        self.is_stopped.store(is_stopped, Relaxed);
        self.running.store(play, Relaxed);
        !is_stopped
    }

    /// Ends the running play.
    pub(crate) fn end(&self) {
        self.running.store(0, Relaxed);
    }

    /// Stops a play, now or before it begins. It has no effect on earlier plays. Returns the last play that has begun.
    pub(crate) fn stop(&self, play: u64) -> u64 {
        let mut order = self.order();
        if play == order.begun || play == INIT_PLAY {
            self.is_stopped.store(true, Relaxed);
        } else if play > order.begun {
            order.stopped.push(play);
        }
        order.begun
    }

    /// Stops the running play and all later ones.
    pub(crate) fn stop_for_good(&self) {
        self.order().is_every_play_stopped = true;
        self.is_stopped.store(true, Relaxed);
        self.resumed.notify_all();
    }

    /// Holds all plays up to this one that have not begun. Returns the last play that has begun.
    pub(crate) fn hold(&self, until: u64) -> u64 {
        let mut order = self.order();
        order.held_until = until;
        order.begun
    }

    /// Lets held plays begin.
    pub(crate) fn resume(&self) {
        self.order().held_until = 0;
        self.resumed.notify_all();
    }

    /// Whether the running play is to stop.
    pub(crate) fn is_stopped(&self) -> bool {
        self.is_stopped.load(Relaxed)
    }

    pub(crate) fn set_operations(&self, operations: u64) {
        self.operations.store(operations, Relaxed);
    }

    pub(crate) fn set_progress(&self, progress: Option<ScriptProgress>) {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = progress;
    }

    pub(crate) fn report(&self) -> ProgressReport {
        ProgressReport {
            play: self.running.load(Relaxed),
            operations: self.operations.load(Relaxed),
            script: self.progress.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stops_of_several_plays_are_all_kept() {
        let monitor = PlayMonitor::default();
        assert!(monitor.begin(1, &|| {}));
        // The later play first: the stop of the earlier one must not replace it.
        assert_eq!((monitor.stop(5), monitor.stop(3)), (1, 1));
        assert!(!monitor.is_stopped());
        assert_eq!([2, 3, 4, 5, 6].map(|play| monitor.begin(play, &|| {})), [true, false, true, false, true]);
        monitor.stop(4);
        assert!(!monitor.is_stopped(), "an earlier play");
        monitor.stop(6);
        assert!(monitor.is_stopped() && monitor.begin(7, &|| {}));
        assert!(monitor.order().stopped.is_empty());
    }

    #[test]
    fn held_play_begins_after_resume() {
        let monitor = PlayMonitor::default();
        monitor.begin(1, &|| {});
        assert_eq!(monitor.hold(3), 1);
        std::thread::scope(|scope| {
            let begun = scope.spawn(|| monitor.begin(2, &|| {}));
            assert_eq!(monitor.stop(2), 1, "it has not begun");
            monitor.resume();
            assert!(!begun.join().expect("no panic"));
        });
        assert_eq!(monitor.hold(3), 2);
        assert!(monitor.begin(4, &|| {}), "a play that was sent after the hold");
    }

    #[test]
    fn held_play_ends_with_its_worker() {
        let monitor = PlayMonitor::default();
        monitor.hold(1);
        std::thread::scope(|scope| {
            let begun = scope.spawn(|| monitor.begin(1, &|| {}));
            monitor.stop_for_good();
            assert!(!begun.join().expect("no panic"));
        });
        assert!(!monitor.begin(2, &|| {}));
    }
}
