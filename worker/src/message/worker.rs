//! The messages between the server and a worker, on two sockets: *work* carries plays and their results, *control*
//! carries messages that must not wait for plays.

use serde::{Deserialize, Serialize};

use super::{
    host::{HostCall, HostReturn},
    layer::Layer,
    play::{EvalOutcome, Play, Print, ProgressReport},
    query::{NumberedQuery, QueryAnswer},
    setup::WorkerSetup,
};

/// Identifies the build: a worker of another build would misread the messages.
pub(crate) const BUILD: &str = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"));

/// The first message on the work socket.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Hello<'a> {
    pub(crate) build: &'a str,
    pub(crate) setup: WorkerSetup,
}

/// A later message on the work socket, to the worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToWorker<'a> {
    #[serde(borrow)]
    Play(Play<'a>),
    /// A query between plays, which can be answered with values.
    Query(NumberedQuery),
    /// The result of a host call, for which the play waits.
    Return { call: u64, returned: HostReturn },
}

/// A message on the work socket, from the worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromWorker {
    /// The first message: the worker is sealed with these layers.
    Sealed(Vec<Layer>),
    Print(Print),
    /// A host call, for whose result the play waits.
    HostCall(HostCall),
    Done {
        play: u64,
        outcome: EvalOutcome,
    },
    Answer {
        number: u64,
        answer: QueryAnswer,
    },
}

/// A message on the control socket, from the worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromControl {
    Progress(ProgressReport),
    Answer { number: u64, answer: QueryAnswer },
}

/// A message on the control socket, to the worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToControl {
    /// Stop a play, now or as soon as it begins.
    Stop { play: u64 },
    /// Request a [`ProgressReport`].
    Progress,
    /// A query while a play runs.
    Query(NumberedQuery),
}
