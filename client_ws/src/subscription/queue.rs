//! The queue of a subscription's events, between the task that reads from the circle and the program that takes them.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll, Waker},
};

use protocol::methods::Event;

use crate::{message_limit::MAX_MESSAGE, request_channel::RequestChannel};

/// Size of the events that wait for the program, in bytes, beyond which the client leaves the subscription.
const MAX_BYTES: usize = 4 << 20;

/// What an event counts beside its text, in bytes.
const EVENT_BYTES: usize = 256;

/// Creates the queue of one subscription on a connection.
pub(super) fn subscription_queue(requests: Weak<RequestChannel>) -> (SubscriptionSender, SubscriptionReceiver) {
    let queue = Arc::new(Mutex::new(SubscriptionQueue::default()));
    (SubscriptionSender { queue: queue.clone(), requests: requests.clone() }, SubscriptionReceiver { queue, requests })
}

/// The end of the connection task. Dropping it ends the events.
#[derive(Debug)]
pub(crate) struct SubscriptionSender {
    queue: Arc<Mutex<SubscriptionQueue>>,
    requests: Weak<RequestChannel>,
}

/// The end of the program. Dropping it discards the events, and leaves the subscription if the circle has opened it.
#[derive(Debug)]
pub(super) struct SubscriptionReceiver {
    queue: Arc<Mutex<SubscriptionQueue>>,
    requests: Weak<RequestChannel>,
}

#[derive(Debug, Default)]
struct SubscriptionQueue {
    events: VecDeque<(Event, usize)>,
    /// Events without a cursor, until the one with the cursor completes them: the client cannot resume between them.
    incomplete: Vec<(Event, usize)>,
    bytes: usize,
    incomplete_bytes: usize,
    waker: Option<Waker>,
    /// The number of the subscription, from the response of the circle until the client leaves the subscription.
    opened: Option<u64>,
    /// Whether nothing more is added: the client has left the subscription, or the connection has ended.
    is_closed: bool,
    is_discarded: bool,
}

impl SubscriptionQueue {
    /// Adds an event. Without room, the queue is closed.
    fn push(&mut self, event: Event, text_bytes: usize) {
        let size = text_bytes + EVENT_BYTES;
        let (waiting, added) = (self.bytes + self.incomplete_bytes, self.incomplete_bytes + size);
        // What belongs together has room in an empty queue.
        let is_full = waiting + size > MAX_BYTES && !self.events.is_empty();
        if is_full || added > MAX_MESSAGE {
            return self.close();
        }
        let completes = event.cursor.is_some() || event.gap || event.ended.is_some();
        self.incomplete.push((event, size));
        self.incomplete_bytes = added;
        if completes {
            self.bytes += self.incomplete_bytes;
            self.events.extend(self.incomplete.drain(..));
            self.incomplete_bytes = 0;
        }
    }

    fn close(&mut self) {
        self.is_closed = true;
        self.incomplete = Vec::new();
        self.incomplete_bytes = 0;
    }
}

fn lock(queue: &Mutex<SubscriptionQueue>) -> MutexGuard<'_, SubscriptionQueue> {
    // No code panics while it holds the lock.
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SubscriptionSender {
    /// Adds an event whose message has this many bytes. Returns false if the client is not interested any more: the
    /// program has dropped the subscription, or does not take its events.
    pub(crate) fn send(&self, event: Event, text_bytes: usize) -> bool {
        let (waker, is_open, left) = {
            let mut queue = lock(&self.queue);
            if !queue.is_discarded && !queue.is_closed {
                queue.push(event, text_bytes);
            }
            let is_open = !queue.is_discarded && !queue.is_closed;
            (queue.waker.take(), is_open, queue.opened.take_if(|_| !is_open))
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        leave(&self.requests, left);
        is_open
    }

    /// Notes that the circle has opened the subscription with this number. Returns false, and leaves the subscription,
    /// if the program has dropped it before.
    pub(crate) fn open(&self, number: u64) -> bool {
        let is_wanted = {
            let mut queue = lock(&self.queue);
            if !queue.is_discarded {
                queue.opened = Some(number);
            }
            !queue.is_discarded
        };
        if !is_wanted {
            leave(&self.requests, Some(number));
        }
        is_wanted
    }

    /// Whether the client does not take further events.
    pub(crate) fn is_closed(&self) -> bool {
        lock(&self.queue).is_closed
    }
}

fn leave(requests: &Weak<RequestChannel>, number: Option<u64>) {
    if let Some((requests, number)) = requests.upgrade().zip(number) {
        requests.unsubscribe_unawaited(number);
    }
}

impl Drop for SubscriptionSender {
    fn drop(&mut self) {
        let waker = {
            let mut queue = lock(&self.queue);
            queue.close();
            queue.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl SubscriptionReceiver {
    /// Takes the next event; `None` once there will be no more.
    pub(super) fn poll_next(&self, context: &mut Context<'_>) -> Poll<Option<Event>> {
        let mut queue = lock(&self.queue);
        if let Some((event, size)) = queue.events.pop_front() {
            queue.bytes = queue.bytes.saturating_sub(size);
            return Poll::Ready(Some(event));
        }
        if queue.is_closed {
            return Poll::Ready(None);
        }
        queue.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

impl Drop for SubscriptionReceiver {
    fn drop(&mut self) {
        let discarded = SubscriptionQueue { is_discarded: true, is_closed: true, ..SubscriptionQueue::default() };
        let mut queue = std::mem::replace(&mut *lock(&self.queue), discarded);
        leave(&self.requests, queue.opened.take());
    }
}

#[cfg(test)]
mod tests {
    use futures_channel::mpsc;
    use serde_json::value::RawValue;

    use super::*;
    use crate::request_channel::ConnectionEnd;

    fn event(cursor: Option<&str>) -> Event {
        let data = Some(RawValue::NULL.to_owned());
        Event { subscription: 1, cursor: cursor.map(Into::into), data, ..Event::default() }
    }

    /// The cursor of the next event, empty without one.
    fn next(receiver: &SubscriptionReceiver) -> Poll<Option<String>> {
        let event = receiver.poll_next(&mut Context::from_waker(Waker::noop()));
        event.map(|event| event.map(|event| event.cursor.unwrap_or_default()))
    }

    #[test]
    fn queue_is_closed_when_the_program_takes_nothing() {
        let (sender, receiver) = subscription_queue(Weak::new());
        assert!(sender.send(event(Some("1")), MAX_BYTES - 2 * EVENT_BYTES));
        assert!(sender.send(event(None), 0), "there is room");
        assert!(!sender.send(event(Some("2")), 1));
        assert!(!sender.send(event(Some("3")), 0), "the circle sends it although the client has left");
        assert_eq!(next(&receiver), Poll::Ready(Some("1".into())));
        assert_eq!(next(&receiver), Poll::Ready(None), "the client resumes after the last cursor");
        assert_eq!(lock(&receiver.queue).bytes, 0);
    }

    #[test]
    fn events_wait_for_the_cursor_that_completes_them() {
        let (sender, receiver) = subscription_queue(Weak::new());
        assert!(sender.send(event(None), 1));
        assert!(next(&receiver).is_pending());
        assert!(sender.send(event(Some("1")), 1));
        assert_eq!(next(&receiver), Poll::Ready(Some(String::new())));
        assert_eq!(next(&receiver), Poll::Ready(Some("1".into())));
        assert!(next(&receiver).is_pending());
        drop(sender);
        assert_eq!(next(&receiver), Poll::Ready(None));
    }

    #[test]
    fn one_event_has_room_whatever_its_size() {
        let (sender, receiver) = subscription_queue(Weak::new());
        assert!(sender.send(event(Some("1")), 2 * MAX_BYTES));
        assert_eq!(next(&receiver), Poll::Ready(Some("1".into())));
        assert!(!sender.send(event(None), MAX_MESSAGE), "what no cursor completes is bounded");
    }

    #[test]
    fn dropped_subscription_takes_no_room() {
        let (sender, receiver) = subscription_queue(Weak::new());
        drop(receiver);
        assert!(!sender.open(1) && !sender.send(event(Some("1")), 1));
        assert!(lock(&sender.queue).events.is_empty());
    }

    #[test]
    fn client_leaves_each_subscription_once() {
        let (requests, mut sent) = mpsc::channel(8);
        let requests = Arc::new(RequestChannel::new(requests, ConnectionEnd::default(), "ws://x".into()));
        let mut left = || {
            let mut texts = Vec::new();
            while let Ok(request) = sent.try_recv() {
                texts.push(request.text);
            }
            texts.iter().filter(|text| text.contains(r#""unsubscribe""#)).count()
        };
        let queue = || subscription_queue(Arc::downgrade(&requests));
        // The program drops the future of the subscription after the response.
        let (sender, receiver) = queue();
        assert!(sender.open(1));
        drop(receiver);
        assert_eq!(left(), 1);
        assert!(sender.is_closed() && !sender.send(event(Some("1")), 1));
        assert_eq!(left(), 0);
        // Before the response.
        let (sender, receiver) = queue();
        drop(receiver);
        assert_eq!(left(), 0);
        assert!(!sender.open(2));
        assert_eq!(left(), 1);
        // The queue is full.
        let (sender, receiver) = queue();
        assert!(sender.open(3) && sender.send(event(Some("1")), MAX_BYTES));
        assert!(!sender.send(event(Some("2")), 1));
        drop(receiver);
        assert_eq!(left(), 1);
    }
}
