//! The state of circles that run without a supervisor.

use std::time::{Duration, Instant};

use launcher::{CircleConfig, CircleState, CircleStatus, port, supervisor_files::SupervisorFiles};

use crate::error::CliError;

/// The name of the circles' processes.
const PROCESS_NAME: &str = "circles";

/// The timeout for circles whose supervisor has ended: they drain, and then end.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(15);

/// How often to check whether the circles have ended.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Returns the status of a circle while no supervisor is running. Reads `/proc`, which may take a few milliseconds.
pub fn status(files: &SupervisorFiles, circle: &CircleConfig) -> CircleStatus {
    let mut status = CircleStatus::down(circle);
    if files.is_circle_running(&circle.name).unwrap_or_default() {
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

/// Waits until circles whose supervisor has ended have ended as well. Blocks.
///
/// # Errors
///
/// Fails if a circle has not ended within 15 seconds.
pub fn wait_for_end(files: &SupervisorFiles, circles: &[CircleConfig]) -> Result<(), CliError> {
    let deadline = Instant::now() + DRAIN_TIMEOUT;
    for circle in circles {
        while files.is_circle_running(&circle.name)? {
            if Instant::now() >= deadline {
                let why = format!(
                    "its supervisor has ended, but the circle is still running after {} s",
                    DRAIN_TIMEOUT.as_secs()
                );
                return Err(CliError::supervisor(
                    format!("cannot stop '{}'", circle.name),
                    why,
                    "find what holds it up: ps; then end it",
                ));
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }
    Ok(())
}

/// Returns notes on unsupervised circles whose ports are taken by other processes of this program.
pub fn stray_process_notes(circles: &[CircleConfig]) -> impl Iterator<Item = String> {
    circles.iter().filter_map(|circle| {
        let owner = owner(circle).filter(|owner| owner.name == PROCESS_NAME)?;
        let (name, taken) = (&circle.name, port_taken_text(circle, &owner));
        Some(format!("{name} was not stopped: {taken}; to end that process: kill {}", owner.pid))
    })
}

fn port_taken_text(circle: &CircleConfig, owner: &port::PortOwner) -> String {
    format!("port {} is taken by {owner}, which no supervisor of this circles.json runs", circle.address.port())
}
