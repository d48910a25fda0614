//! A client of circles: call their functions, play scripts, receive output while it is made, cancel, authenticate with
//! a key.
//!
//! ```no_run
//! use client_ws::{CircleWsClient, PlayEvent};
//!
//! # async fn example(keypair: keys::KeyPair) -> Result<(), client_ws::ClientError> {
//! let client = CircleWsClient::builder("ws://127.0.0.1:9001").keypair(keypair).build()?;
//! client.connect().await?;
//! client.authenticate().await?;
//! let price: f64 = client.call("price", ["tea"]).await?;
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
//! The client verifies the circle's identity before it sends anything else. A program that knows the identity sets it
//! with [`expect_identity`](CircleWsClientBuilder::expect_identity); one that remembers identities, like ssh, sets a
//! [custom check](CircleWsClientBuilder::check_identity).
//!
//! A native client needs a tokio runtime. For `wasm32-unknown-unknown`, the client uses the WebSocket of the browser,
//! and its futures run on the browser's event loop; nothing else differs.

#![warn(clippy::missing_errors_doc)]

mod builder;
mod call;
mod circle_url;
mod client;
mod connection_task;
mod error;
mod event_queue;
mod identity;
mod message_limit;
mod notices;
mod pending_requests;
mod play;
mod reconnection;
mod request_channel;
mod running_request;
mod subscription;
mod transport;

pub use builder::CircleWsClientBuilder;
pub use call::{CallRequest, RunningCall};
pub use circle_url::CircleUrl;
pub use client::CircleWsClient;
pub use error::{ClientError, TlsFault};
pub use identity::{IdentityRefusal, VerifiedIdentity};
pub use notices::Notice;
pub use play::{PlayEvent, PlayRequest, RunningPlay};
pub use reconnection::ReconnectPolicy;
pub use subscription::{SubscribeRequest, Subscription, SubscriptionEvent};

// The types of other crates in the signatures above, and what they consist of.
#[doc(no_inline)]
pub use keys::{Authority, AuthorityError, KeyPair, NonceError, NonceRejection, PublicKey, RandomError};
#[doc(no_inline)]
pub use protocol::{
    ErrorObject, FunctionInfo, Id, Limits, RpcError,
    error::{
        BusyLimit, ConflictCause, Happened, LimitSetting, LossReason, MissingRight, PlayLimit, ScriptError,
        ScriptErrorKind, StoreFault, TraceFrame, TraceSource,
    },
    function_info::{ArgumentError, FunctionParam, FunctionResult},
    methods::{
        Access, CallerInfo, Candidate, CandidateKind, CompleteResult, Description, EventEntry, FunctionDoc,
        FunctionsInfo, Origin, Output, PlayResult, PlayValue, Position, Progress, Rights, ScopeFunction, ScopeResult,
        Stream as OutputStream, SubscriptionEnd, Variable,
    },
};
#[doc(no_inline)]
pub use serde_json::{Error as JsonError, Value as JsonValue, value::RawValue};
#[doc(no_inline)]
pub use transport::{MaybeSend, MaybeSync};
