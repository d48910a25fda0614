//! Notices that the log files in a directory have changed.

use std::path::Path;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use crate::error::CliError;

/// Says when something in a directory has changed, until what is returned is dropped.
pub fn watch(directory: &Path, on_change: impl Fn() + Send + 'static) -> Result<RecommendedWatcher, CliError> {
    let failed = |error: notify::Error| {
        CliError::usage(
            format!("cannot follow the logs in {}", directory.display()),
            error.to_string(),
            "without -f they are shown as they are now",
        )
    };
    let is_relevant = |event: &notify::Event| !event.kind.is_access();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // What could not be told in full is worth a look, too.
        if event.as_ref().map_or(true, is_relevant) {
            on_change();
        }
    })
    .map_err(failed)?;
    watcher.watch(directory, RecursiveMode::NonRecursive).map_err(failed)?;
    Ok(watcher)
}
