//! The start of a session's worker.

use std::io;

use keys::PublicKey;
use protocol::{RpcError, error::BusyLimit};
use tokio::time::{Instant, sleep_until};

use super::{Player, PlayerEvent, WorkerState};
use crate::circle::{StartedWorker, retry_after_ms};

impl Player {
    /// Returns when the next worker may start; `None` while there is one. A query may already have requested the
    /// worker.
    pub(crate) fn next_start(&self) -> Option<Instant> {
        self.pacing.next_start().filter(|_| !matches!(self.worker, WorkerState::Ready(..)))
    }

    /// Reserves the start of a worker for the caller, unless there is a worker.
    pub(crate) fn reserve_start(&mut self, caller: Option<PublicKey>) {
        if matches!(self.worker, WorkerState::None) {
            let caller = self.caller(caller);
            self.pacing.reserve(&self.circle.losses, caller, Instant::now());
        }
    }

    /// Requests a worker, unless there is one.
    ///
    /// # Errors
    ///
    /// The quota allows no worker.
    pub(crate) fn ensure_worker(&mut self, key: Option<PublicKey>) -> Result<(), RpcError> {
        self.last_used = Instant::now();
        self.reserve_start(key);
        let caller = self.caller(key);
        self.worker_caller = caller;
        self.caller_key = key;
        if matches!(self.worker, WorkerState::None) {
            let permit = self.circle.admission.admit_worker(caller)?;
            // A new environment uses the circle's current settings.
            let settings = self.circle.settings();
            self.limits = settings.limits.clone();
            let workers = settings.workers.clone();
            let (group, next_start) = (caller.group(), self.next_start());
            let start = async move {
                if let Some(next_start) = next_start {
                    sleep_until(next_start).await;
                }
                workers.start_worker(group).await
            };
            self.worker = WorkerState::Starting(Box::pin(start), permit);
        }
        Ok(())
    }

    /// Takes a started worker into use.
    pub(super) fn take_worker(&mut self, started: io::Result<StartedWorker>) -> Option<PlayerEvent> {
        let WorkerState::Starting(_, mut permit) = std::mem::replace(&mut self.worker, WorkerState::None) else {
            return None;
        };
        match started {
            Ok(StartedWorker { worker, was_spare, memory_base, start }) => {
                tracing::debug!(machine = worker.machine(), pid = worker.pid(), was_spare, "worker started");
                self.pacing.note_start(Instant::now());
                permit.set_memory_base(memory_base);
                self.worker_start = Some(start);
                self.worker = WorkerState::Ready(worker, permit);
                self.prepared = None;
                self.send_pending();
                None
            }
            Err(error) => {
                // Without this, a client could fill the log while there is no machine.
                let caller = self.worker_caller;
                if let Some(suppressed) = self.circle.logged_plays.admit(caller, Instant::now().into_std()) {
                    let suppressed = (suppressed > 0).then_some(suppressed);
                    tracing::error!(%error, suppressed, "cannot start worker");
                }
                let retry_after_ms = retry_after_ms(&error);
                let error = if is_exhaustion(&error) || retry_after_ms.is_some() {
                    let max = self.circle.settings.borrow().limits.values.workers;
                    RpcError::Busy { limit: BusyLimit::Workers, max, retry_after_ms }
                } else {
                    RpcError::Internal
                };
                Some(PlayerEvent::WorkerNotStarted(self.play.take().map(|play| play.ticket), error))
            }
        }
    }
}

/// Whether the system is out of processes, memory or file descriptors. The standard library has no error kind for the
/// last.
fn is_exhaustion(error: &io::Error) -> bool {
    let exhausted = [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE].map(|errno| Some(errno.raw_os_error()));
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::OutOfMemory | io::ErrorKind::QuotaExceeded)
        || exhausted.contains(&error.raw_os_error())
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, sync::Arc};

    use super::*;
    use crate::{Circle, Workers, quota::Caller};

    /// Otherwise the time of a play after the query would start before it could have a worker.
    #[test]
    fn start_delay_applies_to_play_after_query() {
        let circle = Circle::builder("a").workers(Workers::TrustedThreads).build().expect("a circle");
        let limits = circle.settings().limits.clone();
        let mut player = Player::new(Arc::new(circle), limits, 1, Ipv4Addr::LOCALHOST.into());
        for _ in 0..2 {
            player.ensure_worker(None).expect("room");
            player.reset();
        }
        let start = player.next_start().expect("the second reset came early");
        player.ensure_worker(None).expect("room");
        assert!(matches!(player.worker, WorkerState::Starting(..)));
        assert_eq!(player.next_start(), Some(start));
    }

    #[test]
    fn start_of_first_worker_is_delayed_by_losses_in_other_sessions() {
        let circle = Arc::new(Circle::builder("a").workers(Workers::TrustedThreads).build().expect("a circle"));
        let limits = circle.settings().limits.clone();
        let anonymous = Caller::anonymous(Ipv4Addr::LOCALHOST.into());
        (0..20).for_each(|_| circle.losses.note_loss(anonymous, Instant::now()));
        let player = |address: Ipv4Addr| {
            let mut player = Player::new(circle.clone(), limits.clone(), 1, address.into());
            player.reserve_start(None);
            player.ensure_worker(None).expect("room");
            player.next_start()
        };
        let (first, second) = (player(Ipv4Addr::LOCALHOST), player(Ipv4Addr::LOCALHOST));
        assert!(first > Some(Instant::now()) && second > first, "{first:?}, {second:?}");
        assert_eq!(player(Ipv4Addr::new(10, 0, 0, 1)), None);
    }

    #[test]
    fn exhaustion_is_distinguished_from_other_errors() {
        for errno in
            [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE, rustix::io::Errno::AGAIN, rustix::io::Errno::NOMEM]
        {
            assert!(is_exhaustion(&errno.into()), "{errno}");
        }
        assert!(!is_exhaustion(&rustix::io::Errno::NOENT.into()));
        assert!(!is_exhaustion(&io::Error::other("the fork server is gone")));
    }
}
