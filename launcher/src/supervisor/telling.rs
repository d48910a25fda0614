//! What a service manager is told of the circles.

use super::{Known, Supervisor};
use crate::CircleState;

/// Circles that are not up and that a service manager is told of by name.
const TOLD: usize = 3;

impl Supervisor {
    /// Ready is who has tried to start every circle: one that cannot must not keep the others from being taken for up.
    pub(super) fn tell_manager(&mut self) {
        let wanted = || self.circles.iter().filter(|known| known.book.state != CircleState::Down);
        let is = |state| move |known: &&Known| known.book.state == state;
        let (up, all) = (wanted().filter(is(CircleState::Ready)).count(), wanted().count());
        let mut status = format!("{up} of {all} circles are up");
        let others: Vec<_> = wanted().filter(|known| known.book.state != CircleState::Ready).collect();
        for known in others.iter().take(TOLD) {
            status += &format!(", {} is {}", known.circle.name, known.book.state);
        }
        if others.len() > TOLD {
            status += ", …";
        }
        let is_starting = wanted().any(|known| known.book.state == CircleState::Starting);
        self.manager.set_status(&status);
        if self.is_ending {
            self.manager.notify_stopping();
        } else if !is_starting {
            self.manager.notify_ready();
        }
    }
}
