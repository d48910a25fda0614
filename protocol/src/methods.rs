//! The methods and notifications, their parameters and results.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{Id, Method, Params, RpcError, error::LossReason, method::ParamValues};

/// Maximum size of the name of a script in `play`, in bytes.
pub const MAX_SCRIPT_NAME_BYTES: usize = 256;

macro_rules! params {
    ($($(#[$meta:meta])* $name:ident { $($(#[$fmeta:meta])* $field:ident : $type:ty),* $(,)? })*) => { $(
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        pub struct $name { $($(#[$fmeta])* pub $field: $type),* }

        impl Params for $name {
            const NAMES: &'static [&'static str] = &[$(stringify!($field)),*];

            fn take(param_values: ParamValues<'_>) -> Result<Self, RpcError> {
                let _ = &param_values;
                Ok(Self { $($field: param_values.param(stringify!($field))?),* })
            }
        }
    )* };
}

/// The table of methods: variant, name on the wire, whether the method needs an authenticated session on a circle that
/// is not open, parameters, result, summary.
macro_rules! methods {
    ($($variant:ident $name:literal $access:ident ($params:ty) -> $result:ty: $summary:literal;)*) => {
        /// A method by name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum MethodName { $(#[doc = $summary] $variant),* }

        impl MethodName {
            /// All methods, in the order of the contract.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Returns the name on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// Returns a summary of one sentence.
            pub fn summary(self) -> &'static str {
                match self { $(Self::$variant => $summary),* }
            }

            /// Whether the method needs an authenticated session on a circle whose access is not `open`.
            pub fn is_protected(self) -> bool {
                match self { $(Self::$variant => access!($access)),* }
            }
        }

        impl std::str::FromStr for MethodName {
            type Err = RpcError;

            fn from_str(name: &str) -> Result<Self, RpcError> {
                match name {
                    $($name => Ok(Self::$variant),)*
                    _ => Err(RpcError::MethodNotFound { method: name.chars().take(64).collect() }),
                }
            }
        }

        /// A request with its parsed parameters. Exhaustive: a server that misses a method does not compile.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Request { $(#[doc = $summary] $variant($params)),* }

        impl Request {
            /// Parses the parameters of a method.
            ///
            /// # Errors
            ///
            /// A parameter is invalid ([`RpcError::InvalidParams`]).
            pub fn parse(method: MethodName, params: Option<&RawValue>) -> Result<Self, RpcError> {
                match method { $(MethodName::$variant => <$params>::from_raw(params).map(Self::$variant)),* }
            }
        }

        $(
            #[doc = $summary]
            #[derive(Debug)]
            pub struct $variant;

            impl Method for $variant {
                const NAME: &'static str = $name;
                type Params = $params;
                type Result = $result;
            }
        )*

        #[cfg(feature = "schema")]
        pub(crate) fn for_each(mut visit: impl crate::method::MethodVisitor) {
            $(visit.method::<$variant>(MethodName::$variant);)*
        }
    };
}

macro_rules! access {
    (protected) => {
        true
    };
    (public) => {
        false
    };
}

methods! {
    Identify "identify" public (IdentifyParams) -> IdentifyResult:
        "Shows the circle's identity: its signature of the caller's challenge.";
    FetchNonce "fetch_nonce" public (FetchNonceParams) -> FetchNonceResult:
        "Returns a nonce for the client to sign with its key.";
    Authenticate "authenticate" public (AuthenticateParams) -> AuthenticateResult:
        "Authenticates the session with a key, by its signature of the nonce.";
    Play "play" protected (PlayParams) -> PlayResult:
        "Evaluates a script in this connection's environment.";
    Cancel "cancel" protected (CancelParams) -> CancelResult:
        "Ends a running or queued play of this connection.";
    Complete "complete" protected (CompleteParams) -> CompleteResult:
        "Lists candidates for the text at a cursor.";
    Scope "scope" protected (NoParams) -> ScopeResult:
        "Lists the variables and script functions of this connection's environment.";
    Lookup "lookup" protected (LookupParams) -> LookupResult:
        "Describes the functions with a name.";
    Reset "reset" protected (NoParams) -> ResetResult:
        "Gives this connection a fresh environment, after the plays before it.";
    Subscribe "subscribe" protected (SubscribeParams) -> SubscribeResult:
        "Follows keys of the store, or a topic.";
    Unsubscribe "unsubscribe" protected (UnsubscribeParams) -> UnsubscribeResult:
        "Ends a subscription of this connection.";
    Describe "describe" public (NoParams) -> Description:
        "Describes the circle, its limits and the caller.";
    Discover "rpc.discover" public (NoParams) -> serde_json::Value:
        "Returns this document.";
}

params! {
    /// The parameters of a method that has none.
    NoParams {}

    /// Parameters of `identify`.
    IdentifyParams {
        /// 32 random bytes, as 64 hex digits.
        challenge: String,
    }

    /// Parameters of `fetch_nonce`.
    FetchNonceParams {
        /// The public key, 33 bytes compressed, as hex.
        pubkey: String,
    }

    /// Parameters of `authenticate`.
    AuthenticateParams {
        /// The public key for which the client fetched the nonce.
        pubkey: String,
        /// ECDSA over SHA-256 of the nonce's UTF-8 bytes: 64 bytes r‖s, low-S, as hex.
        signature: String,
    }

    /// Parameters of `play`.
    PlayParams {
        /// The Rhai script.
        script: String,
        /// A time limit in milliseconds that can shorten the circle's own.
        #[serde(skip_serializing_if = "Option::is_none")]
        timeout_ms: Option<u64>,
        /// The name of a variable to which the circle also assigns the value, if the play succeeds with a value other
        /// than `()`.
        #[serde(skip_serializing_if = "Option::is_none")]
        bind: Option<String>,
        /// A name of the script for tracebacks, such as its file name: at most 256 bytes.
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    }

    /// Parameters of `cancel`.
    CancelParams {
        /// The id of a play of this connection.
        play: Id,
    }
}

macro_rules! results {
    ($($(#[$meta:meta])* $name:ident { $($(#[$fmeta:meta])* $field:ident : $type:ty),* $(,)? })*) => { $(
        #[derive(Debug, Clone, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        $(#[$meta])*
        pub struct $name { $($(#[$fmeta])* pub $field: $type),* }
    )* };
}

// After the macros that this module uses.
mod description;
mod play_value;
mod queries;
mod subscriptions;

pub use description::{Access, CallerInfo, Description, FunctionsInfo, Rights};
pub use play_value::PlayValue;
pub use queries::{
    Candidate, CandidateKind, CompleteParams, CompleteResult, FunctionDoc, LookupParams, LookupResult, Origin,
    ScopeFunction, ScopeResult, Variable,
};
pub use subscriptions::{
    Event, EventEntry, MAX_SUBSCRIPTIONS, SnapshotPart, SubscribeParams, SubscribeResult, SubscriptionEnd,
    UnsubscribeParams, UnsubscribeResult,
};

results! {
    /// Result of `identify`.
    IdentifyResult {
        /// The circle's public key, 33 bytes compressed, as hex.
        pubkey: String,
        /// Whether the circle keeps this key at this address after a restart. If not, clients do not record the key.
        persistent: bool,
        /// ECDSA over SHA-256 of the UTF-8 bytes of `circles.identity.v1 aud=AUTHORITY challenge=CHALLENGE
        /// persistent=true|false`, in one line and the challenge in lower case: 64 bytes r‖s, low-S, as hex.
        signature: String,
    }

    /// Result of `fetch_nonce`.
    FetchNonceResult {
        /// One line of text, for the client to check and sign.
        nonce: String,
    }

    /// Result of `authenticate`.
    AuthenticateResult {
        /// Always true.
        authenticated: bool,
    }

    /// Result of `play`.
    PlayResult {
        /// The value as text, as `print` would show it; empty for `()`.
        output: String,
        /// Rhai's name for the value's type.
        r#type: String,
        /// The value as JSON.
        #[cfg_attr(feature = "schema", schemars(with = "serde_json::Value"))]
        value: PlayValue,
        /// The duration in microseconds, including time spent waiting.
        elapsed_us: u64,
        /// The number of operations, as Rhai counts them.
        operations: u64,
    }

    /// Result of `cancel`.
    CancelResult {
        /// Whether the circle cancels the play. The play then returns −32005, or −32009.
        cancelled: bool,
    }

    /// Result of `reset`.
    ResetResult {
        /// Always true.
        reset: bool,
    }

    /// Output of a running play.
    Output {
        /// The id of the play.
        play: Id,
        /// `print` or `debug`.
        stream: Stream,
        /// The text.
        text: String,
        /// The position of the call in the script; only for `debug`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        position: Option<Position>,
    }

    /// The progress of a play, at most four times a second.
    Progress {
        /// The id of the play.
        play: Id,
        /// Microseconds since the play started.
        elapsed_us: u64,
        /// Operations so far.
        operations: u64,
        /// The amount done, once the script has called `progress`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        done: Option<i64>,
        /// The total amount.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        total: Option<i64>,
        /// The script's description of its current step.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
    }

    /// The loss of the session's environment between plays.
    SessionReset {
        /// Why the environment was lost.
        reason: LossReason,
    }
}

/// A position in a script. Lines and columns count from 1, columns in Unicode scalar values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Position {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

/// The stream of a print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Stream {
    /// `print`.
    Print,
    /// `debug`.
    Debug,
    /// A stream of a later version of the protocol.
    #[serde(other)]
    #[cfg_attr(feature = "schema", schemars(skip))]
    Unknown,
}

/// A notification, as a type that server and client share.
pub trait Notification: Serialize {
    /// The name on the wire.
    const NAME: &'static str;
}

impl Notification for Output {
    const NAME: &'static str = "play.output";
}

impl Notification for Progress {
    const NAME: &'static str = "play.progress";
}

impl Notification for SessionReset {
    const NAME: &'static str = "session.reset";
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(method: &str, params: &str) -> Result<Request, RpcError> {
        let raw: Box<RawValue> = serde_json::from_str(params).expect("JSON");
        Request::parse(method.parse()?, Some(&raw))
    }

    #[test]
    fn parameters_are_read_by_name_and_by_position() {
        let by_name = parse("play", r#"{"bind":"ans","script":"1","timeout_ms":5}"#).expect("valid");
        let by_position = parse("play", r#"["1",5,"ans"]"#).expect("valid");
        assert_eq!(by_name, by_position);
        let Request::Play(play) = parse("play", r#"["1",null]"#).expect("valid") else { panic!() };
        assert_eq!((play.timeout_ms, play.bind), (None, None));
        assert!(Request::parse(MethodName::Describe, None).is_ok());
    }

    #[test]
    fn invalid_parameter_is_reported_by_name() {
        let cases = [
            ("play", "{}", "script", "is missing"),
            ("play", "[]", "script", "is missing"),
            ("play", r#"{"script":null}"#, "script", "invalid type: null, expected a string"),
            ("play", r#"{"script":"1","scirpt":"2"}"#, "scirpt", "is unknown"),
            ("play", r#"{"script":"1","script":"2"}"#, "script", "is repeated"),
            ("play", r#"["1",2,"ans","a",5]"#, "[4]", "too many parameters: at most 4"),
            ("play", r#"{"script":"1","timeout_ms":-1}"#, "timeout_ms", "invalid value: integer `-1`, expected u64"),
            ("cancel", "{}", "play", "is missing"),
            ("cancel", r#"{"play":{}}"#, "play", "the id is neither a string, a number nor null"),
            ("complete", r#"["x",-1]"#, "cursor", "invalid value: integer `-1`, expected u64"),
            ("describe", "[1]", "[0]", "too many parameters: at most 0"),
        ];
        for (method, params, name, why) in cases {
            let error = parse(method, params).expect_err(params);
            let RpcError::InvalidParams { param, reason } = error else { panic!("{params}: {error:?}") };
            assert_eq!((param.as_str(), reason.as_str()), (name, why), "{params}");
        }
    }

    #[test]
    fn cancel_accepts_null_id() {
        assert!(
            matches!(parse("cancel", "[null]"), Ok(Request::Cancel(CancelParams { play })) if play.as_written() == "null")
        );
    }
}
