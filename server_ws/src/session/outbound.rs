//! The channel from a session to its connection. It is bounded by bytes, so that a client that does not read costs a
//! bounded amount of memory, however large its frames are.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::quota::Slot;

/// The maximum number of bytes that wait for the connection.
const MAX_QUEUED_BYTES: usize = 256 << 10;

/// The bytes that each frame counts in addition to its text, so that empty frames are bounded, too.
const FRAME_COST: usize = 256;

/// The factor by which a frame for a stranger counts more, so that fewer than two large frames wait.
const STRANGER_FACTOR: usize = 4;

/// A frame for the connection to send.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum OutboundFrame {
    /// Text messages, sent together.
    Texts(Vec<String>),
    /// A ping, which the client answers with a heartbeat.
    Ping,
    /// A close frame with this code and reason. Nothing is sent after it (RFC 6455 §5.5.1).
    Close(u16, &'static str),
}

impl OutboundFrame {
    /// Returns the size on the wire in bytes.
    pub(crate) fn wire_bytes(&self) -> usize {
        match self {
            Self::Texts(texts) => texts.iter().map(|text| frame_bytes(text.len())).sum(),
            Self::Ping => frame_bytes(0),
            Self::Close(_, reason) => frame_bytes(2 + reason.len()),
        }
    }
}

/// Returns the bytes of a payload with its header (RFC 6455 §5.2).
pub(super) fn frame_bytes(payload: usize) -> usize {
    let header = match payload {
        0..=125 => 2,
        126..=0xffff => 4,
        _ => 10,
    };
    header + payload
}

/// A frame in the channel, with the room that it takes until it is dropped.
#[derive(Debug)]
pub(crate) struct QueuedFrame {
    pub(crate) frame: OutboundFrame,
    _room: OwnedSemaphorePermit,
}

#[derive(Debug)]
pub(crate) struct OutboundSender {
    frames: mpsc::Sender<Box<QueuedFrame>>,
    room: Arc<Semaphore>,
    slot: Arc<Slot>,
}

/// The error of sending to a closed connection.
#[derive(Debug)]
pub(crate) struct ConnectionClosed;

/// Makes the channel of a connection. Its frames are in boxes, because the channel has room for 32 items even while it is
/// empty. Its slot counts the bytes that the socket has not accepted.
pub(crate) fn channel(slot: Arc<Slot>) -> (OutboundSender, mpsc::Receiver<Box<QueuedFrame>>) {
    let (frames, receiver) = mpsc::channel(MAX_QUEUED_BYTES / FRAME_COST);
    (OutboundSender { frames, room: Arc::new(Semaphore::new(MAX_QUEUED_BYTES)), slot }, receiver)
}

impl OutboundSender {
    /// Waits until the connection is closed.
    pub(crate) async fn closed(&self) {
        self.frames.closed().await;
    }

    /// Sends a frame if there is room for it; otherwise returns it.
    pub(crate) fn try_send(&self, frame: OutboundFrame) -> Result<Option<OutboundFrame>, ConnectionClosed> {
        let permits = self.permits(&frame)?;
        let Ok(permit) = self.room.clone().try_acquire_many_owned(permits) else { return Ok(Some(frame)) };
        self.slot.hold_outbound(frame.wire_bytes());
        self.frames.try_send(Box::new(QueuedFrame { frame, _room: permit })).map_err(|_| ConnectionClosed)?;
        Ok(None)
    }

    /// Waits until there is room for a frame, and reserves that room for [`send`](Room::send). Cancel safe.
    pub(crate) async fn room_for(&self, frame: &OutboundFrame) -> Result<Room, ConnectionClosed> {
        let permits = self.permits(frame)?;
        let permit = tokio::select! {
            permit = self.room.clone().acquire_many_owned(permits) => permit.map_err(|_| ConnectionClosed)?,
            () = self.frames.closed() => return Err(ConnectionClosed),
        };
        let slot_permit = self.frames.clone().try_reserve_owned().map_err(|_| ConnectionClosed)?;
        Ok(Room { slot_permit, permit, slot: self.slot.clone() })
    }

    /// Returns the permits that a frame takes.
    fn permits(&self, frame: &OutboundFrame) -> Result<u32, ConnectionClosed> {
        let cost = match frame {
            OutboundFrame::Texts(texts) => texts.iter().map(|text| text.len() + FRAME_COST).sum(),
            OutboundFrame::Ping | OutboundFrame::Close(..) => FRAME_COST,
        };
        let factor = if self.slot.is_stranger() { STRANGER_FACTOR } else { 1 };
        // A frame larger than the whole room takes all of it.
        u32::try_from((cost * factor).min(MAX_QUEUED_BYTES)).map_err(|_| ConnectionClosed)
    }
}

/// Room for one frame.
#[derive(Debug)]
pub(crate) struct Room {
    slot_permit: mpsc::OwnedPermit<Box<QueuedFrame>>,
    permit: OwnedSemaphorePermit,
    slot: Arc<Slot>,
}

impl Room {
    pub(crate) fn send(self, frame: OutboundFrame) {
        self.slot.hold_outbound(frame.wire_bytes());
        self.slot_permit.send(Box::new(QueuedFrame { frame, _room: self.permit }));
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

    fn channel() -> (OutboundSender, mpsc::Receiver<Box<QueuedFrame>>) {
        let slot = slot();
        slot.admit(Caller::anonymous([10, 0, 0, 1].into()));
        super::channel(slot)
    }

    #[tokio::test]
    async fn outbound_room_of_stranger_is_smaller() {
        let (sender, _receiver) = super::channel(slot());
        let large = || OutboundFrame::Texts(vec!["x".repeat(40 << 10)]);
        sender.room_for(&large()).await.expect("room").send(large());
        assert!(sender.room_for(&large()).now_or_never().is_none());
        sender
            .room_for(&OutboundFrame::Ping)
            .now_or_never()
            .expect("room for small ones")
            .expect("open")
            .send(OutboundFrame::Ping);
    }

    #[tokio::test]
    async fn outbound_frames_are_bounded_by_bytes() {
        let (sender, mut receiver) = channel();
        let large = || OutboundFrame::Texts(vec!["x".repeat(100 << 10)]);
        for _ in 0..2 {
            sender.room_for(&large()).await.expect("room").send(large());
        }
        assert!(sender.room_for(&large()).now_or_never().is_none());
        drop(receiver.recv().await.expect("a frame"));
        sender.room_for(&large()).now_or_never().expect("room again").expect("open").send(large());
    }

    #[tokio::test]
    async fn outbound_bounds_empty_frames_and_takes_one_huge_frame() {
        let (sender, mut receiver) = channel();
        let mut sent = 0;
        // Without tokio's cooperative budget, which would make the 129th call return pending.
        while let Some(room) = tokio::task::unconstrained(sender.room_for(&OutboundFrame::Ping)).now_or_never() {
            room.expect("open").send(OutboundFrame::Ping);
            sent += 1;
        }
        assert_eq!(sent, MAX_QUEUED_BYTES / FRAME_COST);
        let without_room = sender.try_send(OutboundFrame::Ping).expect("open");
        assert_eq!(without_room, Some(OutboundFrame::Ping));
        while receiver.try_recv().is_ok() {}
        let huge = OutboundFrame::Texts(vec!["x".repeat(4 * MAX_QUEUED_BYTES)]);
        assert_eq!(sender.try_send(huge).expect("open"), None);
        assert!(receiver.try_recv().is_ok());
        drop(receiver);
        assert!(sender.try_send(OutboundFrame::Ping).is_err());
        assert!(sender.room_for(&OutboundFrame::Ping).await.is_err());
    }
}
