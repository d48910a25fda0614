//! A program that starts its runtime before it calls `worker::run_if_worker`, as `#[tokio::main]` does.

use server_ws::{BuildError, Circle};
use worker::{Pool, StartError};

const ADVICE: &str = "call it first in main, and start the runtime after it (not #[tokio::main]";

fn main() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    worker::run_if_worker();
    let error = Circle::builder("late").build().expect_err("no worker can be forked");
    assert!(matches!(error, BuildError::WorkersTooLate) && error.to_string().contains(ADVICE), "{error}");
    let error = runtime.block_on(Pool::builder().start()).map(drop).expect_err("no worker can be forked");
    assert!(matches!(error, StartError::PreparedTooLate) && error.to_string().contains(ADVICE), "{error}");
    println!("test result: ok. 1 passed; 0 failed; 0 ignored; a late call is reported");
}
