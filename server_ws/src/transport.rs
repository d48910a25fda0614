//! From sockets to sessions: HTTP routes, the WebSocket upgrade, and the actor of each connection. These files and the
//! crate's root are the only ones that know actix.

mod connection;
mod frames;
pub(crate) mod http;
pub(crate) mod loopback;
