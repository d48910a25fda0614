//! A process for each circle, started again when it ends, ended with its supervisor.
//!
//! A circle holds a socket to its supervisor as its standard input. It says *ready* there, then gives a sign of life every
//! second: one that hangs is killed and started again. It is told to drain there, and when the socket closes it does so, too: so
//! none outlives its supervisor, however that ends.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    task::{JoinHandle, JoinSet},
};

use crate::{
    Circle,
    definition::{Contents, Definition},
    life::{Files, Supervised, Told},
    link::Figures,
};

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
    /// It will be ready there in a moment.
    Listening(SocketAddr),
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

/// Starts circles and keeps them up until `shutdown` is done; then drains them all. It needs a tokio runtime with I/O and
/// time enabled.
pub fn supervise(
    circles: Vec<Circle>,
    program: &Path,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Supervision {
    let (to_listener, events) = mpsc::channel(EVENTS);
    let (stop, stopped) = watch::channel(false);
    let mut lives = JoinSet::new();
    for circle in circles {
        let (events, stopped) = (to_listener.clone(), stopped.clone());
        let (files, last_words) = (Files::default(), None);
        let (name, definition) = (circle.name.clone(), Definition { circle, contents: Contents::default() });
        let (_, told) = watch::channel(Told { number: 0, definition: Arc::new(definition) });
        let program = program.to_owned();
        lives.spawn(Supervised { name, told, program, files, events, stopped, last_words }.live());
    }
    let ended = tokio::spawn(async move {
        let all_ended = async {
            let mut failed = Vec::new();
            while let Some(life) = lives.join_next().await {
                failed.extend(life.ok().flatten());
            }
            failed
        };
        tokio::pin!(all_ended);
        tokio::select! {
            () = shutdown => {
                // Nobody is told where every circle has ended already.
                let _all_ended = stop.send(true);
                all_ended.await
            }
            failed = &mut all_ended => failed,
        }
    });
    Supervision { events, ended }
}
