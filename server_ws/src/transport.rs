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
mod head;
mod http;
pub(crate) mod loopback;
mod network_stream;
mod refusal;
mod request_socket;
pub(crate) mod server;
mod unsent;
mod upgrade;
