//! Questions before something is lost: what exactly it is, with *No* as the answer unless the user moves away from it.

use console::session::SessionState;
use frontend::key_bindings::{KeyPane, UserAction};

use super::App;
use crate::{
    action::Action,
    circle_id::CircleId,
    circles::{CircleAvailability, CircleItem, CircleSource},
    popup::{Choice, Popup},
    repl::SessionView,
};

/// Largest number of circles whose losses are listed.
const MAX_CIRCLES: usize = 4;

/// Returns what a session loses when its connection ends; `None` if that is nothing.
pub(super) fn session_losses(state: &SessionState) -> Option<String> {
    let variables = match state.inputs {
        0 => None,
        1 => Some("variables from 1 input".to_owned()),
        inputs => Some(format!("variables from {inputs} inputs")),
    };
    let play = state.is_busy().then(|| "a running play".to_owned());
    let losses: Vec<String> = [variables, play].into_iter().flatten().collect();
    (!losses.is_empty()).then(|| losses.join(" and "))
}

impl App {
    /// Returns what the user's session on a circle would lose.
    fn losses(&self, id: CircleId) -> Option<String> {
        session_losses(&self.repl.get(id)?.state)
    }

    /// Returns the losses of all sessions, a line for each circle.
    pub(super) fn all_losses(&self) -> Vec<String> {
        let losses =
            self.circles.iter().filter_map(|(id, entry)| Some(format!("{}: {}", entry.name, self.losses(id)?)));
        let mut lines: Vec<String> = losses.collect();
        if lines.len() > MAX_CIRCLES {
            let more = lines.split_off(MAX_CIRCLES - 1).len();
            lines.push(format!("and {more} more circles"));
        }
        lines
    }

    fn ask(&mut self, choice: Choice) {
        self.window.popup = Some(Popup::Choice(choice));
    }

    /// Asks for confirmation before all users of a circle lose their sessions.
    pub(super) fn confirm_end(&mut self, id: CircleId, verb: &str, yes: Action) {
        let Some(entry) = self.circles.get(id) else { return };
        if !entry.can_be_stopped() {
            let why = match (entry.source, entry.state()) {
                (CircleSource::Scratch, _) => "runs inside this screen; it can't be stopped or restarted",
                (CircleSource::Config, CircleAvailability::Unsupervised) => {
                    "was started elsewhere, not by the supervisor of this circles.json"
                }
                (CircleSource::Config, CircleAvailability::Stopping) => "is already stopping",
                (CircleSource::Config, _) if matches!(yes, Action::Restart(_)) => return self.start(id),
                (CircleSource::Config, _) => "is already down",
                (CircleSource::Address, _) => "is not in circles.json",
            };
            let text = format!("{} {why}", entry.name);
            return self.show_hint(text);
        }
        let mut lines = vec![connection_losses(entry)];
        let title = format!("{verb} {}?", entry.name);
        if let Some(losses) = self.losses(id) {
            lines.push(format!("You lose {losses}."));
        }
        self.ask(Choice::confirm(title, lines, verb, yes));
    }

    /// Disconnects from a circle, after a question if the session has something to lose. A circle that is known only by
    /// its address, and is not connected, leaves the list.
    pub(super) fn ask_disconnect(&mut self, id: CircleId) {
        let Some(entry) = self.circles.get(id) else { return };
        let is_connected = self.repl.get(id).is_some_and(SessionView::is_open);
        if !is_connected && entry.source == CircleSource::Address {
            return self.remove_circle(id);
        }
        let name = entry.name.clone();
        match self.losses(id) {
            Some(losses) => {
                let lines = vec![format!("You lose {losses}."), ":save FILE keeps the inputs as a script.".into()];
                let title = format!("Disconnect from {name}?");
                self.ask(Choice::confirm(title, lines, "Disconnect", Action::Disconnect(id)));
            }
            None if is_connected => self.disconnect(id),
            None => self.show_hint(format!("{name} is not connected")),
        }
    }

    fn remove_circle(&mut self, id: CircleId) {
        let Some(entry) = self.circles.get(id) else { return };
        let name = entry.name.clone();
        let has_text = self.repl.get(id).is_some_and(SessionView::has_inputs);
        if has_text {
            let lines = vec!["You lose its transcript, and the inputs that :save could still write.".into()];
            let title = format!("Remove {name} from the list?");
            return self.ask(Choice::confirm(title, lines, "Remove", Action::Remove(id)));
        }
        self.remove(id);
    }

    /// Removes a circle from the list, with its session.
    pub(super) fn remove(&mut self, id: CircleId) {
        let Some(entry) = self.circles.get(id) else { return };
        let name = entry.name.clone();
        self.repl.remove(id);
        self.data.remove(id);
        self.circles.remove(id);
        if let Some(neighbour) = self.circles.selected() {
            self.show(neighbour);
        }
        let key = self.key_of(KeyPane::Circles, UserAction::ConnectTo);
        self.show_done(format!("removed {name} from the list; {key} adds it again"));
    }
}

/// Returns what the users of a circle lose when it ends.
fn connection_losses(entry: &CircleItem) -> String {
    match entry.connections() {
        Some(0) => "Nobody is connected.".into(),
        Some(1) => "Its connection ends: its play stops, and its variables are gone.".into(),
        Some(count) => format!("Its {count} connections end: their plays stop, and their variables are gone."),
        None => "All of its connections end: their plays stop, and their variables are gone.".into(),
    }
}
