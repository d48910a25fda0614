//! What a service manager such as systemd is told of this process (`sd_notify(3)`): that it is ready, how it is, that it
//! reloads or ends, and that it is alive.

use std::{sync::mpsc, time::Duration};

use sd_notify::NotifyState;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// What waits to be told, before more is dropped and said again later.
const MAX_QUEUED_MESSAGES: usize = 16;

/// How long what was said last may take to be told.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(500);

/// Bytes of a status.
const MAX_STATUS: usize = 500;

/// The service manager that has started this process, if one has.
///
/// Nothing waits for it: what it does not take is told again, or not at all. Dropped, it gives what was said a moment to be told,
/// since with the process it would be lost.
#[derive(Debug, Default)]
pub struct SdNotifier {
    sender: Option<mpsc::SyncSender<NotifyMessage>>,
    /// Ends once all has been told.
    flushed: Option<mpsc::Receiver<()>>,
    /// Half as long as it waits for a sign of life.
    watchdog_interval: Option<Duration>,
    ticks: Option<Interval>,
    /// What it was told last.
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
    Status(String),
}

impl SdNotifier {
    /// The one that the environment names (`NOTIFY_SOCKET`, `WATCHDOG_USEC`); without, none, and nothing is told.
    pub fn from_environment() -> Self {
        if std::env::var_os("NOTIFY_SOCKET").is_none() {
            return Self::default();
        }
        let (words, messages) = mpsc::sync_channel(MAX_QUEUED_MESSAGES);
        let (flushed_sender, all_told) = mpsc::channel();
        // Its socket blocks while it does not read.
        std::thread::spawn(move || {
            for word in messages {
                notify(&word);
            }
            drop(flushed_sender);
        });
        let life = sd_notify::watchdog_enabled().map(|timeout| timeout / 2);
        Self::with_sender(words, Some(all_told), life.filter(|life| !life.is_zero()))
    }

    fn with_sender(
        words: mpsc::SyncSender<NotifyMessage>,
        all_told: Option<mpsc::Receiver<()>>,
        life: Option<Duration>,
    ) -> Self {
        let (phase, status) = (ServicePhase::Starting, String::new());
        Self { sender: Some(words), flushed: all_told, watchdog_interval: life, ticks: None, phase, status }
    }

    /// It has started, or has reloaded.
    pub fn notify_ready(&mut self) {
        if matches!(self.phase, ServicePhase::Starting | ServicePhase::Reloading) {
            self.set_phase(ServicePhase::Ready, NotifyMessage::Ready);
        }
    }

    /// It takes new settings; [`ready`](Self::ready) ends that.
    pub fn notify_reloading(&mut self) {
        if self.phase == ServicePhase::Ready {
            self.set_phase(ServicePhase::Reloading, NotifyMessage::Reloading);
        }
    }

    /// It is about to end.
    pub fn notify_stopping(&mut self) {
        if self.phase != ServicePhase::Stopping {
            self.set_phase(ServicePhase::Stopping, NotifyMessage::Stopping);
        }
    }

    /// How it is, in a line for a person.
    pub fn set_status(&mut self, status: &str) {
        let status = &status[..status.floor_char_boundary(MAX_STATUS)];
        if status != self.status && self.send(NotifyMessage::Status(status.replace('\n', " "))) {
            status.clone_into(&mut self.status);
        }
    }

    /// Waits until a sign of life is due; forever, where none is wanted. Cancel safe.
    pub async fn wait_until_watchdog_due(&mut self) {
        let Some(life) = self.watchdog_interval else { return std::future::pending().await };
        let ticks = self.ticks.get_or_insert_with(|| {
            let mut ticks = interval(life);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        ticks.tick().await;
    }

    /// The sign of life. To be given by the loop that is to be alive, and by nothing beside it.
    pub fn notify_watchdog(&mut self) {
        self.send(NotifyMessage::Watchdog);
    }

    fn set_phase(&mut self, phase: ServicePhase, word: NotifyMessage) {
        if self.send(word) {
            self.phase = phase;
        }
    }

    fn send(&self, word: NotifyMessage) -> bool {
        self.sender.as_ref().is_some_and(|words| words.try_send(word).is_ok())
    }
}

impl Drop for SdNotifier {
    fn drop(&mut self) {
        self.sender = None;
        if let Some(all_told) = &self.flushed {
            // The channel closes, or it is late.
            let _flushed_or_timed_out = all_told.recv_timeout(FLUSH_TIMEOUT);
        }
    }
}

/// A manager that is gone needs no news.
fn notify(word: &NotifyMessage) {
    let _unheard = match word {
        NotifyMessage::Ready => sd_notify::notify(&[NotifyState::Ready]),
        NotifyMessage::Stopping => sd_notify::notify(&[NotifyState::Stopping]),
        NotifyMessage::Watchdog => sd_notify::notify(&[NotifyState::Watchdog]),
        NotifyMessage::Status(status) => sd_notify::notify(&[NotifyState::Status(status)]),
        // `Type=notify-reload` wants to know when.
        NotifyMessage::Reloading => {
            NotifyState::monotonic_usec_now().and_then(|now| sd_notify::notify(&[NotifyState::Reloading, now]))
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test_notifier() -> (SdNotifier, mpsc::Receiver<NotifyMessage>) {
        let (words, messages) = mpsc::sync_channel(MAX_QUEUED_MESSAGES);
        (SdNotifier::with_sender(words, None, None), messages)
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
        let messages: Vec<String> = messages.into_iter().map(|word| format!("{word:?}")).collect();
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
