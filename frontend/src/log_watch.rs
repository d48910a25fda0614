//! Watches a directory of log files for changes.

use std::path::Path;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use crate::error::CliError;

/// Calls `on_change` whenever a file in a directory changes, until the watcher is dropped.
pub fn watch(directory: &Path, on_change: impl Fn() + Send + 'static) -> Result<RecommendedWatcher, CliError> {
    let failed = |error: notify::Error| {
        CliError::usage(
            format!("cannot follow the logs in {}", directory.display()),
            error.to_string(),
            "leave out -f to show the logs as they are now",
        )
    };
    let is_relevant = |event: &notify::Event| !event.kind.is_access();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // An error may hide a change.
        if event.as_ref().map_or(true, is_relevant) {
            on_change();
        }
    })
    .map_err(failed)?;
    watcher.watch(directory, RecursiveMode::NonRecursive).map_err(failed)?;
    Ok(watcher)
}
