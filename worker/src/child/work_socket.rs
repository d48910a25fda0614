//! The work socket, seen from the thread that evaluates.

use std::{
    cell::{OnceCell, RefCell},
    io::{self, BufReader, Read},
    os::unix::net::UnixStream,
    rc::Rc,
};

use crate::message::{FromWorker, HostCall, HostReturn, Print, ToWorker, frame};

/// Bytes that are read at a time from the work socket.
const READ_BUFFER: usize = 32 << 10;

/// The work socket, for the thread that evaluates: whoever reads from it, nothing that has arrived is lost.
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

    /// The next frame; false at the end.
    pub(super) fn read(&self, frame: &mut Vec<u8>) -> io::Result<bool> {
        frame::read_frame(&mut *self.from.borrow_mut(), frame)
    }

    pub(crate) fn send(&self, message: &FromWorker, buffer: &mut Vec<u8>) -> io::Result<()> {
        frame::write_frame(&*self.to.0, message, buffer)
    }

    /// Calls a host function and waits for what it returns. The answer arrives where plays do: no play arrives before the
    /// one that waits has ended.
    fn call_host(&self, call: HostCall) -> HostReturn {
        let (number, mut buffer) = (call.number, Vec::new());
        match self.send(&FromWorker::HostCall(call), &mut buffer).and_then(|()| self.read(&mut buffer)) {
            Ok(true) => match frame::decode_borrowed(&buffer) {
                Ok(ToWorker::Return { call, returned }) if call == number => returned,
                _ => HostReturn::Aborted,
            },
            // The server is gone, which ends the process elsewhere.
            _ => HostReturn::Aborted,
        }
    }
}

/// The server, as an environment reaches it: not at all, until the connection is opened. A fork server prepares an
/// environment before the socket exists.
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
                // A server that is gone is seen by the other thread, which ends the process.
                let _closed = socket.send(&FromWorker::Print(print), &mut buffer.borrow_mut());
            }
        }
    }

    pub(super) fn caller(&self) -> impl Fn(HostCall) -> HostReturn + 'static {
        let socket = self.0.clone();
        move |call| socket.get().map_or(HostReturn::Aborted, |socket| socket.call_host(call))
    }
}
