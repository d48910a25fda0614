//! Writes the output of plays on a separate thread. A slow reader of the output then delays neither Ctrl-C nor, while
//! the buffer has room, the connection: a circle drops a client that reads nothing for half a minute.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use protocol::methods::Output;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::output;
use frontend::error::OutputError;

/// The size of the buffer in bytes: more than a play may print by default.
const MAX_BYTES: usize = 4 << 20;

/// The size of an item in the buffer, in addition to its text.
const ITEM_OVERHEAD_BYTES: usize = 256;

/// A thread that writes the output of plays in order. A slow reader of the output delays only callers that wait for
/// room.
pub struct Printer {
    pieces: mpsc::Sender<(PrinterItem, OwnedSemaphorePermit)>,
    room: Arc<Semaphore>,
    failed: Arc<Mutex<Option<io::Error>>>,
    ended: oneshot::Receiver<()>,
}

enum PrinterItem {
    Output(Output),
    /// Text for stdout, unchanged.
    Text(String),
    /// Text for stderr, unchanged.
    Note(String),
}

impl Printer {
    /// Starts the thread.
    pub fn start() -> Self {
        let (pieces, mut waiting) =
            mpsc::channel::<(PrinterItem, OwnedSemaphorePermit)>(MAX_BYTES / ITEM_OVERHEAD_BYTES);
        let (room, failed) = (Arc::new(Semaphore::new(MAX_BYTES)), Arc::new(Mutex::new(None)));
        let (end, ended) = oneshot::channel();
        let (thread_room, thread_failed) = (room.clone(), failed.clone());
        std::thread::spawn(move || {
            while let Some((piece, _room)) = waiting.blocking_recv() {
                let written = match piece {
                    PrinterItem::Output(output) => output::write_output(&output),
                    PrinterItem::Text(text) => output::to_stdout(&text),
                    PrinterItem::Note(text) => {
                        output::to_stderr(&text);
                        Ok(())
                    }
                };
                if let Err(OutputError(error)) = written {
                    *thread_failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    break;
                }
            }
            thread_room.close();
            // Fails if nobody waits for the end.
            let _unawaited = end.send(());
        });
        Self { pieces, room, failed, ended }
    }

    /// Queues the output of a play, once there is room for it. Returns the error of an earlier write, if there is one.
    pub async fn output(&self, output: Output) -> Result<(), OutputError> {
        let bytes = output.text.len();
        self.enqueue(PrinterItem::Output(output), bytes).await
    }

    /// Queues text for stdout.
    pub async fn text(&self, text: String) -> Result<(), OutputError> {
        let bytes = text.len();
        self.enqueue(PrinterItem::Text(text), bytes).await
    }

    /// Queues a note about the play for stderr.
    pub async fn note(&self, text: String) -> Result<(), OutputError> {
        let bytes = text.len();
        self.enqueue(PrinterItem::Note(text), bytes).await
    }

    async fn enqueue(&self, piece: PrinterItem, bytes: usize) -> Result<(), OutputError> {
        let permits = u32::try_from((bytes + ITEM_OVERHEAD_BYTES).min(MAX_BYTES)).unwrap_or(u32::MAX);
        let Ok(room) = self.room.clone().acquire_many_owned(permits).await else { return Err(self.error()) };
        self.pieces.send((piece, room)).await.map_err(|_| self.error())
    }

    /// Waits until the thread has written everything.
    pub async fn finish(self) -> Result<(), OutputError> {
        let Self { pieces, failed, ended, .. } = self;
        drop(pieces);
        // Fails if the thread has panicked.
        let _ended = ended.await;
        match failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(error) => Err(OutputError(error)),
            None => Ok(()),
        }
    }

    fn error(&self) -> OutputError {
        let error = self.failed.lock().unwrap_or_else(PoisonError::into_inner).take();
        OutputError(error.unwrap_or_else(|| io::ErrorKind::BrokenPipe.into()))
    }
}
