//! The work socket, seen from the thread that evaluates.

use std::{
    cell::{OnceCell, RefCell},
    io::{self, BufReader, Read},
    os::unix::net::UnixStream,
    rc::Rc,
};

use crate::message::{FromWorker, HostCall, HostReturn, Print, ToWorker, frame};

/// Bytes that are read at a time from the work socket.
const READ: usize = 32 << 10;

/// The work socket, for the thread that evaluates: whoever reads from it, nothing that has arrived is lost.
#[derive(Debug)]
pub(crate) struct Line {
    from: RefCell<BufReader<Socket>>,
    to: Socket,
}

#[derive(Debug, Clone)]
struct Socket(Rc<UnixStream>);

impl Read for Socket {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(bytes)
    }
}

impl Line {
    pub(crate) fn new(work: UnixStream) -> Self {
        let to = Socket(Rc::new(work));
        Self { from: RefCell::new(BufReader::with_capacity(READ, to.clone())), to }
    }

    /// The next frame; false at the end.
    pub(super) fn read(&self, frame: &mut Vec<u8>) -> io::Result<bool> {
        frame::read_frame(&mut *self.from.borrow_mut(), frame)
    }

    pub(crate) fn say(&self, said: &FromWorker, buffer: &mut Vec<u8>) -> io::Result<()> {
        frame::write_frame(&*self.to.0, said, buffer)
    }

    /// Has a host function carried out. A play that waits reads its answer from where plays come from, since none comes
    /// before it has ended.
    fn call_host(&self, call: HostCall) -> HostReturn {
        let (number, mut buffer) = (call.number, Vec::new());
        match self.say(&FromWorker::HostCall(call), &mut buffer).and_then(|()| self.read(&mut buffer)) {
            Ok(true) => match frame::decode_borrowed(&buffer) {
                Ok(ToWorker::Return { call, returned }) if call == number => returned,
                _ => HostReturn::Aborted,
            },
            // The server is gone, which ends the process elsewhere.
            _ => HostReturn::Aborted,
        }
    }
}

/// The server, as an environment reaches it: not at all, until it is opened.
#[derive(Debug, Default)]
pub(crate) struct Server(Rc<OnceCell<Rc<Line>>>);

impl Server {
    pub(crate) fn open(&self, line: Rc<Line>) {
        self.0.set(line).expect("it is opened once");
    }

    pub(super) fn printer(&self) -> impl Fn(Print) + 'static {
        let line = self.0.clone();
        let buffer = RefCell::new(Vec::new());
        move |print| {
            if let Some(line) = line.get() {
                // A server that is gone is seen by the other thread, which ends the process.
                let _gone = line.say(&FromWorker::Print(print), &mut buffer.borrow_mut());
            }
        }
    }

    pub(super) fn caller(&self) -> impl Fn(HostCall) -> HostReturn + 'static {
        let line = self.0.clone();
        move |call| line.get().map_or(HostReturn::Aborted, |line| line.call_host(call))
    }
}
