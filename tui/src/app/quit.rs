//! The app's end: what becomes of the circles that were started here, and what is said of it.

use frontend::error::CliError;

use super::{App, End};
use crate::{
    action::Action,
    circles::Entry,
    popup::{Leave, Popup},
    tasks::SupervisorOf,
};

/// Names that a sentence has; of more it says how many.
const NAMES: usize = 4;

impl App {
    pub(super) fn quit(&mut self) {
        let started = self.names_started();
        let running = self.repl.sessions().filter(|session| session.state.running.is_some()).count();
        self.window.popup = match (started.is_empty(), running) {
            (true, 0) => return self.quit_now(),
            (true, _) => {
                Some(Popup::Confirm { question: "A play is running. Cancel it and quit?".into(), yes: Action::QuitNow })
            }
            (false, _) => Some(Popup::Leave(Leave::new(&listed(&started), started.len(), running > 0))),
        };
    }

    /// Nothing that was started here is up. A supervisor that was started for it, and has nothing else up, is not left behind.
    pub(super) fn quit_now(&mut self) {
        if self.end == End::Leaving {
            // Whoever drains does so without being watched.
            self.control.started.clear();
            self.end = End::Now(0);
            return;
        }
        if self.control.has_started && self.control.is_known() {
            self.end = End::Leaving;
            return self.tasks.release(SupervisorOf::new(&self.setup), Vec::new());
        }
        self.end = End::Now(0);
    }

    pub(super) fn keep(&mut self) {
        self.end = End::Now(0);
    }

    pub(super) fn release(&mut self) {
        let started = self.names_started();
        self.end = End::Leaving;
        self.window.popup = Some(Popup::Leaving(listed(&started)));
        self.tasks.release(SupervisorOf::new(&self.setup), started);
    }

    pub(super) fn released(&mut self, released: Result<(), CliError>) {
        match (self.end, released) {
            (End::Leaving, Ok(())) => {
                self.control.started.clear();
                self.end = End::Now(0);
            }
            // That they are down is seen.
            (_, Ok(())) => {}
            (end, Err(error)) => {
                self.window.popup.take_if(|popup| matches!(popup, Popup::Leaving(_)));
                self.complain(error.advice());
                self.end = match end {
                    // Nothing that was started here is up: there is nothing to be asked again.
                    End::Leaving if self.control.started.is_empty() => End::Now(0),
                    _ => End::NotYet,
                };
            }
        }
    }

    /// The circles that were started here and are neither down nor about to be.
    fn names_started(&self) -> Vec<String> {
        let started = self.control.started.iter().filter_map(|id| self.circles.get(*id));
        started.filter(|entry| entry.can_be_stopped()).map(|entry| entry.name.clone()).collect()
    }

    /// What is said on the terminal once it is given back.
    pub(super) fn farewell(&self) -> Option<String> {
        let started = self.names_started();
        if started.is_empty() {
            return None;
        }
        let config = self.setup.config.as_ref().map_or(String::new(), |file| format!(" --config {}", file.display()));
        let up = self.circles.iter().filter(|(_, entry)| Entry::is_kept_up(entry)).count();
        // Those of others are not to be ended with them.
        let names = if up > started.len() { format!(" {}", started.join(" ")) } else { String::new() };
        let goes = if started.len() == 1 { "goes" } else { "go" };
        Some(format!(
            "{} {goes} on in the background\n  to see: circles status{config}\n  to stop: circles down{config}{names}\n",
            listed(&started)
        ))
    }
}

/// `a`, `a and b`, `a, b and c`.
fn listed(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [name] => name.clone(),
        [first @ .., last] if names.len() <= NAMES => format!("{} and {last}", first.join(", ")),
        _ => format!("{} and {} more", names[..NAMES - 1].join(", "), names.len() - NAMES + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_has_a_few_names_and_says_how_many_more_there_are() {
        let names: Vec<String> = ["a", "b", "c", "d", "e"].map(str::to_owned).into();
        let cases =
            [(0, ""), (1, "a"), (2, "a and b"), (3, "a, b and c"), (4, "a, b, c and d"), (5, "a, b, c and 2 more")];
        for (count, text) in cases {
            assert_eq!(listed(&names[..count]), text);
        }
    }
}
