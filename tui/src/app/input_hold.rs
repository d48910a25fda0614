//! Holds terminal events that follow a command which changes the screen, until the screen has changed.
//!
//! A session executes the command and reports it to the screen. Keys that are typed meanwhile are meant for the screen
//! after that: a passphrase after `:key` must not be played.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use console::{
    commands::ReplCommand,
    session::{self, CallerIdentity, SessionRequest},
};
use ratatui::crossterm::event::Event as TerminalEvent;

use super::App;
use crate::{circle_id::CircleId, event::SessionUpdate, repl::SessionView};

/// Largest number of held events.
const MAX_EVENTS: usize = 4096;

/// Longest time that events are held.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// Terminal events that are held while a session executes a command.
#[derive(Debug, Default)]
pub(super) struct InputHold {
    /// The session, what it has to do, and since when it is awaited.
    awaited: Option<(CircleId, HoldReason, Instant)>,
    events: VecDeque<TerminalEvent>,
}

/// What the session has to do first.
#[derive(Debug, PartialEq, Eq)]
enum HoldReason {
    /// Pass on the request that its user typed.
    Request,
    /// Request an editor or a shell, which then has to end.
    Edit,
    /// Execute `:key`, or ask for the key.
    Key { input: String, has_started: bool },
    /// Ask for the key, or authenticate.
    Unlock,
}

impl InputHold {
    /// Returns whether an event of the terminal has to be held.
    pub(super) fn must_hold(&self, event: &TerminalEvent) -> bool {
        let is_busy = self.awaited.is_some() || !self.events.is_empty();
        is_busy && matches!(event, TerminalEvent::Key(_) | TerminalEvent::Paste(_) | TerminalEvent::Mouse(_))
    }

    pub(super) fn push(&mut self, event: TerminalEvent) {
        self.events.push_back(event);
        if self.events.len() >= MAX_EVENTS {
            self.awaited = None;
        }
    }

    /// Ends the wait when it has lasted too long.
    pub(super) fn tick(&mut self, now: Instant) {
        self.awaited.take_if(|(_, _, since)| now.saturating_duration_since(*since) >= MAX_WAIT);
    }

    /// Starts to hold events if the input is a command that may change the screen.
    pub(super) fn hold_for_input(&mut self, id: CircleId, session: &SessionView, input: &str, now: Instant) {
        let can_ask = session.state.connection == session::ConnectionStatus::Connected || session.is_awaited;
        let awaited = match input.trim().strip_prefix(':').map(ReplCommand::parse) {
            Some(Ok(ReplCommand::Use(_) | ReplCommand::Quit)) => HoldReason::Request,
            Some(Ok(ReplCommand::Edit | ReplCommand::Shell(_))) => HoldReason::Edit,
            Some(Ok(ReplCommand::Key(_))) if can_ask && !session.state.is_busy() => {
                HoldReason::Key { input: input.to_owned(), has_started: false }
            }
            _ => return,
        };
        self.awaited = Some((id, awaited, now));
    }

    /// Holds events until a session asks for a key.
    pub(super) fn hold_for_key(&mut self, id: CircleId, now: Instant) {
        self.awaited = Some((id, HoldReason::Unlock, now));
    }

    /// Ends the wait for the editor or the shell.
    pub(super) fn finish_edit(&mut self, id: CircleId) {
        self.awaited.take_if(|(awaited, what, _)| *awaited == id && *what == HoldReason::Edit);
    }

    /// Returns whether this event ends the wait.
    pub(super) fn is_ended_by(&mut self, id: CircleId, event: &SessionUpdate, session: &SessionView) -> bool {
        let Some((_, awaited, _)) = self.awaited.as_mut().filter(|(awaited, ..)| *awaited == id) else { return false };
        let event = match event {
            SessionUpdate::Reported(session::SessionEvent::InputsReturned(_)) => return true,
            SessionUpdate::Reported(event) => Some(event),
            _ => None,
        };
        let is_asked =
            matches!(event, Some(session::SessionEvent::Request(SessionRequest::Unlock(_) | SessionRequest::NoKey(_))));
        match (awaited, event) {
            (HoldReason::Request, event) => {
                matches!(event, Some(session::SessionEvent::Request(SessionRequest::Use(_) | SessionRequest::Quit)))
            }
            (HoldReason::Edit, _) => false,
            (HoldReason::Key { input, has_started }, Some(session::SessionEvent::InputStarted(started))) => {
                *has_started |= started == input;
                false
            }
            (HoldReason::Key { has_started, .. }, Some(session::SessionEvent::InputFinished)) => *has_started,
            (HoldReason::Key { .. }, _) => is_asked,
            (
                HoldReason::Unlock,
                Some(
                    session::SessionEvent::Ready
                    | session::SessionEvent::NotAdmitted(..)
                    | session::SessionEvent::ConnectionLost,
                ),
            ) => true,
            (HoldReason::Unlock, _) => is_asked || session.state.identity == CallerIdentity::Authenticating,
        }
    }

    /// Ends the wait.
    pub(super) fn release(&mut self) {
        self.awaited = None;
    }

    /// Returns the next event to replay.
    fn next(&mut self) -> Option<TerminalEvent> {
        if self.awaited.is_some() { None } else { self.events.pop_front() }
    }
}

impl App {
    /// Returns whether terminal events are held.
    pub(crate) fn is_holding(&self) -> bool {
        self.hold.awaited.is_some()
    }

    /// Replays one held event. Returns whether there was one.
    pub(crate) fn replay(&mut self) -> bool {
        let next = self.hold.next();
        let is_there = next.is_some();
        if let Some(event) = next {
            self.on_terminal_event(event);
        }
        is_there
    }
}
