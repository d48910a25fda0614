//! The session on a circle as it is seen here: what was said, what is being typed, and the session's last state.

use std::sync::Arc;

use console::{
    history::HistoryFile,
    session::{CallerIdentity, ConnectionStatus, DisplayKind, DisplayLines, QueueFull, SessionHandle, SessionState},
};
use frontend::{
    error::CliError,
    target::CircleTarget,
    text::{Size, Style, StyledLine},
};
use protocol::methods::{Access, Output, Stream};

use super::{connector::Connector, editor::Editor, transcript::Transcript};
use crate::circle_id::CircleId;

/// A session, and what is seen of it.
#[derive(Debug)]
pub(crate) struct SessionView {
    /// The circle as its user knows it.
    pub name: String,
    /// The session itself.
    pub session: SessionHandle,
    /// The session's state when it last reported something.
    pub state: SessionState,
    pub transcript: Transcript,
    pub editor: Editor,
    /// Where inputs are kept, once it is known whose they are.
    pub history: Option<HistoryFile>,
    /// Whether its user waits for the connection, and expects to be asked for a key.
    pub is_awaited: bool,
    /// The circle that was shown when a command named this one: it is shown again if this one cannot be reached.
    pub previous: Option<CircleId>,
    dialer: Arc<Connector>,
    /// The room that the session knows of.
    room: Size,
}

impl SessionView {
    pub(crate) fn new(name: String, session: SessionHandle, dialer: Arc<Connector>, room: Size) -> Self {
        let (state, transcript, editor) = (session.state(), Transcript::default(), Editor::new());
        let (history, is_awaited, previous) = (None, false, None);
        Self { name, session, state, transcript, editor, history, is_awaited, previous, dialer, room }
    }

    /// Takes the session's state as it is now.
    pub(crate) fn refresh(&mut self) {
        self.state = self.session.state();
    }

    /// Says where the circle is from now on.
    pub(crate) fn update_target(&self, target: impl FnOnce() -> CircleTarget, url: &str) -> Result<(), QueueFull> {
        if self.dialer.set_url(url) { self.session.set_target(target()) } else { Ok(()) }
    }

    /// Connects from now on also where the circle's identity ends with its process.
    pub(crate) fn accept_ephemeral(&self) {
        self.dialer.accept_ephemeral();
    }

    /// Says how much room the transcript has, if that has changed.
    pub(crate) fn publish_room(&mut self) {
        let room = self.transcript.room();
        if room != self.room && self.session.set_size(room).is_ok() {
            self.room = room;
        }
    }

    /// For whom the circle is, while there is a connection to it.
    pub(crate) fn access(&self) -> Option<Access> {
        self.state
            .circle
            .as_ref()
            .filter(|_| self.state.connection == ConnectionStatus::Connected)
            .map(|circle| circle.access)
    }

    /// Whether what is typed will be played, now or once the circle is ready for it.
    pub(crate) fn takes_input(&self) -> bool {
        let is_connecting = self.state.connection != ConnectionStatus::Connected
            && (self.is_awaited || self.state.is_reconnect_enabled);
        self.state.is_ready() || is_connecting || self.state.identity == CallerIdentity::Authenticating
    }

    /// Whether there is something that a cancellation would end.
    pub(crate) fn can_be_cancelled(&self) -> bool {
        self.state.is_busy() || self.state.waiting > 0
    }

    /// `sandbox ⚿ alice`
    pub(crate) fn title(&self) -> String {
        match (self.state.connection, &self.state.identity) {
            (ConnectionStatus::Disconnected, _) => format!("{} (not connected)", self.name),
            (ConnectionStatus::Connecting, _) => format!("{} (connecting…)", self.name),
            (_, CallerIdentity::Authenticating) => format!("{} (proving the key…)", self.name),
            (_, CallerIdentity::Key(key)) => format!("{} ⚿ {key}", self.name),
            (_, CallerIdentity::Anonymous | CallerIdentity::Owner) => self.name.clone(),
        }
    }

    /// Says something about the session in its transcript.
    pub(crate) fn note(&mut self, text: &str) {
        self.transcript.push(StyledLine::of(Style::Dim, text));
    }

    pub(crate) fn show_error_text(&mut self, text: &str) {
        self.transcript.push(StyledLine::of(Style::Error, "error: ").with(Style::Plain, text));
    }

    /// All of an error.
    pub(crate) fn show_error(&mut self, error: &CliError) {
        let lines = error.lines(self.transcript.width());
        self.transcript.extend(lines);
    }

    /// Shows lines that the session reports.
    pub(crate) fn show(&mut self, shown: DisplayLines) {
        match (shown.kind, &shown.result) {
            (_, Some(result)) => self.transcript.set_last(result.output.clone()),
            (DisplayKind::Value | DisplayKind::Error, None) => self.transcript.set_last(plain_text(&shown.lines)),
            _ => {}
        }
        self.transcript.extend(shown.lines);
    }

    /// Shows what a play prints, behind the label of its circle if several play.
    pub(crate) fn print(&mut self, output: &Output, label: Option<&str>) {
        let label = label.map_or(String::new(), |label| format!("{label} | "));
        let labelled = |line: StyledLine| {
            let label = StyledLine::of(Style::Dim, &label);
            line.spans().iter().fold(label, |labelled, piece| labelled.with(piece.style, &piece.text))
        };
        self.transcript.extend(output_lines(output).into_iter().map(labelled));
    }

    /// Puts inputs that were not carried out back into the editor.
    pub(crate) fn restore_inputs(&mut self, inputs: Vec<String>) {
        self.editor.restore(inputs);
        let inputs = self.editor.drafts() + 1;
        if inputs > 1 {
            self.note(&format!("{inputs} inputs are given back: Enter plays the first, and then the next is there"));
        }
    }
}

/// What a play prints, as lines: debugs with their place.
fn output_lines(output: &Output) -> Vec<StyledLine> {
    match output.stream {
        Stream::Print => frontend::text::lines(Style::Plain, &output.text),
        Stream::Debug => {
            let place = output.position.map_or(String::new(), |at| format!("[{}:{}] ", at.line, at.column));
            frontend::text::lines(Style::Dim, &format!("{place}{}", output.text))
        }
    }
}

pub(crate) fn plain_text(lines: &[StyledLine]) -> String {
    lines.iter().map(StyledLine::to_string).collect::<Vec<_>>().join("\n")
}
