//! The REPL pane: the transcript, the running play and the editor.

mod connector;
mod editor;
mod session_view;
mod transcript;

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
    time::Duration,
};

use console::{
    directory::WorkingDirectory, highlight, history::HistoryFile, progress::PlayStatus, session::PlaySnapshot,
    validate::Validator,
};
use frontend::{
    key_bindings::UserAction,
    text::{Style, StyledLine},
};
use keys::KeyPair;
use protocol::methods::Access;
use ratatui::{
    Frame,
    crossterm::event::{KeyCode, KeyEvent, KeyModifiers},
    layout::{Constraint, Layout, Rect},
    style::Stylize,
    text::Line as ShownLine,
    widgets::Paragraph,
};
use rhai::Engine;

use super::{
    action::Action,
    circle_id::CircleId,
    help::HintRow::{self, Fixed, Short},
    layout::Pane,
    search::Search,
    theme::{DrawContext, Theme},
};
pub(crate) use connector::Connector;
pub(crate) use editor::{EditorSetup, PointerEvent, PointerOutcome};
pub(crate) use session_view::{LAST_OUTPUT, SessionView, plain_text};
pub(crate) use transcript::Transcript;

/// Run time of a play before the status line appears.
const STATUS_LINE_DELAY: Duration = Duration::from_millis(300);

/// Key hints for the footer while the circle takes no input yet.
pub(crate) const UNREADY_HINTS: &[HintRow] = &[
    Fixed("Enter", "connect"),
    Fixed("Esc", "circles"),
    Short(UserAction::Help, "help"),
    Short(UserAction::Palette, "palette"),
    Fixed("PgUp", "scroll"),
];

/// Key hints for the footer while the circle needs a key.
pub(crate) const SIGN_IN_HINTS: &[HintRow] = &[
    Fixed("Enter", "sign in"),
    Short(UserAction::CopyOutput, "copy"),
    Fixed("Esc", "circles"),
    Short(UserAction::Help, "help"),
    Short(UserAction::Palette, "palette"),
    Fixed("PgUp", "scroll"),
];

pub(crate) use editor::{HINTS, SHORT_HINTS};

/// The sessions, and what the editor needs.
pub(crate) struct ReplPane {
    sessions: HashMap<CircleId, SessionView>,
    lexer: Engine,
    validator: Validator,
    /// The directory of the user's files.
    directory: Arc<WorkingDirectory>,
    editor: EditorSetup,
    history_file: HistoryFile,
    /// The scratch circle, and the key of its owner.
    scratch: Option<(CircleId, Arc<KeyPair>)>,
}

impl ReplPane {
    pub(crate) fn new(history_file: HistoryFile, editor: EditorSetup) -> Self {
        Self {
            sessions: HashMap::new(),
            lexer: Engine::new_raw(),
            validator: Validator::new(),
            directory: Arc::default(),
            editor,
            history_file,
            scratch: None,
        }
    }

    /// Returns the directory of the user's files.
    pub(crate) fn directory(&self) -> Arc<WorkingDirectory> {
        self.directory.clone()
    }

    pub(crate) fn set_scratch(&mut self, id: CircleId, owner: KeyPair) {
        self.scratch = Some((id, owner.into()));
    }

    /// Reads what other consoles have added to the history, without waiting for it.
    pub(crate) fn read_history(&self) {
        self.history_file.read();
    }

    /// Returns what all editors share.
    pub(crate) fn editor_setup(&self) -> &EditorSetup {
        &self.editor
    }

    /// Returns the owner's key, if this is the scratch circle.
    pub(crate) fn owner(&self, id: CircleId) -> Option<&Arc<KeyPair>> {
        self.scratch.as_ref().filter(|(scratch, _)| *scratch == id).map(|(_, owner)| owner)
    }

    pub(crate) fn get(&self, id: CircleId) -> Option<&SessionView> {
        self.sessions.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: CircleId) -> Option<&mut SessionView> {
        self.sessions.get_mut(&id)
    }

    pub(crate) fn entry(&mut self, id: CircleId) -> Entry<'_, CircleId, SessionView> {
        self.sessions.entry(id)
    }

    pub(crate) fn sessions(&self) -> impl Iterator<Item = &SessionView> {
        self.sessions.values()
    }

    /// Drops the session on a circle, which ends it.
    pub(crate) fn remove(&mut self, id: CircleId) {
        self.sessions.remove(&id);
    }

    /// Returns whether an input continues on another line.
    pub(crate) fn is_incomplete(&self, input: &str) -> bool {
        self.validator.is_incomplete(input)
    }

    /// Shows an input that starts to run, and appends it to the history.
    pub(crate) fn show_input(&mut self, id: CircleId, input: &str) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.transcript.push_input(echo(&self.lexer, &session.name, input));
        if let Some(origin) = &session.origin
            && let Some(entry) = self.editor.history.lock().store(origin, input)
        {
            self.history_file.append(entry);
        }
    }

    /// Handles a key press. Printable keys always go into the editor.
    pub(crate) fn key(&mut self, key: KeyEvent, shown: CircleId) -> Option<Action> {
        let session = self.sessions.get_mut(&shown)?;
        if key.code == KeyCode::Esc && session.transcript.deselect_block() {
            return None;
        }
        if matches!(key.code, KeyCode::Up | KeyCode::Down) && key.modifiers == KeyModifiers::ALT {
            session.transcript.select_block(key.code == KeyCode::Up);
            return None;
        }
        let (view, is_control) = (&mut session.transcript.view, key.modifiers.contains(KeyModifiers::CONTROL));
        match key.code {
            KeyCode::PageUp => view.page(-1),
            KeyCode::PageDown => view.page(1),
            KeyCode::Up if is_control => view.scroll(-1),
            KeyCode::Down if is_control => view.scroll(1),
            KeyCode::Home if is_control => view.scroll_to_begin(),
            KeyCode::End if is_control => view.follow(),
            KeyCode::Char('d') if is_control && session.editor.is_empty() => {
                return Some(Action::Focus(Pane::Circles));
            }
            _ => return session.editor.key(key),
        }
        None
    }

    /// Returns what an action of the user means for the session on a circle.
    pub(crate) fn action(&self, action: UserAction, shown: CircleId) -> Option<Action> {
        let session = self.sessions.get(&shown).filter(|_| action == UserAction::CopyOutput)?;
        let (text, what) = session.transcript.text_to_copy();
        Some(Action::Copy(text, what))
    }

    /// Draws the completions of the session on a circle.
    pub(crate) fn draw_menu(&self, frame: &mut Frame<'_>, theme: Theme, shown: CircleId) {
        if let Some(session) = self.sessions.get(&shown) {
            session.editor.draw_menu(frame, theme);
        }
    }

    /// Draws the session on a circle. `is_editing` says whether letters go into the editor. `welcome` is shown until
    /// there is a transcript.
    pub(crate) fn draw(
        &mut self,
        frame: &mut Frame<'_>,
        area: Rect,
        look: DrawContext,
        shown: CircleId,
        (is_editing, mut search): (bool, Option<&mut Search>),
        welcome: Vec<ShownLine<'static>>,
    ) {
        let Some(session) = self.sessions.get_mut(&shown) else { return };
        let waiting = session.state.waiting;
        let status = match &session.state.running {
            Some(running) => status(look, running, waiting, area.width),
            None if waiting > 0 => Some(ShownLine::from(format!("{} {waiting} waiting for the circle", look.spinner))),
            None => None,
        };
        let rows = session.editor.height(area.width).clamp(1, (area.height / 2).max(1));
        let [transcript, running, rule, typed] = Layout::vertical([
            Constraint::Fill(1),
            Constraint::Length(u16::from(status.is_some())),
            Constraint::Length(u16::from(area.height > 4)),
            Constraint::Length(rows),
        ])
        .areas(area);
        if let Some(search) = search.as_deref_mut() {
            search.update(shown, &mut session.transcript);
        }
        let found = search.as_deref().map(Search::highlight);
        let mut rows = session.transcript.rows(look.theme, (transcript.width, transcript.height), found);
        if session.transcript.is_empty() && !session.is_open() {
            rows = welcome;
        } else {
            // It grows from the input, where the eye is.
            let missing = usize::from(transcript.height).saturating_sub(rows.len());
            rows.splice(0..0, std::iter::repeat_n(ShownLine::default(), missing));
            let above = u16::try_from(missing).unwrap_or(0);
            let shown = Rect { y: transcript.y + above, height: transcript.height - above, ..transcript };
            session.transcript.view.set_area(shown);
        }
        session.publish_room();
        frame.render_widget(Paragraph::new(rows), transcript);
        if let Some(status) = status {
            frame.render_widget(Paragraph::new(status), running);
        }
        let mark = match &session.transcript {
            transcript if transcript.has_selected_block() => " Ctrl-O copies this block · Esc ends ",
            transcript if transcript.view.has_more_below() => " ↓ more below: PgDn ",
            _ => "",
        };
        let line = "─".repeat(usize::from(rule.width).saturating_sub(mark.chars().count()));
        frame.render_widget(Paragraph::new(format!("{line}{mark}")).dim(), rule);
        session.editor.draw(frame, typed, look.theme, &self.lexer, is_editing);
        if let Some(hint) = hint(session).filter(|_| session.editor.is_empty()) {
            let [_, area] =
                Layout::horizontal([Constraint::Length(editor::PROMPT_COLUMNS), Constraint::Fill(1)]).areas(typed);
            frame.render_widget(Paragraph::new(hint).dim(), area);
        }
    }
}

fn status(look: DrawContext, running: &PlaySnapshot, waiting: usize, width: u16) -> Option<ShownLine<'static>> {
    let elapsed = look.now.saturating_duration_since(running.started);
    if elapsed < STATUS_LINE_DELAY && running.progress.is_none() {
        return None;
    }
    let status = PlayStatus {
        spinner: look.spinner,
        elapsed,
        progress: running.progress.as_ref(),
        waiting,
        is_cancelling: running.cancelled.is_some(),
    };
    Some(look.theme.line(&status.line(width.into())))
}

/// Returns what Enter does while the circle takes no input yet.
fn hint(session: &SessionView) -> Option<&'static str> {
    if session.takes_input() {
        return None;
    }
    Some(match session.access() {
        Some(Access::Open) => "Press Enter to sign in with your key.",
        Some(Access::Authenticated) => "Anyone with a key may play. Press Enter to sign in with yours.",
        Some(Access::Members) => "Members only. Press Enter to sign in with your key.",
        Some(_) => "Press Enter to sign in with your key.",
        None => "Press Enter to connect.",
    })
}

/// Describes who may play on a circle.
pub(crate) fn access_text(access: Access) -> &'static str {
    match access {
        Access::Open => "open to anyone",
        Access::Authenticated => "open to anyone with a key",
        Access::Members => "members only",
        _ => "open by a rule that this version does not know",
    }
}

/// Formats an input for the transcript.
fn echo(lexer: &Engine, name: &str, input: &str) -> Vec<StyledLine> {
    let prompt = format!("{name}> ");
    let more = format!("{}| ", " ".repeat(prompt.chars().count() - 2));
    let mut lines = Vec::new();
    for (index, line) in highlight::lines(lexer, input).iter().enumerate() {
        let mut shown = StyledLine::of(Style::Dim, if index == 0 { &prompt } else { &more });
        for piece in line.spans() {
            shown.push(piece.style, &piece.text);
        }
        lines.push(shown);
    }
    lines
}
