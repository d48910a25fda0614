//! Reports how far the recovery of a store is, while the circle is being made.

use std::{
    sync::{
        Arc,
        atomic::{
            AtomicU16, AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    time::Instant,
};

use launcher::{
    SdNotifier,
    ipc::{HEARTBEAT_INTERVAL, Recovering},
};
use tokio::{task::JoinHandle, time::interval};

use super::supervisor_ipc::SupervisorIpc;

/// The progress of the recovery of a store. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct RecoveryProgress(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    /// The share that is recovered, in thousandths.
    permille: AtomicU16,
    /// Number of steps of the recovery; 0 before one has begun.
    steps: AtomicU64,
}

impl RecoveryProgress {
    /// Notes a step of the recovery, and the share that is recovered, in thousandths.
    pub(super) fn set(&self, permille: u16) {
        self.0.permille.store(permille, Relaxed);
        self.0.steps.fetch_add(1, Release);
    }

    fn has_begun(&self) -> bool {
        self.0.steps.load(Relaxed) > 0
    }
}

/// What of the progress is reported.
#[derive(Debug, Default)]
struct RecoveryReporter {
    steps: u64,
    percent: Option<u8>,
}

impl RecoveryReporter {
    /// Returns the share that is recovered, in percent, and whether it has changed; `None` without a step since the last
    /// call. A slow disk needs longer than a timeout of the supervisor for one percent of a large file.
    fn next(&mut self, progress: &RecoveryProgress) -> Option<(u8, bool)> {
        let before = std::mem::replace(&mut self.steps, progress.0.steps.load(Acquire));
        if self.steps == before {
            return None;
        }
        let percent = u8::try_from(progress.0.permille.load(Relaxed) / 10).unwrap_or(100);
        Some((percent, self.percent.replace(percent) != Some(percent)))
    }
}

/// Waits until the circle is made, and reports the recovery of its store meanwhile. Returns nothing if the supervisor
/// stops the circle; the recovery then begins anew at the next start.
pub(super) async fn wait_until_built<T>(
    mut building: JoinHandle<T>,
    progress: &RecoveryProgress,
    supervisor: Option<&mut SupervisorIpc>,
    sd_notifier: &mut SdNotifier,
) -> Option<T> {
    let (started, mut reporter) = (Instant::now(), RecoveryReporter::default());
    let (mut to, from) = supervisor.map(SupervisorIpc::halves).unzip();
    let drained = async {
        match from {
            Some(from) => from.wait_for_drain().await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(drained);
    let mut ticks = interval(HEARTBEAT_INTERVAL);
    // The first tick is now.
    ticks.tick().await;
    loop {
        tokio::select! {
            built = &mut building => {
                if progress.has_begun() {
                    let seconds = started.elapsed().as_secs_f64();
                    tracing::info!("store recovered after a crash, in {seconds:.1} s");
                }
                return Some(built.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())));
            }
            () = &mut drained => return None,
            _ = ticks.tick() => {}
        }
        let Some((percent, has_changed)) = reporter.next(progress) else { continue };
        if has_changed {
            let line = format!("store recovering, {percent} %");
            tracing::info!("{line}");
            sd_notifier.set_status(&line);
        }
        sd_notifier.extend_timeout();
        if let Some(to) = &mut to {
            // If the supervisor is gone, it drains the circle.
            let _gone = to.notify(&Recovering { percent }).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_of_a_recovery_is_reported_and_only_changes_are_new() {
        let (progress, mut reporter) = (RecoveryProgress::default(), RecoveryReporter::default());
        assert_eq!((reporter.next(&progress), progress.has_begun()), (None, false));
        progress.set(0);
        assert_eq!((reporter.next(&progress), progress.has_begun()), (Some((0, true)), true));
        assert_eq!(reporter.next(&progress), None, "the recovery stands still");
        progress.set(0);
        assert_eq!(reporter.next(&progress), Some((0, false)));
        progress.set(19);
        progress.set(19);
        assert_eq!(reporter.next(&progress), Some((1, true)));
        progress.set(1000);
        assert_eq!(reporter.next(&progress), Some((100, true)));
    }
}
