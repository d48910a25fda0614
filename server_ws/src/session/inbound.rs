//! The messages from a connection to its session.

use std::ops::Deref;

use bytestring::ByteString;

use crate::quota::HeldBytes;

/// A message from the connection. When the channel closes, the client is gone.
#[derive(Debug)]
pub(crate) enum Inbound {
    /// One text message.
    Text(InboundText),
    /// A heartbeat: a control frame, which shows that the client is alive.
    Heartbeat,
    /// The client violated the WebSocket protocol, so the session closes the connection.
    Violation {
        /// The close code (RFC 6455 §7.4).
        code: u16,
        /// The close reason, for a person.
        reason: &'static str,
    },
}

/// A text message, counted to its connection until it is dropped.
#[derive(Debug)]
pub(crate) struct InboundText {
    text: ByteString,
    _held: HeldBytes,
}

impl InboundText {
    pub(crate) fn new(text: ByteString, held: HeldBytes) -> Self {
        Self { text, _held: held }
    }
}

impl Deref for InboundText {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}
