//! The frames of a session that its connection has not taken yet.

use std::{collections::VecDeque, future::pending};

use super::outbound::{ConnectionClosed, OutboundFrame, OutboundSender, Room, frame_bytes};

/// The maximum number of bytes of texts that are sent together.
const MAX_TOGETHER: usize = 16 << 10;

#[derive(Debug, Default)]
pub(crate) struct Outbox {
    frames: VecDeque<OutboundFrame>,
    /// The size of the frames on the wire in bytes.
    bytes: usize,
    /// The part of `bytes` in the last frame.
    last: usize,
    is_blocked: bool,
}

impl Outbox {
    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether the connection has no room for the first frame, as far as the session knows.
    pub(super) fn is_blocked(&self) -> bool {
        self.is_blocked
    }

    pub(super) fn push_back(&mut self, frame: OutboundFrame) {
        self.last = frame.wire_bytes();
        self.bytes += self.last;
        self.frames.push_back(frame);
    }

    /// Adds a text, to the texts before it if they are short: what is sent together costs one wake-up and one write.
    pub(super) fn push_text(&mut self, text: String) {
        let (added, fits) = (frame_bytes(text.len()), self.last + text.len() <= MAX_TOGETHER);
        match self.frames.back_mut() {
            Some(OutboundFrame::Texts(texts)) if fits => texts.push(text),
            _ => return self.push_back(OutboundFrame::Texts(vec![text])),
        }
        self.last += added;
        self.bytes += added;
    }

    pub(super) fn pop_front(&mut self) -> Option<OutboundFrame> {
        let frame = self.frames.pop_front()?;
        self.bytes -= frame.wire_bytes();
        self.is_blocked = false;
        Some(frame)
    }

    /// Waits until the connection has room for the first frame; never returns without one. Cancel safe.
    pub(super) async fn room(&self, outbound: &OutboundSender) -> Result<Room, ConnectionClosed> {
        match self.frames.front() {
            Some(frame) => outbound.room_for(frame).await,
            None => pending().await,
        }
    }

    /// Sends the frames for which the connection has room.
    pub(super) fn send(&mut self, outbound: &OutboundSender) -> Result<(), ConnectionClosed> {
        while let Some(frame) = self.pop_front() {
            if let Some(frame) = outbound.try_send(frame)? {
                self.bytes += frame.wire_bytes();
                self.frames.push_front(frame);
                self.is_blocked = true;
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: usize) -> String {
        "x".repeat(bytes)
    }

    #[test]
    fn outbox_joins_short_texts_only() {
        let mut outbox = Outbox::default();
        outbox.push_text(text(1));
        outbox.push_text(text(2));
        outbox.push_text(text(MAX_TOGETHER));
        outbox.push_back(OutboundFrame::Ping);
        outbox.push_text(text(4));
        outbox.push_text(text(5));
        outbox.push_text(text(6));
        assert_eq!(outbox.bytes(), 2 + 1 + 2 + 2 + 4 + MAX_TOGETHER + 2 + 3 * 2 + 4 + 5 + 6);
        let frames = std::iter::from_fn(|| outbox.pop_front()).collect::<Vec<_>>();
        let joined = |sizes: &[usize]| OutboundFrame::Texts(sizes.iter().map(|bytes| text(*bytes)).collect());
        let alone = |bytes| joined(&[bytes]);
        assert_eq!(frames, [joined(&[1, 2]), alone(MAX_TOGETHER), OutboundFrame::Ping, joined(&[4, 5, 6])]);
        assert_eq!(outbox.bytes(), 0);
    }
}
