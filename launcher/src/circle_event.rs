//! Events of circles, as the supervisor reports them to the program that runs it.

use std::time::Duration;

use tokio::{sync::mpsc, task::JoinHandle};

use crate::ipc::{Heartbeat, Ready};

/// Capacity of the event queue; when it is full, log lines are dropped and other events wait.
pub(crate) const MAX_QUEUED_EVENTS: usize = 256;

/// An event of one circle.
#[derive(Debug)]
pub struct CircleEvent {
    /// Name of the circle.
    pub circle: String,
    /// What happened.
    pub kind: CircleEventKind,
}

/// Kind of a [`CircleEvent`].
#[derive(Debug)]
#[non_exhaustive]
pub enum CircleEventKind {
    /// A process of the circle was started.
    Started {
        /// Process id.
        pid: u32,
    },
    /// The circle wrote a log line.
    Log(String),
    /// A warning of the supervisor about this circle.
    Warning(String),
    /// A report of the supervisor about this circle.
    Info(String),
    /// The circle recovers its store after a crash, before it is ready.
    Recovering {
        /// Share of the work that is done, from 0 to 100.
        percent: u8,
    },
    /// The circle listens at this address and is about to be ready.
    Listening(Ready),
    /// The circle accepts connections.
    Ready,
    /// The circle has applied a new configuration, or has refused it and keeps the previous one.
    Configured {
        /// Generation of the configuration that this answers.
        generation: u64,
        /// Why the circle refused it, as text for people.
        refused: Option<String>,
    },
    /// The circle has sent a heartbeat.
    Heartbeat(Heartbeat),
    /// The circle's process ended, or could not be started.
    Ended {
        /// Why, as text for people.
        reason: String,
        /// Delay until the restart; `None` if the circle is not restarted.
        restart_in: Option<Duration>,
    },
}

/// Handle of a running supervisor: its events and its task.
#[derive(Debug)]
pub struct SupervisorHandle {
    /// Events of the circles; closed when the supervisor ends. If they are not read, log lines are dropped and nothing
    /// else.
    pub events: mpsc::Receiver<CircleEvent>,
    /// Finishes when every circle has ended, with the names of the circles that have failed for good.
    pub task: JoinHandle<Vec<String>>,
}
