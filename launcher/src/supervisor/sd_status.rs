//! What a service manager is told of the circles.

use super::{CircleEntry, Supervisor};
use crate::CircleState;

/// Circles that are not up and that a service manager is told of by name.
const MAX_LISTED: usize = 3;

impl Supervisor {
    /// Ready is who has tried to start every circle: one that cannot must not keep the others from being taken for up.
    pub(super) fn update_sd_status(&mut self) {
        let active = || self.circles.iter().filter(|known| known.state_machine.state != CircleState::Down);
        let has_state = |state| move |known: &&CircleEntry| known.state_machine.state == state;
        let (up, all) = (active().filter(has_state(CircleState::Ready)).count(), active().count());
        let mut status = format!("{up} of {all} circles are up");
        let inactive: Vec<_> = active().filter(|known| known.state_machine.state != CircleState::Ready).collect();
        for known in inactive.iter().take(MAX_LISTED) {
            status += &format!(", {} is {}", known.circle.name, known.state_machine.state);
        }
        if inactive.len() > MAX_LISTED {
            status += ", …";
        }
        let is_starting = active().any(|known| known.state_machine.state == CircleState::Starting);
        self.manager.set_status(&status);
        if self.is_ending {
            self.manager.notify_stopping();
        } else if !is_starting {
            self.manager.notify_ready();
        }
    }
}
