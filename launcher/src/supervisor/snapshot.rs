//! Snapshot of all circles that the supervisor publishes for its clients.

use std::time::Instant;

use crate::{CircleState, CircleStatus, Statuses, circle_state::CircleStateMachine};

/// Snapshot of all circles.
#[derive(Debug, Clone, Default)]
pub(crate) struct SupervisorSnapshot {
    pub(super) circles: Vec<(CircleStatus, CircleStateMachine)>,
    /// Names of the circles that have not yet confirmed or refused a change.
    pub(super) reconfiguring: Vec<String>,
    pub(crate) is_ending: bool,
    pub(super) refused: Option<String>,
}

impl SupervisorSnapshot {
    /// Returns the status of the circles with these names; of all, without names.
    pub(crate) fn statuses(&self, names: Option<&[String]>) -> Statuses {
        let now = Instant::now();
        let is_selected = |name: &String| names.is_none_or(|names| names.contains(name));
        let selected = self.circles.iter().filter(|(status, _)| is_selected(&status.name));
        let circles = selected.map(|(status, state_machine)| CircleStatus {
            uptime_s: state_machine.uptime(now).map(|up| up.as_secs()),
            ..status.clone()
        });
        Statuses { circles: circles.collect(), is_ending: self.is_ending, refused: self.refused.clone() }
    }

    /// Returns the states of the circles with these names.
    pub(crate) fn states(&self, names: &[String]) -> impl Iterator<Item = CircleState> {
        self.circles
            .iter()
            .filter(|(status, _)| names.contains(&status.name))
            .map(|(_, state_machine)| state_machine.state)
    }
}
