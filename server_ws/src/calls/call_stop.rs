//! The stop of a call, by its client or by the circle.

use std::sync::Arc;

use tokio::sync::watch;

use super::StopReason;

/// Whether a call has to stop.
#[derive(Debug, Default)]
struct CallStop {
    reason: Option<StopReason>,
    /// Whether the transactions of the call end, so that only a shutdown still matters.
    is_ending: bool,
    is_shutdown: bool,
}

/// Stops a call until its transactions end: from then on, the result says what happened.
#[derive(Debug, Clone, Default)]
pub(crate) struct CallStopper(Arc<watch::Sender<CallStop>>);

impl CallStopper {
    /// Stops the call. Returns whether it stops for this reason.
    pub(crate) fn stop(&self, reason: StopReason) -> bool {
        let mut is_stopped = false;
        self.0.send_if_modified(|stop| {
            let is_shutdown = reason == StopReason::Shutdown;
            stop.is_shutdown |= is_shutdown;
            if stop.is_ending {
                return is_shutdown;
            }
            let is_first = stop.reason.is_none() || is_shutdown;
            if is_first {
                stop.reason = Some(reason);
            }
            is_stopped = stop.reason == Some(reason);
            is_first
        });
        is_stopped
    }

    /// Begins the end of the transactions: the call no longer stops.
    ///
    /// # Errors
    ///
    /// The call was stopped before.
    pub(super) fn begin_end(&self) -> Result<(), StopReason> {
        let mut stopped = None;
        self.0.send_if_modified(|stop| {
            stopped = stop.reason;
            stop.is_ending = stopped.is_none();
            false
        });
        stopped.map_or(Ok(()), Err)
    }

    /// The call runs again, and can be stopped again.
    pub(super) fn begin_rerun(&self) {
        self.0.send_if_modified(|stop| {
            stop.is_ending = false;
            if stop.is_shutdown {
                stop.reason.get_or_insert(StopReason::Shutdown);
            }
            stop.is_shutdown
        });
    }

    /// Waits until the call has to stop. Cancel safe.
    pub(super) async fn stopped(&self) -> StopReason {
        let mut stops = self.0.subscribe();
        let reason = stops.wait_for(|stop| stop.reason.is_some()).await.ok().and_then(|stop| stop.reason);
        match reason {
            Some(reason) => reason,
            // This handle is a sender, so the channel is open.
            None => std::future::pending().await,
        }
    }

    /// Waits until the circle shuts down. Cancel safe.
    pub(super) async fn shut_down(&self) {
        if self.0.subscribe().wait_for(|stop| stop.is_shutdown).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn call_that_ends_is_not_cancelled() {
        let stopper = CallStopper::default();
        assert_eq!(stopper.begin_end(), Ok(()));
        assert!(!stopper.stop(StopReason::Cancelled), "the commit may have an effect");
        stopper.begin_rerun();
        assert!(stopper.stop(StopReason::Cancelled) && stopper.stop(StopReason::Cancelled));
        assert_eq!(stopper.begin_end(), Err(StopReason::Cancelled));
        assert!(stopper.stop(StopReason::Shutdown) && !stopper.stop(StopReason::Cancelled));
    }

    #[test]
    fn shutdown_reaches_a_rerun() {
        let stopper = CallStopper::default();
        assert_eq!(stopper.begin_end(), Ok(()));
        assert!(!stopper.stop(StopReason::Shutdown));
        stopper.begin_rerun();
        assert_eq!(stopper.begin_end(), Err(StopReason::Shutdown));
    }
}
