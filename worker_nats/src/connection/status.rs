//! What has happened to a connection.

use async_nats::{ClientError, ConnectErrorKind, Event, ServerError};

use super::{PermissionError, is_violation};

/// Maximum length of a text of the NATS server, in characters.
const MAX_TEXT: usize = 300;

/// Maximum length of the refusals of permissions together, in bytes.
const MAX_VIOLATIONS: usize = 1_000;

/// What has happened to a connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// The last error, while there is no connection. The client tries again.
    pub error: Option<String>,
    /// Whether the last attempt to reconnect was refused: the credentials are not valid any more.
    pub is_refused: bool,
    /// Why the secret could not be read at the last attempt.
    pub(super) secret_error: Option<String>,
    /// The refusals of permissions since the connection began.
    pub violation: Option<String>,
    /// How often a subscription was full, so that messages to it were lost. The count may be too low.
    pub full_subscriptions: u64,
    /// How many NATS servers were about to shut down.
    pub lame_ducks: u64,
}

impl Status {
    /// Why there is no connection, and what to do if that is known.
    pub(crate) fn error_text(&self) -> Option<String> {
        let error = self.error.clone()?;
        Some(if self.is_refused {
            format!(
                "NATS refuses the credentials ({error}): check them, and the user in the configuration of nats-server"
            )
        } else {
            error
        })
    }

    /// What to do about the last refusal of a permission.
    pub(crate) fn violation_text(&self) -> Option<String> {
        let violation = self.violation.clone()?;
        Some(PermissionError::Denied { violation }.to_string())
    }

    pub(super) fn apply(&mut self, event: &Event) {
        if let Some(violation) = is_violation(event) {
            let violation = printable(violation);
            match &mut self.violation {
                Some(all) if all.contains(&violation) || all.len() + violation.len() > MAX_VIOLATIONS => {}
                Some(all) => *all = format!("{all}; {violation}"),
                None => self.violation = Some(violation),
            }
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
            Event::SlowConsumer(_) => {
                self.full_subscriptions += 1;
                if self.full_subscriptions.is_power_of_two() {
                    tracing::warn!(lost = self.full_subscriptions, "messages from NATS lost: this process is too slow");
                }
            }
            Event::ServerError(error) => {
                self.is_refused |= *error == ServerError::AuthorizationViolation;
                self.error = Some(printable(&error.to_string()));
            }
            Event::ClientError(ClientError::Other(text)) if is_authentication(text) && self.secret_error.is_some() => {
                // NATS has not seen the secret.
                (self.error, self.is_refused) = (self.secret_error.clone(), false);
            }
            Event::ClientError(error) => {
                let text = match error {
                    ClientError::Other(text) => text.clone(),
                    other => other.to_string(),
                };
                // The client has only texts for these kinds of errors.
                self.is_refused = text.contains("authorization violation") || is_authentication(&text);
                // The client does not pass on which error it was.
                let is_unreachable = text == ConnectErrorKind::Io.to_string();
                self.error = Some(if is_unreachable { "no server is reachable".into() } else { printable(&text) });
            }
            Event::Draining | Event::Closed => self.error = Some("the connection was closed".into()),
        }
    }
}

/// Whether the text of the client says that it has no secret for the server.
fn is_authentication(text: &str) -> bool {
    text.contains("failed signing nonce")
}

/// Logs a change of a connection: its number, and whether it is up, before and now.
pub(crate) fn log_connection(before: (u64, bool), now: (u64, bool), status: &Status) {
    match (before, now) {
        ((0, _), (_, true)) => tracing::info!("connected to NATS"),
        (_, (connections, true)) => tracing::info!(connections, "connected to NATS again"),
        ((_, true), (_, false)) => {
            let error = status.error.as_deref().unwrap_or("unknown reason");
            tracing::warn!(error, "connection to NATS lost; trying to reconnect");
        }
        _ => {}
    }
}

/// Logs a refusal of a permission or of the credentials, once.
pub(crate) fn log_refusal(logged: &mut Option<String>, status: &Status) {
    let refusal = if status.is_refused { status.error_text() } else { status.violation_text() };
    match refusal {
        Some(refusal) if Some(&refusal) != logged.as_ref() => {
            tracing::error!("{refusal}");
            *logged = Some(refusal);
        }
        // While there is no connection, other errors come between two refusals.
        None if status.error.is_none() => *logged = None,
        _ => {}
    }
}

/// Whether an error of the NATS server is the refusal of a permission.
pub(super) fn is_permission_text(text: &str) -> bool {
    text.to_ascii_lowercase().starts_with("permissions violation")
}

/// The text without control characters, and not longer than necessary. Other characters than letters, digits and those of
/// ASCII are replaced: some are invisible, or change the order of those around them.
pub(crate) fn printable(text: &str) -> String {
    let is_visible = |character: char| character.is_ascii() || character.is_alphanumeric();
    let visible = text.chars().filter(|character| !character.is_control());
    visible.map(|character| if is_visible(character) { character } else { '\u{fffd}' }).take(MAX_TEXT).collect()
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
        let mut unreadable = Status { secret_error: Some("no file".into()), ..Status::default() };
        unreadable.apply(&Event::ClientError(ClientError::Other("failed signing nonce".into())));
        assert_eq!((unreadable.error_text().as_deref(), unreadable.is_refused), (Some("no file"), false));
        let unreachable = apply(Event::ClientError(ClientError::Other("IO error".into())));
        assert_eq!(unreachable.error.as_deref(), Some("no server is reachable"));
        assert_eq!(apply(Event::Connected), Status::default());
        let denied = ServerError::Other("Permissions Violation for Publish to \"a\"".into());
        let denied = apply(Event::ServerError(denied));
        assert_eq!(
            (denied.violation.as_deref(), denied.error),
            (Some("Permissions Violation for Publish to \"a\""), None)
        );
        let other = ServerError::Other("Permissions Violation for Subscription to \"b\"".into());
        for _ in 0..2 {
            let both = apply(Event::ServerError(other.clone())).violation.expect("violations");
            assert_eq!(
                both,
                "Permissions Violation for Publish to \"a\"; Permissions Violation for Subscription to \"b\""
            );
        }
        for number in 0..100 {
            apply(Event::ServerError(ServerError::Other(format!("Permissions Violation {number}"))));
        }
        assert!(apply(Event::SlowConsumer(1)).violation.is_some_and(|all| all.len() <= MAX_VIOLATIONS));
        assert_eq!(apply(Event::Disconnected).violation, None);
        assert_eq!(apply(Event::SlowConsumer(1)).full_subscriptions, 2);
        assert_eq!(apply(Event::LameDuckMode).lame_ducks, 1);
        assert_eq!(printable("é m1 \u{202e}x\u{200b}\u{7}"), "é m1 \u{fffd}x\u{fffd}");
        let long = ServerError::Other(format!("a\u{1b}[31m{}", "b".repeat(1_000)));
        let error = apply(Event::ServerError(long)).error.expect("an error");
        assert!(error.len() == MAX_TEXT && !error.contains('\u{1b}'), "{error}");
    }
}
