//! What happens to circles, as their supervisor tells it to the program that it is a part of.

use std::time::Duration;

use tokio::{sync::mpsc, task::JoinHandle};

use crate::link::{Figures, Ready};

/// Events that wait to be taken, before the circles' logs are made to wait.
pub(crate) const EVENTS: usize = 256;

/// Something that happened to a circle.
#[derive(Debug)]
pub struct Event {
    /// Its name.
    pub circle: String,
    /// What happened.
    pub what: Happened,
}

/// What can happen to a circle.
#[derive(Debug)]
#[non_exhaustive]
pub enum Happened {
    /// A process was started for it.
    Started {
        /// Its process id.
        pid: u32,
    },
    /// It wrote a line.
    Log(String),
    /// Its supervisor has something to say of it.
    Note(String),
    /// Its supervisor has done what was wished.
    Done(String),
    /// It will be ready there in a moment.
    Listening(Ready),
    /// It takes connections.
    Ready,
    /// It has taken over what it was told to be, or why it goes on as it was.
    Configured {
        /// Of the times that it was told.
        number: u64,
        /// For a person.
        refused: Option<String>,
    },
    /// It has given a sign of life.
    Figures(Figures),
    /// It is not to be had, and why.
    Ended {
        /// For a person.
        why: String,
        /// When it is started again; never, without one.
        again_in: Option<Duration>,
    },
}

/// What is going on with the circles, and their end.
#[derive(Debug)]
pub struct Supervision {
    /// What happens; ends with the circles. What is not taken costs lines of logs and nothing else.
    pub events: mpsc::Receiver<Event>,
    /// Done once every circle has ended; the names of those that failed by themselves for good.
    pub ended: JoinHandle<Vec<String>>,
}
