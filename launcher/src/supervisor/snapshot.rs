//! What the supervisor knows of its circles, as it publishes it for those who ask.

use std::time::Instant;

use crate::{CircleState, CircleStatus, Statuses, circle_state::CircleStateMachine};

/// What is known of all circles.
#[derive(Debug, Clone, Default)]
pub(crate) struct SupervisorSnapshot {
    pub(super) circles: Vec<(CircleStatus, CircleStateMachine)>,
    /// Those that have not said yet whether they take over what they were told.
    pub(super) reconfiguring: Vec<String>,
    pub(crate) is_ending: bool,
    pub(super) refused: Option<String>,
}

impl SupervisorSnapshot {
    /// How circles are now, of those names; all, without any.
    pub(crate) fn statuses(&self, names: Option<&[String]>) -> Statuses {
        let now = Instant::now();
        let is_selected = |name: &String| names.is_none_or(|names| names.contains(name));
        let selected = self.circles.iter().filter(|(status, _)| is_selected(&status.name));
        let circles = selected
            .map(|(status, book)| CircleStatus { uptime_s: book.uptime(now).map(|up| up.as_secs()), ..status.clone() });
        Statuses { circles: circles.collect(), is_ending: self.is_ending, refused: self.refused.clone() }
    }

    /// The states of those names.
    pub(crate) fn states(&self, names: &[String]) -> impl Iterator<Item = CircleState> {
        self.circles.iter().filter(|(status, _)| names.contains(&status.name)).map(|(_, book)| book.state)
    }
}
