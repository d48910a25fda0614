//! What the session on a circle lets its caller see of the store.

use client_ws::{ClientError, Description, RpcError};
use console::session::{CallerIdentity, ConnectionStatus, SessionState};
use protocol::error::BusyLimit;

/// What the caller may see of the store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum StoreAccess {
    /// There is no connection.
    #[default]
    Disconnected,
    Connecting,
    Authenticating,
    /// The role grants all keys. There is no list of their folders.
    All,
    /// The role grants the keys with these prefixes.
    Prefixes(Vec<String>),
    /// The role grants topics and no keys.
    TopicsOnly,
    /// The circle has no store, or grants nothing of it: its answer to a subscription says which.
    Unknown,
}

/// The prefix of the subscription that asks a circle which grants nothing.
pub(super) const PROBE_PREFIX: &str = "/";

impl StoreAccess {
    pub(crate) fn of(state: &SessionState) -> Self {
        match (state.connection, &state.identity) {
            (ConnectionStatus::Disconnected, _) => Self::Disconnected,
            (ConnectionStatus::Connecting, _) => Self::Connecting,
            (ConnectionStatus::Connected, CallerIdentity::Authenticating) => Self::Authenticating,
            (ConnectionStatus::Connected, _) => state.circle.as_deref().map_or(Self::Unknown, Self::granted),
        }
    }

    /// Reads the patterns that the circle grants to the caller.
    fn granted(circle: &Description) -> Self {
        let Some(may) = &circle.you.may else { return Self::Unknown };
        if may.subscribe.is_empty() {
            return Self::Unknown;
        }
        if may.subscribe.iter().any(|pattern| pattern == "*") {
            return Self::All;
        }
        let prefixes = may.subscribe.iter().filter_map(|pattern| pattern.strip_prefix("keys:"));
        let prefixes: Vec<String> =
            prefixes.filter_map(|prefix| of_caller(prefix, circle)).filter(|prefix| prefix.ends_with('/')).collect();
        if prefixes.is_empty() { Self::TopicsOnly } else { Self::Prefixes(prefixes) }
    }

    /// Whether subscriptions can be opened.
    pub(super) fn is_connected(&self) -> bool {
        !matches!(self, Self::Disconnected | Self::Connecting | Self::Authenticating)
    }

    /// Returns the folders at the top of the tree; `None` if they stay as they were.
    pub(super) fn roots(&self) -> Option<Vec<String>> {
        match self {
            Self::Disconnected | Self::Connecting | Self::Authenticating => None,
            Self::All | Self::TopicsOnly => Some(Vec::new()),
            Self::Prefixes(prefixes) => Some(prefixes.clone()),
            Self::Unknown => Some(vec![PROBE_PREFIX.to_owned()]),
        }
    }
}

/// Replaces the placeholders of a prefix. Without a value, they grant nothing.
fn of_caller(prefix: &str, circle: &Description) -> Option<String> {
    let mut prefix = prefix.to_owned();
    for (placeholder, value) in [("{key}", &circle.you.public_key), ("{name}", &circle.you.name)] {
        if prefix.contains(placeholder) {
            prefix = prefix.replace(placeholder, value.as_ref()?);
        }
    }
    Some(prefix)
}

/// Returns why a subscription failed, and what to do.
pub(crate) fn failure_text(error: &ClientError) -> String {
    let ClientError::Rpc(error) = error else { return error.to_string() };
    match error {
        RpcError::InvalidParams { reason, .. } => reason.clone(),
        RpcError::Forbidden { .. } => {
            "your role does not grant it: \"subscribe\" of the role in circles.json would".to_owned()
        }
        RpcError::Unauthenticated => "the circle does not grant it without a key: sign in to the circle".to_owned(),
        RpcError::Busy { limit: BusyLimit::Subscriptions, .. } => {
            "the session has all of its subscriptions: fold another folder, or end :watch".to_owned()
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use client_ws::Rights;
    use protocol::{
        Limits,
        methods::{Access, CallerInfo},
    };

    use super::*;

    fn access(subscribe: &[&str], name: Option<&str>) -> StoreAccess {
        let subscribe = subscribe.iter().map(ToString::to_string).collect();
        StoreAccess::granted(&Description {
            name: "shop".into(),
            description: None,
            version: String::new(),
            protocol: protocol::VERSION,
            access: Access::Open,
            you: CallerInfo {
                public_key: Some("02ab".into()),
                admitted: true,
                name: name.map(str::to_owned),
                role: None,
                may: Some(Rights { play: true, r#use: Vec::new(), subscribe }),
            },
            modules: Vec::new(),
            sandbox: Vec::new(),
            tls: false,
            functions: None,
            limits: Limits::default(),
        })
    }

    #[test]
    fn patterns_are_the_folders_of_the_caller() {
        let prefixes = |prefixes: &[&str]| StoreAccess::Prefixes(prefixes.iter().map(ToString::to_string).collect());
        assert_eq!(access(&["keys:a/", "topic:x"], None), prefixes(&["a/"]));
        assert_eq!(access(&["keys:o/{key}/", "keys:n/{name}/"], None), prefixes(&["o/02ab/"]));
        assert_eq!(access(&["keys:n/{name}/"], Some("ann")), prefixes(&["n/ann/"]));
        assert_eq!(access(&["topic:x"], None), StoreAccess::TopicsOnly);
        assert_eq!(access(&["*"], None), StoreAccess::All);
        assert_eq!(access(&[], None), StoreAccess::Unknown);
    }
}
