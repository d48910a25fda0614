//! The network between a handle and its worker: it passes on pieces of a given size.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split};
use worker::{RelayedChannel, RelayedWorker, RemotePeer, WorkerChannel};

/// A channel of the worker, and the bytes that are on their way.
struct Link {
    channel: WorkerChannel,
    from: ReadHalf<RelayedChannel>,
    to: WriteHalf<RelayedChannel>,
    outbound: Vec<u8>,
    inbound: Vec<u8>,
    buffer: Vec<u8>,
    has_ended: bool,
}

/// A movement of bytes on a channel of the worker, with their number.
enum Movement {
    Read(usize),
    Written(usize),
}

impl Link {
    fn new(channel: WorkerChannel, stream: RelayedChannel, piece: usize) -> Self {
        let (from, to) = split(stream);
        let (outbound, inbound, buffer) = (Vec::new(), Vec::new(), vec![0; piece]);
        Self { channel, from, to, outbound, inbound, buffer, has_ended: false }
    }

    /// Moves bytes between this and the handle. Returns how many the handle has accepted.
    fn exchange(&mut self, peer: &mut RemotePeer, piece: usize) -> usize {
        if self.outbound.is_empty() {
            self.outbound.resize(piece, 0);
            let read = peer.try_read(self.channel, &mut self.outbound);
            self.outbound.truncate(read);
        }
        let accepted = peer.try_write(self.channel, &self.inbound);
        self.inbound.drain(..accepted);
        if self.has_ended && self.inbound.is_empty() {
            peer.end(self.channel);
        }
        accepted
    }

    /// Moves a piece between this and the worker. The worker's bytes stay in its pipe until the handle has accepted those
    /// before.
    async fn next(&mut self) -> Movement {
        let Self { from, to, outbound, inbound, buffer, has_ended, .. } = self;
        tokio::select! {
            // An error is the end, too.
            read = from.read(buffer), if inbound.is_empty() && !*has_ended => Movement::Read(read.unwrap_or(0)),
            written = to.write(outbound), if !outbound.is_empty() => {
                // A worker that has ended takes nothing.
                Movement::Written(written.unwrap_or(outbound.len()))
            }
            else => std::future::pending().await,
        }
    }

    /// Handles what [`next`](Self::next) has moved.
    fn note(&mut self, moved: &Movement) {
        match *moved {
            Movement::Read(0) => self.has_ended = true,
            Movement::Read(bytes) => self.inbound.extend_from_slice(&self.buffer[..bytes]),
            Movement::Written(bytes) => drop(self.outbound.drain(..bytes)),
        }
    }
}

/// Connects a handle with a worker until either ends.
pub(crate) async fn relay(mut peer: RemotePeer, relayed: RelayedWorker, piece: usize, accepted: Arc<AtomicUsize>) {
    let RelayedWorker { work, control, mut process } = relayed;
    let mut work = Link::new(WorkerChannel::Work, work, piece);
    let mut control = Link::new(WorkerChannel::Control, control, piece);
    let mut has_ended = false;
    while !peer.is_closed() {
        accepted.fetch_add(work.exchange(&mut peer, piece), Relaxed);
        control.exchange(&mut peer, piece);
        let commands = peer.take_commands();
        if commands.lower_priority {
            process.lower_priority();
        }
        if commands.kill {
            process.kill();
        }
        if commands.sample
            && let Some(usage) = process.usage()
        {
            peer.report_usage(usage);
        }
        tokio::select! {
            () = peer.changed() => {}
            loss = process.ended(), if !has_ended => {
                has_ended = true;
                peer.report_loss(loss);
            }
            moved = work.next() => work.note(&moved),
            moved = control.next() => control.note(&moved),
        }
    }
}
