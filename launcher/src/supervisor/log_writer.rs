//! Log lines of a supervisor, written by a thread of its own: a stalled disk does not block a circle.

use std::{
    io,
    path::PathBuf,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
    time::Duration,
};

use tokio::{sync::oneshot, time::timeout};

use crate::log;

/// Capacity of the queue; lines without room are dropped.
const MAX_QUEUED_LINES: usize = 256;

/// Longest wait for the last lines.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// The path of a log, and a line with its newline.
type LogAppend = (PathBuf, String);

pub(super) struct LogWriter {
    lines: SyncSender<LogAppend>,
    /// Closed when everything is written.
    finished: oneshot::Receiver<()>,
}

impl LogWriter {
    /// Starts the writer. Without a thread nothing is written, which is no reason not to keep circles up.
    pub(super) fn start() -> Self {
        // The program that runs the supervisor receives the same lines as events, so a failed write loses nothing
        // there.
        Self::with_append(|(path, line)| drop(log::append(&path, &line)))
    }

    fn with_append(write: impl Fn(LogAppend) + Send + 'static) -> Self {
        let (lines, waiting): (_, Receiver<LogAppend>) = sync_channel(MAX_QUEUED_LINES);
        let (finished_sender, finished) = oneshot::channel::<()>();
        let run = move || {
            waiting.into_iter().for_each(write);
            drop(finished_sender);
        };
        let _started: io::Result<_> = thread::Builder::new().name("notes".into()).spawn(run);
        Self { lines, finished }
    }

    /// Queues a line. Never blocks.
    pub(super) fn write(&self, path: PathBuf, line: String) {
        let _full = self.lines.try_send((path, line));
    }

    /// Waits, for two seconds at most, until everything is written.
    pub(super) async fn close(self) {
        drop(self.lines);
        let _written_or_timed_out = timeout(CLOSE_TIMEOUT, self.finished).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[tokio::test]
    async fn log_writer_writes_all_lines_in_order() {
        let (sender, lines) = channel();
        let writer = LogWriter::with_append(move |(_, line)| sender.send(line).expect("it is read"));
        for number in 0..100 {
            writer.write(PathBuf::new(), number.to_string());
        }
        writer.close().await;
        assert!(lines.try_iter().eq((0..100).map(|number| number.to_string())));
    }

    /// Paused time advances as soon as every task waits.
    #[tokio::test(start_paused = true)]
    async fn log_writer_does_not_block_on_stalled_disk() {
        let (disk, room) = channel::<()>();
        let writer = LogWriter::with_append(move |_| {
            let _over = room.recv();
        });
        for _ in 0..2 * MAX_QUEUED_LINES {
            writer.write(PathBuf::new(), String::new());
        }
        writer.close().await;
        drop(disk);
    }
}
