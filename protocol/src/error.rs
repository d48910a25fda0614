//! The one table of error codes, with what each carries.

mod wire;

use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

/// An error as it stands on the wire (JSON-RPC 2.0 §5.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorObject {
    /// One of the codes of [`TABLE`].
    pub code: i64,
    /// A short sentence for a person.
    pub message: String,
    /// What a program can act on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

/// Code, message and the members of `data`, for documents.
pub const ERROR_CODES: &[(i64, &str, &[&str])] = &[
    (-32700, "Parse error", &[]),
    (-32600, "Invalid Request", &["reason", "id"]),
    (-32601, "Method not found", &["method"]),
    (-32602, "Invalid params", &["param", "reason"]),
    (-32603, "Internal error", &[]),
    (-32000, "the script's own error text", &["kind", "line", "column", "function", "hint", "thrown"]),
    (-32001, "Unauthenticated", &[]),
    (-32002, "Invalid Credentials", &[]),
    (-32003, "Forbidden", &["reason"]),
    (-32004, "Limit exceeded", &["limit", "max"]),
    (-32005, "Cancelled", &[]),
    (-32006, "Busy", &["limit", "max", "retry_after_ms"]),
    (-32007, "Rate limited", &["retry_after_ms"]),
    (-32008, "Shutting down", &[]),
    (-32009, "Environment lost", &["reason"]),
];

/// What a request can be answered with instead of a result. Serialises as an [`ErrorObject`].
#[derive(Debug, Clone)]
pub enum RpcError {
    /// The message is not JSON.
    Parse,
    /// The message is JSON and no request.
    InvalidRequest {
        /// What is wrong with it.
        reason: String,
        /// The id that cannot be used, where it is the id that is wrong.
        id: Option<Box<RawValue>>,
    },
    /// There is no such method.
    MethodNotFound {
        /// The name that was asked for.
        method: String,
    },
    /// A parameter is unknown, missing or of the wrong type.
    InvalidParams {
        /// The name of the parameter; by position beyond the last, its index as `[3]`.
        param: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The circle failed; its log says how.
    Internal,
    /// The script does not parse or failed.
    Script(Box<ScriptError>),
    /// The method needs an authenticated session.
    Unauthenticated,
    /// The proof of the key was not accepted.
    InvalidCredentials,
    /// The key is proved and may not do this.
    Forbidden {
        /// Why not.
        reason: String,
    },
    /// A limit ended the play; the environment is kept.
    LimitExceeded {
        /// Which one.
        limit: PlayLimit,
        /// Its value, in the unit of its setting.
        max: u64,
    },
    /// The play was cancelled.
    Cancelled,
    /// The circle has no room for this now.
    Busy {
        /// Which bound is reached.
        limit: BusyLimit,
        /// Its value.
        max: u64,
        /// When it may be worth trying again.
        retry_after_ms: Option<u64>,
    },
    /// The caller makes too many requests.
    RateLimited {
        /// The time until the circle takes another request of the caller.
        retry_after_ms: u64,
    },
    /// The circle is ending and takes no new plays.
    ShuttingDown,
    /// The environment of the session is gone, with its variables; the session goes on with a fresh one.
    EnvironmentLost {
        /// What took it.
        reason: LossReason,
    },
    /// A code that this version does not know, kept as it came.
    Other(ErrorObject),
}

/// What is known of a script's error. Lines and columns count from 1, columns in Unicode scalar values.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ScriptError {
    /// The script's own error text: the `message` of the error object, not part of its `data`.
    #[serde(skip)]
    pub message: String,
    /// Whether it failed before or while it ran.
    pub kind: ScriptErrorKind,
    /// The line, where one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The column, where one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// The innermost script function that it happened in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// What may help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The thrown value, where the script threw one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thrown: Option<Box<RawValue>>,
}

macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        pub enum $name { $($(#[$vmeta])* #[serde(rename = $word)] $variant),* }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self { $(Self::$variant => $word),* })
            }
        }
    };
}

words! {
    /// When a script's error happened.
    ScriptErrorKind {
        /// The script does not parse; nothing of it ran.
        Parse = "parse",
        /// It failed while it ran; what it had defined stays.
        Runtime = "runtime",
    }
}

words! {
    /// A limit of a play.
    PlayLimit {
        /// `play_ms`, or the play's own `timeout_ms`; in milliseconds.
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
    /// A bound of a session or a circle.
    BusyLimit {
        /// `queued_plays` or `queued_kib` of a session.
        Queued = "queued",
        /// `running_plays`.
        Running = "running",
        /// Sessions that hold a worker.
        Sessions = "sessions",
        /// `workers`.
        Workers = "workers",
        /// `total_mib` or `memory_per_caller_mib`, in MiB.
        Memory = "memory",
    }
}

words! {
    /// What took an environment.
    LossReason {
        /// It grew past its memory's hard bound, or past what is left for all or for its caller.
        Memory = "memory",
        /// Its play did not stop within a second of its time limit.
        Time = "time",
        /// Its process failed.
        Crash = "crash",
        /// Its process was killed: by a cancellation that could not be kept otherwise, or from outside.
        Killed = "killed",
        /// It was idle for long; only told between plays.
        Idle = "idle",
    }
}

impl RpcError {
    /// A −32600 whose id, if there is one, is usable.
    pub fn invalid_request(reason: impl Into<String>) -> Self {
        Self::InvalidRequest { reason: reason.into(), id: None }
    }

    /// The code, as in [`TABLE`].
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
            Self::LimitExceeded { .. } => -32004,
            Self::Cancelled => -32005,
            Self::Busy { .. } => -32006,
            Self::RateLimited { .. } => -32007,
            Self::ShuttingDown => -32008,
            Self::EnvironmentLost { .. } => -32009,
            Self::Other(object) => object.code,
        }
    }

    fn message(&self) -> String {
        match self {
            Self::Script(error) => error.message.clone(),
            Self::LimitExceeded { limit, .. } => format!("Limit exceeded: {limit}"),
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
            Self::InvalidRequest { reason, .. } | Self::Forbidden { reason } => write!(f, ": {reason}"),
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
