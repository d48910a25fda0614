//! Processes that are killed with SIGKILL.

use std::cell::Cell;

use history::Random;
use rustix::process::{Pid, Signal, kill_process};

use crate::support::{background::BackgroundCircles, eventually, process::children};

/// The processes of a circle.
pub(super) trait Victims {
    /// Returns the processes that fork the workers.
    fn fork_servers(&self) -> Vec<Pid>;

    /// Kills the circle's process, and starts it again. Returns false if it cannot be killed.
    fn kill_circle(&self) -> bool;

    /// Kills a worker, or sometimes the process that forks workers. Returns false if there is none.
    fn kill_worker(&self, random: &mut Random) -> bool {
        let fork_servers = self.fork_servers();
        let is_worker = !random.one_in(8);
        let victims = if is_worker { fork_servers.into_iter().flat_map(children).collect() } else { fork_servers };
        // It may have ended already.
        !victims.is_empty() && kill_process(victims[random.below(victims.len())], Signal::KILL).is_ok()
    }
}

/// The processes of a circle under its supervisor.
pub(super) struct BackgroundVictims<'circles> {
    circles: &'circles BackgroundCircles,
    name: &'static str,
    /// Whether the supervisor has restarted the circle without a command.
    was_restarted: Cell<bool>,
}

impl<'circles> BackgroundVictims<'circles> {
    pub(super) fn new(circles: &'circles BackgroundCircles, name: &'static str) -> Self {
        Self { circles, name, was_restarted: Cell::new(false) }
    }

    /// The circle's process; `None` while the supervisor waits before it starts one.
    fn process(&self) -> Option<Pid> {
        let pid = self.circles.status(self.name)["pid"].as_i64()?;
        Pid::from_raw(pid.try_into().expect("a pid"))
    }
}

impl Victims for BackgroundVictims<'_> {
    fn fork_servers(&self) -> Vec<Pid> {
        self.process().map(children).unwrap_or_default()
    }

    fn kill_circle(&self) -> bool {
        let Some(killed) = self.process() else { return false };
        // It may have ended already.
        let is_killed = kill_process(killed, Signal::KILL).is_ok();
        let was_restarted = self.was_restarted.replace(true);
        eventually(|| {
            if self.process().is_some_and(|process| process != killed) {
                return Ok(());
            }
            // The supervisor delays each restart twice as long as the one before; `up` starts the circle at once. It fails
            // if the supervisor notices the kill only now.
            if was_restarted {
                self.circles.run(&["up"]);
            }
            Err("the circle is down")
        });
        is_killed
    }
}
