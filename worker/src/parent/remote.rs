//! A worker whose process runs on another machine. The handle validates what arrives; a [`RemotePeer`] has the bytes of
//! both channels, and its owner brings them to the other machine and back.
//!
//! ```text
//! Worker ── FrameChannel ── RemoteStream ──┐
//!    └───── Process ─────── RemoteOwner ───┴─ RemoteState ── RemotePeer ── the owner's network ── RelayedWorker
//! ```
//!
//! The queues between both are bounded like pipes: a handle that is not polled stops the worker's output, and a peer that
//! takes nothing leaves plays in the buffers of the handle, as a full pipe does.

mod byte_queue;
mod owner;
mod peer;
mod stream;
#[cfg(test)]
mod tests;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Waker},
    time::Instant,
};

pub use self::peer::{RemoteCommands, RemotePeer};
pub(super) use self::stream::RemoteStream;
use self::{byte_queue::ByteQueue, owner::RemoteOwner};
use super::{
    frame_channel::Transport, message_bounds::MessageBounds, process::Process, usage::UsageSample,
    worker_handle::Worker,
};
use crate::message::WorkerSetup;

/// One of the two channels between a server and a worker. Each is a byte stream in both directions; between the channels
/// there is no order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WorkerChannel {
    /// Plays, calls, and what they print and return.
    Work,
    /// Stops, holds, queries during a play, and their answers.
    Control,
}

impl WorkerChannel {
    /// Both channels.
    pub const ALL: [Self; 2] = [Self::Work, Self::Control];

    /// The capacity of the queue in each direction, in bytes: that of a pipe for work.
    const fn capacity(self) -> usize {
        match self {
            Self::Work => 64 << 10,
            Self::Control => 16 << 10,
        }
    }
}

/// A channel between a handle and its peer.
#[derive(Debug)]
struct ChannelState {
    /// The bytes to the worker.
    outbound: ByteQueue,
    /// The bytes from the worker.
    inbound: ByteQueue,
    /// Whether no more bytes come from the worker.
    has_ended: bool,
    /// Whether the peer could not pass on all bytes because the queue was full.
    is_inbound_full: bool,
    /// The task that waits for bytes from the worker.
    reader: Option<Waker>,
    /// The task that waits for room for bytes to the worker.
    writer: Option<Waker>,
}

impl ChannelState {
    fn new(channel: WorkerChannel) -> Self {
        Self {
            outbound: ByteQueue::new(channel.capacity()),
            inbound: ByteQueue::new(channel.capacity()),
            has_ended: false,
            is_inbound_full: false,
            reader: None,
            writer: None,
        }
    }
}

/// The changes that a peer waits for.
#[derive(Debug, Default)]
struct Changes {
    /// Whether something has changed since the peer looked.
    has_new: bool,
    /// The task of the peer.
    waiter: Option<Waker>,
}

/// What a handle and its peer share.
#[derive(Debug)]
struct RemoteState {
    work: ChannelState,
    control: ChannelState,
    /// The commands that the peer has not taken.
    commands: RemoteCommands,
    /// The changes that the peer has not seen.
    changes: Changes,
    /// The last sample of the usage, and a time before which it was not taken.
    sample: Option<(UsageSample, Instant)>,
    /// The time of the request for a sample that has no answer yet.
    sample_requested_at: Option<Instant>,
    /// Whether the worker is about to leave, and the handle has not reported it.
    is_leaving: bool,
    /// The time at which a silent machine counts as lost, if the handle has not reported it.
    silent_until: Option<Instant>,
    /// Whether the process has ended, or its machine is out of reach.
    is_lost: bool,
    /// Whether the handle is dropped.
    is_closed: bool,
}

impl RemoteState {
    fn channel(&mut self, channel: WorkerChannel) -> &mut ChannelState {
        match channel {
            WorkerChannel::Work => &mut self.work,
            WorkerChannel::Control => &mut self.control,
        }
    }

    /// Records a change for the peer. Returns the task to wake, after the lock is released.
    fn note_change(&mut self) -> Option<Waker> {
        self.changes.has_new = true;
        self.changes.waiter.take()
    }
}

/// The state that a handle shares with its peer. Neither end holds the lock while it calls other code.
#[derive(Debug, Clone)]
struct SharedState(Arc<Mutex<RemoteState>>);

impl SharedState {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(RemoteState {
            work: ChannelState::new(WorkerChannel::Work),
            control: ChannelState::new(WorkerChannel::Control),
            commands: RemoteCommands::default(),
            changes: Changes::default(),
            sample: None,
            sample_requested_at: None,
            is_leaving: false,
            silent_until: None,
            is_lost: false,
            is_closed: false,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, RemoteState> {
        // Every change leaves the state consistent, even if a thread panics.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state for the peer, and wakes its task.
    fn change_for_peer(&self, change: impl FnOnce(&mut RemoteState)) {
        let mut state = self.lock();
        change(&mut state);
        let peer = state.note_change();
        drop(state);
        wake(peer);
    }
}

fn wake(waker: impl IntoIterator<Item = Waker>) {
    waker.into_iter().for_each(Waker::wake);
}

/// Registers the current task in place of the one before.
fn register(waker: &mut Option<Waker>, cx: &Context<'_>) {
    match waker {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *waker = Some(cx.waker().clone()),
    }
}

impl Worker {
    /// Makes the handle to a worker on another machine, and the peer that connects the handle to the worker.
    ///
    /// The worker must have been [started there](crate::ForkServer::start_relayed) with the same setup by the same build.
    /// The handle validates everything that comes from it, as from a local worker: another machine can lie about results
    /// of scripts, and nothing else. `machine` and `pid` are for log lines.
    ///
    /// # Examples
    ///
    /// ```
    /// use worker::{Loss, Play, Worker, WorkerChannel, WorkerEvent, WorkerSetup};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let (mut worker, mut peer) = Worker::remote(&WorkerSetup::default(), "machine-1", None);
    /// worker.play(&Play { number: 1, script: "40 + 2", name: None, bind: None });
    /// worker.flush();
    /// // The network: bytes for the worker, and then an outage.
    /// peer.changed().await;
    /// assert!(peer.try_read(WorkerChannel::Work, &mut [0; 1024]) > 0);
    /// drop(peer);
    /// assert!(matches!(worker.event().await, WorkerEvent::Lost(Loss::Unreachable)));
    /// # }
    /// ```
    pub fn remote(setup: &WorkerSetup, machine: impl Into<Arc<str>>, pid: Option<u32>) -> (Self, RemotePeer) {
        let state = SharedState::new();
        let (peer, ended) = RemotePeer::new(state.clone());
        let [work, control] =
            WorkerChannel::ALL.map(|channel| Transport::Remote(RemoteStream::new(state.clone(), channel)));
        let process = Process::remote(machine.into(), pid, RemoteOwner::new(state), ended);
        (Self::with_transports(work, control, process, MessageBounds::new(setup)), peer)
    }
}
