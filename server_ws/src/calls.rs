//! What runs for callers besides the scripts of plays: calls of host functions, the end of their transactions, and calls
//! of the circle's own functions.

mod call_context;
mod call_log;
mod call_stop;
mod cpu_budget;
mod function_call;
mod function_of_play;
mod host_calls;
mod once_request;
mod outcome;
mod play_end;
mod program_call;
mod store_calls;
mod store_outcome;
mod worker_call;

use std::time::Duration;

pub(crate) use call_context::{CallEnd, CallReport};
pub(crate) use call_log::log_finish;
pub(crate) use call_stop::CallStopper;
pub(crate) use cpu_budget::CpuBudget;
pub(crate) use function_call::{Callee, FunctionCall, FunctionCaller};
pub(crate) use host_calls::{CallAuthority, CallEvent, CallRejection, CallReturn, HostCalls, RunOrigin};
pub(crate) use outcome::{StopReason, lost_right_to_play, play_end, refusal};
pub(crate) use play_end::EndError;
pub(crate) use store_calls::RunStore;
pub(crate) use store_outcome::{commit_error, too_old};

/// The time for a script to stop, after which the circle kills its worker.
pub(crate) const STOP_GRACE_PERIOD: Duration = Duration::from_secs(1);

/// The delay of the first progress report.
pub(crate) const FIRST_PROGRESS_DELAY: Duration = Duration::from_millis(500);

/// The interval of progress reports.
pub(crate) const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);
