//! The thread that takes epochs: at most 20 a second, fewer with many subscriptions.

use std::{
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{feeds::Feeds, hub::HubState};

/// The minimum time between two epochs.
const MIN_INTERVAL: Duration = Duration::from_millis(50);

/// The time between two epochs for each subscription: what it costs to send one event, with reserve.
const INTERVAL_PER_SUBSCRIPTION: Duration = Duration::from_micros(50);

/// The interval in which the thread checks whether the store has failed, and whether there are subscriptions. A failed store reports
/// no commits.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The time in which the thread waits for a commit while there are no subscriptions.
const IDLE_INTERVAL: Duration = Duration::from_secs(5);

/// Starts the thread, which ends when the feeds are closed.
pub(super) fn start(feeds: Arc<Feeds>, state: Arc<HubState>) -> std::io::Result<JoinHandle<()>> {
    thread::Builder::new().name("circle-events".into()).spawn(move || run(&feeds, &state))
}

fn run(feeds: &Feeds, state: &HubState) {
    let mut timeout = CHECK_INTERVAL;
    while let Some(has_commit) = feeds.wait_for_commit(timeout) {
        timeout = CHECK_INTERVAL;
        if !has_commit {
            if feeds.subscriptions() == 0 {
                state.release();
                timeout = IDLE_INTERVAL;
            } else if state.check_store() {
                feeds.wake_all();
            }
            continue;
        }
        let began = Instant::now();
        let marked = feeds.take_marked();
        // After the feeds, so that the epoch has all of their matches.
        state.take_epoch(|epoch, recent| Feeds::note_epoch(&marked, epoch, recent));
        Feeds::wake(&marked);
        drop(marked);
        feeds.pause(interval(feeds.subscriptions()).saturating_sub(began.elapsed()));
    }
}

fn interval(subscriptions: u64) -> Duration {
    let subscriptions = u32::try_from(subscriptions).unwrap_or(u32::MAX);
    INTERVAL_PER_SUBSCRIPTION.saturating_mul(subscriptions).max(MIN_INTERVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_subscriptions_get_events_less_often() {
        assert_eq!(interval(1), MIN_INTERVAL);
        assert_eq!(interval(1_000), MIN_INTERVAL);
        assert_eq!(interval(10_000), Duration::from_millis(500));
    }
}
