//! The protocol, spoken by a client that knows only its page.

mod auth;
mod endings;
mod inspection;
mod pressure;
mod query_turns;
mod races;
mod rate;
mod rpc;
mod session;
mod transport;
