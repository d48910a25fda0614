//! Who listens to a supervisor.

use tokio::sync::mpsc;

use crate::{Event, Happened};

/// Who listens to what happens, and must hold up nothing: what is not taken is dropped and counted.
pub(super) struct Listener {
    events: mpsc::Sender<Event>,
    lost: u64,
}

impl Listener {
    pub(super) fn of(events: mpsc::Sender<Event>) -> Self {
        Self { events, lost: 0 }
    }

    pub(super) fn tell(&mut self, event: Event) {
        if self.lost > 0 {
            let line = format!("({} lines are lost: nobody read them)", self.lost);
            let told = self.events.try_send(Event { circle: event.circle.clone(), what: Happened::Note(line) });
            if told.is_ok() {
                self.lost = 0;
            }
        }
        if self.events.try_send(event).is_err() {
            self.lost += 1;
        }
    }
}
