//! Subscriptions over real sockets, with real workers that commit. This is a program of its own, because workers are
//! started from the program's own executable.

mod crowd;
mod delivery;
mod params;
mod resume;
mod rights;
#[path = "../functions/runner.rs"]
mod runner;
#[path = "../functions/shop.rs"]
#[expect(dead_code, reason = "these tests need only a part of it")]
mod shop;
mod slow;
mod support;
#[path = "../../../tests/support/wire.rs"]
#[expect(dead_code, reason = "these tests need only a part of it")]
mod wire;

use std::time::Duration;

use runner::Test;

#[global_allocator]
static ALLOCATOR: worker::Allocator = worker::Allocator;

/// Bounds every wait: reaching it is a failure, never a way to pass.
const WAIT_TIMEOUT: Duration = Duration::from_mins(1);

fn main() {
    worker::run_if_worker();
    runner::run([delivery::TESTS, params::TESTS, resume::TESTS, rights::TESTS, slow::TESTS, crowd::TESTS].concat());
}
