//! The decoder from bytes to messages. It reads on only when the last message has been accepted, joins fragments up to
//! the maximum size of a message, and passes texts directly to the session, so that a busy session delays nothing but
//! reading.

use std::{
    cell::RefCell,
    collections::VecDeque,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use actix_http::ws::{Codec, Item};
use actix_web_actors::ws::{CloseReason, Frame, ProtocolError};
use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use futures_util::Stream;
use tokio::{
    io::{AsyncRead, ReadBuf},
    sync::mpsc,
};
use tokio_util::{codec::Decoder, sync::PollSender};

use super::counted_stream::MAX_READ_IN_A_ROW;
use crate::{
    quota::{HeldBytes, MAX_STRANGER_MESSAGE, Slot},
    session::inbound::{Inbound, InboundTexts},
};

/// The maximum number of fragments of one message.
const MAX_FRAGMENTS: usize = 4096;

/// The bounds of the texts that the session gets as one item. A longer text is an item of its own.
const MAX_ITEM_BYTES: usize = 16 << 10;
const MAX_ITEM_TEXTS: usize = 64;

/// The maximum payload of a control frame in bytes (RFC 6455 §5.5).
const MAX_CONTROL: u64 = 125;

thread_local! {
    /// The buffer into which the connections of a thread read, so that an idle connection needs none and nothing has to
    /// be filled with zeros.
    static READ_BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; MAX_READ_IN_A_ROW]);
}

/// A control frame, which the actor answers.
#[derive(Debug)]
pub(crate) enum ControlFrame {
    Ping(Bytes),
    Close(Option<CloseReason>),
}

pub(crate) struct Frames<R> {
    socket: R,
    codec: Codec,
    bytes: BytesMut,
    /// The fragments of a text message so far.
    text: BytesMut,
    fragments: usize,
    max_message: usize,
    slot: Arc<Slot>,
    /// The bytes read from the socket, and of those the bytes released or passed on.
    taken: usize,
    released: usize,
    /// The items are in boxes, because the channel has room for 32 of them even while it is empty.
    session: PollSender<Box<Inbound>>,
    /// The step after the last item.
    next_step: Option<DecodeStep>,
    reading: ReadState,
    /// Whether `bytes` is the remainder of a frame's buffer, and so keeps the whole buffer alive.
    is_remainder: bool,
}

/// The size of a frame in bytes above which the remainder of the buffer is moved at once.
const LARGE_FRAME: u64 = 4 << 10;

/// The state of reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReadState {
    Messages,
    /// A message violated the protocol: only the client's close frame still matters.
    AwaitingClose,
    /// The framing was violated: no further frame can be decoded, until the client closes the connection.
    Failed,
}

enum DecodeStep {
    Nothing,
    Text(ByteString),
    Session(Inbound),
    Actor(ControlFrame),
}

impl<R: AsyncRead + Unpin> Frames<R> {
    /// Makes the decoder of a connection. The slot counts the bytes that have arrived and are not a message yet.
    pub(crate) fn new(socket: R, session: mpsc::Sender<Box<Inbound>>, max_message: usize, slot: Arc<Slot>) -> Self {
        Self {
            socket,
            codec: Codec::new().max_size(max_message),
            bytes: BytesMut::new(),
            text: BytesMut::new(),
            fragments: 0,
            max_message,
            slot,
            taken: 0,
            released: 0,
            session: PollSender::new(session),
            next_step: None,
            reading: ReadState::Messages,
            is_remainder: false,
        }
    }

    /// Returns the current maximum size of a message in bytes.
    fn max_message(&self) -> usize {
        if self.slot.is_stranger() { self.max_message.min(MAX_STRANGER_MESSAGE) } else { self.max_message }
    }

    /// Releases the bytes that are neither part of a message nor passed on.
    fn release(&mut self) {
        for buffer in [&mut self.bytes, &mut self.text] {
            // Otherwise an empty buffer would keep its capacity for as long as the connection lasts.
            if buffer.is_empty() {
                *buffer = BytesMut::new();
            }
        }
        let done = (self.taken - self.released).saturating_sub(self.bytes.len() + self.text.len());
        if done > 0 {
            self.released += done;
            self.slot.release_inbound(done);
        }
    }

    /// Moves the remainder of the last frame's buffer to a buffer of its own.
    fn move_remainder(&mut self) {
        if self.is_remainder {
            self.is_remainder = false;
            self.bytes = BytesMut::from(&self.bytes[..]);
        }
    }

    /// Reads what has arrived. Returns the number of bytes, which is 0 at the end.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        READ_BUFFER.with_borrow_mut(|buffer| {
            let mut buffer = ReadBuf::new(buffer);
            ready!(Pin::new(&mut self.socket).poll_read(cx, &mut buffer))?;
            let read = buffer.filled();
            self.taken += read.len();
            if self.reading == ReadState::Failed {
                self.release();
            } else {
                self.bytes.extend_from_slice(read);
            }
            Poll::Ready(Ok(read.len()))
        })
    }

    fn accept(&mut self, frame: Frame) -> DecodeStep {
        match frame {
            Frame::Close(reason) => DecodeStep::Actor(ControlFrame::Close(reason)),
            _ if self.reading != ReadState::Messages => DecodeStep::Nothing,
            Frame::Text(bytes) => self.message(bytes),
            Frame::Binary(_) | Frame::Continuation(Item::FirstBinary(_)) => {
                self.violation(1003, "only text messages are accepted")
            }
            Frame::Continuation(Item::FirstText(bytes)) => {
                self.text.clear();
                self.fragments = 0;
                self.fragment(&bytes).unwrap_or(DecodeStep::Nothing)
            }
            Frame::Continuation(Item::Continue(bytes)) => self.fragment(&bytes).unwrap_or(DecodeStep::Nothing),
            Frame::Continuation(Item::Last(bytes)) => self.fragment(&bytes).unwrap_or_else(|| {
                let whole = self.text.split().freeze();
                self.message(whole)
            }),
            Frame::Ping(payload) => DecodeStep::Actor(ControlFrame::Ping(payload)),
            Frame::Pong(_) => DecodeStep::Session(Inbound::Heartbeat),
        }
    }

    fn fragment(&mut self, bytes: &[u8]) -> Option<DecodeStep> {
        self.fragments += 1;
        if self.text.len() + bytes.len() > self.max_message() || self.fragments > MAX_FRAGMENTS {
            return Some(self.violation(1009, "the message is too large"));
        }
        self.text.extend_from_slice(bytes);
        None
    }

    fn message(&mut self, bytes: Bytes) -> DecodeStep {
        match ByteString::try_from(bytes) {
            Ok(text) => DecodeStep::Text(text),
            Err(_) => self.violation(1007, "the message is not UTF-8"),
        }
    }

    fn violation(&mut self, code: u16, reason: &'static str) -> DecodeStep {
        self.reading = ReadState::AwaitingClose;
        self.text = BytesMut::new();
        DecodeStep::Session(Inbound::Violation { code, reason })
    }

    /// Returns the lengths of the next frame's header and payload (RFC 6455 §5.2), once the payload length has arrived.
    /// The codec reads them only when the whole frame has arrived.
    fn frame_lengths(&self) -> Option<(u64, u64)> {
        let (second, rest) = (*self.bytes.get(1)?, self.bytes.get(2..)?);
        let (extended, payload) = match second & 0x7f {
            126 => (2, u64::from(u16::from_be_bytes(*rest.first_chunk()?))),
            127 => (8, u64::from_be_bytes(*rest.first_chunk()?)),
            length => (0, u64::from(length)),
        };
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        Some((2 + extended + mask, payload))
    }

    fn decode(&mut self) -> Option<DecodeStep> {
        let lengths = self.frame_lengths();
        let stated = lengths.map_or(0, |(_, payload)| payload);
        let is_control = self.bytes.first().is_some_and(|first| first & 0x08 != 0);
        if is_control && stated > MAX_CONTROL {
            return self.fail_framing(1002, "invalid WebSocket frame (RFC 6455)");
        }
        if stated > self.max_message() as u64 {
            return self.fail_framing(1009, "the message is too large");
        }
        // The codec allocates room for a whole frame as soon as it sees the header.
        if lengths.is_some_and(|(header, payload)| (self.bytes.len() as u64) < header + payload) {
            return None;
        }
        match self.codec.decode(&mut self.bytes) {
            Ok(frame) => {
                self.is_remainder |= frame.is_some();
                if stated > LARGE_FRAME {
                    self.move_remainder();
                }
                frame.map(|frame| self.accept(frame))
            }
            Err(ProtocolError::Overflow) => self.fail_framing(1009, "the message is too large"),
            Err(_) => self.fail_framing(1002, "invalid WebSocket frame (RFC 6455)"),
        }
    }

    /// Decodes the next item: texts that have arrived together, or anything else. A stranger's texts are items of their
    /// own, because they are read one at a time.
    fn next_item(&mut self) -> Option<DecodeStep> {
        if let Some(step) = self.next_step.take() {
            return Some(step);
        }
        let (mut texts, mut bytes) = (VecDeque::new(), 0);
        loop {
            match self.decode() {
                Some(DecodeStep::Text(text)) => {
                    bytes += text.len();
                    texts.push_back(text);
                }
                step if texts.is_empty() => return step,
                Some(DecodeStep::Nothing) => {}
                step => {
                    self.next_step = step;
                    break;
                }
            }
            let next = self.frame_lengths().map_or(0, |(_, payload)| payload);
            if self.slot.is_stranger()
                || texts.len() >= MAX_ITEM_TEXTS
                || bytes as u64 + next.max(self.text.len() as u64) > MAX_ITEM_BYTES as u64
            {
                break;
            }
        }
        self.released += bytes;
        let held = HeldBytes::new(self.slot.clone(), bytes);
        Some(DecodeStep::Session(Inbound::Texts(InboundTexts::new(texts, held))))
    }

    /// Reports a violation after which the next frame cannot be found.
    fn fail_framing(&mut self, code: u16, reason: &'static str) -> Option<DecodeStep> {
        let step = (self.reading == ReadState::Messages).then(|| self.violation(code, reason));
        self.reading = ReadState::Failed;
        self.bytes = BytesMut::new();
        step
    }
}

impl<R: AsyncRead + Unpin> Stream for Frames<R> {
    type Item = ControlFrame;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<ControlFrame>> {
        let this = &mut *self;
        loop {
            if this.reading != ReadState::Failed || this.next_step.is_some() {
                // Reserve first, so that the decoded message can be sent at once.
                if ready!(this.session.poll_reserve(cx)).is_err() {
                    return Poll::Ready(None);
                }
                let step = this.next_item();
                this.release();
                match step {
                    // `next_item` has put texts into an item.
                    Some(DecodeStep::Nothing | DecodeStep::Text(_)) => continue,
                    Some(DecodeStep::Actor(control)) => {
                        // The reservation is there, and any control frame counts as a heartbeat.
                        if this.session.send_item(Box::new(Inbound::Heartbeat)).is_err() {
                            return Poll::Ready(None);
                        }
                        return Poll::Ready(Some(control));
                    }
                    Some(DecodeStep::Session(inbound)) => {
                        if this.session.send_item(Box::new(inbound)).is_err() {
                            return Poll::Ready(None);
                        }
                        continue;
                    }
                    None => {}
                }
            }
            this.move_remainder();
            match ready!(this.poll_read(cx)) {
                Ok(read) if read > 0 => {}
                _ => return Poll::Ready(None),
            }
        }
    }
}
