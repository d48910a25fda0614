//! The receiving half of a link.

use std::time::Instant;

use bytes::{Buf, BytesMut};

use super::{ACK_DELAY, MAX_UNACKED, Violation, WINDOW};
use crate::wire::{Channel, Data, PerChannel, Signals};

/// A buffer that is empty keeps no more than this, in bytes: thousands of links are idle.
const KEPT_CAPACITY: usize = 4 << 10;

/// What has arrived, and what the other side does not know of it.
#[derive(Debug)]
pub(super) struct Inbound {
    channels: PerChannel<InboundChannel>,
    /// The signals that the owner has not taken, without the ends of channels.
    signals: Signals,
    /// The number of the last message that was accepted.
    accepted: u64,
    /// The number that the last message to the other side acknowledged.
    acknowledged: u64,
    /// The time at which an acknowledgement is sent alone.
    ack_at: Option<Instant>,
}

#[derive(Debug, Default)]
struct InboundChannel {
    arrived: BytesMut,
    /// The number of bytes since the beginning that have arrived.
    total: u64,
    /// The number of bytes since the beginning that the other side knows it may send.
    announced: u64,
    has_end: bool,
}

impl InboundChannel {
    /// The number of bytes since the beginning that this side has room for.
    fn granted(&self, window: usize) -> u64 {
        self.total - self.arrived.len() as u64 + window as u64
    }
}

impl Inbound {
    pub(super) fn new() -> Self {
        let channel = |window: usize| InboundChannel { announced: window as u64, ..InboundChannel::default() };
        Self {
            channels: PerChannel { work: channel(WINDOW.work), control: channel(WINDOW.control) },
            signals: Signals::default(),
            accepted: 0,
            acknowledged: 0,
            ack_at: None,
        }
    }

    pub(super) fn arrived(&self, channel: Channel) -> &[u8] {
        &self.channels[channel].arrived
    }

    pub(super) fn consume(&mut self, channel: Channel, bytes: usize) {
        let arrived = &mut self.channels[channel].arrived;
        arrived.advance(bytes.min(arrived.len()));
        if arrived.is_empty() && arrived.capacity() > KEPT_CAPACITY {
            *arrived = BytesMut::new();
        }
    }

    pub(super) fn has_ended(&self, channel: Channel) -> bool {
        let InboundChannel { arrived, has_end, .. } = &self.channels[channel];
        *has_end && arrived.is_empty()
    }

    pub(super) fn take_signals(&mut self) -> Signals {
        std::mem::take(&mut self.signals)
    }

    /// Accepts the message if it is the next one.
    pub(super) fn accept(&mut self, data: &Data, now: Instant) -> Result<(), Violation> {
        if data.sequence == 0 {
            return Ok(());
        }
        if data.sequence != self.accepted.saturating_add(1) {
            // The acknowledgement was lost, or a message before this one.
            self.ack_at = Some(now);
            return Ok(());
        }
        for channel in Channel::ALL {
            let (state, bytes) = (&self.channels[channel], &data.body.bytes[channel]);
            if state.has_end && (!bytes.is_empty() || data.body.signals.end[channel]) {
                return Err(Violation::BytesAfterEnd);
            }
            if state.total + bytes.len() as u64 > state.granted(WINDOW[channel]) {
                return Err(Violation::GrantExceeded);
            }
        }
        for channel in Channel::ALL {
            let (state, bytes) = (&mut self.channels[channel], &data.body.bytes[channel]);
            state.arrived.extend_from_slice(bytes);
            state.total += bytes.len() as u64;
            state.has_end |= data.body.signals.end[channel];
        }
        self.signals.merge(Signals { end: PerChannel::default(), ..data.body.signals });
        self.accepted = data.sequence;
        // The sender must not stop for want of an acknowledgement.
        let is_urgent = self.accepted - self.acknowledged >= MAX_UNACKED as u64 / 2;
        let at = if is_urgent { now } else { now + ACK_DELAY };
        self.ack_at = Some(self.ack_at.map_or(at, |earlier| earlier.min(at)));
        Ok(())
    }

    /// Whether the other side should learn of a new grant: half a window more than it knows of.
    pub(super) fn has_grant(&self) -> bool {
        Channel::ALL.iter().any(|channel| {
            let (state, window) = (&self.channels[*channel], WINDOW[*channel]);
            !state.has_end && state.granted(window) >= state.announced + window as u64 / 2
        })
    }

    /// Counts the grants as known to the other side: a message with a number carries them.
    pub(super) fn announce_grant(&mut self) {
        for channel in Channel::ALL {
            self.channels[channel].announced = self.channels[channel].granted(WINDOW[channel]);
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.ack_at
    }

    pub(super) fn is_ack_due(&self, now: Instant) -> bool {
        self.ack_at.is_some_and(|at| at <= now)
    }

    /// Returns the acknowledgement and the grants for a message that is sent now.
    pub(super) fn acknowledge(&mut self) -> (u64, PerChannel<u64>) {
        self.ack_at = None;
        self.acknowledged = self.accepted;
        let granted = |channel| self.channels[channel].granted(WINDOW[channel]);
        (self.accepted, PerChannel { work: granted(Channel::Work), control: granted(Channel::Control) })
    }
}
