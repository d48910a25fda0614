//! How the session on a circle stands, in short.

use console::session::{Identity, Link, State};

/// How a session stands, in short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    None,
    Connecting,
    Connected,
    Authenticated,
    Running,
}

impl Standing {
    pub(crate) fn of(state: &State) -> Self {
        match (state.link, &state.identity) {
            (Link::Off, _) => Self::None,
            (Link::Connecting, _) | (_, Identity::Authenticating) => Self::Connecting,
            _ if state.running.is_some() => Self::Running,
            (Link::On, Identity::Anonymous) => Self::Connected,
            (Link::On, Identity::Key(_) | Identity::Owner) => Self::Authenticated,
        }
    }

    /// One column.
    pub(crate) fn mark(self) -> &'static str {
        match self {
            Self::None => " ",
            Self::Connecting => "…",
            Self::Connected => "◌",
            Self::Authenticated => "⚿",
            Self::Running => "▶",
        }
    }
}
