//! Functions of the circle that is shown: their list, the form for a call, the call.

use console::session::ConnectionStatus;
use frontend::visible::visible;

use super::App;
use crate::{
    circle_id::CircleId,
    layout::Pane,
    popup::{CallDraft, CallForm, FunctionsPopup, Popup},
};

/// Hint for a circle without a connection.
const CONNECT_FIRST: &str = "connect to the circle first: Enter in Circles (1)";

impl App {
    /// Lists the functions of the shown circle, and fetches them again if they have changed.
    pub(super) fn show_functions(&mut self) {
        let Some(id) = self.circles.selected() else { return };
        let session = self.repl.get(id).filter(|session| session.state.connection == ConnectionStatus::Connected);
        let Some(session) = session else {
            return self.show_hint(CONNECT_FIRST);
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
            let is_connected = session.state.connection == ConnectionStatus::Connected;
            list.set_functions(session.state.circle_functions.clone(), is_connected);
        }
    }

    /// Opens the form for a call, with the inputs of an earlier one that led to no value.
    pub(super) fn ask_call(&mut self, id: CircleId, name: &str) {
        let state = self.repl.get(id).map(|session| &session.state);
        match state.and_then(|state| state.function(name)) {
            Some(function) => {
                let draft = self.call_drafts.get(id, name);
                self.window.popup = Some(Popup::Call(CallForm::new(id, function.clone(), draft)));
            }
            None if state.is_none_or(|state| state.connection != ConnectionStatus::Connected) => {
                self.show_hint(CONNECT_FIRST);
            }
            None if state.is_none_or(|state| state.circle_functions.is_none()) => {
                self.show_hint("the circle has not listed its functions yet: try again in a moment");
            }
            None => self.report_error(format!("you may not call {} any more", visible(name))),
        }
    }

    /// Calls a function, as if the user had typed the command.
    pub(super) fn call(&mut self, draft: CallDraft, command: String) {
        let id = draft.circle;
        self.show(id);
        self.focus(Pane::Repl);
        let has_room = self.has_room_for(id, &command);
        self.call_drafts.keep(draft, has_room.then(|| command.clone()));
        if has_room {
            self.run_input(id, command);
        }
    }
}
