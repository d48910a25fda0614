//! The errors of pools and of their runs.

use std::{fmt, io, time::Duration};

use crate::{
    message::{HostError, InvalidValue, LimitKind, ScriptError},
    parent::{HostNameError, Loss},
};

/// The reason why a run has no result, or a checkout no worker.
///
/// The session remains usable, and keeps its variables, after all errors but [`WorkerLost`](Self::WorkerLost) and a
/// [`TimedOut`](Self::TimedOut) whose script could not be stopped; [`Session::is_lost`](super::Session::is_lost) tells.
#[derive(Debug)]
#[non_exhaustive]
pub enum RunError {
    /// The script does not parse, or failed while it ran: its position, and the traceback.
    Script(Box<ScriptError>),
    /// A host function failed, and the script did not catch its error.
    HostFunction {
        /// The function's name in scripts.
        function: String,
        /// The function's error.
        error: HostError,
        /// The same error as the script's, with the position of the call and the traceback.
        script: Box<ScriptError>,
    },
    /// The script exceeded a limit.
    Limit {
        /// The limit.
        kind: LimitKind,
        /// The limit's value, in the unit of [`WorkerLimits`](crate::WorkerLimits); for the depth of a value, 64.
        max: u64,
    },
    /// The script exceeded its time limit, and was stopped. Changes that it had made are kept.
    TimedOut {
        /// The time limit.
        after: Duration,
    },
    /// The worker process ended, and the variables of the session are lost.
    WorkerLost(Loss),
    /// An input cannot be passed to the script, which did not run.
    Input(InvalidValue),
    /// A function for this run replaces none of the pool's functions. The script did not run.
    UnknownFunction {
        /// The name.
        name: String,
    },
    /// The script ran, and its value does not have the requested type.
    Value {
        /// The requested type.
        expected: &'static str,
        /// What does not fit.
        reason: String,
    },
    /// No worker could be started.
    Start(io::Error),
    /// The pool is closed.
    PoolClosed,
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Script(error) => write!(f, "the script failed: {error}"),
            Self::HostFunction { script, .. } => write!(f, "a host function failed: {script}"),
            Self::Limit { kind, max } => write!(f, "the script exceeded its limit of {max} {kind}"),
            Self::TimedOut { after } => write!(f, "the script ran longer than its time limit of {after:?}"),
            Self::WorkerLost(loss) => {
                write!(f, "the worker process ended: {loss}; check out another worker to try again")
            }
            Self::Input(error) => error.fmt(f),
            Self::UnknownFunction { name } => {
                write!(f, "no function {name} with this number of parameters: declare it in the pool's builder")
            }
            Self::Value { expected, reason } => write!(f, "the script's value is not a {expected}: {reason}"),
            Self::Start(error) => write!(f, "no worker could be started: {error}"),
            Self::PoolClosed => f.write_str("the pool of workers is closed"),
        }
    }
}

impl std::error::Error for RunError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Script(error) | Self::HostFunction { script: error, .. } => Some(error),
            Self::Input(error) => Some(error),
            Self::Start(error) => Some(error),
            _ => None,
        }
    }
}

/// The reason why a pool cannot start.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The program has not called [`run_if_worker`](crate::run_if_worker).
    NotPrepared,
    /// The program has called [`run_if_worker`](crate::run_if_worker) after it had started a thread.
    PreparedTooLate,
    /// Scripts could not call a host function by its name.
    HostName(HostNameError),
    /// A constant cannot be passed to scripts.
    Constant(InvalidValue),
    /// This system cannot seal processes, and [`PoolBuilder::allow_unsealed`](super::PoolBuilder::allow_unsealed) was not
    /// set.
    NoSandbox,
    /// The first worker could not run an empty script: it could not be started, or the init script failed.
    FirstWorker(RunError),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPrepared => f.write_str(
                "workers run this program's executable, which is not prepared for it: \
                 call worker::run_if_worker() first in main",
            ),
            Self::PreparedTooLate => f.write_str(
                "worker::run_if_worker() was called after another thread had been started: call it first in main, and \
                 start the runtime after it (not #[tokio::main], which starts one before)",
            ),
            Self::HostName(error) => error.fmt(f),
            Self::Constant(error) => error.fmt(f),
            Self::NoSandbox => f.write_str(
                "this system cannot filter system calls (seccomp on Linux), so scripts would have the rights of this \
                 process: call allow_unsealed(true) if that is intended",
            ),
            Self::FirstWorker(error @ RunError::Start(_)) => write!(
                f,
                "{error}; worker::run_if_worker() must come first in main, before any thread or runtime, so not in a \
                 function with #[tokio::main]"
            ),
            Self::FirstWorker(error) => write!(f, "the init script: {error}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::HostName(error) => Some(error),
            Self::Constant(error) => Some(error),
            Self::FirstWorker(error) => Some(error),
            Self::NotPrepared | Self::PreparedTooLate | Self::NoSandbox => None,
        }
    }
}
