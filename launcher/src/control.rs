//! The control socket of a supervisor: JSON-RPC 2.0, one message a line.

mod client;
mod server;

use std::time::Duration;

use protocol::{
    Method, Params, RpcError,
    method::ParamValues,
    methods::{Access, NoParams},
};
use serde::{Deserialize, Serialize};

pub use client::{ControlClient, ControlError};
pub(crate) use server::ControlServer;

use crate::{CircleChange, CircleConfig, CircleState};

/// Bytes of one message.
const MAX_MESSAGE: usize = 1 << 20;

/// The code of a refusal because circles.json is wrong; its message says how. JSON-RPC 2.0 §5.1 leaves it to applications.
pub const CONFIG_INVALID: i64 = 1;

/// Which circles are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CircleNames {
    /// All of them, where it is not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub names: Option<Vec<String>>,
}

impl Params for CircleNames {
    const NAMES: &'static [&'static str] = &["names"];

    fn take(given: ParamValues<'_>) -> Result<Self, RpcError> {
        Ok(Self { names: given.param("names")? })
    }
}

/// How one circle is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CircleStatus {
    /// Its name.
    pub name: String,
    /// Where a client of this machine dials it.
    pub url: String,
    /// How it is.
    pub state: CircleState,
    /// Its process.
    pub pid: Option<u32>,
    /// How often it was started again by itself.
    pub restarts: u32,
    /// Whole seconds that it has taken connections.
    pub uptime_s: Option<u64>,
    /// Who may play.
    pub access: Access,
    /// How many connections it has, or had a second ago; not known before it says so.
    pub connections: Option<u64>,
    /// How many of its sessions hold a worker, as it said then.
    #[serde(default)]
    pub workers: Option<u64>,
    /// How many plays have ended since its process was started, as it said then.
    #[serde(default)]
    pub plays: Option<u64>,
    /// Bytes that its process and its workers have, as it said then.
    #[serde(default)]
    pub memory_bytes: Option<u64>,
    /// What keeps its scripts where they are, as `describe` has it.
    #[serde(default)]
    pub sandbox: Option<Vec<String>>,
    /// The public key that its process identifies itself with, as hex; known once it takes connections.
    #[serde(default)]
    pub identity: Option<String>,
    /// Why it ended last, while that is why it is not ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Why it goes on as it was, where it does not take over what circles.json says of it now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

impl CircleStatus {
    /// Of one that is down, and of which nothing else is known.
    pub fn down(circle: &CircleConfig) -> Self {
        Self {
            name: circle.name.clone(),
            url: circle.url(),
            state: CircleState::Down,
            pid: None,
            restarts: 0,
            uptime_s: None,
            access: circle.access,
            connections: None,
            workers: None,
            plays: None,
            memory_bytes: None,
            sandbox: None,
            identity: None,
            why: None,
            refused: None,
        }
    }

    /// Without what changes though nothing happens.
    #[must_use]
    pub fn without_uptime(&self) -> Self {
        Self { uptime_s: None, ..self.clone() }
    }
}

/// How circles are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statuses {
    /// In the order of circles.json.
    pub circles: Vec<CircleStatus>,
    /// The supervisor drains them all and ends.
    pub is_ending: bool,
    /// Why circles.json as it is now is not taken over, where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// What a reload does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiffResult {
    /// One for each circle, in the order of circles.json; those that it does not have any more come last.
    pub changes: Vec<CircleChange>,
}

/// What a reload has done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadResult {
    /// As for [`Changes`].
    pub changes: Vec<CircleChange>,
    /// How all circles are.
    pub statuses: Statuses,
}

macro_rules! control_methods {
    ($($(#[$meta:meta])* $method:ident $name:literal ($params:ty) -> $result:ty;)*) => { $(
        $(#[$meta])*
        #[derive(Debug)]
        pub struct $method;

        impl Method for $method {
            const NAME: &'static str = $name;
            type Params = $params;
            type Result = $result;
        }
    )* };
}

/// How long an answer to `watch` waits for a change.
pub const WATCH_TIMEOUT: Duration = Duration::from_secs(1);

control_methods! {
    /// How all circles are.
    Status "status" (NoParams) -> Statuses;
    /// How all circles are, once that is not what this connection was told last, or [`WATCH_LAPSE`] has passed. Who asks for
    /// more pauses for a moment in between, in which a supervisor that ends can close the connection.
    Watch "watch" (NoParams) -> Statuses;
    /// Starts those that are not up; answers once each of them is ready, or is not and why.
    Up "up" (CircleNames) -> Statuses;
    /// Drains them; answers once they have ended. With all of them the supervisor ends, too.
    Down "down" (CircleNames) -> Statuses;
    /// Drains them; answers as `down`. Once nothing else is up the supervisor ends, too, unless something is wanted up before.
    Release "release" (CircleNames) -> Statuses;
    /// Drains those that are up, and starts all of them as circles.json has them now; answers as `up`.
    Restart "restart" (CircleNames) -> Statuses;
    /// Takes over what is different in circles.json; answers once it is: who starts is ready or is not, who drains has ended.
    Reload "reload" (NoParams) -> ReloadResult;
    /// What [`Reload`] would do.
    Diff "diff" (NoParams) -> DiffResult;
}
