//! The protocol, spoken by a client that knows only its page.

mod auth;
mod inspection;
mod pressure;
mod rpc;
mod session;
mod transport;
