//! What happens to circles, as their supervisor tells it to the program that it is a part of.

use std::time::Duration;

use tokio::{sync::mpsc, task::JoinHandle};

use crate::ipc::{Heartbeat, Ready};

/// Events that wait to be taken, before the circles' logs are made to wait.
pub(crate) const MAX_QUEUED_EVENTS: usize = 256;

/// Something that happened to a circle.
#[derive(Debug)]
pub struct CircleEvent {
    /// Its name.
    pub circle: String,
    /// What happened.
    pub kind: CircleEventKind,
}

/// What can happen to a circle.
#[derive(Debug)]
#[non_exhaustive]
pub enum CircleEventKind {
    /// A process was started for it.
    Started {
        /// Its process id.
        pid: u32,
    },
    /// It wrote a line.
    Log(String),
    /// Its supervisor has something to say of it.
    Warning(String),
    /// Its supervisor has done what was wished.
    Info(String),
    /// It will be ready there in a moment.
    Listening(Ready),
    /// It takes connections.
    Ready,
    /// It has taken over what it was told to be, or why it goes on as it was.
    Configured {
        /// Of the times that it was told.
        generation: u64,
        /// For a person.
        refused: Option<String>,
    },
    /// It has given a sign of life.
    Heartbeat(Heartbeat),
    /// It is not to be had, and why.
    Ended {
        /// For a person.
        reason: String,
        /// When it is started again; never, without one.
        restart_in: Option<Duration>,
    },
}

/// What is going on with the circles, and their end.
#[derive(Debug)]
pub struct SupervisorHandle {
    /// What happens; ends with the circles. What is not taken costs lines of logs and nothing else.
    pub events: mpsc::Receiver<CircleEvent>,
    /// Done once every circle has ended; the names of those that failed by themselves for good.
    pub task: JoinHandle<Vec<String>>,
}
