//! Subscriptions over real sockets, with real workers that commit. This is a program of its own, because workers are
//! started from the program's own executable.

mod crowd;
mod delivery;
mod params;
mod resume;
mod rights;
#[path = "../functions/shop.rs"]
#[expect(dead_code, reason = "these tests need only a part of it")]
mod shop;
mod slow;
mod support;
#[path = "../../../tests/support/wire.rs"]
#[expect(dead_code, reason = "these tests need only a part of it")]
mod wire;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

#[global_allocator]
static ALLOCATOR: worker::Allocator = worker::Allocator;

/// Bounds every wait: reaching it is a failure, never a way to pass.
const WAIT_TIMEOUT: Duration = Duration::from_mins(1);

type Test = (&'static str, fn());

fn main() {
    worker::run_if_worker();
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let tests = [delivery::TESTS, params::TESTS, resume::TESTS, rights::TESTS, slow::TESTS, crowd::TESTS].concat();
    let (mut passed, mut failed) = (0, 0);
    for (name, test) in tests {
        if !name.contains(&filter) {
            continue;
        }
        if catch_unwind(AssertUnwindSafe(test)).is_ok() {
            passed += 1;
        } else {
            failed += 1;
            println!("{name} FAILED");
        }
    }
    let result = if failed == 0 { "ok" } else { "FAILED" };
    println!("test result: {result}. {passed} passed; {failed} failed");
    assert_eq!(failed, 0);
}
