//! Tests of pools: typed runs, and what hostile scripts, killed processes and dropped futures do to them. It has no test
//! harness, because workers run the program's own executable.

mod checkouts;
mod functions;
mod hostile;
mod losses;
mod processes;
mod runs;

use std::{alloc::System, time::Duration};

use worker::{Pool, PoolBuilder, Session, rhai::Engine};

// Wrapping the system's allocator is the same as wrapping another one.
#[global_allocator]
static ALLOCATOR: worker::Allocator<System> = worker::Allocator::new(System);

/// A native function that a stop does not reach.
fn natives(engine: &mut Engine) {
    engine.register_fn("hang", || {
        loop {
            std::hint::spin_loop();
        }
    });
}

/// Returns a pool with room for a few workers.
fn builder() -> PoolBuilder {
    // The tests must not depend on the speed of the machine: no time limit but those that they set.
    Pool::builder().max_workers(3).spare_workers(1).timeout(Duration::from_mins(10))
}

async fn pool() -> Pool {
    builder().start().await.expect("it starts")
}

async fn checkout(pool: &Pool) -> Session {
    pool.checkout().await.expect("a worker")
}

macro_rules! run_tests {
    ($($module:ident: $($name:ident),+;)+) => {{
        let filter = std::env::args().nth(1).filter(|filter| !filter.starts_with('-')).unwrap_or_default();
        let mut passed = 0;
        $($(
            let name = concat!(stringify!($module), "::", stringify!($name));
            if name.contains(&filter) {
                // A new runtime for each test, so that nothing of one remains for the next.
                let mut runtime = tokio::runtime::Builder::new_multi_thread();
                runtime.worker_threads(2).enable_all().build().expect("a runtime").block_on($module::$name());
                println!("test {name} ... ok");
                passed += 1;
            }
        )+)+
        println!("test result: ok. {passed} passed; 0 failed; pools of workers");
    }};
}

fn main() {
    worker::run_if_worker_with(natives);
    run_tests! {
        runs: values_inputs_and_prints_are_typed, errors_have_position_and_trace, inputs_are_never_code,
            invalid_inputs_are_errors, constants_and_init_are_for_every_session;
        functions: arguments_and_results_are_converted, blobs_and_codes_reach_both_sides, uncaught_error_is_host_function_error,
            panic_tells_script_nothing, hanging_function_is_dropped_at_time_limit, function_of_run_replaces_that_of_pool,
            large_result_is_a_limit, invalid_names_fail_start;
        hostile: endless_loop_is_stopped_and_session_kept, script_that_cannot_be_stopped_is_killed,
            memory_bombs_hurt_only_their_session, deep_recursion_is_a_limit, print_flood_is_bounded;
        losses: killed_worker_fails_its_run_only, killed_fork_server_is_replaced, replaced_fork_server_has_same_modules,
            fork_server_killed_between_checkouts_is_replaced, killed_spare_worker_is_replaced,
            failing_init_script_fails_start;
        checkouts: session_leaves_nothing_for_next, checkouts_wait_in_order_and_workers_are_bounded,
            dropped_checkout_gives_up_its_turn, dropped_run_is_stopped, dropped_run_that_cannot_be_stopped_is_killed,
            closed_pool_fails_waiting_checkouts, dropped_pool_ends_spare_workers;
    }
}
