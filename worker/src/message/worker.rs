//! The messages between the server and a worker: the *work* pipes carry plays and their results, in order; the *control*
//! socket carries messages that must not wait for plays.

use serde::{Deserialize, Serialize};

use super::{
    call::CallMessage,
    host::{HostCall, HostReturn},
    layer::Layer,
    named_value::NamedValue,
    play::{EvalOutcome, Play, Print, ProgressReport},
    query::{NumberedQuery, QueryAnswer},
    setup::WorkerSetup,
};

/// Identifies the build by a digest of the crate's sources: a worker of another build would misread the messages.
pub const BUILD: &str = concat!(env!("CARGO_PKG_VERSION"), " ", env!("CIRCLES_WORKER_SOURCES"));

/// The first message on the work pipe.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Hello<'a> {
    pub(crate) build: &'a str,
    pub(crate) setup: WorkerSetup,
}

/// A later message on the work pipe to the worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToWorker<'a> {
    #[serde(borrow)]
    Play(Play<'a>),
    Call(CallMessage<'a>),
    /// A query between plays, which can be answered with values.
    Query(NumberedQuery),
    /// The result of a host call, for which the play waits.
    Return {
        call: u64,
        returned: HostReturn,
    },
    /// The constants of the following plays, besides those of the setup.
    Constants(Vec<NamedValue>),
    /// The numbers of the host functions that scripts do not see, from the next play or query on.
    HiddenFunctions(Vec<u32>),
    /// Values to assign to variables, before the next play.
    Inputs(Vec<NamedValue>),
}

/// A message on the work pipe from the worker.
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
        /// Number of live bytes beyond the baseline.
        live_bytes: u64,
    },
    Answer {
        number: u64,
        answer: QueryAnswer,
    },
}

/// A message on the control socket, from the worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromControl {
    /// The answer to [`ToControl::Stop`] and [`ToControl::Hold`]: the last play that has begun, 0 if none has.
    Begun {
        play: u64,
    },
    Progress(ProgressReport),
    Answer {
        number: u64,
        answer: QueryAnswer,
    },
}

/// A message on the control socket, to the worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToControl {
    /// Stop a play, or do not run it if it has not begun.
    Stop {
        play: u64,
    },
    /// Begin none of the sent plays up to this one, until [`Resume`](Self::Resume).
    Hold {
        until: u64,
    },
    Resume,
    /// Request a [`ProgressReport`].
    Progress,
    /// A query while a play runs.
    Query(NumberedQuery),
}
