//! Writing to the history without waiting for the disk.

use std::{
    sync::mpsc::{SyncSender, sync_channel},
    thread::JoinHandle,
};

use super::{HistoryEntry, HistoryStore};

/// The maximum number of inputs that wait for the writer thread.
const QUEUE_CAPACITY: usize = 256;

/// Appends inputs to the history on a separate thread. Dropping the value waits until all inputs are written.
pub struct HistoryWriter {
    /// `None` once the writer is being dropped.
    entries: Option<SyncSender<HistoryEntry>>,
    thread: Option<JoinHandle<()>>,
}

impl HistoryWriter {
    /// Starts the thread. `on_error` gets the reason if an input cannot be written.
    pub fn start(store: HistoryStore, on_error: impl Fn(String) + Send + 'static) -> Self {
        let (entries, waiting) = sync_channel::<HistoryEntry>(QUEUE_CAPACITY);
        let thread = std::thread::spawn(move || {
            for entry in waiting {
                if let Err(error) = store.append(&entry) {
                    on_error(error);
                }
            }
        });
        Self { entries: Some(entries), thread: Some(thread) }
    }

    /// Queues an input. Drops it if the queue is full because the disk is slow.
    pub fn append(&self, entry: HistoryEntry) {
        if let Some(entries) = &self.entries {
            // A missing history entry does little harm.
            let _full = entries.try_send(entry);
        }
    }
}

impl Drop for HistoryWriter {
    fn drop(&mut self) {
        self.entries = None;
        if let Some(thread) = self.thread.take() {
            // The panic hook has reported a panic of the thread.
            let _ended = thread.join();
        }
    }
}
