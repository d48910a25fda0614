//! Decoding of payloads.

use std::time::Duration;

use bytes::{Buf, Bytes, TryGetError};

use super::{
    Body, Data, FLAG_END_CONTROL, FLAG_END_WORK, FLAG_KILL, FLAG_LOSS, FLAG_LOWER_PRIORITY, FLAG_SAMPLE, FLAG_USAGE,
    Heartbeat, KIND_CLOSE, KIND_CLOSED, KIND_DATA, KIND_HEARTBEAT, Loss, MAX_DATA, MAX_PAYLOAD, Message, PerChannel,
    Signals, Usage, VERSION,
};
use crate::ids::{AssociationId, ID_BYTES, LinkId};

/// The reason why a payload is malformed. The receiver discards all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MalformedPayload {
    /// It has another version.
    #[error("the payload has version {0}, not {VERSION}")]
    Version(u8),
    /// It is larger than [`MAX_PAYLOAD`].
    #[error("the payload has more than {MAX_PAYLOAD} bytes")]
    TooLarge,
    /// It ends within a message.
    #[error("the payload ends within a message")]
    Truncated,
    /// A message has a kind, a flag or a value that the version does not define.
    #[error("a message has an undefined {0}")]
    Undefined(&'static str),
    /// A message has more than [`MAX_DATA`] bytes.
    #[error("a message has more than {MAX_DATA} bytes")]
    TooMuchData,
    /// A message without a number has a body, so nobody could acknowledge it.
    #[error("a message without a number has a body")]
    BodyWithoutNumber,
}

impl From<TryGetError> for MalformedPayload {
    fn from(_: TryGetError) -> Self {
        Self::Truncated
    }
}

/// Decodes all messages of a payload. Their bytes share the memory of the payload.
///
/// # Errors
///
/// Returns a [`MalformedPayload`] if any message is malformed: the sender is faulty or no circle at all.
pub fn decode(mut payload: Bytes) -> Result<(AssociationId, Vec<Message>), MalformedPayload> {
    if payload.len() > MAX_PAYLOAD {
        return Err(MalformedPayload::TooLarge);
    }
    match payload.try_get_u8()? {
        VERSION => {}
        version => return Err(MalformedPayload::Version(version)),
    }
    let association = AssociationId(id(&mut payload)?);
    let mut messages = Vec::new();
    while payload.has_remaining() {
        messages.push(message(&mut payload)?);
    }
    Ok((association, messages))
}

fn message(payload: &mut Bytes) -> Result<Message, MalformedPayload> {
    match payload.try_get_u8()? {
        KIND_HEARTBEAT => {
            let connection = payload.try_get_u64_le()?;
            let is_draining = match payload.try_get_u8()? {
                0 => false,
                1 => true,
                _ => return Err(MalformedPayload::Undefined("state")),
            };
            Ok(Message::Heartbeat(Heartbeat { connection, is_draining }))
        }
        KIND_DATA => data(payload).map(Message::Data),
        KIND_CLOSE => Ok(Message::Close(LinkId(id(payload)?))),
        KIND_CLOSED => Ok(Message::Closed(LinkId(id(payload)?))),
        _ => Err(MalformedPayload::Undefined("kind")),
    }
}

fn data(payload: &mut Bytes) -> Result<Data, MalformedPayload> {
    let link = LinkId(id(payload)?);
    let sequence = payload.try_get_u64_le()?;
    let ack = payload.try_get_u64_le()?;
    let granted = PerChannel { work: payload.try_get_u64_le()?, control: payload.try_get_u64_le()? };
    let signals = signals(payload)?;
    let [work, control] = [payload.try_get_u32_le()?, payload.try_get_u32_le()?].map(|length| length as usize);
    if work > MAX_DATA || control > MAX_DATA - work {
        return Err(MalformedPayload::TooMuchData);
    }
    let bytes = PerChannel { work: split(payload, work)?, control: split(payload, control)? };
    let body = Body { signals, bytes };
    if sequence == 0 && !body.is_empty() {
        return Err(MalformedPayload::BodyWithoutNumber);
    }
    Ok(Data { link, sequence, ack, granted, body })
}

fn signals(payload: &mut Bytes) -> Result<Signals, MalformedPayload> {
    let flags = payload.try_get_u8()?;
    let has = |flag: u8| flags & flag != 0;
    if has(!(FLAG_KILL | FLAG_LOWER_PRIORITY | FLAG_SAMPLE | FLAG_END_WORK | FLAG_END_CONTROL | FLAG_USAGE | FLAG_LOSS))
    {
        return Err(MalformedPayload::Undefined("flag"));
    }
    let usage = if has(FLAG_USAGE) {
        let bytes = payload.try_get_u64_le()?;
        Some(Usage { bytes, cpu: Duration::from_micros(payload.try_get_u64_le()?) })
    } else {
        None
    };
    let loss = if has(FLAG_LOSS) { Some(loss(payload.try_get_u8()?)?) } else { None };
    Ok(Signals {
        kill: has(FLAG_KILL),
        lower_priority: has(FLAG_LOWER_PRIORITY),
        sample: has(FLAG_SAMPLE),
        end: PerChannel { work: has(FLAG_END_WORK), control: has(FLAG_END_CONTROL) },
        usage,
        loss,
    })
}

fn loss(byte: u8) -> Result<Loss, MalformedPayload> {
    match byte {
        0 => Ok(Loss::Killed),
        1 => Ok(Loss::Memory),
        2 => Ok(Loss::Crashed),
        3 => Ok(Loss::Drained),
        _ => Err(MalformedPayload::Undefined("loss")),
    }
}

fn id(payload: &mut Bytes) -> Result<[u8; ID_BYTES], MalformedPayload> {
    let mut id = [0; ID_BYTES];
    payload.try_copy_to_slice(&mut id)?;
    Ok(id)
}

fn split(payload: &mut Bytes, length: usize) -> Result<Bytes, MalformedPayload> {
    if payload.remaining() < length {
        return Err(MalformedPayload::Truncated);
    }
    Ok(payload.split_to(length))
}
