//! circles.json: making it, editing it, adding a member.

use std::path::PathBuf;

use frontend::{
    config,
    error::CliError,
    init::NewConfig,
    key_bindings::{KeyPane, UserAction},
};

use super::App;
use crate::{
    action::Action,
    circle_id::CircleId,
    circles::CircleSource,
    event::Admission,
    layout::Pane,
    popup::{Choice, Popup},
    tasks::SupervisorRef,
    window::Effect,
};

impl App {
    /// Opens circles.json in the user's editor, or offers to make one.
    pub(super) fn open_config(&mut self) {
        if let Some(file) = self.control.config_file() {
            let effect = Effect::Open(file.to_owned());
            return self.window.push_effect(effect);
        }
        let path = self.new_config_path();
        let members = match self.keys.used() {
            Some(key) => format!("for members: your key {}", key.name),
            None => "for members, once you have a key".into(),
        };
        let lines = vec![
            format!("There is none yet. This writes {} with two circles:", path.display()),
            "  sandbox  open to anyone on this machine".into(),
            format!("  team     {members}"),
        ];
        let choice = Choice::confirm("Make a circles.json?".into(), lines, "Make it", Action::MakeConfig);
        self.window.popup = Some(Popup::Choice(choice));
    }

    fn new_config_path(&self) -> PathBuf {
        self.setup.config.clone().unwrap_or_else(|| PathBuf::from(config::FILE))
    }

    pub(super) fn make_config(&self) {
        self.tasks.make_config(self.new_config_path(), self.keys.used().map(|key| key.public_key));
    }

    pub(super) fn on_config_made(&mut self, made: Result<NewConfig, CliError>) {
        match made {
            Ok(NewConfig { path, .. }) => {
                let key = |action| self.key_of(KeyPane::Circles, action);
                let (start, open) = (key(UserAction::StartAll), key(UserAction::EditConfig));
                self.show_done(format!("wrote {}; {start} starts its circles, {open} opens it", path.display()));
                self.tasks.read_config(self.setup.config.clone());
            }
            Err(error) => self.report_error(error.advice()),
        }
    }

    /// Handles the end of the editor.
    pub(crate) fn on_config_edited(&mut self, edited: Result<bool, CliError>) {
        match edited {
            // An error in the file opens a popup with its line.
            Ok(_) => self.tasks.read_config(self.setup.config.clone()),
            Err(error) => self.report_error(error.advice()),
        }
    }

    /// Adds the key to use to the members of a circle in circles.json.
    pub(super) fn admit(&mut self, id: CircleId) {
        let Some(entry) = self.circles.get(id) else { return };
        let name = entry.name.clone();
        let file = self.control.config_file().map(std::path::Path::to_owned);
        let Some(file) = file.filter(|_| entry.source == CircleSource::Config) else {
            return self.show_hint(format!("{name} is not in circles.json: its operator adds members"));
        };
        let Some(key) = self.keys.used() else {
            let why = format!("To become a member of {name} you need a key.");
            return self.ask_new_key(Some(Action::Admit(id)), Some(why));
        };
        let key = (key.name.to_string(), key.public_key);
        self.show_progress(id, format!("adding {} to the members of {name}…", key.0));
        self.tasks.admit(SupervisorRef::new(&self.setup), id, file, name, key);
    }

    /// Handles the outcome of adding a member, and tries the connection again.
    pub(super) fn on_admitted(&mut self, id: CircleId, admitted: Result<Admission, CliError>) {
        let Some(entry) = self.circles.get(id) else { return };
        let name = entry.name.clone();
        let Admission { key, is_new, is_in_effect } = match admitted {
            Ok(admission) => admission,
            Err(error) => {
                if let Some(session) = self.repl.get_mut(id) {
                    session.show_error(&error);
                }
                return self.report_error(error.advice());
            }
        };
        let verb = if is_new { "is now" } else { "was already" };
        let text = match (is_in_effect, entry.is_up()) {
            (true, _) => format!("{key} {verb} a member of {name}"),
            (false, true) => format!("{key} is in circles.json; {name} has that after circles reload"),
            (false, false) => format!("{key} {verb} a member of {name}; Enter starts it and connects"),
        };
        if let Some(session) = self.repl.get_mut(id) {
            session.note(&text);
        }
        self.show_done(text);
        if is_in_effect {
            let is_here = self.window.focus == Pane::Circles && self.window.popup.is_none();
            self.connect(id);
            if is_here && self.circles.selected() == Some(id) {
                self.focus(Pane::Repl);
            }
        }
    }
}
