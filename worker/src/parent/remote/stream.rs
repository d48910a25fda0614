//! The handle's end of a channel to a worker on another machine.

use std::{
    io,
    task::{Context, Poll},
};

use super::{SharedState, WorkerChannel, register, wake};

/// A channel, like a pair of non-blocking pipes.
#[derive(Debug)]
pub(in crate::parent) struct RemoteStream {
    state: SharedState,
    channel: WorkerChannel,
}

impl RemoteStream {
    pub(super) fn new(state: SharedState, channel: WorkerChannel) -> Self {
        Self { state, channel }
    }

    /// Writes as many bytes as fit into the queue. Returns an error of kind `BrokenPipe` if the worker is lost, and of
    /// kind `WouldBlock` if the queue is full.
    pub(in crate::parent) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.state.lock();
        if state.is_lost {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let written = state.channel(self.channel).outbound.push(bytes);
        if written == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let peer = state.note_change();
        drop(state);
        wake(peer);
        Ok(written)
    }

    /// Waits for room in the queue, or for the loss of the worker, which the next write reports.
    pub(in crate::parent) fn poll_write_ready(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.state.lock();
        if state.is_lost || !state.channel(self.channel).outbound.is_full() {
            return Poll::Ready(());
        }
        register(&mut state.channel(self.channel).writer, cx);
        Poll::Pending
    }

    /// Appends what has arrived to the buffer, up to its capacity. Returns 0 at the end of the channel.
    pub(in crate::parent) fn poll_read(&self, cx: &Context<'_>, buffer: &mut Vec<u8>) -> Poll<usize> {
        let mut state = self.state.lock();
        let channel = state.channel(self.channel);
        let read = channel.inbound.pop(buffer.capacity() - buffer.len(), |part| buffer.extend_from_slice(part));
        if read == 0 && channel.inbound.is_empty() && !channel.has_ended {
            register(&mut channel.reader, cx);
            return Poll::Pending;
        }
        let has_room = read > 0 && std::mem::take(&mut channel.is_inbound_full);
        let peer = if has_room { state.note_change() } else { None };
        drop(state);
        wake(peer);
        Poll::Ready(read)
    }
}
