//! What a connection hands to its session.

use bytestring::ByteString;

/// Something that arrived. When the channel closes, the client is gone.
#[derive(Debug)]
pub(crate) enum Inbound {
    /// One text message.
    Text(ByteString),
    /// A heartbeat: a control frame, which shows that the client is there.
    Heartbeat,
    /// The client violated the WebSocket protocol, so the session closes the connection.
    Violation {
        /// RFC 6455 §7.4.
        code: u16,
        /// For a person.
        reason: &'static str,
    },
}
