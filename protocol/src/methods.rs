//! The methods and notifications, their parameters and results.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{Id, Limits, Method, Params, RpcError, error::LossReason, method::ParamValues};

macro_rules! params {
    ($($(#[$meta:meta])* $name:ident { $($(#[$fmeta:meta])* $field:ident : $type:ty),* $(,)? })*) => { $(
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        pub struct $name { $($(#[$fmeta])* pub $field: $type),* }

        impl Params for $name {
            const NAMES: &'static [&'static str] = &[$(stringify!($field)),*];

            fn take(given: ParamValues<'_>) -> Result<Self, RpcError> {
                let _ = &given;
                Ok(Self { $($field: given.param(stringify!($field))?),* })
            }
        }
    )* };
}

/// The table: variant, name on the wire, whether an authenticated session is needed where a circle is not open,
/// parameters, result, what it does.
macro_rules! methods {
    ($($variant:ident $name:literal $access:ident ($params:ty) -> $result:ty: $summary:literal;)*) => {
        /// A method by name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum MethodName { $(#[doc = $summary] $variant),* }

        impl MethodName {
            /// Every method, in the order of the document.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// What it does, in a sentence.
            pub fn summary(self) -> &'static str {
                match self { $(Self::$variant => $summary),* }
            }

            /// Whether it needs an authenticated session on a circle whose access is not `open`.
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

        /// A request whose parameters have been read.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Request { $(#[doc = $summary] $variant($params)),* }

        impl Request {
            /// Reads the parameters of a method.
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
        "Shows the circle's identity, by its signature of the caller's challenge.";
    FetchNonce "fetch_nonce" public (FetchNonceParams) -> FetchNonceResult:
        "Asks for a nonce to be signed by the key's holder.";
    Authenticate "authenticate" public (AuthenticateParams) -> AuthenticateResult:
        "Proves that the caller holds a key, by its signature of the nonce.";
    Play "play" protected (PlayParams) -> PlayResult:
        "Evaluates a script in this connection's environment.";
    Cancel "cancel" protected (CancelParams) -> CancelResult:
        "Ends a running or queued play of this connection.";
    Complete "complete" protected (CompleteParams) -> CompleteResult:
        "Says what may stand at a cursor.";
    Scope "scope" protected (NoParams) -> ScopeResult:
        "Lists the variables and script functions of this connection's environment.";
    Lookup "lookup" protected (LookupParams) -> LookupResult:
        "Says what the functions of a name do.";
    Reset "reset" protected (NoParams) -> ResetResult:
        "Gives this connection a fresh environment, after the plays before it.";
    Describe "describe" public (NoParams) -> Description:
        "Says what this circle is, what it allows, and who it takes the caller for.";
    Discover "rpc.discover" public (NoParams) -> serde_json::Value:
        "Answers this document.";
}

params! {
    /// For methods without parameters.
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
        /// The public key that the nonce was fetched for.
        pubkey: String,
        /// ECDSA over SHA-256 of the nonce's UTF-8 bytes: 64 bytes r‖s, low-S, as hex.
        signature: String,
    }

    /// Parameters of `play`.
    PlayParams {
        /// The Rhai script.
        script: String,
        /// Shortens the circle's time limit; milliseconds.
        #[serde(skip_serializing_if = "Option::is_none")]
        timeout_ms: Option<u64>,
        /// A variable that the value is also bound to, when the play succeeds with a value other than `()`.
        #[serde(skip_serializing_if = "Option::is_none")]
        bind: Option<String>,
    }

    /// Parameters of `cancel`.
    CancelParams {
        /// The id of a play of this connection.
        play: Id,
    }
}

macro_rules! results {
    ($($(#[$meta:meta])* $name:ident { $($(#[$fmeta:meta])* $field:ident : $type:ty),* $(,)? })*) => { $(
        $(#[$meta])*
        #[derive(Debug, Clone, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        pub struct $name { $($(#[$fmeta])* pub $field: $type),* }
    )* };
}

// Behind the macros, which it uses.
mod queries;

pub use queries::{
    Candidate, CandidateKind, CompleteParams, CompleteResult, FunctionDoc, LookupParams, LookupResult, Origin,
    ScopeFunction, ScopeResult, Variable,
};

results! {
    /// Result of `identify`.
    IdentifyResult {
        /// The circle's public key, 33 bytes compressed, as hex.
        pubkey: String,
        /// Whether the circle keeps the key at this address. Otherwise no client records the key.
        persistent: bool,
        /// ECDSA over SHA-256 of the UTF-8 bytes of `circles.identity.v1 aud=AUTHORITY challenge=CHALLENGE
        /// persistent=true|false`, in one line and the challenge in lower case: 64 bytes r‖s, low-S, as hex.
        signature: String,
    }

    /// Result of `fetch_nonce`.
    FetchNonceResult {
        /// One line of text, to be checked and signed.
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
        value: Box<RawValue>,
        /// Microseconds that it took, waiting included.
        elapsed_us: u64,
        /// Operations that it took, as Rhai counts them.
        operations: u64,
    }

    /// Result of `cancel`.
    CancelResult {
        /// Whether the play had not ended yet, and now answers −32005 or −32009.
        cancelled: bool,
    }

    /// Result of `reset`.
    ResetResult {
        /// Always true.
        reset: bool,
    }

    /// Result of `describe`.
    Description {
        /// The circle's name.
        name: String,
        /// What its operator says of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<String>,
        /// The version of the program.
        version: String,
        /// The version of the protocol.
        protocol: u32,
        /// Who may play.
        access: Access,
        /// Who the circle takes the caller for.
        you: You,
        /// The modules that scripts can import.
        modules: Vec<String>,
        /// The layers that keep scripts away from everything else, as far as they hold here.
        sandbox: Vec<String>,
        /// What the circle allows.
        limits: Limits,
    }

    /// Who the circle takes the caller for.
    You {
        /// The key that this session proved, as hex; null before.
        public_key: Option<String>,
        /// Whether this session may call protected methods.
        admitted: bool,
    }

    /// What a play prints, as it happens.
    Output {
        /// The id of the play.
        play: Id,
        /// `print` or `debug`.
        stream: Stream,
        /// The text.
        text: String,
        /// Where it was printed; for `debug`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        position: Option<Position>,
    }

    /// How far a play is, four times a second at most.
    Progress {
        /// The id of the play.
        play: Id,
        /// Microseconds since it began.
        elapsed_us: u64,
        /// Operations so far.
        operations: u64,
        /// How much is done, once the script called `progress`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        done: Option<i64>,
        /// How much there is to do.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        total: Option<i64>,
        /// What the script says it is doing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
    }

    /// An environment was lost between plays.
    SessionReset {
        /// What took it.
        reason: LossReason,
    }
}

/// Where in a script: both count from 1, columns in Unicode scalar values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Position {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

/// Who may call the protected methods of a circle.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Anyone.
    #[default]
    Open,
    /// Any key that proves itself.
    Authenticated,
    /// Listed keys.
    Members,
}

impl Access {
    /// As it is written everywhere.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Authenticated => "authenticated",
            Self::Members => "members",
        }
    }
}

impl std::fmt::Display for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Access {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Open, Self::Authenticated, Self::Members]
            .into_iter()
            .find(|access| access.as_str() == text)
            .ok_or("it is open, authenticated or members")
    }
}

/// What a script prints to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// `print`.
    Print,
    /// `debug`.
    Debug,
}

/// A notification, known by type to server and client alike.
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
            ("play", r#"{"script":"1","scirpt":"2"}"#, "scirpt", "is not known"),
            ("play", r#"{"script":"1","script":"2"}"#, "script", "is there twice"),
            ("play", r#"["1",2,"ans",4]"#, "[3]", "at most 3 parameters are taken"),
            ("play", r#"{"script":"1","timeout_ms":-1}"#, "timeout_ms", "invalid value: integer `-1`, expected u64"),
            ("cancel", "{}", "play", "is missing"),
            ("cancel", r#"{"play":{}}"#, "play", "the id is neither a string, a number nor null"),
            ("complete", r#"["x",-1]"#, "cursor", "invalid value: integer `-1`, expected u64"),
            ("describe", "[1]", "[0]", "at most 0 parameters are taken"),
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
