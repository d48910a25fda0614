//! What a session sends to its connection: a channel that is bounded by bytes, so that a client that does not read
//! costs a bounded amount of memory however large its frames are.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::quota::Slot;

/// Bytes that may wait for the connection.
const BYTES: usize = 256 << 10;

/// What each frame counts besides its text, so that empty ones are bounded, too.
const FRAME_COST: usize = 256;

/// How much more a frame for a stranger counts, so that less than two large ones wait.
const STRANGER_FACTOR: usize = 4;

/// What a connection is to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// Send this text.
    Text(String),
    /// Send these texts, each as a message of its own, together.
    Texts(Vec<String>),
    /// Ping the client, which answers with a heartbeat.
    Ping,
    /// Close with this code and reason; nothing is sent after it (RFC 6455 §5.5.1).
    Close(u16, &'static str),
}

impl Frame {
    /// Bytes on the wire.
    pub(super) fn wire_bytes(&self) -> usize {
        match self {
            Self::Text(text) => framed(text.len()),
            Self::Texts(texts) => texts.iter().map(|text| framed(text.len())).sum(),
            Self::Ping => framed(0),
            Self::Close(_, reason) => framed(2 + reason.len()),
        }
    }
}

/// Bytes of a payload with its header (RFC 6455 §5.2).
fn framed(payload: usize) -> usize {
    let header = match payload {
        0..=125 => 2,
        126..=0xffff => 4,
        _ => 10,
    };
    header + payload
}

/// A frame, and the room that it takes until it is dropped.
#[derive(Debug)]
pub(crate) struct QueuedFrame {
    pub(crate) frame: Frame,
    _room: OwnedSemaphorePermit,
}

#[derive(Debug)]
pub(crate) struct Sender {
    frames: mpsc::Sender<QueuedFrame>,
    room: Arc<Semaphore>,
    slot: Arc<Slot>,
}

/// The error of a connection that is gone.
#[derive(Debug)]
pub(crate) struct Disconnected;

/// The channel of the connection with this slot, to which it counts what the socket has not taken.
pub(crate) fn channel(slot: Arc<Slot>) -> (Sender, mpsc::Receiver<QueuedFrame>) {
    let (frames, receiver) = mpsc::channel(BYTES / FRAME_COST);
    (Sender { frames, room: Arc::new(Semaphore::new(BYTES)), slot }, receiver)
}

impl Sender {
    /// Waits until the connection is gone.
    pub(crate) async fn closed(&self) {
        self.frames.closed().await;
    }

    /// Waits until there is room for that frame. Cancel safe. The room is for the next [`send`](Room::send).
    pub(crate) async fn room_for(&self, frame: &Frame) -> Result<Room, Disconnected> {
        let cost = match frame {
            Frame::Text(text) => text.len() + FRAME_COST,
            Frame::Texts(texts) => texts.iter().map(|text| text.len() + FRAME_COST).sum(),
            Frame::Ping | Frame::Close(..) => FRAME_COST,
        };
        let factor = if self.slot.is_stranger() { STRANGER_FACTOR } else { 1 };
        // A frame larger than all of the room takes all of it.
        let wanted = u32::try_from((cost * factor).min(BYTES)).map_err(|_| Disconnected)?;
        let permit = tokio::select! {
            permit = self.room.clone().acquire_many_owned(wanted) => permit.map_err(|_| Disconnected)?,
            () = self.frames.closed() => return Err(Disconnected),
        };
        let place = self.frames.clone().try_reserve_owned().map_err(|_| Disconnected)?;
        Ok(Room { place, permit, slot: self.slot.clone() })
    }
}

/// Room for one frame.
#[derive(Debug)]
pub(crate) struct Room {
    place: mpsc::OwnedPermit<QueuedFrame>,
    permit: OwnedSemaphorePermit,
    slot: Arc<Slot>,
}

impl Room {
    pub(crate) fn send(self, frame: Frame) {
        self.slot.hold_outbound(frame.wire_bytes());
        self.place.send(QueuedFrame { frame, _room: self.permit });
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use protocol::Limits;

    use super::*;
    use crate::quota::{Caller, Connections};

    fn slot() -> Arc<Slot> {
        let address = [10, 0, 0, 1].into();
        let slot = Connections::new(&Limits::default(), true).accept(Some(address)).expect("room");
        slot.upgrade(address).expect("room");
        slot
    }

    fn channel() -> (Sender, mpsc::Receiver<QueuedFrame>) {
        let slot = slot();
        slot.admit(Caller::anonymous([10, 0, 0, 1].into()));
        super::channel(slot)
    }

    #[tokio::test]
    async fn stranger_has_less_room() {
        let (sender, _receiver) = super::channel(slot());
        let large = || Frame::Text("x".repeat(40 << 10));
        sender.room_for(&large()).await.expect("room").send(large());
        assert!(sender.room_for(&large()).now_or_never().is_none());
        sender.room_for(&Frame::Ping).now_or_never().expect("room for small ones").expect("open").send(Frame::Ping);
    }

    #[tokio::test]
    async fn frames_are_bounded_by_bytes_and_free_their_room_when_taken() {
        let (sender, mut receiver) = channel();
        let large = || Frame::Text("x".repeat(100 << 10));
        for _ in 0..2 {
            sender.room_for(&large()).await.expect("room").send(large());
        }
        assert!(sender.room_for(&large()).now_or_never().is_none());
        drop(receiver.recv().await.expect("a frame"));
        sender.room_for(&large()).now_or_never().expect("room again").expect("open").send(large());
    }

    #[tokio::test]
    async fn empty_frames_are_bounded_and_a_huge_one_fits_alone() {
        let (sender, mut receiver) = channel();
        let mut sent = 0;
        // Without tokio's budget, which would make the 129th wait for nothing.
        while let Some(room) = tokio::task::unconstrained(sender.room_for(&Frame::Ping)).now_or_never() {
            room.expect("open").send(Frame::Ping);
            sent += 1;
        }
        assert_eq!(sent, BYTES / FRAME_COST);
        while receiver.try_recv().is_ok() {}
        let huge = Frame::Text("x".repeat(4 * BYTES));
        sender.room_for(&huge).now_or_never().expect("room").expect("open").send(huge);
        drop(receiver);
        assert!(sender.room_for(&Frame::Ping).await.is_err());
    }
}
