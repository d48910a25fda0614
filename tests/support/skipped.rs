//! Reports of skipped tests.

use std::{env, fs::OpenOptions, io::Write};

/// Variable with the path of a file, to which each skipped test adds a line. `tests/run` sets it and prints the lines.
const FILE_VARIABLE: &str = "CIRCLES_SKIPPED";

/// Reports that a test is skipped, and why. The test returns after that.
pub(crate) fn report(test: &str, why: &str) {
    let line = format!("skipped: {test}: {}\n", why.trim().replace('\n', " "));
    eprint!("{line}");
    if let Some(path) = env::var_os(FILE_VARIABLE) {
        // One write, so that lines of concurrent tests stay whole.
        let file = OpenOptions::new().append(true).create(true).open(path);
        file.and_then(|mut file| file.write_all(line.as_bytes())).expect("the file can be written");
    }
}
