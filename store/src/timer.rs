//! Wakes tasks at a time, without a runtime. The thread starts with the first alarm, and ends after a while without
//! one.

use std::{
    collections::BTreeMap,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::Waker,
    thread,
    time::{Duration, Instant},
};

use crate::outcome::wake;

/// How long the thread waits for another alarm.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// Beyond the life of any process, for timeouts that no clock can represent.
const FAR: Duration = Duration::from_hours(24 * 365 * 30);

/// The end of a timeout that begins now.
pub(crate) fn deadline_after(timeout: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(timeout).unwrap_or_else(|| now + FAR)
}

#[derive(Default)]
pub(crate) struct Timer(Arc<Inner>);

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    alarms: BTreeMap<AlarmId, Waker>,
    next: u64,
    has_thread: bool,
    is_closed: bool,
}

type AlarmId = (Instant, u64);

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remove(&self, id: Option<AlarmId>) {
        // Dropping a waker may run code of the program, which must not find the lock taken.
        let waker = id.and_then(|id| self.lock().alarms.remove(&id));
        drop(waker);
    }

    fn run(&self) {
        let (mut state, mut is_idle) = (self.lock(), false);
        loop {
            let now = Instant::now();
            let later = state.alarms.split_off(&(now, u64::MAX));
            let due = std::mem::replace(&mut state.alarms, later);
            if !due.is_empty() {
                drop(state);
                due.into_values().for_each(wake);
                state = self.lock();
                continue;
            }
            let wait = match state.alarms.keys().next() {
                Some((time, _)) => time.saturating_duration_since(now),
                None if is_idle || state.is_closed => {
                    state.has_thread = false;
                    return;
                }
                None => IDLE_TIMEOUT,
            };
            let (changed, timeout) = self.changed.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner);
            is_idle = timeout.timed_out() && changed.alarms.is_empty();
            state = changed;
        }
    }
}

impl Timer {
    pub(crate) fn alarm(&self) -> Alarm<'_> {
        Alarm { inner: &self.0, id: None }
    }

    /// Lets the thread end with the last alarm.
    pub(crate) fn close(&self) {
        self.0.lock().is_closed = true;
        self.0.changed.notify_all();
    }
}

/// At most one alarm, which dropping turns off.
pub(crate) struct Alarm<'timer> {
    inner: &'timer Arc<Inner>,
    id: Option<AlarmId>,
}

impl Alarm<'_> {
    /// Wakes a task at a time, instead of the time before.
    pub(crate) fn set(&mut self, time: Instant, waker: &Waker) {
        self.inner.remove(self.id.take());
        let waker = waker.clone();
        let mut state = self.inner.lock();
        let has_thread = state.has_thread || {
            let inner = Arc::clone(self.inner);
            thread::Builder::new().name("store-timer".to_owned()).spawn(move || inner.run()).is_ok()
        };
        state.has_thread = has_thread;
        if !has_thread {
            // The task polls until the system has a thread again.
            drop(state);
            return wake(waker);
        }
        let id = (time, state.next);
        state.next += 1;
        state.alarms.insert(id, waker);
        self.id = Some(id);
        let is_first = state.alarms.keys().next() == Some(&id);
        drop(state);
        if is_first {
            self.inner.changed.notify_all();
        }
    }
}

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        self.inner.remove(self.id.take());
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, task::Poll};

    use super::*;
    use crate::waiters::block_on;

    #[test]
    fn alarms_ring_in_time_and_dropped_ones_leave_nothing() {
        let timer = Timer::default();
        let mut dropped = timer.alarm();
        dropped.set(Instant::now() + Duration::from_hours(1), Waker::noop());
        let time = Instant::now() + Duration::from_millis(1);
        let mut alarm = timer.alarm();
        block_on(poll_fn(|context| {
            if Instant::now() >= time {
                return Poll::Ready(());
            }
            alarm.set(time, context.waker());
            Poll::Pending
        }));
        drop((alarm, dropped));
        assert!(timer.0.lock().alarms.is_empty());
    }

    #[test]
    fn largest_timeout_has_an_end() {
        assert!(deadline_after(Duration::MAX) > Instant::now());
    }
}
