//! The runner of tests that are a program of their own, because workers are started from the program's own executable.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// A test with its name.
pub(crate) type Test = (&'static str, fn());

/// Runs the tests whose names contain the first argument.
pub(crate) fn run(tests: Vec<Test>) {
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
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
