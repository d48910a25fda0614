//! The entry point of every process, which selects its role. Runs in the program and in all processes that run the same
//! executable.

use std::sync::atomic::{AtomicU8, Ordering};

use crate::{child, engine, message::Role, system::os};

const MISSING: u8 = 0;
const DONE: u8 = 1;
const TOO_LATE: u8 = 2;

static PREPARATION: AtomicU8 = AtomicU8::new(MISSING);

/// Whether the executable of this program can serve as a worker and as a fork server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Preparation {
    /// The program has not called [`run_if_worker`].
    Missing,
    /// The program has called [`run_if_worker`] after it had started a thread, such as those of `#[tokio::main]`. A process
    /// with several threads cannot be a fork server.
    TooLate,
    /// The program has called [`run_if_worker`] first.
    Done,
}

/// Returns whether the executable of this program can serve as a worker and as a fork server.
pub fn preparation() -> Preparation {
    match PREPARATION.load(Ordering::Relaxed) {
        MISSING => Preparation::Missing,
        TOO_LATE => Preparation::TooLate,
        _ => Preparation::Done,
    }
}

/// Whether this process has several threads; false if the system does not say.
fn has_several_threads() -> bool {
    std::fs::read_dir("/proc/self/task").is_ok_and(|tasks| tasks.count() > 1)
}

/// Runs the worker or the [fork server](crate::ForkServer) and exits, if this process is one; otherwise returns
/// immediately.
///
/// Call it first in `main`, before any thread or runtime exists (so not in a function with `#[tokio::main]`).
///
/// # Examples
///
/// ```no_run
/// fn main() -> std::io::Result<()> {
///     worker::run_if_worker();
///     let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
///     runtime.block_on(async { Ok(()) })
/// }
/// ```
pub fn run_if_worker() {
    run_if_worker_with(|_| {});
}

/// Like [`run_if_worker`], with native functions and types of the program for its scripts.
///
/// Each worker calls `natives` for each of its engines. Native functions run inside the sandbox and can only compute.
///
/// Three native functions say how values of a type of the program appear everywhere: in `print`, in the output and the
/// value of a play, in the list of variables, and as arguments of host functions. Without `to_string` and `to_debug`
/// their text is the name of the type. Without `to_json` their text is their JSON, and they cannot be arguments.
///
/// ```no_run
/// #[derive(Clone)]
/// struct Money(i64);
///
/// worker::run_if_worker_with(|engine| {
///     engine
///         .register_type_with_name::<Money>("Money")
///         .register_fn("money", Money)
///         // The text of a value, and the text inside of an array or a map.
///         .register_fn("to_string", |money: &mut Money| format!("{} cents", money.0))
///         .register_fn("to_debug", |money: &mut Money| format!("money({})", money.0))
///         // A JSON text.
///         .register_fn("to_json", |money: &mut Money| money.0.to_string());
/// });
/// ```
///
/// A [fork server](crate::ForkServer) calls `natives` once, before the first fork. Its workers inherit copies of the
/// state of the functions, so random numbers drawn by `natives` are the same in all of them. A thread started by
/// `natives` makes the fork server unusable.
pub fn run_if_worker_with(natives: fn(&mut rhai::Engine)) {
    engine::set_natives(natives);
    let role = Role::of_this_process();
    PREPARATION.store(if role.is_none() && has_several_threads() { TOO_LATE } else { DONE }, Ordering::Relaxed);
    if role.is_some() {
        os::reset_signals();
    }
    let done = match role {
        Some(Role::Worker) => child::run_worker(),
        Some(Role::ForkServer) => child::run_fork_server(),
        None => return,
    };
    // There is no one to report the error to here; the parent process sees the exit code.
    os::exit_now(i32::from(done.is_err()));
}
