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

mod allocator;
mod cache;
mod child;
mod compile;
mod engine;
mod environment;
mod failure;
mod handle;
mod host;
mod inspection;
mod message;
mod meter;
mod modules;
mod os;
mod pipe;
mod sandbox;
mod sizes;
mod template;
mod thread;
mod value;

pub use allocator::Allocator;
pub use child::{is_prepared, run_if_worker, run_if_worker_with};
pub use handle::{Event, Loss, Program, Worker};
pub use host::{HOST_ERROR, HostCall, HostError, HostFunction, HostModule, HostNameError, HostReturn};
pub use inspection::{
    Answer, Candidate, CandidateKind, Completion, FunctionDoc, FunctionEntry, Listing, MAX_CANDIDATES, Origin, Query,
    VariableEntry,
};
pub use message::{
    ErrorKind, LimitKind, Limits, Outcome, Play, Position, Print, ProgressReport, ScriptError, ScriptProgress, Setup,
    Stream, Value,
};
pub use modules::{module_names, modules_digest};
pub use os::keep_descriptors;
pub use rhai;
pub use sandbox::Layer;
pub use template::Template;
