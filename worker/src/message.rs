//! The messages between the processes, and their framing. [`Hello`] ensures that both ends are the same build.
//!
//! Every process uses this module. It imports no other part of the crate, so that the server side
//! ([`parent`](crate::parent)) and the worker side ([`child`](crate::child)) share only these types.

mod call;
mod caller;
#[cfg(target_os = "linux")]
mod fork_server;
pub(crate) mod frame;
mod host;
mod layer;
mod manifest;
mod module_sources;
mod named_value;
mod play;
mod process_command;
mod query;
mod role;
mod setup;
mod trace;
mod value;
mod worker;

pub(crate) use call::CallMessage;
pub use call::{Call, FunctionFile, FunctionFiles, NO_FUNCTION};
pub use caller::{CALLER_NAME, CALLER_PUBLIC_KEY, CALLER_ROLE};
#[cfg(target_os = "linux")]
pub(crate) use fork_server::{FromForkServer, ToForkServer};
pub use host::{BLOB_MEMBER, HOST_ERROR, HostCall, HostError, HostFunction, HostModule, HostReturn};
pub use layer::Layer;
pub use manifest::{ContentHash, InvalidManifest, Manifest, MissingText, TextReference};
pub use module_sources::ModuleSources;
pub use named_value::{InvalidValue, NamedValue};
pub use play::{
    ErrorKind, EvalOutcome, LimitKind, Play, PlayValue, Position, Print, ProgressReport, ScriptError, ScriptProgress,
    Stream,
};
pub(crate) use process_command::ProcessCommand;
pub use query::{
    Candidate, CandidateKind, Completion, FunctionDoc, FunctionEntry, MAX_CANDIDATES, Origin, Query, QueryAnswer,
    ScopeListing, VariableEntry,
};
pub(crate) use query::{ENTRY_COST, NumberedQuery};
pub(crate) use role::Role;
pub use setup::{PRINT_COST, WorkerLimits, WorkerSetup};
pub use trace::{CLOSURE, TraceFrame, TraceSource};
pub use value::Value;
pub use worker::BUILD;
pub(crate) use worker::{FromControl, FromWorker, Hello, ToControl, ToWorker};
