//! The peer of a handle: its owner connects the handle to the worker on another machine.

use std::{
    future::poll_fn,
    task::{Context, Poll},
    time::Instant,
};

use tokio::sync::oneshot;

use super::{RemoteState, SharedState, WorkerChannel, register, wake};
use crate::parent::{loss::Loss, usage::UsageSample};

/// The commands of a handle for the process of its worker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RemoteCommands {
    /// Kill the process.
    pub kill: bool,
    /// Lower the priority of the process.
    pub lower_priority: bool,
    /// Answer with [`RemotePeer::report_usage`].
    pub sample: bool,
}

/// The peer of a [`Worker`](crate::Worker) on another machine. Its owner brings bytes and commands to the machine, and
/// bytes and reports back.
///
/// No method waits but [`changed`](Self::changed), after which the owner looks at everything. Dropping the peer ends both
/// channels, and the handle reports [`Loss::Unreachable`] unless [another loss](Self::report_loss) was reported.
#[derive(Debug)]
pub struct RemotePeer {
    state: SharedState,
    /// When the peer was made, before its worker used anything.
    since: Instant,
    /// Receives the reason why the process ended.
    on_ended: Option<oneshot::Sender<Loss>>,
}

impl RemotePeer {
    pub(super) fn new(state: SharedState) -> (Self, oneshot::Receiver<Loss>) {
        let (on_ended, ended) = oneshot::channel();
        (Self { state, since: Instant::now(), on_ended: Some(on_ended) }, ended)
    }

    /// Moves bytes for the worker into the buffer. Returns their number, 0 if there are none now.
    pub fn try_read(&mut self, channel: WorkerChannel, buffer: &mut [u8]) -> usize {
        let mut state = self.state.lock();
        let state_of_channel = state.channel(channel);
        let mut rest = &mut *buffer;
        let max = rest.len();
        let read = state_of_channel.outbound.pop(max, |part| {
            let (to, left) = std::mem::take(&mut rest).split_at_mut(part.len());
            to.copy_from_slice(part);
            rest = left;
        });
        let writer = if read > 0 { state_of_channel.writer.take() } else { None };
        drop(state);
        wake(writer);
        read
    }

    /// Passes bytes of the worker to the handle. Returns how many fit: the others have to wait until the handle has read,
    /// which is a [change](Self::changed).
    pub fn try_write(&mut self, channel: WorkerChannel, bytes: &[u8]) -> usize {
        let mut state = self.state.lock();
        // Nobody reads them.
        if state.is_closed {
            return bytes.len();
        }
        let channel = state.channel(channel);
        // After the end there are no bytes.
        if channel.has_ended {
            return bytes.len();
        }
        let written = channel.inbound.push(bytes);
        channel.is_inbound_full |= written < bytes.len();
        let reader = if written > 0 { channel.reader.take() } else { None };
        drop(state);
        wake(reader);
        written
    }

    /// Ends a channel: no more bytes come from the worker. What was written before remains readable.
    pub fn end(&mut self, channel: WorkerChannel) {
        let mut state = self.state.lock();
        let channel = state.channel(channel);
        channel.has_ended = true;
        let reader = channel.reader.take();
        drop(state);
        wake(reader);
    }

    /// Removes the commands for the process.
    pub fn take_commands(&mut self) -> RemoteCommands {
        std::mem::take(&mut self.state.lock().commands)
    }

    /// Reports what the process uses, in answer to [`RemoteCommands::sample`]. A first report without a request is the
    /// usage of the fresh worker.
    pub fn report_usage(&mut self, sample: UsageSample) {
        let mut state = self.state.lock();
        let after = state.sample_requested_at.take().unwrap_or(self.since);
        state.sample = Some((sample, after));
    }

    /// Reports that the worker is about to leave; [`WorkerEvent::Leaving`](crate::WorkerEvent::Leaving) follows.
    pub fn leave(&mut self) {
        self.notify(|state| state.is_leaving = true);
    }

    /// Reports that the machine shows no sign of life, and counts as lost at this time unless it shows one before;
    /// [`WorkerEvent::Silent`](crate::WorkerEvent::Silent) follows.
    pub fn note_silence(&mut self, lost_at: Instant) {
        self.notify(|state| state.silent_until = Some(lost_at));
    }

    /// Changes the state, and wakes the task that waits for an event.
    fn notify(&self, change: impl FnOnce(&mut RemoteState)) {
        let mut state = self.state.lock();
        change(&mut state);
        let reader = state.work.reader.take();
        drop(state);
        wake(reader);
    }

    /// Reports that the process has ended. The first report counts. The handle returns the loss after the
    /// [end](Self::end) of the work channel.
    pub fn report_loss(&mut self, loss: Loss) {
        if let Some(on_ended) = self.on_ended.take() {
            // The handle may be dropped.
            let _receiver_dropped = on_ended.send(loss);
        }
        let mut state = self.state.lock();
        state.is_lost = true;
        // No one takes the bytes to the worker any more.
        state.work.outbound.clear();
        state.control.outbound.clear();
        let writers = [state.work.writer.take(), state.control.writer.take()];
        drop(state);
        wake(writers.into_iter().flatten());
    }

    /// Whether the handle is dropped, so that the worker has to end.
    pub fn is_closed(&self) -> bool {
        self.state.lock().is_closed
    }

    /// Waits until there is something new since the last change: bytes to read, a command, room for bytes that did not
    /// fit, or the end of the handle. Cancel safe.
    pub async fn changed(&mut self) {
        poll_fn(|cx| self.poll_changed(cx)).await;
    }

    /// Polls for what [`changed`](Self::changed) waits for.
    pub fn poll_changed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let changes = &mut self.state.lock().changes;
        if std::mem::take(&mut changes.has_new) {
            return Poll::Ready(());
        }
        register(&mut changes.waiter, cx);
        Poll::Pending
    }
}

impl Drop for RemotePeer {
    fn drop(&mut self) {
        self.report_loss(Loss::Unreachable);
        for channel in WorkerChannel::ALL {
            self.end(channel);
        }
    }
}
