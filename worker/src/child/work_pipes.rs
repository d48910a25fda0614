//! The work pipes on the worker's side.

use std::{
    collections::VecDeque,
    io::{self, BufRead, BufReader, PipeReader, PipeWriter, Write},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use crate::message::{FromWorker, HostCall, HostReturn, Print, ToWorker, frame};

/// Size of the read buffer, in bytes: the server sends at most as much ahead.
const READ_BUFFER: usize = 32 << 10;

/// Maximum number of bytes of output that the worker collects before it writes them.
const MAX_COLLECTED: usize = 4 << 10;

/// The work pipes of the evaluating thread, with one read buffer for all readers so that no data is lost between them.
///
/// No other thread uses the pipes. The locks are never contended: they are there because Rhai's feature `sync` requires
/// functions that are `Sync`.
#[derive(Debug)]
pub(crate) struct WorkPipes {
    input: Mutex<Input>,
    to: PipeWriter,
    /// The messages that are not written yet.
    output: Mutex<Vec<u8>>,
}

#[derive(Debug)]
struct Input {
    from: BufReader<PipeReader>,
    /// The messages that arrived while a play waited for the result of a host call: plays that were sent ahead.
    early: VecDeque<Vec<u8>>,
}

impl WorkPipes {
    pub(crate) fn new((from, to): (PipeReader, PipeWriter)) -> Self {
        let from = BufReader::with_capacity(READ_BUFFER, from);
        Self { input: Mutex::new(Input { from, early: VecDeque::new() }), to, output: Mutex::default() }
    }

    fn input(&self) -> MutexGuard<'_, Input> {
        self.input.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn output(&self) -> MutexGuard<'_, Vec<u8>> {
        self.output.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the next frame. Returns false at the end of the stream. Before it waits, it writes the collected output.
    pub(super) fn read(&self, frame: &mut Vec<u8>) -> io::Result<bool> {
        let mut input = self.input();
        if let Some(early) = input.early.pop_front() {
            *frame = early;
            return Ok(true);
        }
        self.read_pipe(&mut input.from, frame)
    }

    /// Waits until something arrives, or the server closes the pipe.
    #[cfg(target_os = "linux")]
    pub(super) fn wait_for_input(&self) -> io::Result<()> {
        self.flush()?;
        let mut input = self.input();
        while let Err(error) = input.from.fill_buf() {
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
        Ok(())
    }

    fn read_pipe(&self, from: &mut BufReader<PipeReader>, frame: &mut Vec<u8>) -> io::Result<bool> {
        if !frame::is_complete(from.buffer()) {
            self.flush()?;
        }
        frame::read_frame(from, frame)
    }

    /// Adds a message to the output, which is written with the next [`flush`](Self::flush), or at once if it is large.
    pub(crate) fn write(&self, message: &FromWorker) -> io::Result<()> {
        let mut output = self.output();
        *output = frame::encode(message, std::mem::take(&mut *output));
        if output.len() < MAX_COLLECTED {
            return Ok(());
        }
        drop(output);
        self.flush()
    }

    /// Writes the collected output.
    pub(crate) fn flush(&self) -> io::Result<()> {
        let mut output = self.output();
        (&self.to).write_all(&output)?;
        output.clear();
        output.shrink_to(MAX_COLLECTED);
        Ok(())
    }

    /// Calls a host function and waits for its result, which arrives behind the plays that were sent ahead.
    fn call_host(&self, call: HostCall) -> HostReturn {
        let (number, mut frame) = (call.number, Vec::new());
        // Reading flushes it.
        if self.write(&FromWorker::HostCall(call)).is_err() {
            // The server has ended; the control thread will exit the process.
            return HostReturn::Aborted;
        }
        let mut input = self.input();
        while let Ok(true) = self.read_pipe(&mut input.from, &mut frame) {
            match frame::decode_borrowed(&frame) {
                Ok(ToWorker::Return { call, returned }) if call == number => return returned,
                Ok(ToWorker::Play(_) | ToWorker::Query(_) | ToWorker::Constants(_) | ToWorker::Inputs(_)) => {
                    input.early.push_back(std::mem::take(&mut frame));
                }
                _ => break,
            }
        }
        HostReturn::Aborted
    }
}

/// An environment's connection to the server, opened later: a fork server prepares an environment before the pipes
/// exist.
#[derive(Debug, Default)]
pub(crate) struct ServerConnection(Arc<OnceLock<Arc<WorkPipes>>>);

impl ServerConnection {
    pub(crate) fn open(&self, pipes: Arc<WorkPipes>) {
        self.0.set(pipes).expect("a connection is opened once");
    }

    pub(super) fn printer(&self) -> impl Fn(Print) + Send + Sync + 'static {
        let pipes = self.0.clone();
        move |print| {
            if let Some(pipes) = pipes.get() {
                // If the server has ended, the control thread will exit the process.
                let _closed = pipes.write(&FromWorker::Print(print));
            }
        }
    }

    pub(super) fn flusher(&self) -> impl Fn() + Send + Sync + 'static {
        let pipes = self.0.clone();
        move || {
            if let Some(pipes) = pipes.get() {
                // As above.
                let _closed = pipes.flush();
            }
        }
    }

    pub(super) fn caller(&self) -> impl Fn(HostCall) -> HostReturn + Send + Sync + 'static {
        let pipes = self.0.clone();
        move |call| pipes.get().map_or(HostReturn::Aborted, |pipes| pipes.call_host(call))
    }
}
