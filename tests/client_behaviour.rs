//! The behaviour of `client_ws`, natively. `web/tests/client.test.mjs` runs the same tests in a browser.

mod control;

use std::rc::Rc;

use client_behaviour::{Env, TESTS, for_each_test};
use tokio::{runtime::Builder, time::timeout};

use crate::support::WAIT_TIMEOUT;
use control::NativeControl;

/// Runs the test with this name.
fn run(module: &str, name: &str) {
    let (_, _, start) = TESTS.iter().find(|test| (test.0, test.1) == (module, name)).expect("a test of the table");
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let control = Rc::new(NativeControl::default());
    let outcome = runtime.block_on(async { timeout(WAIT_TIMEOUT, start(Env::new(control, None))).await });
    if let Err(failure) = outcome.expect("the test ends in time") {
        panic!("{failure:?}");
    }
}

macro_rules! tests {
    ($($module:ident { $($test:ident),* $(,)? })*) => { $(
        mod $module {
            $(
                #[test]
                fn $test() {
                    super::run(stringify!($module), stringify!($test));
                }
            )*
        }
    )* };
}

for_each_test!(tests);
