//! Workers of circles on other machines, by NATS.
//!
//! A server places the workers of its sessions on worker machines. Each worker has a [`link::Link`] between the server
//! and its machine, which carries the two byte streams of the worker over messages that NATS may lose, and one
//! [`association::Association`] for each pair of server and machine, with the heartbeats. [`peer::Peer`]
//! holds an association and its links. They are pure state machines: they have no clock and know nothing of NATS.
//! [`wire`] encodes their messages. [`connection`] connects to NATS by the settings of [`config`], and [`subjects`] names
//! the subjects and the permissions that they need. [`server`] has the hub of a server, and [`machine`] runs a machine.
//!
//! # What the server and the machine do
//!
//! Each has one [`peer::Peer`] for each association, with its links, and drives it:
//!
//! 1. It decodes each payload of its subscription ([`wire::decode`]), finds the peer by the association, and passes the
//!    messages to [`Peer::receive`](peer::Peer::receive). A payload of an unknown association gets the answer
//!    [`peer::farewell`] if it has a reply subject, and has no other effect. A message that says that nobody subscribes
//!    ([`connection::has_no_subscriber`]) goes to [`Peer::miss`](peer::Peer::miss): the reply subject of the heartbeat
//!    names the association.
//! 2. It looks at each link of [`Peer::changed`](peer::Peer::changed): signals, bytes that have arrived, room for bytes,
//!    the end.
//! 3. While the connection accepts messages, it publishes [`Peer::next_payload`](peer::Peer::next_payload).
//! 4. It does so again at [`Peer::deadline`](peer::Peer::deadline).
//! 5. It passes the state of its connection to [`Peer::connect`](peer::Peer::connect) and
//!    [`Peer::disconnect`](peer::Peer::disconnect).
//! 6. Once [`Peer::is_given_up`](peer::Peer::is_given_up), it ends all links and publishes [`peer::farewell`].

pub mod association;
pub mod config;
pub mod connection;
mod content;
mod endpoint;
mod ids;
pub mod link;
pub mod machine;
mod messages;
mod outbox;
pub mod peer;
mod peers;
pub mod server;
pub mod subjects;
mod timings;
mod wakes;
pub mod wire;
#[cfg(feature = "workers")]
pub mod workers;

pub use content::{ContentHash, PartReference, Setup};
pub use ids::{AssociationId, LinkId};
pub use timings::Timings;

/// The examples of the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
