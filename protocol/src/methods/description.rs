//! The result of `describe`: the circle, its caller and what the caller may do.

use serde::{Deserialize, Deserializer, Serialize};

use crate::Limits;

results! {
    /// Result of `describe`.
    Description {
        /// The circle's name.
        name: String,
        /// The operator's description of the circle.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<String>,
        /// The version of the server.
        version: String,
        /// The version of the protocol.
        protocol: u32,
        /// Who may play.
        #[serde(deserialize_with = "deserialize_access")]
        access: Access,
        /// The caller, as the circle identifies it.
        you: CallerInfo,
        /// The names of the modules that scripts can import.
        modules: Vec<String>,
        /// The layers of the sandbox that are in effect.
        sandbox: Vec<String>,
        /// Whether the circle itself serves TLS; absent if not, as behind a proxy with TLS.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        tls: bool,
        /// The functions of the circle that this session may call; absent if the circle has no functions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        functions: Option<FunctionsInfo>,
        /// The limits of this session and of the circle.
        limits: Limits,
    }

    /// The functions of a circle that a session may call. `rpc.discover` describes each of them.
    FunctionsInfo {
        /// The version of the functions: it changes with each change of a function or of a role.
        version: String,
        /// The number of functions that this session may call.
        count: u64,
    }

    /// The caller of a session.
    #[cfg_attr(feature = "schema", schemars(rename = "You"))]
    CallerInfo {
        /// The key with which this session is authenticated, as hex; null if it is anonymous.
        public_key: Option<String>,
        /// Whether this session may call protected methods.
        admitted: bool,
        /// The name of the member; absent for callers without a name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// The role of the caller; absent if the circle has no roles, or the caller no role.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        role: Option<String>,
        /// What the caller may do besides calling functions; absent in versions without roles.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        may: Option<Rights>,
    }

    /// What a caller may do besides calling functions.
    Rights {
        /// Whether the caller may play scripts, and complete, list, look up and reset their environment.
        play: bool,
        /// The host modules (`stock`) and functions of host modules (`stock::count`) that the plays of the caller may use,
        /// functions of the store for the keys with a prefix (`store::get:orders/`), and events of a topic
        /// (`events::publish:orders`); `*` for all.
        r#use: Vec<String>,
        /// The changes and events to which the caller may subscribe: the keys with a prefix (`keys:orders/`), or a topic
        /// (`topic:orders`); `*` for all. Absent if there are none, as in a circle without a store.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        subscribe: Vec<String>,
    }
}

/// Who may call the protected methods of a circle.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Access {
    /// Anyone.
    #[default]
    Open,
    /// Any key that authenticates.
    Authenticated,
    /// Listed keys.
    Members,
    /// A rule of a later version of the protocol. Only a [`Description`] can have it.
    #[serde(skip)]
    Unknown,
}

impl Access {
    /// Returns the word for this access, in the configuration and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Authenticated => "authenticated",
            Self::Members => "members",
            Self::Unknown => "unknown",
        }
    }
}

/// Reads the access of a circle, which may be of a later version. A configuration has no such values.
fn deserialize_access<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Access, D::Error> {
    String::deserialize(deserializer).map(|word| word.parse().unwrap_or(Access::Unknown))
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
            .ok_or("expected open, authenticated or members")
    }
}
