//! The session on a circle, as the pane shows it: transcript, editor, and the session's last state.

use std::sync::Arc;

use console::{
    history::InputOrigin,
    session::{CallerIdentity, ConnectionStatus, DisplayKind, DisplayLines, QueueFull, SessionHandle, SessionState},
};
use frontend::{
    error::CliError,
    target::CircleTarget,
    text::{Size, Style, StyledLine},
};
use protocol::methods::{Access, Output, Stream};

use super::{
    connector::Connector,
    editor::{Editor, EditorSetup},
    transcript::Transcript,
};
use crate::{circle_id::CircleId, session_status::SessionStatus};

/// What a copy of the transcript has.
pub(crate) const LAST_OUTPUT: &str = "the last output";

/// A session, and what the pane shows of it.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is one fact of its own")]
pub(crate) struct SessionView {
    /// Name of the circle in the list.
    pub name: String,
    /// The session itself.
    pub session: SessionHandle,
    /// The session's state at its last update.
    pub state: SessionState,
    pub transcript: Transcript,
    pub editor: Editor,
    /// The circle and the key that inputs are for, once that is known.
    pub origin: Option<InputOrigin>,
    /// Whether the user waits for the connection, and expects a question for a key.
    pub is_awaited: bool,
    /// Whether a play has ended while another circle was shown.
    pub has_ended_unseen: bool,
    /// Whether the next listing is the whole output of the last play, which needs room.
    pub opens_pager: bool,
    /// Whether the connection was lost, and is not back.
    pub is_lost: bool,
    /// The circle that was shown when a command named this one; it is shown again if this one cannot be reached.
    pub previous: Option<CircleId>,
    connector: Arc<Connector>,
    /// The size that the session knows.
    room: Size,
}

impl SessionView {
    pub(crate) fn new(
        name: String,
        session: SessionHandle,
        connector: Arc<Connector>,
        room: Size,
        editor: EditorSetup,
    ) -> Self {
        let state = session.state();
        let editor = Editor::new(editor, state.input_origin(session.target()));
        Self {
            name,
            session,
            state,
            transcript: Transcript::default(),
            editor,
            origin: None,
            is_awaited: false,
            has_ended_unseen: false,
            opens_pager: false,
            is_lost: false,
            previous: None,
            connector,
            room,
        }
    }

    /// Reads the session's present state.
    pub(crate) fn refresh(&mut self) {
        self.state = self.session.state();
    }

    /// Sets the circle's address.
    pub(crate) fn update_target(&self, target: impl FnOnce() -> CircleTarget, url: &str) -> Result<(), QueueFull> {
        if self.connector.set_url(url) { self.session.set_target(target()) } else { Ok(()) }
    }

    /// Accepts an ephemeral identity from now on.
    pub(crate) fn accept_ephemeral(&self) {
        self.connector.accept_ephemeral();
    }

    /// Sends the size of the transcript to the session, if it has changed.
    pub(crate) fn publish_room(&mut self) {
        let room = self.transcript.room();
        if room != self.room && self.session.set_size(room).is_ok() {
            self.room = room;
        }
    }

    /// Returns who may play on the circle, while the session is connected.
    pub(crate) fn access(&self) -> Option<Access> {
        self.state
            .circle
            .as_ref()
            .filter(|_| self.state.connection == ConnectionStatus::Connected)
            .map(|circle| circle.access)
    }

    /// Returns whether an input will be played, now or once the circle is ready.
    pub(crate) fn takes_input(&self) -> bool {
        let is_connecting = self.state.connection != ConnectionStatus::Connected
            && (self.is_awaited || self.state.is_reconnect_enabled);
        self.state.is_ready() || is_connecting || self.state.identity == CallerIdentity::Authenticating
    }

    /// Returns whether there is a connection, or an attempt at one.
    pub(crate) fn is_open(&self) -> bool {
        self.state.connection != ConnectionStatus::Disconnected
    }

    /// Returns whether something was played here, or is typed.
    pub(crate) fn has_inputs(&self) -> bool {
        self.state.last_elapsed.is_some() || !self.editor.is_empty() || self.editor.drafts() > 0
    }

    /// Returns the status for the list of circles.
    pub(crate) fn status(&self) -> SessionStatus {
        match SessionStatus::of(&self.state) {
            SessionStatus::Running => SessionStatus::Running,
            _ if self.has_ended_unseen => SessionStatus::Ended,
            status => status,
        }
    }

    /// Returns whether there is something to cancel.
    pub(crate) fn can_be_cancelled(&self) -> bool {
        self.state.is_busy() || self.state.waiting > 0
    }

    /// Returns the title of the pane, for example `sandbox ⚿ alice`.
    pub(crate) fn title(&self) -> String {
        let rights = self.state.rights().label();
        match (self.state.connection, &self.state.identity) {
            (ConnectionStatus::Disconnected, _) => format!("{} (not connected)", self.name),
            (ConnectionStatus::Connecting, _) => format!("{} (connecting…)", self.name),
            (_, CallerIdentity::Authenticating) => format!("{} (signing in…)", self.name),
            (_, CallerIdentity::Key(key)) => format!("{} ⚿ {key}{rights}", self.name),
            (_, CallerIdentity::Anonymous | CallerIdentity::Owner) => format!("{}{rights}", self.name),
        }
    }

    /// Adds a note to the transcript.
    pub(crate) fn note(&mut self, text: &str) {
        self.transcript.push(StyledLine::of(Style::Dim, text));
    }

    pub(crate) fn show_error_text(&mut self, text: &str) {
        self.transcript.push(StyledLine::of(Style::Error, "error: ").with(Style::Plain, text));
    }

    /// Adds an error to the transcript, with all of its lines.
    pub(crate) fn show_error(&mut self, error: &CliError) {
        let lines = error.lines(self.transcript.width());
        self.transcript.extend(lines);
    }

    /// Adds lines of the session to the transcript.
    pub(crate) fn show(&mut self, shown: DisplayLines) {
        match (shown.kind, &shown.result) {
            (_, Some(result)) => self.transcript.set_last(result.output.clone(), LAST_OUTPUT),
            (DisplayKind::Value | DisplayKind::Error, None) => {
                self.transcript.set_last(plain_text(&shown.lines), LAST_OUTPUT);
            }
            _ => {}
        }
        self.transcript.extend(shown.lines);
    }

    /// Adds output of a play to the transcript; in a fan-out with the label of its circle.
    pub(crate) fn print(&mut self, output: &Output, label: Option<&str>) {
        let label = label.map_or(String::new(), |label| format!("{label} | "));
        let labelled = |line: StyledLine| {
            let label = StyledLine::of(Style::Dim, &label);
            line.spans().iter().fold(label, |labelled, piece| labelled.with(piece.style, &piece.text))
        };
        self.transcript.extend(output_lines(output).into_iter().map(labelled));
    }

    /// Puts inputs that were not executed back into the editor.
    pub(crate) fn restore_inputs(&mut self, inputs: Vec<String>) {
        self.editor.restore(inputs);
        let inputs = self.editor.drafts() + 1;
        if inputs > 1 {
            self.note(&format!("{inputs} inputs are back in the editor: Enter plays the first and shows the next"));
        }
    }
}

/// Formats the output of a play; debug output with its position.
fn output_lines(output: &Output) -> Vec<StyledLine> {
    match output.stream {
        Stream::Debug => {
            let place = output.position.map_or(String::new(), |at| format!("[{}:{}] ", at.line, at.column));
            frontend::text::lines(Style::Dim, &format!("{place}{}", output.text))
        }
        _ => frontend::text::lines(Style::Plain, &output.text),
    }
}

pub(crate) fn plain_text(lines: &[StyledLine]) -> String {
    lines.iter().map(StyledLine::to_string).collect::<Vec<_>>().join("\n")
}
