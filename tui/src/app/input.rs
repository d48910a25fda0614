//! Input: submitting, cancelling, completing, and editing elsewhere.

use console::{
    commands::{self, ArgumentKind},
    completion::{self, CompletionItem, CompletionList, CompletionSource},
    session::{CallerIdentity, ConnectionStatus, SessionHandle},
};
use frontend::{
    error::CliError,
    key_bindings::{KeyPane, UserAction},
};

use super::{App, SESSION_BUSY};
use crate::{
    action::Action,
    circle_id::CircleId,
    circles::{CircleItem, CircleSource},
    layout::Pane,
    repl::SessionView,
    window::Effect,
};

/// Largest number of inputs that wait or are still to be returned to the editor.
const MAX_WAITING: usize = 64;

impl App {
    /// Submits the input if it is complete. If it needs the circle, connects first.
    pub(super) fn submit(&mut self) {
        let Some(id) = self.circles.selected() else { return };
        let Some(session) = self.repl.get(id) else { return };
        let input = session.editor.text();
        let (is_blank, is_incomplete) = (input.trim().is_empty(), self.repl.is_incomplete(&input));
        if !is_blank && !is_incomplete && !self.has_room_for(id, &input) {
            return;
        }
        let Some(session) = self.repl.get_mut(id) else { return };
        if is_blank {
            if session.editor.drafts() > 0 {
                session.editor.next_draft();
            }
        } else if is_incomplete {
            return session.editor.newline();
        } else {
            session.editor.take();
        }
        self.run_input(id, input);
    }

    /// Returns whether the session on a circle has room for another input; says so if not.
    pub(super) fn has_room_for(&mut self, id: CircleId, input: &str) -> bool {
        let is_full = commands::may_wait(input) && self.repl.get(id).is_some_and(is_full);
        if is_full {
            self.show_hint("too many inputs are waiting: Ctrl-C returns them to the editor");
        }
        !is_full
    }

    /// Connects to a circle if the input needs the circle, and sends the input to the session. A blank input only
    /// connects.
    pub(super) fn run_input(&mut self, id: CircleId, input: String) {
        let is_blank = input.trim().is_empty();
        if (is_blank || commands::needs_circle(&input)) && self.needs_connection(id) {
            self.connect(id);
        }
        if is_blank {
            return;
        }
        let Some(session) = self.repl.get_mut(id) else { return };
        if session.session.submit(input.clone()).is_err() {
            session.editor.restore([input]);
            return self.report_error(SESSION_BUSY);
        }
        self.hold.hold_for_input(id, session, &input, self.window.now());
    }

    /// Returns whether the session on a circle has no connection, or is not signed in to a circle that needs a key.
    fn needs_connection(&self, id: CircleId) -> bool {
        let can_be_started = self.circles.get(id).is_some_and(CircleItem::can_be_started);
        let Some(session) = self.repl.get(id) else { return false };
        let is_connected = session.state.connection == ConnectionStatus::Connected;
        if is_connected {
            session.state.identity == CallerIdentity::Anonymous && !session.state.is_ready()
        } else {
            !session.is_awaited || can_be_started
        }
    }

    /// Ctrl-C: cancels what the session does, or else clears the input.
    pub(super) fn cancel(&mut self) {
        let is_typing = self.window.focus == Pane::Repl;
        let quit = self.key_of(KeyPane::Circles, UserAction::Quit);
        let quits = format!("{quit} quits");
        let Some(id) = self.circles.selected() else { return self.show_hint(quits) };
        let Some(session) = self.repl.get_mut(id) else { return self.show_hint(quits) };
        if session.can_be_cancelled() {
            if session.state.connection != ConnectionStatus::Connected {
                (session.is_awaited, session.previous) = (false, None);
            }
            return self.send_to_session(id, SessionHandle::cancel);
        }
        if is_typing && !session.editor.is_empty() {
            return session.editor.next_draft();
        }
        self.show_hint(if is_typing { format!("to quit: Esc, then {quit}") } else { quits });
        // A play may have started that is not known here yet.
        self.send_to_session(id, SessionHandle::cancel);
    }

    pub(super) fn insert(&mut self, text: &str) {
        if let Some(session) = self.selected_session() {
            session.editor.recall(text);
            self.focus(Pane::Repl);
        }
    }

    /// Opens the input in the user's editor.
    pub(super) fn edit(&mut self) {
        if let Some(id) = self.circles.selected()
            && let Some(session) = self.repl.get(id)
        {
            let text = session.editor.text();
            self.window.push_effect(Effect::Edit(id, text));
        }
    }

    /// Handles the text that comes back from the editor.
    pub(crate) fn on_edited(&mut self, id: CircleId, before: &str, edited: Result<Option<String>, CliError>) {
        let Some(session) = self.repl.get_mut(id) else { return };
        let text = match edited {
            Ok(edited) => edited.unwrap_or_else(|| before.to_owned()),
            Err(error) => {
                session.show_error(&error);
                before.to_owned()
            }
        };
        // Text that was typed meanwhile comes after it.
        if session.editor.text() == before {
            session.editor.set("");
        }
        let after = session.editor.take_all();
        let is_whole = session.editor.paste(&text);
        if !after.is_empty() {
            let edited = session.editor.text();
            session.editor.set("");
            session.editor.restore(std::iter::once(edited).chain(after));
        }
        self.hold.finish_edit(id);
        if !is_whole {
            self.report_error("the edited text was cut: an input can be at most 256 KiB");
        }
    }

    /// Shows how a command in the user's shell ended, if not well.
    pub(crate) fn on_shell_ended(&mut self, id: CircleId, ended: Result<Option<String>, CliError>) {
        self.hold.finish_edit(id);
        let Some(session) = self.repl.get_mut(id) else { return };
        match ended {
            Ok(None) => {}
            Ok(Some(how)) => session.note(&how),
            Err(error) => session.show_error(&error),
        }
    }

    pub(super) fn complete(&mut self) {
        let Some(id) = self.circles.selected() else { return };
        let Some(session) = self.repl.get(id) else { return };
        let (input, cursor) = session.editor.cursor();
        let mut file = None;
        let source = completion::completion_source(&input, cursor, |kind, prefix| match kind {
            ArgumentKind::Circle => self.circles.iter().map(|(_, entry)| circle_candidate(entry)).collect(),
            ArgumentKind::Key => {
                self.keys.iter().map(|entry| key_candidate(entry.name.as_str(), entry.default)).collect()
            }
            ArgumentKind::File => {
                file = Some(prefix.to_owned());
                Vec::new()
            }
            _ => Vec::new(),
        });
        match (source, file) {
            (CompletionSource::Local(completion), Some(prefix)) => {
                self.tasks.list_files(id, completion, prefix, self.repl.directory());
            }
            (CompletionSource::Local(completion), None) => self.show_completions(id, completion),
            (CompletionSource::Circle(request), _) => {
                let answer = session.session.complete((input, cursor), request);
                self.tasks.complete(id, answer);
            }
        }
    }

    pub(super) fn show_completions(&mut self, id: CircleId, completion: CompletionList) {
        let is_shown = self.circles.selected() == Some(id);
        let Some(session) = self.repl.get_mut(id) else { return };
        if !session.editor.complete(completion) {
            if is_shown {
                self.show_hint("no completions");
            }
            return;
        }
        if let Some(Action::Document(name)) = session.editor.undocumented() {
            self.document(id, name);
        }
    }

    /// Asks the shown circle for the documentation of a completion.
    pub(super) fn document_shown(&mut self, name: String) {
        if let Some(id) = self.circles.selected() {
            self.document(id, name);
        }
    }

    /// Asks a circle for the documentation of a completion. That of the circle's functions is known.
    fn document(&mut self, id: CircleId, name: String) {
        let Some(session) = self.repl.get_mut(id).filter(|session| session.state.is_ready()) else { return };
        let text = session.editor.text();
        let is_command = [":call ", ":functions "].into_iter().any(|command| text.trim_start().starts_with(command));
        let known = session.state.function(name.trim_end()).filter(|_| is_command);
        match known.map(|function| function.summary.clone()) {
            Some(summary) => session.editor.document(name, summary),
            None => self.tasks.document(id, name.clone(), session.session.document(name)),
        }
    }
}

/// Returns whether so many inputs wait that there would be no room to return another one.
fn is_full(session: &SessionView) -> bool {
    let waiting = session.session.state().waiting;
    waiting > 0 && waiting + session.editor.drafts() >= MAX_WAITING
}

fn circle_candidate(entry: &CircleItem) -> CompletionItem {
    let detail = match entry.source {
        CircleSource::Scratch => "temporary".to_owned(),
        CircleSource::Config | CircleSource::Address => entry.url().to_owned(),
    };
    CompletionItem { text: entry.name.clone(), detail }
}

fn key_candidate(name: &str, is_default: bool) -> CompletionItem {
    CompletionItem { text: name.to_owned(), detail: if is_default { "default" } else { "" }.to_owned() }
}
