//! Control socket of a supervisor: JSON-RPC 2.0, one message per line.

mod client;
mod disconnection;
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

use crate::{CircleChange, CircleConfig, CircleState, StoreStatus, WorkerPoolStatus, ipc::ExportResult};

/// Largest request in bytes.
const MAX_MESSAGE: usize = 1 << 20;

/// Error code of a request that failed because circles.json is invalid; the message has the reason. JSON-RPC 2.0 §5.1
/// leaves this code to applications.
pub const CONFIG_INVALID: i64 = 1;

/// Error code of an [`Export`] that failed; the message has the reason.
pub const EXPORT_FAILED: i64 = 2;

/// Names of the circles that a request is for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CircleNames {
    /// The names; all circles if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub names: Option<Vec<String>>,
}

impl Params for CircleNames {
    const NAMES: &'static [&'static str] = &["names"];

    fn take(given: ParamValues<'_>) -> Result<Self, RpcError> {
        Ok(Self { names: given.param("names")? })
    }
}

/// A circle, and the file to make with the entries of its store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExportParams {
    /// Name of the circle.
    pub name: String,
    /// The file; absolute.
    pub file: String,
}

impl Params for ExportParams {
    const NAMES: &'static [&'static str] = &["name", "file"];

    fn take(given: ParamValues<'_>) -> Result<Self, RpcError> {
        Ok(Self { name: given.param("name")?, file: given.param("file")? })
    }
}

/// Status of one circle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CircleStatus {
    /// Name of the circle.
    pub name: String,
    /// URL for clients on this machine.
    pub url: String,
    /// State of the circle.
    pub state: CircleState,
    /// Process id.
    pub pid: Option<u32>,
    /// Number of automatic restarts.
    pub restarts: u32,
    /// Whole seconds since the circle became ready.
    pub uptime_s: Option<u64>,
    /// Who may play.
    pub access: Access,
    /// Number of connections, from the last heartbeat; absent before the first one.
    pub connections: Option<u64>,
    /// Number of sessions that hold a worker, from the last heartbeat.
    #[serde(default)]
    pub workers: Option<u64>,
    /// Number of plays that have finished since the process started, from the last heartbeat.
    #[serde(default)]
    pub plays: Option<u64>,
    /// Memory of the process and its workers in bytes, from the last heartbeat.
    #[serde(default)]
    pub memory_bytes: Option<u64>,
    /// Sandbox layers that are in effect, as `describe` returns them.
    #[serde(default)]
    pub sandbox: Option<Vec<String>>,
    /// The store, from the last heartbeat; absent without a store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<StoreStatus>,
    /// The worker pool, from the last heartbeat; absent without `worker_pool`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker_pool: Option<Box<WorkerPoolStatus>>,
    /// Public key of the identity of the process, as hex; known once the circle is ready.
    #[serde(default)]
    pub identity: Option<String>,
    /// The part of its store that the circle has recovered after a crash, in percent, as long as it is not ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovered_percent: Option<u8>,
    /// Why the circle is not ready: why the last process ended, or how far the process has recovered the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Why the circle refused the current definition and keeps the previous one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

impl CircleStatus {
    /// A status of a circle that is down, without anything else.
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
            store: None,
            worker_pool: None,
            identity: None,
            recovered_percent: None,
            why: None,
            refused: None,
        }
    }

    /// Returns the status without the field that changes when nothing happens.
    #[must_use]
    pub fn without_uptime(&self) -> Self {
        Self { uptime_s: None, ..self.clone() }
    }
}

/// Status of several circles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statuses {
    /// The circles, in the order of circles.json.
    pub circles: Vec<CircleStatus>,
    /// Whether the supervisor is draining all circles and then stops.
    pub is_ending: bool,
    /// Why circles.json in its present state was not applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// Result of [`Diff`]: what a reload would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiffResult {
    /// One change per circle, in the order of circles.json; circles that are not in it any more come last.
    pub changes: Vec<CircleChange>,
}

/// Result of [`Reload`]: what the reload did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadResult {
    /// The changes, as in [`DiffResult`].
    pub changes: Vec<CircleChange>,
    /// Status of all circles afterwards.
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

/// Longest time that `watch` waits for a change before it answers.
pub const WATCH_TIMEOUT: Duration = Duration::from_secs(1);

control_methods! {
    /// Returns the status of all circles.
    Status "status" (NoParams) -> Statuses;
    /// Returns the status of all circles when it differs from the last answer on this connection, or after
    /// [`WATCH_TIMEOUT`]. Clients that call it in a loop should pause in between, so that a stopping supervisor can
    /// close the connection.
    Watch "watch" (NoParams) -> Statuses;
    /// Starts the circles that are not up. Answers when each of them is ready or has failed.
    Up "up" (CircleNames) -> Statuses;
    /// Drains the circles. Answers when they have ended. With all circles, the supervisor stops, too.
    Down "down" (CircleNames) -> Statuses;
    /// Drains the circles and answers like `down`. The supervisor stops when nothing else is up, unless a circle is
    /// started before.
    Release "release" (CircleNames) -> Statuses;
    /// Drains the circles that are up, and starts all of them with their present configuration. Answers like `up`.
    Restart "restart" (CircleNames) -> Statuses;
    /// Applies the changes in circles.json. Answers when all started circles are ready or have failed, and all drained
    /// ones have ended.
    Reload "reload" (NoParams) -> ReloadResult;
    /// Returns what [`Reload`] would do.
    Diff "diff" (NoParams) -> DiffResult;
    /// Has a circle that is up write the entries of its store into a new file. Answers when the file is complete. An
    /// error leaves no file.
    Export "export" (ExportParams) -> ExportResult;
}
