//! Functions of the circle that is shown: their list, the form for a call, the call.

use console::session::{ConnectionStatus, SessionHandle};
use frontend::visible::visible;

use super::{App, SESSION_BUSY, input::is_full};
use crate::{
    circle_id::CircleId,
    layout::Pane,
    popup::{CallForm, FunctionsPopup, Popup},
};

impl App {
    /// Lists the functions of the shown circle, and fetches them again if they have changed.
    pub(super) fn show_functions(&mut self) {
        let Some(id) = self.circles.selected() else { return };
        let session = self.repl.get(id).filter(|session| session.state.connection == ConnectionStatus::Connected);
        let Some(session) = session else {
            return self.show_hint("connect to the circle first: Enter in Circles (1)");
        };
        session.session.refresh_functions();
        let functions = session.state.circle_functions.clone();
        self.window.popup = Some(Popup::Functions(FunctionsPopup::new(id, session.name.clone(), functions)));
    }

    /// Has an open list show the functions of its circle as they are now.
    pub(super) fn update_functions(&mut self, id: CircleId) {
        if let Some(Popup::Functions(list)) = &mut self.window.popup
            && let Some(session) = self.repl.get(id).filter(|_| list.circle == id)
        {
            list.set_functions(session.state.circle_functions.clone());
        }
    }

    /// Opens the form for a call.
    pub(super) fn ask_call(&mut self, id: CircleId, name: &str) {
        let known = self.repl.get(id).and_then(|session| session.state.circle_functions.clone()).unwrap_or_default();
        match known.iter().find(|function| function.name == name) {
            Some(function) => self.window.popup = Some(Popup::Call(CallForm::new(id, function.clone()))),
            None => self.report_error(format!("you may not call {} any more", visible(name))),
        }
    }

    /// Calls a function, as if the user had typed the command.
    pub(super) fn call(&mut self, id: CircleId, command: String) {
        self.show(id);
        self.focus(Pane::Repl);
        let Some(session) = self.repl.get_mut(id) else { return };
        if is_full(session) {
            session.editor.restore([command]);
            return self.show_hint("too many inputs are waiting: Ctrl-C returns them to the editor");
        }
        if SessionHandle::submit(&session.session, command.clone()).is_err() {
            session.editor.restore([command]);
            return self.report_error(SESSION_BUSY);
        }
        self.hold.hold_for_input(id, session, &command, self.window.now());
    }
}
