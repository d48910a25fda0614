//! Sandboxed Rhai workers: script evaluation in separate processes, for programs that run untrusted scripts.
//!
//! A [`Pool`] hands out [`Session`]s. Each one has a worker of its own: its variables, functions, closures and imports
//! persist between runs, and no other worker can access them. A run has typed inputs, host functions, a time limit and a
//! typed result; see [`Pool`] for a complete program.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let pool = worker::Pool::builder().start().await?;
//! let mut session = pool.checkout().await?;
//! let sum: i64 = session.run("numbers.reduce(|sum, n| sum + n, 0)").input("numbers", [1, 2, 3]).await?;
//! # Ok(()) }
//! ```
//!
//! # One level below
//!
//! A [`Worker`] is a process that runs the program's own executable, so a script that exhausts its stack or its memory
//! ends only that process. The program that owns the [`Worker`] sets limits and timeouts, and validates all messages of
//! the process. A [`ForkServer`] runs the init script once, and forks workers in a fraction of the time.
//!
//! ```no_run
//! use worker::{EvalOutcome, Play, Program, Worker, WorkerEvent, WorkerSetup};
//!
//! // Call this first in `main`, before any thread or runtime. In a worker process it never returns.
//! worker::run_if_worker();
//!
//! # async fn example() -> std::io::Result<()> {
//! let mut worker = Worker::start(Program::SameExecutable, WorkerSetup::default()).await?;
//! worker.play(&Play { number: 1, script: "print(`hi`); 40 + 2", name: None, bind: None });
//! loop {
//!     match worker.event().await {
//!         WorkerEvent::Print(print) => println!("{}", print.text),
//!         WorkerEvent::Done { outcome: EvalOutcome::Value(value), .. } => break println!("{}", value.output),
//!         WorkerEvent::Done { outcome, .. } => break eprintln!("{outcome:?}"),
//!         WorkerEvent::Lost(loss) => break eprintln!("the process ended: {loss:?}"),
//!         _ => {}
//!     }
//! }
//! # Ok(()) }
//! ```
//!
//! Guarantees:
//!
//! - The process limits a play's operations, call depth, expression depth, output and sizes.
//! - [`Worker::stop`] ends an interruptible play and keeps the environment; [`Worker::kill`] ends any play.
//! - The process ends when its [`Worker`] is dropped or the program ends, for whatever reason.
//! - If the program's global allocator is [`struct@Allocator`], the process's memory is bounded.
//! - On Linux (`x86_64`, aarch64, riscv64), the process is sealed before it evaluates a script: it cannot open files,
//!   connect, start processes or send signals. [`Worker::layers`] reports whether the seal is active. Without it, the
//!   process has the rights of its user.
//!
//! A worker can also [call](Worker::call) precompiled functions of script files ([`FunctionFiles`]).
//!
//! The crate supports only Unix. For trusted scripts, [`Worker::start_on_threads`] runs a worker on threads of the
//! program.
//!
//! # Processes and modules
//!
//! All processes run the program's executable; `entry` selects the role by the first argument.
//!
//! ```text
//! the program                  pool/      typed runs: sends scripts, answers host calls, watches the time
//! │                            parent/    owns workers, validates their messages, evaluates nothing
//! ├─ a fresh worker            child/     evaluates scripts, sealed
//! └─ a fork server             child/     prepares a worker, then forks, kills and reaps
//!    ├─ a forked worker        child/     evaluates scripts, sealed; its channels connect directly to the program
//!    └─ …
//! ```
//!
//! A handle and its worker can be on two machines: [`Worker::remote`], [`ForkServer::start_relayed`].
//!
//! `parent/` and `child/` share only `message/`, the messages between them. `child/` holds the session of a worker,
//! `engine/` the restrictions of scripts, and `inspection/` the queries. `host/` converts the values of host functions.
//! `threads` runs both sides in the program.
//! `system/` contains the calls of the operating system.

#![warn(clippy::missing_errors_doc)]

mod child;
mod engine;
mod entry;
mod host;
mod inspection;
mod message;
mod parent;
mod pool;
mod system;
mod threads;

pub use entry::{Preparation, preparation, run_if_worker, run_if_worker_with};
pub use host::{Arguments, Blob, CodedError, Internal};
pub use inspection::{DeclaredFunction, FunctionFileError, inspect_functions};
pub use message::{
    BLOB_MEMBER, BUILD, CALLER_NAME, CALLER_PUBLIC_KEY, CALLER_ROLE, CLOSURE, Call, Candidate, CandidateKind,
    Completion, ContentHash, ErrorKind, EvalOutcome, FunctionDoc, FunctionEntry, FunctionFile, FunctionFiles,
    HOST_ERROR, HostCall, HostError, HostFunction, HostModule, HostReturn, InvalidManifest, InvalidValue, Layer,
    LimitKind, MAX_CANDIDATES, Manifest, MissingText, ModuleSources, NO_FUNCTION, NamedValue, Origin, PRINT_COST, Play,
    PlayValue, Position, Print, ProgressReport, Query, QueryAnswer, ScopeListing, ScriptError, ScriptProgress, Stream,
    TextReference, TraceFrame, TraceSource, Value, VariableEntry, WorkerLimits, WorkerSetup,
};
pub use parent::{
    ForkServer, HostNameError, Loss, Program, RelayedChannel, RelayedProcess, RelayedWorker, RemoteCommands,
    RemotePeer, SpareWorker, Usage, UsageSample, Worker, WorkerChannel, WorkerEvent, module_names,
};
pub use pool::{Pool, PoolBuilder, Run, RunError, Session, StartError};
pub use rhai;
pub use system::{
    allocator::{Allocator, limit_arenas, return_freed_memory},
    environment::take_variable,
    os::{keep_descriptors, unblock_signals},
    usage::{machine_memory, process_memory},
};
