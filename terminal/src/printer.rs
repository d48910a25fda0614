//! What a play prints, written by a thread of its own: a reader that pauses holds up neither Ctrl-C nor, for as long as
//! there is room, the circle, which takes a client that reads nothing for half a minute for gone.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use protocol::methods::Output;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::output;
use frontend::error::OutputError;

/// Bytes that may wait to be written: more than a circle lets a play print by default.
const MAX_BYTES: usize = 4 << 20;

/// What each piece counts besides its text.
const ITEM_OVERHEAD_BYTES: usize = 256;

/// A thread that writes what plays print, in the order in which it gets it. A reader who pauses holds up only whoever waits
/// for room.
pub struct Printer {
    pieces: mpsc::Sender<(PrinterItem, OwnedSemaphorePermit)>,
    room: Arc<Semaphore>,
    failed: Arc<Mutex<Option<io::Error>>>,
    ended: oneshot::Receiver<()>,
}

enum PrinterItem {
    Output(Output),
    /// For stdout, as it is.
    Text(String),
    /// For stderr, as it is.
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
            // Nobody need wait for it.
            let _unawaited = end.send(());
        });
        Self { pieces, room, failed, ended }
    }

    /// Writes what a play printed, once there is room for it. The error is an earlier one.
    pub async fn output(&self, output: Output) -> Result<(), OutputError> {
        let bytes = output.text.len();
        self.enqueue(PrinterItem::Output(output), bytes).await
    }

    /// Writes to stdout what is no print as it stands, in its turn.
    pub async fn text(&self, text: String) -> Result<(), OutputError> {
        let bytes = text.len();
        self.enqueue(PrinterItem::Text(text), bytes).await
    }

    /// Writes to stderr what is about the play, in its turn.
    pub async fn note(&self, text: String) -> Result<(), OutputError> {
        let bytes = text.len();
        self.enqueue(PrinterItem::Note(text), bytes).await
    }

    async fn enqueue(&self, piece: PrinterItem, bytes: usize) -> Result<(), OutputError> {
        let permits = u32::try_from((bytes + ITEM_OVERHEAD_BYTES).min(MAX_BYTES)).unwrap_or(u32::MAX);
        let Ok(room) = self.room.clone().acquire_many_owned(permits).await else { return Err(self.error()) };
        self.pieces.send((piece, room)).await.map_err(|_| self.error())
    }

    /// Waits until everything is written.
    pub async fn finish(self) -> Result<(), OutputError> {
        let Self { pieces, failed, ended, .. } = self;
        drop(pieces);
        // Also when the thread is gone without a word.
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
