//! A link: the two byte streams of one worker in each direction, over messages that NATS may lose.
//!
//! A [`Link`] is one end, at the server or at the machine. It is a pure state machine: it has no clock, no sockets and
//! no tasks. Its owner passes received messages to [`Link::receive`], sends what [`Link::next_message`] returns, and
//! calls it again at [`Link::deadline`].
//!
//! - **Sequence.** Messages with a body have a number for each direction, from 1. The receiver accepts only the next
//!   number and discards all others, so bytes arrive once and in order.
//! - **Resend** (go-back-N). The sender keeps messages until the acknowledgement. It sends all of them again after
//!   [`Link::resend`], which the owner calls when either side has reconnected to NATS, and when the oldest one has had no
//!   acknowledgement for [`RESEND_TIMEOUT`].
//! - **Acknowledgements** are part of every message. Without one to send, an acknowledgement follows after
//!   [`ACK_DELAY`]; the owner puts those of several links into one payload. A short play costs one message each way.
//! - **Credit.** Each side grants the other [`WINDOW`] bytes on each channel beyond what its reader has consumed. A
//!   reader that does not read stops the sender of its own link and no other. More bytes than granted are a
//!   [`Violation`]. A grant that its sender depends on has a number, because a lost one would block the link for ever.
//! - **Signals** ([`Signals`]) are commands, usage, the end of a channel and the loss of the worker. They need no
//!   credit: a worker whose output nobody reads can be killed, and the server learns of its end. As locally, where a
//!   pipe outlives its process, the output of a lost worker remains readable, and the end of a channel follows its last
//!   byte.
//! - **Close.** [`Link::close`] discards everything, and repeats [`Message::Close`] until the other side answers
//!   [`Message::Closed`]. A side that receives a message of a link that it does not have answers the same
//!   ([`Message::answer_without_link`]), which closes the link at the other side.
//!
//! # Bounds
//!
//! For each channel a link holds at most [`WINDOW`] bytes that it has not sent or that are not acknowledged, and
//! [`WINDOW`] bytes that its reader has not consumed. It keeps at most [`MAX_UNACKED`] messages; then bytes and signals
//! wait and share the next message. Signals merge.
//!
//! # What is left out
//!
//! - *Kinds of sequenced messages.* Commands, usage and the loss are flags and fields of one kind, because they merge.
//! - *Selective acknowledgements and fast resends.* NATS loses messages at reconnections, which both sides notice, and
//!   from a full subscription, which is rare: the timeout is enough there. It is long, so that a slow network does not
//!   cause resends. In a cluster of NATS servers, it also covers a resend that overtakes the subscription of the other
//!   side, which spreads between the servers.
//! - *An epoch number.* Ids of links and of [associations](crate::association) are random and never used again, so a
//!   late message of an earlier epoch has an unknown id.
//! - *A sequenced close.* It would have to wait for the messages before it.

use std::time::{Duration, Instant};

use crate::{
    ids::LinkId,
    wire::{Body, Channel, Data, Loss, MAX_DATA, Message, PerChannel, Signals, Usage},
};

mod inbound;
mod outbound;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use inbound::Inbound;
use outbound::Outbound;

/// Credit of each channel and direction, in bytes. The control channel has little to carry.
pub const WINDOW: PerChannel<usize> = PerChannel { work: 256 << 10, control: 64 << 10 };

/// Maximum number of messages that wait for an acknowledgement.
pub const MAX_UNACKED: usize = 256;

/// Time after which an acknowledgement is sent alone.
pub const ACK_DELAY: Duration = Duration::from_millis(100);

/// Time after which a message without an acknowledgement is sent again; doubled at each further time, up to
/// [`MAX_RESEND_TIMEOUT`].
pub const RESEND_TIMEOUT: Duration = Duration::from_secs(2);

/// Maximum time between two resends.
pub const MAX_RESEND_TIMEOUT: Duration = Duration::from_secs(8);

/// A violation of the rules of a link: the other side is faulty or compromised. The link has to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// An acknowledgement of a message that was not sent.
    #[error("acknowledgement of a message that was not sent")]
    UnsentAcknowledged,
    /// More bytes than granted.
    #[error("more bytes than granted")]
    GrantExceeded,
    /// Bytes after the end of their channel.
    #[error("bytes after the end of the channel")]
    BytesAfterEnd,
    /// A signal that only the other side of a link sends.
    #[error("a signal in the wrong direction")]
    WrongDirection,
}

/// The end of a link that this one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The server, which has the session.
    Server,
    /// The machine, which has the process.
    Machine,
}

#[derive(Debug)]
enum State {
    Open(Box<Open>),
    /// `Close` is repeated until the answer.
    Closing(Backoff),
    Closed,
}

#[derive(Debug)]
struct Open {
    outbound: Outbound,
    inbound: Inbound,
}

/// One end of a link.
#[derive(Debug)]
pub struct Link {
    id: LinkId,
    side: Side,
    state: State,
    /// The number of messages that were sent again since the last look.
    resent: u64,
}

impl Link {
    /// Opens an end of a link. Both ends open it before the first message: the machine before it answers the placement
    /// request, the server with that answer.
    pub fn new(id: LinkId, side: Side) -> Self {
        let state = State::Open(Box::new(Open { outbound: Outbound::new(), inbound: Inbound::new() }));
        Self { id, side, state, resent: 0 }
    }

    /// The id.
    pub fn id(&self) -> LinkId {
        self.id
    }

    /// The number of bytes that [`write`](Self::write) accepts on a channel now.
    pub fn room(&self, channel: Channel) -> usize {
        self.open().map_or(0, |open| open.outbound.room(channel))
    }

    /// Accepts bytes for the other side, up to the [`room`](Self::room). Returns how many.
    ///
    /// It accepts none after [`end`](Self::end) and on a link that is not open.
    pub fn write(&mut self, channel: Channel, bytes: &[u8]) -> usize {
        self.open_mut().map_or(0, |open| open.outbound.write(channel, bytes))
    }

    /// Ends a channel (machine): the end follows the bytes that were written.
    pub fn end(&mut self, channel: Channel) {
        if let Some(open) = self.open_mut() {
            open.outbound.end(channel);
        }
    }

    /// Sends signals; [`Signals::end`] as by [`end`](Self::end). Those that wait merge.
    pub fn signal(&mut self, signals: Signals) {
        if let Some(open) = self.open_mut() {
            open.outbound.signal(signals);
        }
    }

    /// Tells the machine to kill the process.
    pub fn kill(&mut self) {
        self.signal(Signals { kill: true, ..Signals::default() });
    }

    /// Tells the machine to lower the priority of the process.
    pub fn lower_priority(&mut self) {
        self.signal(Signals { lower_priority: true, ..Signals::default() });
    }

    /// Requests a sample of the usage.
    pub fn request_sample(&mut self) {
        self.signal(Signals { sample: true, ..Signals::default() });
    }

    /// Reports a sample of the usage.
    pub fn report_usage(&mut self, usage: Usage) {
        self.signal(Signals { usage: Some(usage), ..Signals::default() });
    }

    /// Reports that the worker has ended. Its last output may follow.
    pub fn report_loss(&mut self, loss: Loss) {
        self.signal(Signals { loss: Some(loss), ..Signals::default() });
    }

    /// The bytes that have arrived on a channel and are not consumed.
    pub fn arrived(&self, channel: Channel) -> &[u8] {
        self.open().map_or(&[], |open| open.inbound.arrived(channel))
    }

    /// Consumes bytes that have arrived, at most as many as there are, and so grants the other side more.
    pub fn consume(&mut self, channel: Channel, bytes: usize) {
        if let Some(open) = self.open_mut() {
            open.inbound.consume(channel, bytes);
        }
    }

    /// Whether no further bytes arrive on a channel: its end has arrived, and all bytes before it are consumed.
    pub fn has_ended(&self, channel: Channel) -> bool {
        self.open().is_none_or(|open| open.inbound.has_ended(channel))
    }

    /// Takes the signals that have arrived since the last call, merged. [`Signals::end`] is never set:
    /// [`has_ended`](Self::has_ended) says it.
    pub fn take_signals(&mut self) -> Signals {
        self.open_mut().map_or_else(Signals::default, |open| open.inbound.take_signals())
    }

    /// The number of bytes that were written and have no acknowledgement.
    pub fn buffered_bytes(&self) -> usize {
        self.open().map_or(0, |open| open.outbound.buffered_bytes())
    }

    /// The number of bytes that were sent and have no acknowledgement.
    pub fn unacked_bytes(&self) -> usize {
        self.open().map_or(0, |open| open.outbound.unacked_bytes())
    }

    /// Handles a message of this link.
    ///
    /// # Errors
    ///
    /// Returns a [`Violation`] if the other side breaks the rules: [`close`](Self::close) the link and count the worker
    /// as crashed. The state of the link is valid in any case.
    pub fn receive(&mut self, message: &Message, now: Instant) -> Result<(), Violation> {
        match (message, &mut self.state) {
            (Message::Data(data), State::Open(open)) => {
                let Signals { kill, lower_priority, sample, end, usage, loss } = data.body.signals;
                let is_from_server = kill || lower_priority || sample;
                let is_from_machine = end.work || end.control || usage.is_some() || loss.is_some();
                if (self.side == Side::Server && is_from_server) || (self.side == Side::Machine && is_from_machine) {
                    return Err(Violation::WrongDirection);
                }
                open.outbound.acknowledge(data.ack, data.granted, now)?;
                open.inbound.accept(data, now)
            }
            (Message::Close(_) | Message::Closed(_), _) => {
                self.state = State::Closed;
                Ok(())
            }
            // What the other side sent before it knew of the close.
            (Message::Data(_) | Message::Heartbeat(_), _) => Ok(()),
        }
    }

    /// Returns the next message to send, if there is one now. The owner calls it until there is none, while the
    /// connection to NATS accepts messages.
    pub fn next_message(&mut self, now: Instant) -> Option<Message> {
        match &mut self.state {
            State::Open(open) => {
                let is_ack_due = open.inbound.is_ack_due(now);
                let has_grant = open.inbound.has_grant();
                let (sequence, body) = match open.outbound.next(has_grant, now) {
                    Some((sequence, body, is_new)) => {
                        if is_new {
                            open.inbound.announce_grant();
                        } else {
                            self.resent += 1;
                        }
                        (sequence, body)
                    }
                    None if is_ack_due => (0, Body::default()),
                    None => return None,
                };
                let (ack, granted) = open.inbound.acknowledge();
                Some(Message::Data(Data { link: self.id, sequence, ack, granted, body }))
            }
            State::Closing(backoff) => backoff.expire(now).then_some(Message::Close(self.id)),
            State::Closed => None,
        }
    }

    /// Returns the number of messages that [`next_message`](Self::next_message) has sent again since the last call.
    pub fn take_resent(&mut self) -> u64 {
        std::mem::take(&mut self.resent)
    }

    /// The time at which [`next_message`](Self::next_message) may return a message although nothing else has happened.
    /// It does not tell of messages that wait now.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Open(open) => open.outbound.deadline().into_iter().chain(open.inbound.deadline()).min(),
            State::Closing(backoff) => Some(backoff.at),
            State::Closed => None,
        }
    }

    /// Sends again all messages without an acknowledgement: this side has reconnected to NATS, or the other side has.
    pub fn resend(&mut self, now: Instant) {
        match &mut self.state {
            State::Open(open) => open.outbound.resend(now),
            State::Closing(backoff) => *backoff = Backoff::new(now),
            State::Closed => {}
        }
    }

    /// Closes the link: it discards everything and tells the other side. The owner keeps the link until
    /// [`is_closed`](Self::is_closed).
    pub fn close(&mut self, now: Instant) {
        if matches!(self.state, State::Open(_)) {
            self.state = State::Closing(Backoff::new(now));
        }
    }

    /// Whether the other side has closed the link, or has confirmed [`close`](Self::close), or does not have the link.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// Whether neither side has closed the link.
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    fn open(&self) -> Option<&Open> {
        match &self.state {
            State::Open(open) => Some(open),
            State::Closing(_) | State::Closed => None,
        }
    }

    fn open_mut(&mut self) -> Option<&mut Open> {
        match &mut self.state {
            State::Open(open) => Some(open),
            State::Closing(_) | State::Closed => None,
        }
    }
}

/// A timer that doubles its time at each expiry.
#[derive(Debug)]
struct Backoff {
    at: Instant,
    timeout: Duration,
}

impl Backoff {
    /// A timer that expires at once, then after [`RESEND_TIMEOUT`].
    fn new(now: Instant) -> Self {
        Self { at: now, timeout: RESEND_TIMEOUT }
    }

    /// A timer that expires first after [`RESEND_TIMEOUT`].
    fn delayed(now: Instant) -> Self {
        let mut backoff = Self::new(now);
        backoff.expire(now);
        backoff
    }

    /// Whether the time has come. If so, the timer starts again.
    fn expire(&mut self, now: Instant) -> bool {
        let has_expired = now >= self.at;
        if has_expired {
            self.at = now + self.timeout;
            self.timeout = (self.timeout * 2).min(MAX_RESEND_TIMEOUT);
        }
        has_expired
    }
}
