//! The protocol, tested by a client that is written from its documentation.

mod auth;
mod calls;
mod endings;
mod inspection;
mod natives;
mod pipelining;
mod pressure;
mod query_turns;
mod races;
mod rate;
mod rpc;
mod session;
mod transport;
mod upgrade;
