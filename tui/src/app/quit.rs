//! Quitting: what happens to the circles that were started here, and the message about it.

use frontend::{error::CliError, files};

use super::{App, QuitState};
use crate::{
    action::Action,
    circles::CircleItem,
    popup::{Choice, Popup},
    tasks::SupervisorRef,
};

/// Longest list of names in a sentence; beyond that, the sentence has a number.
const MAX_NAMES: usize = 4;

impl App {
    pub(super) fn quit(&mut self) {
        let started = self.started_names();
        let losses = self.all_losses();
        let lost = |mut lines: Vec<String>| {
            if !losses.is_empty() {
                lines.push("You lose:".into());
                lines.extend(losses.iter().map(|line| format!("  {line}")));
            }
            lines
        };
        let choice = match started.len() {
            0 if losses.is_empty() => return self.quit_now(),
            0 => Choice::confirm("Quit?".into(), lost(Vec::new()), "Quit", Action::QuitNow),
            count => {
                let pronoun = if count == 1 { "it" } else { "them" };
                let names = join_names(&started);
                let lines = lost(vec![format!("You started {names}. Keep {pronoun} running after quitting?")]);
                let keep = (format!("Quit, keep {pronoun} running"), Action::QuitAndKeep);
                let stop = (format!("Quit, stop {pronoun}"), Action::QuitAndStop);
                Choice::new("Quit?".into(), lines, "Stay", vec![keep, stop])
            }
        };
        self.window.popup = Some(Popup::Choice(choice));
    }

    /// Quits when nothing that was started here is up. If the supervisor was started for it and has nothing else up, it
    /// ends, too.
    pub(super) fn quit_now(&mut self) {
        if self.quit_state == QuitState::Quitting {
            // Circles that drain continue to do so.
            self.control.started.clear();
            self.quit_state = QuitState::Ended(0);
            return;
        }
        if self.control.has_started && self.control.is_known() {
            self.quit_state = QuitState::Quitting;
            return self.tasks.release(SupervisorRef::new(&self.setup), Vec::new());
        }
        self.quit_state = QuitState::Ended(0);
    }

    pub(super) fn quit_and_keep(&mut self) {
        self.quit_state = QuitState::Ended(0);
    }

    pub(super) fn quit_and_stop(&mut self) {
        let started = self.started_names();
        self.quit_state = QuitState::Quitting;
        let lines = vec![format!("draining {}…", join_names(&started))];
        let at_once = ("Quit without waiting".to_owned(), Action::QuitNow);
        self.window.popup = Some(Popup::Quitting(Choice::new("Quit".into(), lines, "Stay here", vec![at_once])));
        self.tasks.release(SupervisorRef::new(&self.setup), started);
    }

    pub(super) fn on_released(&mut self, released: Result<(), CliError>) {
        match (self.quit_state, released) {
            (QuitState::Quitting, Ok(())) => {
                self.control.started.clear();
                self.quit_state = QuitState::Ended(0);
            }
            // The panes show that they are down.
            (_, Ok(())) => {}
            (end, Err(error)) => {
                self.window.popup.take_if(|popup| matches!(popup, Popup::Quitting(_)));
                self.report_error(error.advice());
                self.quit_state = match end {
                    // Nothing that was started here is up, so there is nothing to ask again.
                    QuitState::Quitting if self.control.started.is_empty() => QuitState::Ended(0),
                    _ => QuitState::Running,
                };
            }
        }
    }

    /// Returns the names of the circles that were started here and are not down or stopping.
    fn started_names(&self) -> Vec<String> {
        let started = self.control.started.iter().filter_map(|id| self.circles.get(*id));
        started.filter(|entry| entry.can_be_stopped()).map(|entry| entry.name.clone()).collect()
    }

    /// Returns the message for the terminal after the screen is closed.
    pub(super) fn exit_message(&self) -> Option<String> {
        let started = self.started_names();
        if started.is_empty() {
            return None;
        }
        let config = files::config_flag(self.setup.config.as_deref());
        let up = self.circles.iter().filter(|(_, entry)| CircleItem::is_supervised(entry)).count();
        // The circles of other users must not be stopped with them.
        let names = if up > started.len() { format!(" {}", started.join(" ")) } else { String::new() };
        let verb = if started.len() == 1 { "is" } else { "are" };
        Some(format!(
            "{} {verb} still running in the background\n  to check: circles status{config}\n  to stop:  circles down{config}{names}\n",
            join_names(&started)
        ))
    }
}

/// Joins names: `a`, `a and b`, `a, b and c`.
fn join_names(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [name] => name.clone(),
        [first @ .., last] if names.len() <= MAX_NAMES => format!("{} and {last}", first.join(", ")),
        _ => format!("{} and {} more", names[..MAX_NAMES - 1].join(", "), names.len() - MAX_NAMES + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_list_is_bounded_and_counts_the_rest() {
        let names: Vec<String> = ["a", "b", "c", "d", "e"].map(str::to_owned).into();
        let cases =
            [(0, ""), (1, "a"), (2, "a and b"), (3, "a, b and c"), (4, "a, b, c and d"), (5, "a, b, c and 2 more")];
        for (count, text) in cases {
            assert_eq!(join_names(&names[..count]), text);
        }
    }
}
