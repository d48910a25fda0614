//! The messages between a server and a worker machine, as bytes.
//!
//! A *payload* is the content of one NATS message: a version, the id of the [association](crate::association) that
//! server and machine have, and any number of [`Message`]s. A sender can thus put what waits for several links to one
//! machine into one payload.
//!
//! | bytes of a payload | |
//! | --- | --- |
//! | 1 | [`VERSION`] |
//! | 16 | association |
//! | … | messages, up to the end |
//!
//! | bytes of a message | |
//! | --- | --- |
//! | 1 | kind: 1 heartbeat, 2 data, 3 close, 4 closed |
//! | heartbeat: 8, 1 | number of the sender's connection to NATS; 1 if the sender drains |
//! | data: 16, 8, 8, 8, 8 | link; [`sequence`](Data::sequence); [`ack`](Data::ack); [`granted`](Data::granted) |
//! | data: 1 | flags: 1 kill, 2 lower the priority, 4 sample, 8 end of work, 16 end of control, 32 usage, 64 loss |
//! | data: 16 | usage, if the flag is set: bytes; CPU time in microseconds |
//! | data: 1 | loss, if the flag is set: 0 killed, 1 memory, 2 crashed, 3 drained |
//! | data: 4, 4, … | lengths of the bytes of work and of control; the bytes |
//! | close, closed: 16 | link |
//!
//! All numbers are little endian. A message of the data kind is a set of fields instead of a list of parts: nothing in
//! it needs an order, except the end of a channel, which follows the channel's bytes.
//!
//! Any bytes decode to messages or to a [`MalformedPayload`]; memory is allocated for bytes that have arrived only.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};

use crate::ids::{AssociationId, ID_BYTES, LinkId};

mod decode;
#[cfg(test)]
mod tests;

pub use decode::{MalformedPayload, decode};

/// The version of the messages. Server and machines of one build have the same one, so there is no negotiation.
pub const VERSION: u8 = 1;

/// Maximum size of a payload, in bytes. A NATS server has to accept it (`max_payload`, by default 1 MiB).
pub const MAX_PAYLOAD: usize = 128 << 10;

/// Maximum number of bytes of both channels in one message.
pub const MAX_DATA: usize = 64 << 10;

/// Size of the version and the association before the messages of a payload, in bytes.
const PAYLOAD_HEADER: usize = 1 + ID_BYTES;

/// Maximum size of a message of the data kind without the bytes of the channels.
const MAX_DATA_HEADER: usize = 1 + ID_BYTES + 4 * 8 + 1 + 16 + 1 + 2 * 4;

/// One of the two byte streams in each direction between a server and a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channel {
    /// Plays, calls and what they print and return.
    Work,
    /// Stops, holds, queries during a play and their answers.
    Control,
}

impl Channel {
    /// Both channels.
    pub const ALL: [Self; 2] = [Self::Work, Self::Control];
}

/// A value for each channel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PerChannel<T> {
    /// That of [`Channel::Work`].
    pub work: T,
    /// That of [`Channel::Control`].
    pub control: T,
}

impl<T> std::ops::Index<Channel> for PerChannel<T> {
    type Output = T;

    fn index(&self, channel: Channel) -> &T {
        match channel {
            Channel::Work => &self.work,
            Channel::Control => &self.control,
        }
    }
}

impl<T> std::ops::IndexMut<Channel> for PerChannel<T> {
    fn index_mut(&mut self, channel: Channel) -> &mut T {
        match channel {
            Channel::Work => &mut self.work,
            Channel::Control => &mut self.control,
        }
    }
}

/// What a worker's process has used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Resident memory of the process, in bytes.
    pub bytes: u64,
    /// CPU time of the process since its start, in whole microseconds.
    pub cpu: Duration,
}

/// The reason why a worker has ended, as its machine states it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// The machine or its operator killed the process.
    Killed,
    /// The process reached its memory limit.
    Memory,
    /// The process failed.
    Crashed,
    /// The machine drains, and the grace period has ended.
    Drained,
}

/// What a message carries besides the bytes of the channels. Two values merge into one without a loss, so what waits is
/// bounded however often it is set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Signals {
    /// Kill the process (to the machine).
    pub kill: bool,
    /// Lower the priority of the process (to the machine).
    pub lower_priority: bool,
    /// Answer with [`usage`](Self::usage) (to the machine).
    pub sample: bool,
    /// The channels on which no more bytes follow (from the machine).
    pub end: PerChannel<bool>,
    /// The latest sample (from the machine).
    pub usage: Option<Usage>,
    /// The worker has ended (from the machine). Bytes that it wrote before may follow.
    pub loss: Option<Loss>,
}

impl Signals {
    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds later signals. The latest usage replaces the one before; the first loss remains.
    pub fn merge(&mut self, later: Self) {
        self.kill |= later.kill;
        self.lower_priority |= later.lower_priority;
        self.sample |= later.sample;
        self.end.work |= later.end.work;
        self.end.control |= later.end.control;
        self.usage = later.usage.or(self.usage);
        self.loss = self.loss.or(later.loss);
    }
}

/// Signals and bytes of both channels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Body {
    /// The signals.
    pub signals: Signals,
    /// The next bytes of each channel; at most [`MAX_DATA`] together.
    pub bytes: PerChannel<Bytes>,
}

impl Body {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.signals.is_empty() && self.bytes.work.is_empty() && self.bytes.control.is_empty()
    }
}

/// A message of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Data {
    /// The link.
    pub link: LinkId,
    /// The number of the message in its direction, from 1; 0 for a message without a body, of which the receiver sends
    /// no acknowledgement.
    pub sequence: u64,
    /// The highest number up to which the sender has received all messages.
    pub ack: u64,
    /// The number of bytes on each channel since the beginning that the sender has room for.
    pub granted: PerChannel<u64>,
    /// What the message carries.
    pub body: Body,
}

/// A sign that the sender runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heartbeat {
    /// How often the sender has connected to NATS. A new number says that messages to the sender may have been lost.
    pub connection: u64,
    /// Whether the sender is a machine that drains.
    pub is_draining: bool,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// The sender runs.
    Heartbeat(Heartbeat),
    /// Sequenced data of a link.
    Data(Data),
    /// The sender has ended the link: the receiver discards it and answers with [`Closed`](Self::Closed).
    Close(LinkId),
    /// The sender has no such link (any more). There is no answer.
    Closed(LinkId),
}

impl Message {
    /// The answer to a message of a link that the receiver does not have.
    pub fn answer_without_link(&self) -> Option<Self> {
        match self {
            Self::Data(Data { link, .. }) | Self::Close(link) => Some(Self::Closed(*link)),
            Self::Heartbeat(_) | Self::Closed(_) => None,
        }
    }

    fn encoded_len(&self) -> usize {
        match self {
            Self::Heartbeat(_) => 1 + 8 + 1,
            Self::Data(Data { body, .. }) => MAX_DATA_HEADER + body.bytes.work.len() + body.bytes.control.len(),
            Self::Close(_) | Self::Closed(_) => 1 + ID_BYTES,
        }
    }
}

/// Collects messages for one payload.
#[derive(Debug)]
pub struct PayloadBuilder {
    bytes: BytesMut,
}

impl PayloadBuilder {
    /// Starts a payload of an association.
    pub fn new(association: AssociationId) -> Self {
        let mut bytes = BytesMut::with_capacity(256);
        bytes.put_u8(VERSION);
        bytes.put_slice(&association.0);
        Self { bytes }
    }

    /// Whether there is no message.
    pub fn is_empty(&self) -> bool {
        self.bytes.len() == PAYLOAD_HEADER
    }

    /// Whether there is room for any message.
    pub fn has_room(&self) -> bool {
        self.bytes.len() + MAX_DATA_HEADER + MAX_DATA <= MAX_PAYLOAD
    }

    /// Adds a message. Returns false, and adds nothing, if the payload has no room for it.
    #[must_use]
    pub fn push(&mut self, message: &Message) -> bool {
        if self.bytes.len() + message.encoded_len() > MAX_PAYLOAD {
            return false;
        }
        encode(message, &mut self.bytes);
        true
    }

    /// The payload.
    pub fn finish(self) -> Bytes {
        self.bytes.freeze()
    }
}

const KIND_HEARTBEAT: u8 = 1;
const KIND_DATA: u8 = 2;
const KIND_CLOSE: u8 = 3;
const KIND_CLOSED: u8 = 4;

const FLAG_KILL: u8 = 1;
const FLAG_LOWER_PRIORITY: u8 = 2;
const FLAG_SAMPLE: u8 = 4;
const FLAG_END_WORK: u8 = 8;
const FLAG_END_CONTROL: u8 = 16;
const FLAG_USAGE: u8 = 32;
const FLAG_LOSS: u8 = 64;

fn encode(message: &Message, to: &mut BytesMut) {
    match message {
        Message::Heartbeat(heartbeat) => {
            to.put_u8(KIND_HEARTBEAT);
            to.put_u64_le(heartbeat.connection);
            to.put_u8(heartbeat.is_draining.into());
        }
        Message::Data(data) => encode_data(data, to),
        Message::Close(link) => {
            to.put_u8(KIND_CLOSE);
            to.put_slice(&link.0);
        }
        Message::Closed(link) => {
            to.put_u8(KIND_CLOSED);
            to.put_slice(&link.0);
        }
    }
}

fn encode_data(data: &Data, to: &mut BytesMut) {
    let Data { link, sequence, ack, granted, body: Body { signals, bytes } } = data;
    to.put_u8(KIND_DATA);
    to.put_slice(&link.0);
    for number in [*sequence, *ack, granted.work, granted.control] {
        to.put_u64_le(number);
    }
    let flags = [
        (signals.kill, FLAG_KILL),
        (signals.lower_priority, FLAG_LOWER_PRIORITY),
        (signals.sample, FLAG_SAMPLE),
        (signals.end.work, FLAG_END_WORK),
        (signals.end.control, FLAG_END_CONTROL),
        (signals.usage.is_some(), FLAG_USAGE),
        (signals.loss.is_some(), FLAG_LOSS),
    ];
    to.put_u8(flags.iter().filter(|(is_set, _)| *is_set).map(|(_, flag)| flag).sum());
    if let Some(usage) = signals.usage {
        to.put_u64_le(usage.bytes);
        to.put_u64_le(u64::try_from(usage.cpu.as_micros()).unwrap_or(u64::MAX));
    }
    if let Some(loss) = signals.loss {
        to.put_u8(match loss {
            Loss::Killed => 0,
            Loss::Memory => 1,
            Loss::Crashed => 2,
            Loss::Drained => 3,
        });
    }
    for channel in [&bytes.work, &bytes.control] {
        let length = u32::try_from(channel.len()).expect("a message has at most MAX_DATA bytes");
        to.put_u32_le(length);
    }
    to.put_slice(&bytes.work);
    to.put_slice(&bytes.control);
}
