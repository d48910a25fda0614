//! Short status of a session.

use console::session::{CallerIdentity, ConnectionStatus, SessionState};

/// Short status of a session, for the list of circles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionStatus {
    None,
    Connecting,
    Connected,
    Authenticated,
    Running,
    /// A play has ended since the circle was shown.
    Ended,
}

impl SessionStatus {
    pub(crate) fn of(state: &SessionState) -> Self {
        match (state.connection, &state.identity) {
            (ConnectionStatus::Disconnected, _) => Self::None,
            (ConnectionStatus::Connecting, _) | (_, CallerIdentity::Authenticating) => Self::Connecting,
            _ if state.running.is_some() => Self::Running,
            // The owner of a scratch circle has no key in the keystore.
            (ConnectionStatus::Connected, CallerIdentity::Anonymous | CallerIdentity::Owner) => Self::Connected,
            (ConnectionStatus::Connected, CallerIdentity::Key(_)) => Self::Authenticated,
        }
    }

    /// Returns the mark, in one column.
    pub(crate) fn mark(self) -> &'static str {
        match self {
            Self::None => " ",
            Self::Connecting => "…",
            Self::Connected => "◌",
            Self::Authenticated => "⚿",
            Self::Running => "▶",
            Self::Ended => "◆",
        }
    }
}
