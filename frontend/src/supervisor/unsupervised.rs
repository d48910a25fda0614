//! What runs of a circles.json without a supervisor that could say so.

use std::time::{Duration, Instant};

use launcher::{CircleConfig, CircleState, CircleStatus, port, supervisor_files::SupervisorFiles};

use crate::error::CliError;

/// What circles' processes are called.
const PROCESS_NAME: &str = "circles";

/// How long circles that a supervisor has left behind may take to end: they drain, and are then ended.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(15);

/// How often it is looked whether they have.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// How a circle is while no supervisor runs. Reads `/proc`, so it may take a few milliseconds.
pub fn status(place: &SupervisorFiles, circle: &CircleConfig) -> CircleStatus {
    let mut status = CircleStatus::down(circle);
    if place.is_circle_running(&circle.name).unwrap_or_default() {
        status.state = CircleState::Draining;
        status.why = Some("its supervisor has ended, so it drains and ends".into());
    } else if let Some(owner) = owner(circle) {
        status.why = Some(port_taken_text(circle, &owner));
    }
    status
}

fn owner(circle: &CircleConfig) -> Option<port::PortOwner> {
    if circle.address.port() == 0 { None } else { port::find_owner(circle.address) }
}

/// Waits for the end of circles that a supervisor has left behind. Blocks.
///
/// # Errors
///
/// One of them has not ended.
pub fn wait_for_end(place: &SupervisorFiles, circles: &[CircleConfig]) -> Result<(), CliError> {
    let deadline = Instant::now() + DRAIN_TIMEOUT;
    for circle in circles {
        while place.is_circle_running(&circle.name)? {
            if Instant::now() >= deadline {
                let why = format!("its supervisor has ended, and it has not, after {} s", DRAIN_TIMEOUT.as_secs());
                return Err(CliError::supervisor(
                    format!("'{}' is not down", circle.name),
                    why,
                    "see what holds it up: ps; end it",
                ));
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }
    Ok(())
}

/// What is to be said of circles that nobody supervises and whose ports other processes of this program have.
pub fn stray_process_notes(circles: &[CircleConfig]) -> impl Iterator<Item = String> {
    circles.iter().filter_map(|circle| {
        let owner = owner(circle).filter(|owner| owner.name == PROCESS_NAME)?;
        let (name, taken) = (&circle.name, port_taken_text(circle, &owner));
        Some(format!("{name} is not ended: {taken}; to end that: kill {}", owner.pid))
    })
}

fn port_taken_text(circle: &CircleConfig, owner: &port::PortOwner) -> String {
    format!("port {} is taken by {owner}, which no supervisor of this circles.json runs", circle.address.port())
}
