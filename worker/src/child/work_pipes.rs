//! The work pipes on the worker's side.

use std::{
    cell::RefCell,
    collections::VecDeque,
    io::{self, BufRead, BufReader, PipeReader, PipeWriter, Write},
    rc::Rc,
};

use crate::message::{FromWorker, HostCall, HostReturn, Print, ToWorker, frame};

/// Size of the read buffer, in bytes: the server sends at most as much ahead.
const READ_BUFFER: usize = 32 << 10;

/// Maximum number of bytes of output that the worker collects before it writes them.
const MAX_COLLECTED: usize = 4 << 10;

/// The work pipes of the evaluating thread, with one read buffer for all readers so that no data is lost between them.
#[derive(Debug)]
pub(crate) struct WorkPipes {
    from: RefCell<BufReader<PipeReader>>,
    to: PipeWriter,
    /// The messages that are not written yet.
    output: RefCell<Vec<u8>>,
    /// The messages that arrived while a play waited for the result of a host call: plays that were sent ahead.
    early: RefCell<VecDeque<Vec<u8>>>,
}

impl WorkPipes {
    pub(crate) fn new((from, to): (PipeReader, PipeWriter)) -> Self {
        let from = RefCell::new(BufReader::with_capacity(READ_BUFFER, from));
        Self { from, to, output: RefCell::default(), early: RefCell::default() }
    }

    /// Reads the next frame. Returns false at the end of the stream. Before it waits, it writes the collected output.
    pub(super) fn read(&self, frame: &mut Vec<u8>) -> io::Result<bool> {
        if let Some(early) = self.early.borrow_mut().pop_front() {
            *frame = early;
            return Ok(true);
        }
        self.read_pipe(frame)
    }

    /// Waits until something arrives, or the server closes the pipe.
    #[cfg(target_os = "linux")]
    pub(super) fn wait_for_input(&self) -> io::Result<()> {
        self.flush()?;
        let mut from = self.from.borrow_mut();
        while let Err(error) = from.fill_buf() {
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
        Ok(())
    }

    fn read_pipe(&self, frame: &mut Vec<u8>) -> io::Result<bool> {
        let mut from = self.from.borrow_mut();
        if !frame::is_complete(from.buffer()) {
            self.flush()?;
        }
        frame::read_frame(&mut *from, frame)
    }

    /// Adds a message to the output, which is written with the next [`flush`](Self::flush), or at once if it is large.
    pub(crate) fn write(&self, message: &FromWorker) -> io::Result<()> {
        let mut output = self.output.borrow_mut();
        *output = frame::encode(message, std::mem::take(&mut *output));
        if output.len() < MAX_COLLECTED {
            return Ok(());
        }
        drop(output);
        self.flush()
    }

    /// Writes the collected output.
    pub(crate) fn flush(&self) -> io::Result<()> {
        let mut output = self.output.borrow_mut();
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
        while let Ok(true) = self.read_pipe(&mut frame) {
            match frame::decode_borrowed(&frame) {
                Ok(ToWorker::Return { call, returned }) if call == number => return returned,
                Ok(
                    ToWorker::Play(_)
                    | ToWorker::Call(_)
                    | ToWorker::Query(_)
                    | ToWorker::Constants(_)
                    | ToWorker::HiddenFunctions(_)
                    | ToWorker::Inputs(_),
                ) => {
                    self.early.borrow_mut().push_back(std::mem::take(&mut frame));
                }
                _ => break,
            }
        }
        HostReturn::Aborted
    }
}

thread_local! {
    /// The pipes of the worker whose evaluating thread this is.
    static PIPES: RefCell<Option<Rc<WorkPipes>>> = const { RefCell::new(None) };
}

/// An environment's connection to the server, opened later: a fork server prepares an environment before the pipes
/// exist. It belongs to the evaluating thread.
///
/// The functions of an engine reach the pipes through the thread, because functions must be `Sync` with rhai's feature
/// `sync`, and the pipes are not. A lock would be an additional cost of each print.
#[derive(Debug, Default)]
pub(crate) struct ServerConnection(());

impl ServerConnection {
    #[expect(clippy::unused_self, reason = "the connection closes when this value is dropped")]
    pub(crate) fn open(&self, pipes: Rc<WorkPipes>) {
        let former = PIPES.replace(Some(pipes));
        assert!(former.is_none(), "a thread has one connection");
    }
}

impl Drop for ServerConnection {
    fn drop(&mut self) {
        drop(PIPES.take());
    }
}

/// Calls a function with the pipes of this thread, if its connection is open.
fn with_pipes<T>(call: impl FnOnce(&WorkPipes) -> T) -> Option<T> {
    PIPES.with_borrow(|pipes| pipes.as_deref().map(call))
}

/// Prints to the server.
pub(super) fn print(print: Print) {
    // If the server has ended, the control thread will exit the process.
    let _closed = with_pipes(|pipes| pipes.write(&FromWorker::Print(print)));
}

/// Writes the collected output.
pub(super) fn flush() {
    // As above.
    let _closed = with_pipes(WorkPipes::flush);
}

/// Calls a host function of the server.
pub(super) fn call_host(call: HostCall) -> HostReturn {
    with_pipes(|pipes| pipes.call_host(call)).unwrap_or(HostReturn::Aborted)
}
