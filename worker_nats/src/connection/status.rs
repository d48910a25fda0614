//! What has happened to a connection.

use async_nats::{ClientError, Event, ServerError};

use super::is_violation;

/// Maximum length of a text of the NATS server, in characters.
const MAX_TEXT: usize = 300;

/// What has happened to a connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// The last error, while there is no connection. The client tries again.
    pub error: Option<String>,
    /// Whether the last attempt to reconnect was refused: the credentials are not valid any more.
    pub is_refused: bool,
    /// The last refusal of a permission.
    pub violation: Option<String>,
    /// How often a subscription was full, so that messages to it were lost. The count may be too low.
    pub full_subscriptions: u64,
    /// How many NATS servers were about to shut down.
    pub lame_ducks: u64,
}

impl Status {
    pub(super) fn apply(&mut self, event: &Event) {
        if let Some(violation) = is_violation(event) {
            self.violation = Some(printable(violation));
            return;
        }
        match event {
            Event::Connected => (self.error, self.is_refused) = (None, false),
            Event::Disconnected => {
                // NATS checks the permissions of all subscriptions again at the next connection.
                self.violation = None;
                self.error.get_or_insert_with(|| "the connection has ended".into());
            }
            Event::LameDuckMode => self.lame_ducks += 1,
            Event::SlowConsumer(_) => self.full_subscriptions += 1,
            Event::ServerError(error) => {
                self.is_refused |= *error == ServerError::AuthorizationViolation;
                self.error = Some(printable(&error.to_string()));
            }
            Event::ClientError(error) => {
                let text = match error {
                    ClientError::Other(text) => text.clone(),
                    other => other.to_string(),
                };
                // The client has only texts for these kinds of errors.
                self.is_refused = text.contains("authorization violation") || text.contains("failed signing nonce");
                self.error = Some(printable(&text));
            }
            Event::Draining | Event::Closed => self.error = Some("the connection was closed".into()),
        }
    }
}

/// Whether an error of the NATS server is the refusal of a permission.
pub(super) fn is_permission_text(text: &str) -> bool {
    text.to_ascii_lowercase().starts_with("permissions violation")
}

/// The text without control characters, and not longer than necessary.
pub(super) fn printable(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(MAX_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_follows_the_events() {
        let mut status = Status::default();
        let mut apply = |event| {
            status.apply(&event);
            status.clone()
        };
        assert_eq!(apply(Event::Disconnected).error.as_deref(), Some("the connection has ended"));
        let refused = apply(Event::ClientError(ClientError::Other("authorization violation".into())));
        assert!(refused.is_refused);
        assert_eq!(refused.error.as_deref(), Some("authorization violation"));
        assert!(!apply(Event::ClientError(ClientError::Other("timed out".into()))).is_refused);
        assert_eq!(apply(Event::Connected), Status::default());
        let denied = ServerError::Other("Permissions Violation for Publish to \"a\"".into());
        let denied = apply(Event::ServerError(denied));
        assert_eq!(
            (denied.violation.as_deref(), denied.error),
            (Some("Permissions Violation for Publish to \"a\""), None)
        );
        assert_eq!(apply(Event::Disconnected).violation, None);
        assert_eq!(apply(Event::SlowConsumer(1)).full_subscriptions, 1);
        assert_eq!(apply(Event::LameDuckMode).lame_ducks, 1);
        let long = ServerError::Other("a\u{1b}[31m".to_owned() + &"b".repeat(1_000));
        let error = apply(Event::ServerError(long)).error.expect("an error");
        assert!(error.len() == MAX_TEXT && !error.contains('\u{1b}'), "{error}");
    }
}
