//! What passes between the server and a worker, on two sockets: *work* carries plays and what comes of them, *control*
//! carries what must not wait behind them.

use serde::{Deserialize, Serialize};

use super::{
    host::{HostCall, HostReturn},
    layer::Layer,
    play::{EvalOutcome, Play, Print, ProgressReport},
    query::{NumberedQuery, QueryAnswer},
    setup::WorkerSetup,
};

/// Tells builds apart: a worker of another build would read the messages wrongly.
pub(crate) const BUILD: &str = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"));

/// The first message on the work socket.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Hello<'a> {
    pub(crate) build: &'a str,
    pub(crate) setup: WorkerSetup,
}

/// Every later message on the work socket towards the worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToWorker<'a> {
    #[serde(borrow)]
    Play(Play<'a>),
    /// Asked between plays, so that it can be answered with values.
    Query(NumberedQuery),
    /// Answers the call of a host function, for which the play waits.
    Return { call: u64, returned: HostReturn },
}

/// On the work socket, from the worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromWorker {
    /// First of all: it is sealed, and these hold.
    Sealed(Vec<Layer>),
    Print(Print),
    /// The play waits until it is answered.
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

/// On the control socket, from the worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromControl {
    Progress(ProgressReport),
    Answer { number: u64, answer: QueryAnswer },
}

/// On the control socket, towards the worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToControl {
    /// Ends that play, now or as soon as it begins.
    Stop { play: u64 },
    /// Asks for a [`ProgressReport`].
    Progress,
    /// Asked while a play runs.
    Query(NumberedQuery),
}
