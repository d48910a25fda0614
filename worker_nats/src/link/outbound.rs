//! The sending half of a link.

use std::{collections::VecDeque, time::Instant};

use bytes::Bytes;

use super::{Backoff, MAX_DATA, MAX_UNACKED, Violation, WINDOW};
use crate::wire::{Body, Channel, PerChannel, Signals};

/// What waits, and what waits for an acknowledgement.
#[derive(Debug)]
pub(super) struct Outbound {
    channels: PerChannel<OutboundChannel>,
    /// The signals that wait, without the ends of channels.
    signals: Signals,
    /// The messages without an acknowledgement, from number `acked + 1`.
    unacked: VecDeque<Body>,
    acked: u64,
    /// The number of messages of `unacked`, from the front, that are not to be sent again.
    sent: usize,
    /// Runs while there are messages without an acknowledgement.
    backoff: Option<Backoff>,
}

#[derive(Debug, Default)]
struct OutboundChannel {
    /// The bytes that wait.
    waiting: Vec<u8>,
    /// The number of bytes in messages without an acknowledgement.
    unacked: usize,
    /// The number of bytes since the beginning that were accepted.
    accepted: u64,
    /// The number of bytes since the beginning that the other side has room for.
    granted: u64,
    end: End,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum End {
    #[default]
    None,
    Waiting,
    Sent,
}

impl Outbound {
    pub(super) fn new() -> Self {
        let channel = |window: usize| OutboundChannel { granted: window as u64, ..OutboundChannel::default() };
        Self {
            channels: PerChannel { work: channel(WINDOW.work), control: channel(WINDOW.control) },
            signals: Signals::default(),
            unacked: VecDeque::new(),
            acked: 0,
            sent: 0,
            backoff: None,
        }
    }

    pub(super) fn room(&self, channel: Channel) -> usize {
        let OutboundChannel { waiting, unacked, accepted, granted, end } = &self.channels[channel];
        if *end != End::None {
            return 0;
        }
        let granted = usize::try_from(granted.saturating_sub(*accepted)).unwrap_or(usize::MAX);
        // The other side may grant more than it can have received, so the own bound counts, too.
        granted.min(WINDOW[channel].saturating_sub(waiting.len() + unacked))
    }

    pub(super) fn write(&mut self, channel: Channel, bytes: &[u8]) -> usize {
        let accepted = bytes.len().min(self.room(channel));
        let channel = &mut self.channels[channel];
        channel.waiting.extend_from_slice(&bytes[..accepted]);
        channel.accepted += accepted as u64;
        accepted
    }

    pub(super) fn end(&mut self, channel: Channel) {
        let end = &mut self.channels[channel].end;
        if *end == End::None {
            *end = End::Waiting;
        }
    }

    pub(super) fn signal(&mut self, signals: Signals) {
        for channel in Channel::ALL {
            if signals.end[channel] {
                self.end(channel);
            }
        }
        self.signals.merge(Signals { end: PerChannel::default(), ..signals });
    }

    pub(super) fn buffered_bytes(&self) -> usize {
        let buffered = |channel: &OutboundChannel| channel.waiting.len() + channel.unacked;
        buffered(&self.channels.work) + buffered(&self.channels.control)
    }

    pub(super) fn unacked_bytes(&self) -> usize {
        self.channels.work.unacked + self.channels.control.unacked
    }

    /// Handles the acknowledgement and the grants of a message. Those of late messages are lower, and change nothing.
    pub(super) fn acknowledge(&mut self, ack: u64, granted: PerChannel<u64>, now: Instant) -> Result<(), Violation> {
        if ack.saturating_sub(self.acked) > self.unacked.len() as u64 {
            return Err(Violation::UnsentAcknowledged);
        }
        for channel in Channel::ALL {
            let channel_granted = &mut self.channels[channel].granted;
            *channel_granted = granted[channel].max(*channel_granted);
        }
        if ack <= self.acked {
            return Ok(());
        }
        while self.acked < ack {
            let Some(body) = self.unacked.pop_front() else { break };
            self.acked += 1;
            self.sent = self.sent.saturating_sub(1);
            for channel in Channel::ALL {
                self.channels[channel].unacked -= body.bytes[channel].len();
            }
        }
        self.backoff = (!self.unacked.is_empty()).then(|| Backoff::delayed(now));
        Ok(())
    }

    pub(super) fn resend(&mut self, now: Instant) {
        self.sent = 0;
        self.backoff = (!self.unacked.is_empty()).then(|| Backoff::delayed(now));
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.backoff.as_ref().map(|backoff| backoff.at)
    }

    /// Returns the next message to send: its number, its body, and whether it is sent for the first time. `has_grant`
    /// asks for a message even if its body is empty.
    pub(super) fn next(&mut self, has_grant: bool, now: Instant) -> Option<(u64, Body, bool)> {
        if self.backoff.as_mut().is_some_and(|backoff| backoff.expire(now)) {
            self.sent = 0;
        }
        let is_new = self.sent == self.unacked.len();
        if is_new {
            if self.unacked.len() == MAX_UNACKED {
                return None;
            }
            let body = self.take_body();
            if body.is_empty() && !has_grant {
                return None;
            }
            self.unacked.push_back(body);
            self.backoff.get_or_insert_with(|| Backoff::delayed(now));
        }
        let body = self.unacked.get(self.sent)?.clone();
        self.sent += 1;
        Some((self.acked + self.sent as u64, body, is_new))
    }

    /// Takes the signals and as many bytes as fit into one message, those of the control channel first.
    fn take_body(&mut self) -> Body {
        let mut body = Body { signals: std::mem::take(&mut self.signals), ..Body::default() };
        let mut room = MAX_DATA;
        for channel in [Channel::Control, Channel::Work] {
            let bytes = self.channels[channel].take(room);
            room -= bytes.len();
            body.bytes[channel] = bytes;
            body.signals.end[channel] = self.channels[channel].take_end();
        }
        body
    }
}

impl OutboundChannel {
    fn take(&mut self, room: usize) -> Bytes {
        let bytes = if self.waiting.len() <= room {
            std::mem::take(&mut self.waiting)
        } else {
            self.waiting.drain(..room).collect()
        };
        self.unacked += bytes.len();
        bytes.into()
    }

    /// Whether the end follows the bytes that were taken.
    fn take_end(&mut self) -> bool {
        let is_due = self.end == End::Waiting && self.waiting.is_empty();
        if is_due {
            self.end = End::Sent;
        }
        is_due
    }
}
