//! The client of a circle: play scripts, see what they print while they run, cancel them, prove who you are.
//!
//! ```no_run
//! use client_ws::{CircleWsClient, PlayEvent};
//!
//! # async fn example(keypair: keys::KeyPair) -> Result<(), client_ws::ClientError> {
//! let client = CircleWsClient::builder("ws://127.0.0.1:9001").keypair(keypair).build()?;
//! client.connect().await?;
//! client.authenticate().await?;
//! println!("{}", client.play("40 + 2").await?.output);
//!
//! let mut play = client.play("for i in 0..3 { print(i) }").start().await?;
//! while let Some(event) = play.next().await {
//!     if let PlayEvent::Output(output) = event {
//!         println!("{}", output.text);
//!     }
//! }
//! play.result().await?;
//! # Ok(()) }
//! ```
//!
//! A circle shows its identity before anything else is sent. A program that knows the identity says so with
//! [`expect_identity`](CircleWsClientBuilder::expect_identity); one that remembers identities, as ssh does, gives a
//! [check](CircleWsClientBuilder::check_identity) of its own.
//!
//! Native clients need a tokio runtime. Everything but the transport knows neither a runtime nor a socket, so that the
//! browser's transport can take its place.

mod builder;
mod circle_url;
mod client;
mod connection_task;
mod error;
mod identity;
mod message_limit;
mod pending_requests;
mod play;
mod transport;

pub use builder::CircleWsClientBuilder;
pub use circle_url::CircleUrl;
pub use client::CircleWsClient;
pub use error::ClientError;
pub use identity::{IdentityRefusal, VerifiedIdentity};
pub use pending_requests::Notice;
pub use play::{PlayEvent, PlayHandle, PlayRequest};
pub use protocol::{
    RpcError,
    methods::{
        Candidate, CandidateKind, CompleteResult, Description, FunctionDoc, Origin, PlayResult, ScopeFunction,
        ScopeResult, Variable,
    },
};
