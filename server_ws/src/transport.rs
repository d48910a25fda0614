//! The transport, from sockets to sessions: HTTP routes, the WebSocket upgrade, and the actor of each connection. Only
//! these modules and the crate's root depend on actix.

mod accept;
mod chunks;
mod client_address;
mod connection;
mod console;
mod counted_stream;
mod frames;
mod handshake;
#[cfg(feature = "tls")]
mod handshake_pace;
mod head;
pub(crate) mod http;
pub(crate) mod loopback;
pub(crate) mod mounted;
mod network_stream;
#[cfg(not(feature = "tls"))]
mod no_tls_handshake;
mod refusal;
pub(crate) mod rejection;
mod request_socket;
pub(crate) mod server;
#[cfg(feature = "tls")]
mod tls_handshake;
mod unsent;
mod upgrade;

#[cfg(feature = "tls")]
pub(crate) use handshake_pace::HandshakePace;
