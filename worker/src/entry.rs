//! The first step of every process: which role does it have? Runs in the program and in every process that the program
//! starts of itself.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::{child, engine, message::Role, system::os};

static IS_PREPARED: AtomicBool = AtomicBool::new(false);

/// Whether this program called [`run_if_worker`], so that it can be started as a worker.
pub fn is_prepared() -> bool {
    IS_PREPARED.load(Ordering::Relaxed)
}

/// In a worker process or the process of a [`Template`](crate::Template), runs it and ends the process; in any other process,
/// returns at once.
///
/// To be called first thing in `main`, before any thread or runtime exists.
pub fn run_if_worker() {
    run_if_worker_with(|_| {});
}

/// The same, with functions and types of the program's own for its scripts: `natives` is called in the worker, for each of
/// its engines. They run inside of the sandbox, and can only compute. In the process of a [`Template`](crate::Template) they make the
/// engine that each of its workers has a copy of: each worker has its own copy of what they hold, random numbers that they
/// draw are the same in all, and a thread that they start makes the template unusable.
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
    // Nobody can act on the error here; whoever started the process sees it end.
    os::exit_now(i32::from(done.is_err()));
}
