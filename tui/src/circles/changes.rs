//! What a supervisor's report changes for a circle.

use super::{CircleAvailability, CircleItem, CircleSource};

/// Change of a circle in a supervisor's report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StatusChange {
    /// It accepts connections, or a new process of it does.
    CameUp,
    /// It ended unexpectedly.
    Failed,
    /// It ended unexpectedly, and accepts connections again.
    Restarted,
    /// It refused its present configuration in circles.json.
    Refused,
}

/// State of a circle before a report.
#[derive(Debug, Clone, Copy)]
pub(super) struct PreviousState {
    state: CircleAvailability,
    pid: Option<u32>,
    restarts: u32,
    has_refused: bool,
}

impl PreviousState {
    pub(super) const UNKNOWN: Self =
        Self { state: CircleAvailability::Unknown, pid: None, restarts: 0, has_refused: false };

    pub(super) fn of(entry: &CircleItem) -> Self {
        let has_refused = entry.refused().is_some();
        Self { state: entry.state(), pid: entry.pid(), restarts: entry.restarts(), has_refused }
    }
}

/// Detects what has changed for a circle.
pub(super) fn detect_change(entry: &CircleItem, before: PreviousState) -> Option<StatusChange> {
    let was = before.state;
    match entry.state() {
        CircleAvailability::Up if entry.source == CircleSource::Scratch => None,
        // It may have ended and come up again between two reports.
        CircleAvailability::Up if was == CircleAvailability::Up && entry.restarts() > before.restarts => {
            Some(StatusChange::Restarted)
        }
        CircleAvailability::Up if was != CircleAvailability::Up || before.pid != entry.pid() => {
            Some(StatusChange::CameUp)
        }
        // Failures from before this screen was opened are no news.
        CircleAvailability::Up if entry.refused().is_some() && !before.has_refused => Some(StatusChange::Refused),
        CircleAvailability::BackingOff | CircleAvailability::Failed
            if matches!(was, CircleAvailability::Up | CircleAvailability::Starting) =>
        {
            Some(StatusChange::Failed)
        }
        CircleAvailability::Failed if was == CircleAvailability::BackingOff => Some(StatusChange::Failed),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use launcher::{CircleState as Supervised, CircleStatus};
    use protocol::methods::Access;

    use super::{
        super::{ProbeResult, rows},
        *,
    };

    fn status(state: Supervised, pid: Option<u32>, restarts: u32) -> CircleStatus {
        serde_json::from_value(serde_json::json!({
            "name": "lab", "url": "ws://127.0.0.1:9", "state": state, "pid": pid, "restarts": restarts,
            "uptime_s": pid, "access": Access::Open, "connections": null,
            "why": "exit 1",
        }))
        .expect("a status")
    }

    /// Reports of the supervisor or of a probe, one after the other, and what the pane shows then.
    #[test]
    fn entry_shows_the_state_that_the_supervisor_reports() {
        use ProbeResult::{Circle, Draining, Nothing, Other};
        type Reported = Result<Option<CircleStatus>, ProbeResult>;
        let reported = |state, pid, restarts| -> Reported { Ok(Some(status(state, pid, restarts))) };
        let cases: Vec<(Vec<Reported>, &str, &str, Option<StatusChange>)> = vec![
            (vec![], "·", "", None),
            (vec![Err(Nothing)], "○", "down", None),
            (vec![Err(Circle)], "●", "up", None),
            (vec![Err(Draining)], "◑", "stopping", None),
            (vec![Err(Other)], "✗", "taken", None),
            (vec![reported(Supervised::Starting, Some(1), 0)], "◐", "starting", None),
            (vec![reported(Supervised::Ready, Some(7), 0)], "●", "7s", Some(StatusChange::CameUp)),
            // The supervisor knows better what it runs.
            (vec![reported(Supervised::Ready, Some(7), 0), Err(Nothing)], "●", "7s", None),
            (vec![reported(Supervised::Ready, Some(7), 0), reported(Supervised::Ready, Some(7), 0)], "●", "7s", None),
            (
                vec![reported(Supervised::Ready, Some(7), 0), reported(Supervised::Ready, Some(8), 1)],
                "●",
                "8s ↻1",
                Some(StatusChange::Restarted),
            ),
            (
                vec![reported(Supervised::Ready, Some(7), 0), reported(Supervised::Ready, Some(9), 0)],
                "●",
                "9s",
                Some(StatusChange::CameUp),
            ),
            (
                vec![reported(Supervised::Ready, Some(7), 0), reported(Supervised::BackingOff, None, 0)],
                "✗",
                "↻1",
                Some(StatusChange::Failed),
            ),
            (
                vec![reported(Supervised::Starting, Some(7), 0), reported(Supervised::Failed, None, 0)],
                "✗",
                "failed",
                Some(StatusChange::Failed),
            ),
            (
                vec![reported(Supervised::BackingOff, None, 3), reported(Supervised::Failed, None, 3)],
                "✗",
                "failed",
                Some(StatusChange::Failed),
            ),
            // The failure stays visible when the probe finds nothing, but a circle that runs elsewhere is up.
            (vec![reported(Supervised::Failed, None, 0), Err(Nothing)], "✗", "failed", None),
            (vec![reported(Supervised::Failed, None, 0), Err(Circle)], "●", "up", None),
            (vec![reported(Supervised::Draining, Some(7), 0), reported(Supervised::Down, None, 0)], "○", "down", None),
            // The supervisor is gone, and its circle drains.
            (vec![reported(Supervised::Ready, Some(7), 0), Ok(None)], "·", "", None),
            (vec![reported(Supervised::Ready, Some(7), 0), Ok(None), Err(Draining)], "◑", "stopping", None),
        ];
        for (reports, mark, label, last) in cases {
            let (mut entry, now, mut changed) =
                (CircleItem::new("lab".into(), "ws://127.0.0.1:9".into(), CircleSource::Config), Instant::now(), None);
            for report in reports.clone() {
                let before = PreviousState::of(&entry);
                changed = None;
                match report {
                    Ok(status) => {
                        entry.take(status, now);
                        changed = detect_change(&entry, before);
                    }
                    Err(listening) if !entry.is_supervised() => entry.probe_result = Some(listening),
                    Err(_) => {}
                }
            }
            assert_eq!((rows::state_label(&entry, now), changed), ((mark, label.to_owned()), last), "{reports:?}");
        }
    }
}
