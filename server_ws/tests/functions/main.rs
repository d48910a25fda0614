//! Functions and roles of a circle over real sockets and real workers. This is a program of its own, because workers are
//! started from the program's own executable.

mod ends;
mod fairness;
#[cfg(feature = "nats")]
mod machines;
mod model;
#[cfg(feature = "nats")]
#[expect(dead_code, reason = "these tests need only a part of it")]
#[path = "../../../worker_nats/tests/nats/server.rs"]
mod nats;
mod privilege;
mod reload;
mod runner;
mod shop;
mod store;
#[path = "../../../tests/support/wire.rs"]
#[expect(dead_code, reason = "these tests need only a part of it")]
mod wire;
mod workers;

use std::time::Duration;

use runner::Test;

#[global_allocator]
static ALLOCATOR: worker::Allocator = worker::Allocator;

/// Bounds every wait: reaching it is a failure, never a way to pass.
const WAIT_TIMEOUT: Duration = Duration::from_mins(1);

fn main() {
    worker::run_if_worker();
    let mut tests =
        [privilege::TESTS, ends::TESTS, fairness::TESTS, reload::TESTS, workers::TESTS, &store::tests()].concat();
    #[cfg(feature = "nats")]
    tests.extend(machines::TESTS);
    runner::run(tests);
}
