//! Reads circles.json for a supervisor, off its event loop.

use std::{path::PathBuf, sync::Arc};

use tokio::sync::{Mutex, MutexGuard};

use crate::{
    ConfigError,
    definition::{CircleDefinitions, read_definitions},
};

/// Reads one at a time.
#[derive(Debug, Clone)]
pub(crate) struct ConfigReader {
    path: PathBuf,
    lock: Arc<Mutex<()>>,
}

/// Guard of a read: nobody else reads meanwhile, so a command that is sent while it is held comes before those of later
/// readers.
#[derive(Debug)]
pub(crate) struct ReadGuard<'a>(#[expect(dead_code, reason = "the guard holds the lock")] MutexGuard<'a, ()>);

impl ConfigReader {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, lock: Arc::default() }
    }

    pub(crate) fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// Reads the definitions of circles.json as it is now.
    pub(crate) async fn read(&self) -> (ReadGuard<'_>, Result<CircleDefinitions, ConfigError>) {
        let guard = ReadGuard(self.lock.lock().await);
        let path = self.path.clone();
        let read = tokio::task::spawn_blocking(move || read_definitions(&path)).await;
        let read = read.unwrap_or_else(|error| {
            Err(ConfigError::Io { path: self.path.clone(), source: std::io::Error::other(error) })
        });
        (guard, read)
    }
}
