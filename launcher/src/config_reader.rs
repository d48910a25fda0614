//! Reads circles.json for a supervisor, off its event loop.

use std::{path::PathBuf, sync::Arc};

use tokio::sync::{Mutex, MutexGuard};

use crate::{
    ConfigError,
    definition::{CircleDefinitions, read_definitions},
};

/// Reads, one at a time.
#[derive(Debug, Clone)]
pub(crate) struct ConfigReader {
    path: PathBuf,
    lock: Arc<Mutex<()>>,
}

/// Nobody else reads while this is held: an order that is given meanwhile comes before those of whoever reads later.
#[derive(Debug)]
pub(crate) struct ReadGuard<'a>(
    #[expect(dead_code, reason = "the turn lasts as long as it is held")] MutexGuard<'a, ()>,
);

impl ConfigReader {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, lock: Arc::default() }
    }

    pub(crate) fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// What circles.json says now.
    pub(crate) async fn read(&self) -> (ReadGuard<'_>, Result<CircleDefinitions, ConfigError>) {
        let turn = ReadGuard(self.lock.lock().await);
        let path = self.path.clone();
        let read = tokio::task::spawn_blocking(move || read_definitions(&path)).await;
        let read = read.unwrap_or_else(|error| {
            Err(ConfigError::Io { path: self.path.clone(), source: std::io::Error::other(error) })
        });
        (turn, read)
    }
}
