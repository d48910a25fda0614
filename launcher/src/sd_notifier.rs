//! Notifies a service manager such as systemd (`sd_notify(3)`) of the state of this process: ready, reloading,
//! stopping, a status line, and the watchdog.

use std::{sync::mpsc, time::Duration};

use sd_notify::NotifyState;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// Capacity of the message queue; messages without room are dropped and sent again later.
const MAX_QUEUED_MESSAGES: usize = 16;

/// Longest wait for the last messages.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(500);

/// Time that a process asks for when it starts slowly.
const EXTENSION: Duration = Duration::from_secs(30);

/// Longest status line in bytes.
const MAX_STATUS: usize = 500;

/// Connection to the service manager that started this process, if there is one.
///
/// It never blocks: messages without room are sent again later, or not at all. On drop it waits a moment until everything is
/// sent, because the end of the process would lose it.
#[derive(Debug, Default)]
pub struct SdNotifier {
    sender: Option<mpsc::SyncSender<NotifyMessage>>,
    /// Closed when everything is sent.
    flushed: Option<mpsc::Receiver<()>>,
    /// Half of the service manager's watchdog timeout.
    watchdog_interval: Option<Duration>,
    ticks: Option<Interval>,
    /// The last phase that was sent.
    phase: ServicePhase,
    status: String,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum ServicePhase {
    #[default]
    Starting,
    Ready,
    Reloading,
    Stopping,
}

#[derive(Debug)]
enum NotifyMessage {
    Ready,
    Reloading,
    Stopping,
    Watchdog,
    ExtendTimeout,
    Status(String),
}

impl SdNotifier {
    /// Connects to the service manager that the environment names (`NOTIFY_SOCKET`, `WATCHDOG_USEC`). Without one,
    /// nothing is sent.
    pub fn from_environment() -> Self {
        if std::env::var_os("NOTIFY_SOCKET").is_none() {
            return Self::default();
        }
        let (sender, messages) = mpsc::sync_channel(MAX_QUEUED_MESSAGES);
        let (flushed_sender, flushed) = mpsc::channel();
        // The socket blocks while the service manager does not read.
        std::thread::spawn(move || {
            for message in messages {
                notify(&message);
            }
            drop(flushed_sender);
        });
        let watchdog_interval = sd_notify::watchdog_enabled().map(|timeout| timeout / 2);
        Self::with_sender(
            sender,
            Some(flushed),
            watchdog_interval.filter(|watchdog_interval| !watchdog_interval.is_zero()),
        )
    }

    fn with_sender(
        sender: mpsc::SyncSender<NotifyMessage>,
        flushed: Option<mpsc::Receiver<()>>,
        watchdog_interval: Option<Duration>,
    ) -> Self {
        let (phase, status) = (ServicePhase::Starting, String::new());
        Self { sender: Some(sender), flushed, watchdog_interval, ticks: None, phase, status }
    }

    /// Reports that the process has started or has finished a reload.
    pub fn notify_ready(&mut self) {
        if matches!(self.phase, ServicePhase::Starting | ServicePhase::Reloading) {
            self.set_phase(ServicePhase::Ready, NotifyMessage::Ready);
        }
    }

    /// Reports that a reload has begun; [`notify_ready`](Self::notify_ready) ends it.
    pub fn notify_reloading(&mut self) {
        if self.phase == ServicePhase::Ready {
            self.set_phase(ServicePhase::Reloading, NotifyMessage::Reloading);
        }
    }

    /// Reports that the process is about to end.
    pub fn notify_stopping(&mut self) {
        if self.phase != ServicePhase::Stopping {
            self.set_phase(ServicePhase::Stopping, NotifyMessage::Stopping);
        }
    }

    /// Reports a status line for people.
    pub fn set_status(&mut self, status: &str) {
        let status = &status[..status.floor_char_boundary(MAX_STATUS)];
        if status != self.status && self.send(NotifyMessage::Status(status.replace('\n', " "))) {
            status.clone_into(&mut self.status);
        }
    }

    /// Asks for more time to start, because the process makes progress. A process that starts slowly repeats it.
    pub fn extend_timeout(&mut self) {
        self.send(NotifyMessage::ExtendTimeout);
    }

    /// Waits until a watchdog message is due; forever, if there is no watchdog. Cancel safe.
    pub async fn wait_until_watchdog_due(&mut self) {
        let Some(watchdog_interval) = self.watchdog_interval else { return std::future::pending().await };
        let ticks = self.ticks.get_or_insert_with(|| {
            let mut ticks = interval(watchdog_interval);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        ticks.tick().await;
    }

    /// Sends the watchdog message. Only the loop that the watchdog supervises may call it.
    pub fn notify_watchdog(&mut self) {
        self.send(NotifyMessage::Watchdog);
    }

    fn set_phase(&mut self, phase: ServicePhase, message: NotifyMessage) {
        if self.send(message) {
            self.phase = phase;
        }
    }

    fn send(&self, message: NotifyMessage) -> bool {
        self.sender.as_ref().is_some_and(|sender| sender.try_send(message).is_ok())
    }
}

impl Drop for SdNotifier {
    fn drop(&mut self) {
        self.sender = None;
        if let Some(flushed) = &self.flushed {
            // The channel closes, or the wait times out.
            let _flushed_or_timed_out = flushed.recv_timeout(FLUSH_TIMEOUT);
        }
    }
}

/// Sends a message. If the service manager is gone, nothing needs to happen.
fn notify(message: &NotifyMessage) {
    let _manager_gone = match message {
        NotifyMessage::Ready => sd_notify::notify(&[NotifyState::Ready]),
        NotifyMessage::Stopping => sd_notify::notify(&[NotifyState::Stopping]),
        NotifyMessage::Watchdog => sd_notify::notify(&[NotifyState::Watchdog]),
        NotifyMessage::ExtendTimeout => {
            let micros = u32::try_from(EXTENSION.as_micros()).unwrap_or(u32::MAX);
            sd_notify::notify(&[NotifyState::ExtendTimeoutUsec(micros)])
        }
        NotifyMessage::Status(status) => sd_notify::notify(&[NotifyState::Status(status)]),
        // `Type=notify-reload` needs the time.
        NotifyMessage::Reloading => {
            NotifyState::monotonic_usec_now().and_then(|now| sd_notify::notify(&[NotifyState::Reloading, now]))
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test_notifier() -> (SdNotifier, mpsc::Receiver<NotifyMessage>) {
        let (sender, messages) = mpsc::sync_channel(MAX_QUEUED_MESSAGES);
        (SdNotifier::with_sender(sender, None, None), messages)
    }

    #[test]
    fn notifier_sends_each_state_once_in_order() {
        let (mut notifier, messages) = test_notifier();
        notifier.notify_reloading();
        notifier.set_status("1 of 2");
        notifier.set_status("1 of 2");
        notifier.notify_ready();
        notifier.notify_ready();
        notifier.notify_reloading();
        notifier.notify_ready();
        notifier.notify_stopping();
        notifier.notify_reloading();
        notifier.notify_ready();
        notifier.notify_stopping();
        drop(notifier);
        let messages: Vec<String> = messages.into_iter().map(|message| format!("{message:?}")).collect();
        assert_eq!(messages, ["Status(\"1 of 2\")", "Ready", "Reloading", "Ready", "Stopping"]);
    }

    #[test]
    fn notifier_resends_dropped_message_without_blocking() {
        let (mut notifier, messages) = test_notifier();
        (0..MAX_QUEUED_MESSAGES + 5).for_each(|_| notifier.notify_watchdog());
        notifier.notify_ready();
        assert_eq!(messages.try_iter().count(), MAX_QUEUED_MESSAGES);
        notifier.notify_ready();
        assert!(matches!(messages.try_recv(), Ok(NotifyMessage::Ready)));
    }

    #[tokio::test]
    async fn notifier_without_service_manager_sends_nothing() {
        let mut notifier = SdNotifier::default();
        notifier.notify_ready();
        assert_eq!(notifier.phase, ServicePhase::Starting);
        let due = tokio::time::timeout(Duration::from_millis(1), notifier.wait_until_watchdog_due()).await;
        assert!(due.is_err());
    }
}
