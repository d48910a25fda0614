//! The one timer of a session.

use std::pin::Pin;

use tokio::time::{Instant, Sleep, sleep_until};

/// A timer for the earliest deadline of a session. Arming a timer takes the lock of the thread's timers and may wake
/// the thread, so this one is armed again only for an earlier deadline. It may end early.
#[derive(Debug)]
pub(super) struct DeadlineTimer {
    sleep: Pin<Box<Sleep>>,
    /// `None` once the timer has ended.
    armed_for: Option<Instant>,
}

impl DeadlineTimer {
    pub(super) fn new() -> Self {
        Self { sleep: Box::pin(sleep_until(Instant::now())), armed_for: None }
    }

    /// Waits until this deadline, or an earlier one of a former call. Cancel safe.
    pub(super) async fn wait_until(&mut self, deadline: Instant) {
        if self.armed_for.is_none_or(|armed_for| deadline < armed_for) {
            self.sleep.as_mut().reset(deadline);
            self.armed_for = Some(deadline);
        }
        self.sleep.as_mut().await;
        self.armed_for = None;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn timer_ends_at_the_earliest_deadline_and_again_at_the_next() {
        let far = || Instant::now() + Duration::from_hours(1);
        let mut timer = DeadlineTimer::new();
        assert!(timer.wait_until(far()).now_or_never().is_none());
        timer.wait_until(Instant::now()).await;
        assert!(timer.wait_until(far()).now_or_never().is_none(), "the last deadline counts no longer");
        let soon = Instant::now() + Duration::from_millis(10);
        assert!(timer.wait_until(soon).now_or_never().is_none());
        // The earlier deadline still counts.
        timer.wait_until(far()).await;
    }
}
