//! Tasks that read circles.json.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use frontend::config;

use super::Tasks;
use crate::event::AppEvent;

/// Interval of looking for changes of circles.json.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// What tells one state of circles.json from another without reading it.
#[derive(Debug, PartialEq, Eq)]
struct FileState {
    path: PathBuf,
    modified: Option<SystemTime>,
    bytes: Option<u64>,
}

impl FileState {
    /// Returns the state of circles.json; `None` without one.
    fn of(named: Option<&Path>) -> Option<Self> {
        let path = config::path(named).ok()?;
        let metadata = std::fs::metadata(&path).ok();
        let modified = metadata.as_ref().and_then(|metadata| metadata.modified().ok());
        Some(Self { path, modified, bytes: metadata.map(|metadata| metadata.len()) })
    }
}

impl Tasks {
    pub(crate) fn read_config(&self, named: Option<PathBuf>) {
        self.spawn_blocking(move || config::find(named), AppEvent::ConfigRead);
    }

    /// Posts what circles.json has now, and then whenever it changes.
    pub(crate) fn watch_config(&self, named: Option<PathBuf>) {
        let tasks = self.clone();
        self.spawn(async move {
            let mut known: Option<Option<FileState>> = None;
            while !tasks.queue.is_closed() {
                let named = named.clone();
                let look = move || {
                    // The state comes first: a change during the reading is another state.
                    let state = FileState::of(named.as_deref());
                    let event = match &known {
                        None => Some(AppEvent::ConfigRead(config::find(named))),
                        Some(known) if *known != state => Some(AppEvent::ConfigChanged(config::find(named))),
                        Some(_) => None,
                    };
                    (state, event)
                };
                let Ok((state, event)) = tokio::task::spawn_blocking(look).await else { return };
                known = Some(state);
                if let Some(event) = event {
                    tasks.post(event).await;
                }
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        });
    }
}
