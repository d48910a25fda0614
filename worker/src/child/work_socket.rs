//! The work socket on the worker's side.

use std::{
    cell::{OnceCell, RefCell},
    io::{self, BufReader, Read},
    os::unix::net::UnixStream,
    rc::Rc,
};

use crate::message::{FromWorker, HostCall, HostReturn, Print, ToWorker, frame};

/// Size of the read buffer of the work socket, in bytes.
const READ_BUFFER: usize = 32 << 10;

/// The work socket of the evaluating thread, with one read buffer for all readers so that no data is lost between them.
#[derive(Debug)]
pub(crate) struct WorkSocket {
    from: RefCell<BufReader<SharedSocket>>,
    to: SharedSocket,
}

#[derive(Debug, Clone)]
struct SharedSocket(Rc<UnixStream>);

impl Read for SharedSocket {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(bytes)
    }
}

impl WorkSocket {
    pub(crate) fn new(work: UnixStream) -> Self {
        let to = SharedSocket(Rc::new(work));
        Self { from: RefCell::new(BufReader::with_capacity(READ_BUFFER, to.clone())), to }
    }

    /// Reads the next frame. Returns false at the end of the stream.
    pub(super) fn read(&self, frame: &mut Vec<u8>) -> io::Result<bool> {
        frame::read_frame(&mut *self.from.borrow_mut(), frame)
    }

    pub(crate) fn send(&self, message: &FromWorker, buffer: &mut Vec<u8>) -> io::Result<()> {
        frame::write_frame(&*self.to.0, message, buffer)
    }

    /// Calls a host function and waits for its result. The result arrives on the socket of the plays, which is safe
    /// because the next play arrives only after this one has ended.
    fn call_host(&self, call: HostCall) -> HostReturn {
        let (number, mut buffer) = (call.number, Vec::new());
        match self.send(&FromWorker::HostCall(call), &mut buffer).and_then(|()| self.read(&mut buffer)) {
            Ok(true) => match frame::decode_borrowed(&buffer) {
                Ok(ToWorker::Return { call, returned }) if call == number => returned,
                _ => HostReturn::Aborted,
            },
            // The server has ended; the control thread will exit the process.
            _ => HostReturn::Aborted,
        }
    }
}

/// An environment's connection to the server, opened later: a fork server prepares an environment before the socket
/// exists.
#[derive(Debug, Default)]
pub(crate) struct ServerConnection(Rc<OnceCell<Rc<WorkSocket>>>);

impl ServerConnection {
    pub(crate) fn open(&self, socket: Rc<WorkSocket>) {
        self.0.set(socket).expect("a connection is opened once");
    }

    pub(super) fn printer(&self) -> impl Fn(Print) + 'static {
        let socket = self.0.clone();
        let buffer = RefCell::new(Vec::new());
        move |print| {
            if let Some(socket) = socket.get() {
                // If the server has ended, the control thread will exit the process.
                let _closed = socket.send(&FromWorker::Print(print), &mut buffer.borrow_mut());
            }
        }
    }

    pub(super) fn caller(&self) -> impl Fn(HostCall) -> HostReturn + 'static {
        let socket = self.0.clone();
        move |call| socket.get().map_or(HostReturn::Aborted, |socket| socket.call_host(call))
    }
}
