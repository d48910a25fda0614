//! Forwards events to the program that runs the supervisor.

use tokio::sync::mpsc;

use crate::{CircleEvent, CircleEventKind};

/// Sender of events that never blocks: events without room are dropped and counted.
pub(super) struct EventForwarder {
    events: mpsc::Sender<CircleEvent>,
    lost: u64,
}

impl EventForwarder {
    pub(super) fn new(events: mpsc::Sender<CircleEvent>) -> Self {
        Self { events, lost: 0 }
    }

    pub(super) fn forward(&mut self, event: CircleEvent) {
        if self.events.is_closed() {
            // In the background nobody reads events.
            return;
        }
        if self.lost > 0 {
            let line = format!("({} lines dropped: not read in time)", self.lost);
            let sent = self
                .events
                .try_send(CircleEvent { circle: event.circle.clone(), kind: CircleEventKind::Warning(line) });
            if sent.is_ok() {
                self.lost = 0;
            }
        }
        if self.events.try_send(event).is_err() {
            self.lost += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forwarder_counts_lost_events_while_receiver_exists() {
        let (events, mut sent) = mpsc::channel(1);
        let mut listener = EventForwarder::new(events);
        let mut tell = |line: &str| {
            listener.forward(CircleEvent { circle: "a".into(), kind: CircleEventKind::Log(line.into()) });
            listener.lost
        };
        assert_eq!((tell("1"), tell("2"), tell("3")), (0, 1, 2));
        let Ok(CircleEvent { kind: CircleEventKind::Log(line), .. }) = sent.try_recv() else { panic!("a line") };
        assert_eq!(line, "1");
        // The line that reports the dropped ones takes the only place.
        assert_eq!(tell("4"), 1);
        let Ok(CircleEvent { kind: CircleEventKind::Warning(line), .. }) = sent.try_recv() else { panic!("a note") };
        assert_eq!(line, "(2 lines dropped: not read in time)");
        drop(sent);
        assert_eq!((tell("5"), tell("6")), (1, 1));
    }
}
