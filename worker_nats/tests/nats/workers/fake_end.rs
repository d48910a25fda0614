//! The handle of a worker, as the session of a server has one.

use std::{
    collections::VecDeque,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Instant,
};

use tokio::sync::Notify;
use worker_nats::{
    server::{RemoteCommands, RemoteEnd, RemoteLoss},
    wire::{Channel, PerChannel, Usage},
};

use super::within;

/// Capacity of the queues in both directions, in bytes.
pub(super) const CAPACITY: usize = 64 << 10;

#[derive(Default)]
struct State {
    to_worker: PerChannel<VecDeque<u8>>,
    from_worker: PerChannel<VecDeque<u8>>,
    ended: PerChannel<bool>,
    commands: RemoteCommands,
    usage: Option<Usage>,
    loss: Option<RemoteLoss>,
    is_leaving: bool,
    silences: u32,
    is_closed: bool,
    has_changed: bool,
    hub: Option<Waker>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    notify: Notify,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let result = change(&mut state);
        state.has_changed = true;
        let hub = state.hub.take();
        drop(state);
        if let Some(hub) = hub {
            hub.wake();
        }
        result
    }

    fn report<T>(&self, report: impl FnOnce(&mut State) -> T) -> T {
        let result = report(&mut self.lock());
        self.notify.notify_waiters();
        result
    }
}

/// The session's part.
pub(super) struct Handle(Arc<Shared>);

/// The hub's part.
pub(super) struct FakeEnd(Arc<Shared>);

impl FakeEnd {
    pub(super) fn pair() -> (Handle, Self) {
        let shared = Arc::new(Shared::default());
        (Handle(shared.clone()), Self(shared))
    }
}

impl Handle {
    /// Waits for something that the hub reports.
    async fn wait<T>(&self, what: &str, mut look: impl FnMut(&mut State) -> Option<T>) -> T {
        within(what, async {
            loop {
                let mut notified = pin!(self.0.notify.notified());
                notified.as_mut().enable();
                if let Some(result) = look(&mut self.0.lock()) {
                    return result;
                }
                notified.await;
            }
        })
        .await
    }

    /// Writes all bytes, as fast as the worker reads.
    pub(super) async fn write(&self, channel: Channel, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = self.wait("room", |state| {
                let room = CAPACITY - state.to_worker[channel].len();
                (room > 0).then_some(room)
            });
            let (now, later) = bytes.split_at(room.await.min(bytes.len()));
            self.0.change(|state| state.to_worker[channel].extend(now));
            bytes = later;
        }
    }

    /// Reads so many bytes.
    pub(super) async fn read(&self, channel: Channel, length: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < length {
            let missing = length - bytes.len();
            let read = self.wait("bytes", |state| {
                let queue = &mut state.from_worker[channel];
                (!queue.is_empty()).then(|| queue.drain(..missing.min(queue.len())).collect::<Vec<_>>())
            });
            bytes.extend(read.await);
            // There is room again.
            self.0.change(|_| ());
        }
        bytes
    }

    /// Asserts that the worker echoes, on both channels.
    pub(super) async fn assert_echo(&self) {
        for channel in Channel::ALL {
            self.write(channel, b"40 + 2").await;
            assert_eq!(self.read(channel, 6).await, b"40 + 2");
        }
    }

    pub(super) fn command(&self, commands: RemoteCommands) {
        self.0.change(|state| state.commands = commands);
    }

    pub(super) async fn usage(&self) -> Usage {
        self.wait("usage", |state| state.usage.take()).await
    }

    pub(super) async fn loss(&self) -> RemoteLoss {
        self.wait("loss", |state| state.loss).await
    }

    pub(super) async fn leaving(&self) {
        self.wait("leaving", |state| state.is_leaving.then_some(())).await;
    }

    /// Waits until the hub has reported so many times that the machine is silent.
    pub(super) async fn silences(&self, count: u32) {
        self.wait("silence", |state| (state.silences >= count).then_some(())).await;
    }

    pub(super) async fn ended(&self, channel: Channel) {
        self.wait("the end of a channel", |state| state.ended[channel].then_some(())).await;
    }

    pub(super) fn has_loss(&self) -> bool {
        self.0.lock().loss.is_some()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.change(|state| state.is_closed = true);
    }
}

impl RemoteEnd for FakeEnd {
    fn poll_changed(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.lock();
        if std::mem::take(&mut state.has_changed) {
            return Poll::Ready(());
        }
        state.hub = Some(context.waker().clone());
        Poll::Pending
    }

    fn try_read(&mut self, channel: Channel, buffer: &mut [u8]) -> usize {
        self.0.report(|state| {
            let queue = &mut state.to_worker[channel];
            let length = buffer.len().min(queue.len());
            queue.drain(..length).zip(buffer).for_each(|(byte, to)| *to = byte);
            length
        })
    }

    fn try_write(&mut self, channel: Channel, bytes: &[u8]) -> usize {
        self.0.report(|state| {
            let room = CAPACITY - state.from_worker[channel].len();
            let length = room.min(bytes.len());
            state.from_worker[channel].extend(&bytes[..length]);
            length
        })
    }

    fn end(&mut self, channel: Channel) {
        self.0.report(|state| state.ended[channel] = true);
    }

    fn take_commands(&mut self) -> RemoteCommands {
        std::mem::take(&mut self.0.lock().commands)
    }

    fn report_usage(&mut self, usage: Usage) {
        self.0.report(|state| state.usage = Some(usage));
    }

    fn leave(&mut self) {
        self.0.report(|state| state.is_leaving = true);
    }

    fn note_silence(&mut self, _: Instant) {
        self.0.report(|state| state.silences += 1);
    }

    fn report_loss(&mut self, loss: RemoteLoss) {
        self.0.report(|state| {
            state.loss.get_or_insert(loss);
        });
    }

    fn is_closed(&self) -> bool {
        self.0.lock().is_closed
    }
}
