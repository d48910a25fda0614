//! The queue of a play's events, between the task that reads from the circle and the program that takes them.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use crate::{PlayEvent, message_limit::MAX_MESSAGE};

/// Maximum size of the events of one play that the program has not taken, in bytes. It counts as a circle counts
/// (`output_kib`), so that a play of a circle with at most this limit loses nothing.
const MAX_BYTES: usize = MAX_MESSAGE;

/// What an event counts beside its text, in bytes.
const EVENT_BYTES: usize = 256;

/// Creates the queue of one play.
pub(crate) fn event_queue() -> (EventSender, EventReceiver) {
    let queue = Arc::new(Mutex::new(EventQueue::default()));
    (EventSender(queue.clone()), EventReceiver(queue))
}

/// The end of the connection task. Dropping it ends the events.
#[derive(Debug)]
pub(crate) struct EventSender(Arc<Mutex<EventQueue>>);

/// The end of the program. Dropping it discards the events.
#[derive(Debug)]
pub(crate) struct EventReceiver(Arc<Mutex<EventQueue>>);

#[derive(Debug, Default)]
struct EventQueue {
    events: VecDeque<PlayEvent>,
    bytes: usize,
    waker: Option<Waker>,
    has_ended: bool,
    is_discarded: bool,
}

impl EventQueue {
    /// Adds an event. Without room, the event is dropped and counted in its place. It never waits: whatever else the
    /// circle sends must not wait for the events of one play.
    fn push(&mut self, event: PlayEvent) {
        if self.is_discarded {
            return;
        }
        if let (Some(PlayEvent::Progress(last)), PlayEvent::Progress(newer)) = (self.events.back_mut(), &event) {
            self.bytes = self.bytes.saturating_sub(progress_bytes(last)) + progress_bytes(newer);
            *last = newer.clone();
            return;
        }
        let size = event_bytes(&event);
        if self.bytes + size <= MAX_BYTES {
            self.bytes += size;
            self.events.push_back(event);
        } else if let Some(PlayEvent::EventsDropped { count }) = self.events.back_mut() {
            *count += 1;
        } else {
            self.events.push_back(PlayEvent::EventsDropped { count: 1 });
        }
    }

    fn pop(&mut self) -> Option<PlayEvent> {
        let event = self.events.pop_front()?;
        self.bytes = self.bytes.saturating_sub(event_bytes(&event));
        Some(event)
    }
}

fn event_bytes(event: &PlayEvent) -> usize {
    match event {
        PlayEvent::Output(output) => EVENT_BYTES + output.text.len(),
        PlayEvent::Progress(progress) => progress_bytes(progress),
        PlayEvent::EventsDropped { .. } => 0,
    }
}

fn progress_bytes(progress: &protocol::methods::Progress) -> usize {
    EVENT_BYTES + progress.text.as_ref().map_or(0, String::len)
}

fn lock(queue: &Mutex<EventQueue>) -> MutexGuard<'_, EventQueue> {
    // No code panics while it holds the lock.
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

impl EventSender {
    pub(crate) fn send(&self, event: PlayEvent) {
        let waker = {
            let mut queue = lock(&self.0);
            queue.push(event);
            queue.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Drop for EventSender {
    fn drop(&mut self) {
        let waker = {
            let mut queue = lock(&self.0);
            queue.has_ended = true;
            queue.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl EventReceiver {
    /// Takes the next event; `None` once there will be no more.
    pub(crate) fn poll_next(&self, context: &mut Context<'_>) -> Poll<Option<PlayEvent>> {
        let mut queue = lock(&self.0);
        if let Some(event) = queue.pop() {
            return Poll::Ready(Some(event));
        }
        if queue.has_ended || queue.is_discarded {
            return Poll::Ready(None);
        }
        queue.waker = Some(context.waker().clone());
        Poll::Pending
    }

    /// Discards the events, now and later.
    pub(crate) fn discard(&self) {
        let mut queue = lock(&self.0);
        queue.is_discarded = true;
        queue.events = VecDeque::new();
        queue.bytes = 0;
    }
}

impl Drop for EventReceiver {
    fn drop(&mut self) {
        self.discard();
    }
}

#[cfg(test)]
mod tests {
    use protocol::{
        Id,
        methods::{Output, Progress, Stream},
    };

    use super::*;

    fn output(text: String) -> PlayEvent {
        PlayEvent::Output(Output { play: Id::number(1), stream: Stream::Print, text, position: None })
    }

    fn progress(operations: u64) -> PlayEvent {
        let (done, total, text) = (None, None, None);
        PlayEvent::Progress(Progress { play: Id::number(1), elapsed_us: 0, operations, done, total, text })
    }

    fn next(receiver: &EventReceiver) -> Poll<Option<PlayEvent>> {
        receiver.poll_next(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn events_over_the_limit_are_counted_where_they_were() {
        let (sender, receiver) = event_queue();
        let half = MAX_BYTES / 2 - EVENT_BYTES;
        for size in [half, half, 0, 1] {
            sender.send(output("x".repeat(size)));
        }
        assert!(matches!(next(&receiver), Poll::Ready(Some(PlayEvent::Output(_)))));
        sender.send(output("later".into()));
        assert!(matches!(next(&receiver), Poll::Ready(Some(PlayEvent::Output(_)))));
        assert!(matches!(next(&receiver), Poll::Ready(Some(PlayEvent::EventsDropped { count: 2 }))));
        assert!(matches!(next(&receiver), Poll::Ready(Some(PlayEvent::Output(output))) if output.text == "later"));
        assert!(next(&receiver).is_pending(), "the play goes on");
        drop(sender);
        assert!(matches!(next(&receiver), Poll::Ready(None)));
    }

    #[test]
    fn newer_progress_replaces_untaken_one() {
        let (sender, receiver) = event_queue();
        for operations in 0..100_000 {
            sender.send(progress(operations));
        }
        assert!(
            matches!(next(&receiver), Poll::Ready(Some(PlayEvent::Progress(progress))) if progress.operations == 99_999)
        );
        assert!(next(&receiver).is_pending());
    }

    #[test]
    fn discarded_events_take_no_room() {
        let (sender, receiver) = event_queue();
        sender.send(output("x".into()));
        receiver.discard();
        sender.send(output("y".into()));
        assert!(matches!(next(&receiver), Poll::Ready(None)));
        assert!(lock(&receiver.0).events.is_empty());
    }
}
