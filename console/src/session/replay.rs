//! The replay of a lost session: its inputs are played again, one after the other, once the user has seen them.

use std::collections::VecDeque;

use frontend::text::{self, Style, StyledLine};

use super::{
    core::Core,
    event::{ConnectionStatus, DisplayKind, DisplayLines},
    messages,
    pending::Purpose,
};
use crate::{message_size_error, notebook::NotebookInput};

/// The maximum width of an input in the remark that it is played, in columns.
const MAX_ECHO: usize = 60;

/// A running replay.
pub(super) struct Replay {
    /// The inputs that have not succeeded yet. The first one is running.
    rest: VecDeque<NotebookInput>,
    total: usize,
}

impl Replay {
    /// The number of the running input.
    fn number(&self) -> usize {
        self.total - self.rest.len() + 1
    }
}

impl Core {
    /// Lists the inputs of the lost session. The user confirms with `:replay!` that they should be played again.
    pub(super) fn list_replay(&mut self) {
        match self.notebook.list_lost() {
            Some(mut lines) => {
                lines.push(StyledLine::of(Style::Dim, messages::REPLAY_HINT));
                self.show(DisplayLines::new(DisplayKind::Listing, lines));
            }
            None => self.remark(messages::NOTHING_TO_REPLAY),
        }
        self.finish_input();
    }

    /// Plays the inputs of the lost session again; only lists them if the user has not seen them.
    pub(super) fn start_replay(&mut self) {
        let Some(rest) = self.notebook.take_lost() else { return self.list_replay() };
        self.work.replay = Some(Replay { total: rest.len(), rest });
        self.play_next_of_replay();
    }

    /// Handles the success of an input of the replay.
    pub(super) fn continue_replay(&mut self) {
        if let Some(replay) = &mut self.work.replay {
            replay.rest.pop_front();
        }
        self.finish_on_connection(None);
        if self.connection.status == ConnectionStatus::Connected {
            return self.play_next_of_replay();
        }
        self.stop_replay(false);
        self.finish_input();
        self.start_waiting_inputs();
    }

    fn play_next_of_replay(&mut self) {
        let Some(replay) = &self.work.replay else { return };
        let Some(next) = replay.rest.front() else {
            let total = replay.total;
            self.work.replay = None;
            self.remark(&messages::replayed(total));
            self.finish_input();
            return self.start_waiting_inputs();
        };
        let script = next.script.clone();
        let mut echo = StyledLine::of(Style::Dim, &format!("{}/{}  ", replay.number(), replay.total));
        echo.push(Style::Dim, &first_line(&script));
        self.remark_line(echo);
        let limits = self.connection.circle.as_ref().map(|circle| &circle.limits);
        // The circle may have other limits than before.
        if let Some(why) = limits.and_then(|limits| message_size_error(limits, &script)) {
            self.show(DisplayLines::new(DisplayKind::Error, text::lines(Style::Plain, &why)));
            self.stop_replay(true);
            self.finish_input();
            return self.start_waiting_inputs();
        }
        self.play(script, Purpose::Replay);
    }

    /// Ends a replay that is not complete. An input that failed by its own fault is not tried again.
    pub(super) fn stop_replay(&mut self, is_own_fault: bool) {
        let Some(mut replay) = self.work.replay.take() else { return };
        let (number, total) = (replay.number(), replay.total);
        if is_own_fault {
            replay.rest.pop_front();
        }
        self.remark(&messages::replay_stopped(number, total, replay.rest.len(), is_own_fault));
        self.notebook.return_lost(replay.rest);
    }
}

/// Returns the beginning of a script as one line.
fn first_line(script: &str) -> String {
    let script = script.trim();
    let first = script.lines().next().unwrap_or_default();
    let shown = crate::value::shorten(first, MAX_ECHO);
    if first.len() < script.len() && !shown.ends_with('…') { format!("{shown} …") } else { shown }
}
