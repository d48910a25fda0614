//! The error codes of the protocol, and the `data` of each.

mod trace;
mod wire;

use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

pub use trace::{CLOSURE, TraceFrame, TraceSource};

/// An error object on the wire (JSON-RPC 2.0 §5.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorObject {
    /// The code, one of [`ERROR_CODES`].
    pub code: i64,
    /// A short message for a person.
    pub message: String,
    /// Details that a program can act on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

/// The code, the message and the members of `data` of every error.
pub const ERROR_CODES: &[(i64, &str, &[&str])] = &[
    (-32700, "Parse error", &[]),
    (-32600, "Invalid Request", &["reason", "id"]),
    (-32601, "Method not found", &["method"]),
    (-32602, "Invalid params", &["param", "reason"]),
    (-32603, "Internal error", &[]),
    (-32000, "the script's own error text", &["kind", "line", "column", "function", "hint", "thrown", "trace"]),
    (-32001, "Unauthenticated", &[]),
    (-32002, "Invalid Credentials", &[]),
    (-32003, "Forbidden", &["reason", "missing"]),
    (-32004, "Limit exceeded", &["limit", "max", "setting", "happened", "recorded"]),
    (-32005, "Cancelled", &[]),
    (-32006, "Busy", &["limit", "max", "retry_after_ms"]),
    (-32007, "Rate limited", &["retry_after_ms"]),
    (-32008, "Shutting down", &[]),
    (-32009, "Environment lost", &["reason"]),
    (-32010, "Conflict", &["cause", "key", "attempts"]),
    (-32011, "Store unavailable", &["cause", "happened"]),
];

/// The error of a request. Serialises as an [`ErrorObject`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum RpcError {
    /// The message is not JSON.
    Parse,
    /// The message is JSON but not a request.
    InvalidRequest {
        /// The reason, for a person.
        reason: String,
        /// The offending id, if the id is what makes the request invalid.
        id: Option<Box<RawValue>>,
    },
    /// No method has this name.
    MethodNotFound {
        /// The requested name.
        method: String,
    },
    /// A parameter is unknown, missing or of the wrong type.
    InvalidParams {
        /// The name of the parameter; for a surplus parameter by position, its index as `[3]`.
        param: String,
        /// The reason, for a person.
        reason: String,
    },
    /// The circle failed; its log has the details.
    Internal,
    /// The script does not parse, or it failed while it ran.
    Script(Box<ScriptError>),
    /// The method needs an authenticated session.
    Unauthenticated,
    /// The signature or its nonce is not valid for the key.
    InvalidCredentials,
    /// The session is authenticated, or could be, but its key may not do this.
    Forbidden {
        /// The reason, for a person.
        reason: String,
        /// The right that the role of the caller lacks, if a role is the reason.
        missing: Option<MissingRight>,
    },
    /// The play exceeded a limit; the environment is kept.
    LimitExceeded {
        /// The limit.
        limit: PlayLimit,
        /// The value of the limit, in the unit of its setting.
        max: u64,
        /// The setting that has this value; `None` for the depth of a value, which has none.
        setting: Option<LimitSetting>,
    },
    /// The run has committed, and its result cannot be returned: it finds no room in the answer, or the record of an
    /// earlier request with the same `once` does not have it.
    ResultLost {
        /// The limit of the result in KiB.
        max: u64,
        /// The setting of the limit, if it has one.
        setting: Option<LimitSetting>,
        /// Whether the request was sent before, and nothing has run now.
        is_recorded: bool,
    },
    /// The play was cancelled.
    Cancelled,
    /// A quota of the circle is used up for now.
    Busy {
        /// The quota.
        limit: BusyLimit,
        /// The value of the quota.
        max: u64,
        /// The time after which a retry may succeed.
        retry_after_ms: Option<u64>,
    },
    /// The caller makes too many requests.
    RateLimited {
        /// The time until the circle accepts another request of the caller.
        retry_after_ms: u64,
    },
    /// The circle is shutting down and accepts no new plays.
    ShuttingDown,
    /// The environment of the session is lost, with its variables; the session continues with a fresh environment.
    EnvironmentLost {
        /// Why the environment was lost.
        reason: LossReason,
    },
    /// The transaction read something that has changed, or its snapshot is too old. Nothing happened.
    Conflict {
        /// Why the transaction did not commit.
        cause: ConflictCause,
        /// A changed key that the transaction read.
        key: Option<String>,
        /// Number of times that it ran.
        attempts: u32,
    },
    /// The store of the circle takes no writes, or has failed.
    StoreUnavailable {
        /// Why.
        cause: StoreFault,
        /// Whether the effects of the transaction exist.
        happened: Happened,
    },
    /// An error that this version cannot interpret, kept unchanged.
    Other(ErrorObject),
}

/// The error of a script. Lines and columns count from 1, columns in Unicode scalar values.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ScriptError {
    /// The script's own error text: the `message` of the error object, not part of its `data`.
    #[serde(skip)]
    pub message: String,
    /// Whether the script failed before or while it ran.
    pub kind: ScriptErrorKind,
    /// The line, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The column, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// The innermost script function in which the error occurred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// A hint on how to fix the script.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The thrown value, if the script threw one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<serde_json::Value>"))]
    pub thrown: Option<Box<RawValue>>,
    /// The traceback, innermost frame first. Absent if the error is outside of functions in the script of this play, and
    /// the play has no `name`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trace: Vec<TraceFrame>,
}

macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[non_exhaustive]
        pub enum $name { $($(#[$vmeta])* #[serde(rename = $word)] $variant),* }

        impl $name {
            /// All values, so that a test of another crate can check that it handles each.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self { $(Self::$variant => $word),* })
            }
        }
    };
}

words! {
    /// The phase in which a script failed.
    ScriptErrorKind {
        /// The script does not parse; no part of it ran.
        Parse = "parse",
        /// The script failed while it ran; the definitions that it made before are kept.
        Runtime = "runtime",
        /// A function of the circle threw the value in `thrown`. Only calls of functions have it.
        Thrown = "thrown",
    }
}

words! {
    /// A right of a role.
    MissingRight {
        /// `play`: to play scripts.
        Play = "play",
        /// `subscribe`: to follow these keys or this topic.
        Subscribe = "subscribe",
        /// A right of a later version of the protocol.
        #[serde(other)]
        #[cfg_attr(feature = "schema", schemars(skip))]
        Unknown = "unknown",
    }
}

words! {
    /// A limit of a play.
    PlayLimit {
        /// `play_ms`, or the play's own `timeout_ms`, in milliseconds.
        Time = "time",
        /// `operations`.
        Operations = "operations",
        /// `memory_mib`.
        Memory = "memory",
        /// `output_kib`.
        Output = "output",
        /// `call_depth`, `expression_depth` or the depth of a value, in levels.
        Depth = "depth",
        /// `string_kib`, `array_items` or `map_items`.
        Size = "size",
    }
}

words! {
    /// The setting of a limit of a play.
    LimitSetting {
        /// The circle's time limit, in milliseconds.
        PlayMs = "play_ms",
        /// The play's or the call's own time limit, in milliseconds.
        TimeoutMs = "timeout_ms",
        /// The circle's time limit of a call, in milliseconds.
        CallMs = "call_ms",
        /// The time limit that the called function declares, in milliseconds.
        FunctionTimeout = "@timeout",
        /// Number of operations.
        Operations = "operations",
        /// Number of calls of host functions.
        HostCalls = "host_calls",
        /// Memory of the session, in MiB.
        MemoryMib = "memory_mib",
        /// Output of a play, in KiB.
        OutputKib = "output_kib",
        /// Depth of function calls.
        CallDepth = "call_depth",
        /// Depth of nested expressions and blocks.
        ExpressionDepth = "expression_depth",
        /// Size of a string, in KiB.
        StringKib = "string_kib",
        /// Number of items of an array, or of bytes of a blob.
        ArrayItems = "array_items",
        /// Number of properties of a map.
        MapItems = "map_items",
        /// Size of what a host call passes in one direction, in KiB.
        HostKib = "host_kib",
    }
}

words! {
    /// A quota of a session or a circle.
    BusyLimit {
        /// `queued_plays` or `queued_kib` of a session.
        Queued = "queued",
        /// `running_plays`.
        Running = "running",
        /// `queued_calls` of a session, or the workers for functions.
        Calls = "calls",
        /// Sessions that hold a worker.
        Sessions = "sessions",
        /// `workers`.
        Workers = "workers",
        /// `total_mib` or `memory_per_caller_mib`, in MiB.
        Memory = "memory",
        /// Commits that wait for the store.
        Commits = "commits",
        /// The subscriptions of a session.
        Subscriptions = "subscriptions",
    }
}

words! {
    /// Why an environment was lost.
    LossReason {
        /// The worker exceeded its memory limit, or a memory quota of the circle or the caller was used up.
        Memory = "memory",
        /// A play did not stop within a second of its time limit.
        Time = "time",
        /// The worker crashed.
        Crash = "crash",
        /// The worker was killed, from outside or because a cancelled play did not stop.
        Killed = "killed",
        /// The session was idle for too long. Reported only between plays.
        Idle = "idle",
        /// A reason of a later version of the protocol.
        #[serde(other)]
        #[cfg_attr(feature = "schema", schemars(skip))]
        Unknown = "unknown",
    }
}

words! {
    /// Why a transaction did not commit.
    ConflictCause {
        /// Another transaction changed what this one read.
        Changed = "changed",
        /// Too much was committed since its snapshot, or its snapshot took too long.
        TooOld = "too_old",
        /// A cause of a later version of the protocol.
        #[serde(other)]
        #[cfg_attr(feature = "schema", schemars(skip))]
        Unknown = "unknown",
    }
}

words! {
    /// Why a store is unavailable.
    StoreFault {
        /// The store has reached `store_mib`, or the disk is full.
        Full = "full",
        /// The storage failed. The store works again when the circle has restarted.
        Failed = "failed",
        /// A fault of a later version of the protocol.
        #[serde(other)]
        #[cfg_attr(feature = "schema", schemars(skip))]
        Unknown = "unknown",
    }
}

words! {
    /// Whether the effects of a transaction exist.
    Happened {
        /// There are no effects.
        No = "no",
        /// All effects exist once the store works again, or none. A request with `once` can be sent again.
        #[serde(other)]
        Unknown = "unknown",
    }
}

impl RpcError {
    /// Makes a −32003 whose reason is not a role.
    pub fn forbidden(reason: impl Into<String>) -> Self {
        Self::Forbidden { reason: reason.into(), missing: None }
    }

    /// Makes a −32600 whose reason is not the id.
    pub fn invalid_request(reason: impl Into<String>) -> Self {
        Self::InvalidRequest { reason: reason.into(), id: None }
    }

    /// Returns the code, one of [`ERROR_CODES`].
    pub fn code(&self) -> i64 {
        match self {
            Self::Parse => -32700,
            Self::InvalidRequest { .. } => -32600,
            Self::MethodNotFound { .. } => -32601,
            Self::InvalidParams { .. } => -32602,
            Self::Internal => -32603,
            Self::Script(_) => -32000,
            Self::Unauthenticated => -32001,
            Self::InvalidCredentials => -32002,
            Self::Forbidden { .. } => -32003,
            Self::LimitExceeded { .. } | Self::ResultLost { .. } => -32004,
            Self::Cancelled => -32005,
            Self::Busy { .. } => -32006,
            Self::RateLimited { .. } => -32007,
            Self::ShuttingDown => -32008,
            Self::EnvironmentLost { .. } => -32009,
            Self::Conflict { .. } => -32010,
            Self::StoreUnavailable { .. } => -32011,
            Self::Other(object) => object.code,
        }
    }

    fn message(&self) -> String {
        match self {
            Self::Script(error) => error.message.clone(),
            Self::LimitExceeded { limit, .. } => format!("Limit exceeded: {limit}"),
            Self::ResultLost { .. } => format!("Limit exceeded: {}", PlayLimit::Output),
            Self::Other(object) => object.message.clone(),
            _ => {
                let row = ERROR_CODES.iter().find(|(code, ..)| *code == self.code());
                row.expect("the table has every code").1.to_owned()
            }
        }
    }
}

impl std::fmt::Display for RpcError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message())?;
        match self {
            Self::InvalidRequest { reason, .. } | Self::Forbidden { reason, .. } => write!(f, ": {reason}"),
            Self::InvalidParams { param, reason } => write!(f, ": {param}: {reason}"),
            Self::MethodNotFound { method } => write!(f, ": {method}"),
            Self::LimitExceeded { max, .. } => write!(f, " ({max})"),
            Self::Busy { limit, max, .. } => write!(f, ": {limit} ({max})"),
            Self::RateLimited { retry_after_ms } => write!(f, ": retry after {retry_after_ms} ms"),
            Self::EnvironmentLost { reason } => write!(f, ": {reason}"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for RpcError {}
