//! The session on a circle as it is seen here: what was said, what is being typed, and the session's last state.

use std::sync::Arc;

use console::{
    history::HistoryFile,
    session::{Full, Identity, Link, Session, Shown, ShownKind, State},
};
use frontend::{
    error::CliError,
    target::Destination,
    text::{Line, Size, Style},
};
use protocol::methods::{Access, Output, Stream};

use super::{dialer::Dialer, editor::Editor, transcript::Transcript};
use crate::id::CircleId;

/// A session, and what is seen of it.
#[derive(Debug)]
pub(crate) struct SessionView {
    /// The circle as its user knows it.
    pub name: String,
    /// The session itself.
    pub session: Session,
    /// The session's state when it last reported something.
    pub state: State,
    pub transcript: Transcript,
    pub editor: Editor,
    /// Where inputs are kept, once it is known whose they are.
    pub history: Option<HistoryFile>,
    /// Whether its user waits for the connection, and expects to be asked for a key.
    pub is_awaited: bool,
    /// The circle that was shown when a command named this one: it is shown again if this one cannot be reached.
    pub previous: Option<CircleId>,
    dialer: Arc<Dialer>,
    /// The room that the session knows of.
    room: Size,
}

impl SessionView {
    pub(crate) fn new(name: String, session: Session, dialer: Arc<Dialer>, room: Size) -> Self {
        let (state, transcript, editor) = (session.state(), Transcript::default(), Editor::new());
        let (history, is_awaited, previous) = (None, false, None);
        Self { name, session, state, transcript, editor, history, is_awaited, previous, dialer, room }
    }

    /// Takes the session's state as it is now.
    pub(crate) fn refresh(&mut self) {
        self.state = self.session.state();
    }

    /// Says where the circle is from now on.
    pub(crate) fn move_to(&self, target: impl FnOnce() -> Destination, url: &str) -> Result<(), Full> {
        if self.dialer.move_to(url) { self.session.set_target(target()) } else { Ok(()) }
    }

    /// Connects from now on also where the circle's identity ends with its process.
    pub(crate) fn accept_ephemeral(&self) {
        self.dialer.accept_ephemeral();
    }

    /// Says how much room the transcript has, if that has changed.
    pub(crate) fn publish_room(&mut self) {
        let room = self.transcript.room();
        if room != self.room && self.session.set_room(room).is_ok() {
            self.room = room;
        }
    }

    /// For whom the circle is, while there is a connection to it.
    pub(crate) fn access(&self) -> Option<Access> {
        self.state.circle.as_ref().filter(|_| self.state.link == Link::On).map(|circle| circle.access)
    }

    /// Whether what is typed will be played, now or once the circle is ready for it.
    pub(crate) fn takes_input(&self) -> bool {
        let is_coming = self.state.link != Link::On && (self.is_awaited || self.state.is_kept);
        self.state.is_ready() || is_coming || self.state.identity == Identity::Authenticating
    }

    /// Whether there is something that a cancellation would end.
    pub(crate) fn can_be_cancelled(&self) -> bool {
        self.state.is_at_work() || self.state.waiting > 0
    }

    /// `sandbox ⚿ alice`
    pub(crate) fn title(&self) -> String {
        match (self.state.link, &self.state.identity) {
            (Link::Off, _) => format!("{} (not connected)", self.name),
            (Link::Connecting, _) => format!("{} (connecting…)", self.name),
            (_, Identity::Authenticating) => format!("{} (proving the key…)", self.name),
            (_, Identity::Key(key)) => format!("{} ⚿ {key}", self.name),
            (_, Identity::Anonymous | Identity::Owner) => self.name.clone(),
        }
    }

    /// Says something about the session in its transcript.
    pub(crate) fn note(&mut self, text: &str) {
        self.transcript.push(Line::of(Style::Dim, text));
    }

    pub(crate) fn show_error_text(&mut self, text: &str) {
        self.transcript.push(Line::of(Style::Error, "error: ").with(Style::Plain, text));
    }

    /// All of an error.
    pub(crate) fn show_error(&mut self, error: &CliError) {
        let lines = error.lines(self.transcript.width());
        self.transcript.extend(lines);
    }

    /// Shows lines that the session reports.
    pub(crate) fn show(&mut self, shown: Shown) {
        match (shown.kind, &shown.result) {
            (_, Some(result)) => self.transcript.set_last(result.output.clone()),
            (ShownKind::Value | ShownKind::Error, None) => self.transcript.set_last(text_of(&shown.lines)),
            _ => {}
        }
        self.transcript.extend(shown.lines);
    }

    /// Shows what a play prints, behind the label of its circle if several play.
    pub(crate) fn print(&mut self, output: &Output, label: Option<&str>) {
        let label = label.map_or(String::new(), |label| format!("{label} | "));
        let labelled = |line: Line| {
            let label = Line::of(Style::Dim, &label);
            line.pieces().iter().fold(label, |labelled, piece| labelled.with(piece.style, &piece.text))
        };
        self.transcript.extend(printed(output).into_iter().map(labelled));
    }

    /// Puts inputs that were not carried out back into the editor.
    pub(crate) fn give_back(&mut self, inputs: Vec<String>) {
        self.editor.give_back(inputs);
        let inputs = self.editor.drafts() + 1;
        if inputs > 1 {
            self.note(&format!("{inputs} inputs are given back: Enter plays the first, and then the next is there"));
        }
    }
}

/// What a play prints, as lines: debugs with their place.
fn printed(output: &Output) -> Vec<Line> {
    match output.stream {
        Stream::Print => frontend::text::lines(Style::Plain, &output.text),
        Stream::Debug => {
            let place = output.position.map_or(String::new(), |at| format!("[{}:{}] ", at.line, at.column));
            frontend::text::lines(Style::Dim, &format!("{place}{}", output.text))
        }
    }
}

pub(crate) fn text_of(lines: &[Line]) -> String {
    lines.iter().map(Line::to_string).collect::<Vec<_>>().join("\n")
}
