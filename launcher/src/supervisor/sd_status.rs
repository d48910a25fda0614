//! Status that the supervisor reports to a service manager.

use super::{CircleEntry, Supervisor};
use crate::CircleState;

/// Circles that are not ready and that the status line names.
const MAX_LISTED: usize = 3;

impl Supervisor {
    /// Updates phase and status line. The service is ready when every circle has been tried: one that fails, or recovers
    /// a large store, must not keep the others from counting as up.
    pub(super) fn update_sd_status(&mut self) {
        let active = || self.circles.iter().filter(|entry| entry.state_machine.state != CircleState::Down);
        let has_state = |state| move |entry: &&CircleEntry| entry.state_machine.state == state;
        let (up, all) = (active().filter(has_state(CircleState::Ready)).count(), active().count());
        let mut status = format!("{up} of {all} circles are up");
        let inactive: Vec<_> = active().filter(|entry| entry.state_machine.state != CircleState::Ready).collect();
        for entry in inactive.iter().take(MAX_LISTED) {
            status += &format!(", {} is {}", entry.circle.name, entry.state_machine.state);
        }
        if inactive.len() > MAX_LISTED {
            status += ", …";
        }
        let is_starting = active().any(|entry| entry.state_machine.is_starting());
        self.manager.set_status(&status);
        if self.is_ending {
            self.manager.notify_stopping();
        } else if !is_starting {
            self.manager.notify_ready();
        }
    }
}
