//! Tasks that wait for a change of the store, in threads or on any runtime.

use std::{
    collections::BTreeMap,
    future::{Future, poll_fn},
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::Instant,
};

use crate::{outcome::wake, timer::Timer};

#[derive(Default)]
struct Registered {
    next: u64,
    wakers: BTreeMap<u64, Waker>,
}

/// The tasks that wait for changes of one thing.
#[derive(Default)]
pub(crate) struct Waiters(Mutex<Registered>);

impl Waiters {
    fn lock(&self) -> MutexGuard<'_, Registered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thing has changed.
    pub(crate) fn wake_all(&self) {
        let wakers = std::mem::take(&mut self.lock().wakers);
        wakers.into_values().for_each(wake);
    }

    /// Waits until a condition is true, which every change tests. False: it was not until the deadline.
    pub(crate) async fn wait(&self, timer: &Timer, deadline: Instant, mut condition: impl FnMut() -> bool) -> bool {
        let mut registration = Registration { waiters: self, number: None };
        let mut alarm = timer.alarm();
        poll_fn(|context| {
            if condition() {
                return Poll::Ready(true);
            }
            registration.set(context.waker());
            // The change may have come before the registration.
            if condition() {
                return Poll::Ready(true);
            }
            if deadline <= Instant::now() {
                return Poll::Ready(false);
            }
            alarm.set(deadline, context.waker());
            Poll::Pending
        })
        .await
    }
}

struct Registration<'waiters> {
    waiters: &'waiters Waiters,
    number: Option<u64>,
}

impl Registration<'_> {
    fn set(&mut self, waker: &Waker) {
        let waker = waker.clone();
        let mut registered = self.waiters.lock();
        let number = *self.number.get_or_insert_with(|| {
            registered.next += 1;
            registered.next
        });
        let before = registered.wakers.insert(number, waker);
        // Dropping a waker may run code of the program, which must not find the lock taken.
        drop(registered);
        drop(before);
    }
}

impl Drop for Registration<'_> {
    fn drop(&mut self) {
        let waker = self.number.and_then(|number| self.waiters.lock().wakers.remove(&number));
        drop(waker);
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Blocks the thread until a future is ready.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        thread::park();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, Ordering},
        time::Duration,
    };

    use super::*;

    #[test]
    fn waiters_see_the_change_or_the_deadline() {
        let (waiters, timer, flag) = (Waiters::default(), Timer::default(), AtomicBool::new(false));
        let is_set = || flag.load(Ordering::Acquire);
        assert!(!block_on(waiters.wait(&timer, Instant::now() + Duration::from_millis(1), is_set)));
        thread::scope(|scope| {
            let waiting =
                scope.spawn(|| block_on(waiters.wait(&timer, Instant::now() + Duration::from_hours(1), is_set)));
            while waiters.lock().wakers.is_empty() {
                thread::yield_now();
            }
            flag.store(true, Ordering::Release);
            waiters.wake_all();
            assert!(waiting.join().expect("a thread"));
        });
        assert!(waiters.lock().wakers.is_empty());
    }
}
