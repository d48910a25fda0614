//! Rhai in a process of its own, for programs that run other people's scripts.
//!
//! One [`Worker`] is one environment: its variables, functions, closures and imports last from play to play, and no
//! other worker sees them. It is a process started from the program's own executable, so a script that exhausts its
//! stack or its memory ends that process and nothing else. Limits and time are decided by the program that holds the
//! [`Worker`], which trusts nothing that the process says.
//!
//! ```no_run
//! use worker::{Event, Outcome, Play, Program, Setup, Worker};
//!
//! // First thing in `main`, before any thread or runtime: in the worker process this never returns.
//! worker::run_if_worker();
//!
//! # async fn example() -> std::io::Result<()> {
//! let setup = Setup { circle: "example".into(), ..Setup::default() };
//! let mut worker = Worker::start(Program::SameExecutable, setup).await?;
//! worker.play(&Play { number: 1, script: "print(`hi`); 40 + 2", bind: None, caller: None });
//! loop {
//!     match worker.event().await {
//!         Event::Print(print) => println!("{}", print.text),
//!         Event::Done { outcome: Outcome::Value(value), .. } => break println!("{}", value.output),
//!         Event::Done { outcome, .. } => break eprintln!("{outcome:?}"),
//!         Event::Lost(loss) => break eprintln!("the process ended: {loss:?}"),
//!         _ => {}
//!     }
//! }
//! # Ok(()) }
//! ```
//!
//! Who wants many workers of one setup has a [`Template`], from which they are forked: it runs the setup's own script once,
//! and a worker is there in a fraction of the time.
//!
//! What holds: a play's operations, call depth, expression depth, output and sizes are limited inside the process;
//! [`Worker::stop`] ends an interruptible play and keeps the environment; [`Worker::kill`] ends any; dropping the
//! [`Worker`] ends its process, and so does the end of the program, however it comes. Where the program's allocator is
//! [`Allocator`], the process's memory is bounded. On Linux (`x86_64`, aarch64, riscv64) the process can open, connect to,
//! start and signal nothing from before its first script on; [`Worker::layers`] says whether that holds. Without it the
//! process runs with the rights of its user. Run it on Unix only.
//!
//! For scripts that are trusted there is the same worker without a process: [`Worker::start_on_threads`].
//!
//! # Which process runs what
//!
//! All processes run the program's executable; `entry` tells them apart by their first argument.
//!
//! ```text
//! the program                  parent/    holds workers, trusts none of them, evaluates nothing
//! ├─ a worker, started anew    child/     evaluates scripts, sealed
//! └─ a fork server             child/     prepares a worker, then forks, kills and reaps
//!    ├─ a worker, forked       child/     evaluates scripts, sealed; its sockets lead straight to the program
//!    └─ …
//! ```
//!
//! `parent/` and `child/` know nothing of each other but `message/`, what passes between them. A worker's session is in
//! `child/`; what scripts may do is in `engine/`, and what can be asked beside plays in `inspection/`. `threads` puts both
//! sides into the program. `system/` is what any process asks of the operating system.

mod child;
mod engine;
mod entry;
mod inspection;
mod message;
mod parent;
mod system;
mod threads;

pub use engine::{module_names, modules_digest};
pub use entry::{is_prepared, run_if_worker, run_if_worker_with};
pub use message::{
    Candidate, CandidateKind, Completion, ErrorKind, EvalOutcome, FunctionDoc, FunctionEntry, HOST_ERROR, HostCall,
    HostError, HostFunction, HostModule, HostReturn, Layer, LimitKind, MAX_CANDIDATES, Origin, Play, PlayValue,
    Position, Print, ProgressReport, Query, QueryAnswer, ScopeListing, ScriptError, ScriptProgress, Stream,
    VariableEntry, WorkerLimits, WorkerSetup,
};
pub use parent::{ForkServer, HostNameError, Loss, Program, Worker, WorkerEvent};
pub use rhai;
pub use system::{
    allocator::{Allocator, limit_arenas, return_freed_memory},
    environment::take_variable,
    os::{keep_descriptors, unblock_signals},
};
