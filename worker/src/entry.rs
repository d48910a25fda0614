//! The entry point of every process, which selects its role. Runs in the program and in all processes that run the same
//! executable.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::{child, engine, message::Role, system::os};

static IS_PREPARED: AtomicBool = AtomicBool::new(false);

/// Whether this program has called [`run_if_worker`], so that it can be started as a worker.
pub fn is_prepared() -> bool {
    IS_PREPARED.load(Ordering::Relaxed)
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
    IS_PREPARED.store(true, Ordering::Relaxed);
    engine::set_natives(natives);
    let role = Role::of_this_process();
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
