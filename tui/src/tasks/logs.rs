//! Tasks that follow the log files of circles.

use std::{path::PathBuf, sync::Arc, time::Duration};

use launcher::{
    log::{LogFilter, LogLine, LogReader, RotationPolicy},
    supervisor_files::SupervisorFiles,
};
use tokio::sync::{Notify, watch};

use frontend::{log_line, log_watch};

use super::Tasks;
use crate::{circle_id::CircleId, event::AppEvent};

/// Largest number of lines that are kept of a log.
pub(crate) const MAX_LINES: usize = 2000;

/// Interval of reads where the system does not report changes.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Pause between two reads, however much is written.
const POLL_PAUSE: Duration = Duration::from_millis(50);

/// Follows the logs of circles; ends on drop.
#[derive(Debug)]
pub(crate) struct LogFollower(watch::Sender<Vec<(CircleId, String)>>);

impl LogFollower {
    /// Follows the log of one more circle.
    pub(crate) fn follow(&self, id: CircleId, name: &str) {
        self.0.send_if_modified(|followed| {
            let is_new = !followed.iter().any(|(other, _)| *other == id);
            if is_new {
                followed.push((id, name.to_owned()));
            }
            is_new
        });
    }
}

/// A log that is followed.
struct FollowedLog {
    id: CircleId,
    path: PathBuf,
    /// Reader of the log; `None` until it can be opened.
    reader: Option<LogReader>,
    /// Last error, so that it is reported once.
    error: Option<String>,
}

impl FollowedLog {
    /// Reads the new lines, at most as many as are kept.
    fn read_new_lines(&mut self) -> Vec<String> {
        let read = if let Some(reader) = &mut self.reader {
            reader.read_new()
        } else {
            let lines = LogFilter { last: Some(MAX_LINES), since: None };
            LogReader::last_lines(&self.path, RotationPolicy::LOG, lines).map(|(lines, reader)| {
                self.reader = Some(reader);
                lines
            })
        };
        match read {
            Ok(mut lines) => {
                self.error = None;
                lines.drain(..lines.len().saturating_sub(MAX_LINES));
                let shown = |line: LogLine| log_line::format_log(&line.text).into_owned();
                lines.into_iter().map(shown).collect()
            }
            Err(error) => {
                let why = format!("circles tui: cannot read {}: {error}", self.path.display());
                let is_new = self.error.as_ref() != Some(&why);
                self.error = Some(why.clone());
                if is_new { vec![why] } else { Vec::new() }
            }
        }
    }
}

impl Tasks {
    /// Follows logs until the follower is dropped.
    pub(crate) fn follow_logs(&self, files: SupervisorFiles) -> LogFollower {
        let (follow, mut to_follow) = watch::channel(Vec::<(CircleId, String)>::new());
        let tasks = self.clone();
        self.spawn(async move {
            let changed = Arc::new(Notify::new());
            let (notify, directory) = (changed.clone(), files.logs().to_owned());
            let watching = move || log_watch::watch(&directory, move || notify.notify_one());
            let Ok(watching) = tokio::task::spawn_blocking(watching).await else { return };
            let watcher = match watching {
                Ok(watcher) => Some(watcher),
                Err(error) => {
                    tasks.post(AppEvent::Error(error.advice())).await;
                    None
                }
            };
            let mut followed: Vec<FollowedLog> = Vec::new();
            loop {
                tokio::select! {
                    () = changed.notified() => {}
                    is_open = to_follow.changed() => if is_open.is_err() { return },
                    () = tokio::time::sleep(POLL_INTERVAL), if watcher.is_none() => {}
                }
                for (id, name) in to_follow.borrow_and_update().iter().skip(followed.len()) {
                    followed.push(FollowedLog { id: *id, path: files.log(name), reader: None, error: None });
                }
                let read = move || {
                    let new: Vec<_> = followed.iter_mut().map(|log| (log.id, log.read_new_lines())).collect();
                    (followed, new)
                };
                let Ok(results) = tokio::task::spawn_blocking(read).await else { return };
                let new;
                (followed, new) = results;
                for (id, lines) in new.into_iter().filter(|(_, lines)| !lines.is_empty()) {
                    tasks.post(AppEvent::Logged(id, lines)).await;
                }
                tokio::time::sleep(POLL_PAUSE).await;
            }
        });
        LogFollower(follow)
    }
}
