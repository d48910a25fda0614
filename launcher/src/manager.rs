//! What a service manager such as systemd is told of this process (`sd_notify(3)`): that it is ready, how it is, that it
//! reloads or ends, and that it is alive.

use std::{sync::mpsc, time::Duration};

use sd_notify::NotifyState;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// What waits to be told, before more is dropped and said again later.
const WAITING: usize = 16;

/// How long what was said last may take to be told.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Bytes of a status.
const MAX_STATUS: usize = 500;

/// The service manager that has started this process, if one has.
///
/// Nothing waits for it: what it does not take is told again, or not at all. Dropped, it gives what was said a moment to be told,
/// since with the process it would be lost.
#[derive(Debug, Default)]
pub struct SdNotifier {
    words: Option<mpsc::SyncSender<Word>>,
    /// Ends once all has been told.
    all_told: Option<mpsc::Receiver<()>>,
    /// Half as long as it waits for a sign of life.
    life: Option<Duration>,
    ticks: Option<Interval>,
    /// What it was told last.
    phase: Phase,
    status: String,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Starting,
    Ready,
    Reloading,
    Stopping,
}

#[derive(Debug)]
enum Word {
    Ready,
    Reloading,
    Stopping,
    Alive,
    Status(String),
}

impl SdNotifier {
    /// The one that the environment names (`NOTIFY_SOCKET`, `WATCHDOG_USEC`); without, none, and nothing is told.
    pub fn from_environment() -> Self {
        if std::env::var_os("NOTIFY_SOCKET").is_none() {
            return Self::default();
        }
        let (words, told) = mpsc::sync_channel(WAITING);
        let (telling, all_told) = mpsc::channel();
        // Its socket blocks while it does not read.
        std::thread::spawn(move || {
            for word in told {
                tell(&word);
            }
            drop(telling);
        });
        let life = sd_notify::watchdog_enabled().map(|patience| patience / 2);
        Self::told_by(words, Some(all_told), life.filter(|life| !life.is_zero()))
    }

    fn told_by(words: mpsc::SyncSender<Word>, all_told: Option<mpsc::Receiver<()>>, life: Option<Duration>) -> Self {
        let (phase, status) = (Phase::Starting, String::new());
        Self { words: Some(words), all_told, life, ticks: None, phase, status }
    }

    /// It has started, or has reloaded.
    pub fn notify_ready(&mut self) {
        if matches!(self.phase, Phase::Starting | Phase::Reloading) {
            self.enter(Phase::Ready, Word::Ready);
        }
    }

    /// It takes new settings; [`ready`](Self::notify_ready) ends that.
    pub fn reloading(&mut self) {
        if self.phase == Phase::Ready {
            self.enter(Phase::Reloading, Word::Reloading);
        }
    }

    /// It is about to end.
    pub fn notify_stopping(&mut self) {
        if self.phase != Phase::Stopping {
            self.enter(Phase::Stopping, Word::Stopping);
        }
    }

    /// How it is, in a line for a person.
    pub fn set_status(&mut self, status: &str) {
        let status = &status[..status.floor_char_boundary(MAX_STATUS)];
        if status != self.status && self.say(Word::Status(status.replace('\n', " "))) {
            status.clone_into(&mut self.status);
        }
    }

    /// Waits until a sign of life is due; forever, where none is wanted. Cancel safe.
    pub async fn wait_until_watchdog_due(&mut self) {
        let Some(life) = self.life else { return std::future::pending().await };
        let ticks = self.ticks.get_or_insert_with(|| {
            let mut ticks = interval(life);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        ticks.tick().await;
    }

    /// The sign of life. To be given by the loop that is to be alive, and by nothing beside it.
    pub fn notify_watchdog(&mut self) {
        self.say(Word::Alive);
    }

    fn enter(&mut self, phase: Phase, word: Word) {
        if self.say(word) {
            self.phase = phase;
        }
    }

    fn say(&self, word: Word) -> bool {
        self.words.as_ref().is_some_and(|words| words.try_send(word).is_ok())
    }
}

impl Drop for SdNotifier {
    fn drop(&mut self) {
        self.words = None;
        if let Some(all_told) = &self.all_told {
            // The channel closes, or it is late.
            let _told_or_late = all_told.recv_timeout(LAST_WORDS);
        }
    }
}

/// A manager that is gone needs no news.
fn tell(word: &Word) {
    let _unheard = match word {
        Word::Ready => sd_notify::notify(&[NotifyState::Ready]),
        Word::Stopping => sd_notify::notify(&[NotifyState::Stopping]),
        Word::Alive => sd_notify::notify(&[NotifyState::Watchdog]),
        Word::Status(status) => sd_notify::notify(&[NotifyState::Status(status)]),
        // `Type=notify-reload` wants to know when.
        Word::Reloading => {
            NotifyState::monotonic_usec_now().and_then(|now| sd_notify::notify(&[NotifyState::Reloading, now]))
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listened() -> (SdNotifier, mpsc::Receiver<Word>) {
        let (words, told) = mpsc::sync_channel(WAITING);
        (SdNotifier::told_by(words, None, None), told)
    }

    #[test]
    fn each_thing_is_told_once_and_in_its_order() {
        let (mut notifier, told) = listened();
        notifier.reloading();
        notifier.set_status("1 of 2");
        notifier.set_status("1 of 2");
        notifier.notify_ready();
        notifier.notify_ready();
        notifier.reloading();
        notifier.notify_ready();
        notifier.notify_stopping();
        notifier.reloading();
        notifier.notify_ready();
        notifier.notify_stopping();
        drop(notifier);
        let told: Vec<String> = told.into_iter().map(|word| format!("{word:?}")).collect();
        assert_eq!(told, ["Status(\"1 of 2\")", "Ready", "Reloading", "Ready", "Stopping"]);
    }

    #[test]
    fn what_it_does_not_take_is_told_again_and_waited_for_by_nobody() {
        let (mut notifier, told) = listened();
        (0..WAITING + 5).for_each(|_| notifier.notify_watchdog());
        notifier.notify_ready();
        assert_eq!(told.try_iter().count(), WAITING);
        notifier.notify_ready();
        assert!(matches!(told.try_recv(), Ok(Word::Ready)));
    }

    #[tokio::test]
    async fn without_one_nothing_is_told_and_no_sign_of_life_is_due() {
        let mut notifier = SdNotifier::default();
        notifier.notify_ready();
        assert_eq!(notifier.phase, Phase::Starting);
        let due = tokio::time::timeout(Duration::from_millis(1), notifier.wait_until_watchdog_due()).await;
        assert!(due.is_err());
    }
}
