//! The worker's life, seen from inside its process.

use std::{
    cell::{OnceCell, RefCell},
    io::{self, BufReader, Read},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    rc::Rc,
    sync::{
        Arc, Barrier, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use rustix::process::{Resource, Rlimit, setrlimit};

use crate::{
    allocator,
    environment::Environment,
    host::{HostCall, HostReturn},
    inspection::{self, Inquiry, SharedInventory},
    message::{self, Control, FromControl, FromWorker, Hello, Print, Setup, ToWorker},
    meter::{Meter, Watch},
    modules::Sources,
    os,
    sandbox::{self, Layer},
    template,
};

/// The argument that makes a program a worker.
pub(crate) const FLAG: &str = "--circles-worker";

/// Bytes of native stack for the thread that evaluates; reserved, used only as far as a script goes.
pub(crate) const STACK: usize = 256 << 20;

/// Bytes of address space besides that stack and what scripts may have: what the program and its libraries map.
const MAPPED: u64 = 512 << 20;

/// Bytes that one operation of a script may have at a time beyond its limit, at the least.
const OVERDRAFT: u64 = 32 << 20;

/// In a worker process or a [`Template`](crate::Template)'s, is that and ends the process; in any other, returns at once.
///
/// To be called first thing in `main`, before any thread or runtime exists.
pub fn run_if_worker() {
    run_if_worker_with(|_| {});
}

/// The same, with functions and types of the program's own for its scripts: `natives` is called in the worker, for each of
/// its engines. They run inside of the sandbox, and can only compute. In a template they make the engine that its workers
/// have copies of: what they hold is the workers' each, what they draw by lot is the same in all, and a thread that they
/// start makes the template unusable.
pub fn run_if_worker_with(natives: fn(&mut rhai::Engine)) {
    IS_PREPARED.store(true, Ordering::Relaxed);
    // The first that is set is the one of this process.
    let _first = NATIVES.set(natives);
    let argument = std::env::args_os().nth(1);
    let done = match argument.as_ref().and_then(|argument| argument.to_str()) {
        Some(FLAG) => run(),
        Some(template::FLAG) => template::run(),
        _ => return,
    };
    // Nobody can act on the error here; whoever started the process sees it end.
    os::end(i32::from(done.is_err()));
}

static NATIVES: OnceLock<fn(&mut rhai::Engine)> = OnceLock::new();

/// Gives an engine the functions and types of the program's own.
pub(crate) fn add_natives(engine: &mut rhai::Engine) {
    if let Some(natives) = NATIVES.get() {
        natives(engine);
    }
}

static IS_PREPARED: AtomicBool = AtomicBool::new(false);

/// Whether this program called [`run_if_worker`], so that it can be started as a worker.
pub fn is_prepared() -> bool {
    IS_PREPARED.load(Ordering::Relaxed)
}

/// A worker that was started anew.
fn run() -> io::Result<()> {
    let is_memory_counted = allocator::begin();
    os::close_inherited();
    let work = take(io::stdin().as_fd())?;
    let control = take(io::stdout().as_fd())?;
    leave_standard()?;
    // Not this thread, whose stack is as large as the user's limits say.
    let evaluates = thread::Builder::new().name("evaluate".into()).stack_size(STACK);
    let evaluates = evaluates.spawn(move || {
        let line = Rc::new(Line::new(work));
        let mut frame = Vec::new();
        if !line.read(&mut frame)? {
            return Ok(());
        }
        let setup = hello(&frame)?;
        let sources = Sources::read(setup.modules.as_deref());
        bound(setup.limits.memory_bytes)?;
        let shared = Shared::default();
        settle(&line, control, &shared, Seal { must_hold: setup.must_be_sealed, is_memory_counted })?;
        let server = Server::default();
        let mut environment = shared.environment(setup, sources, &server);
        server.open(line.clone());
        evaluate(&line, &mut environment)
    })?;
    evaluates.join().unwrap_or_else(|_| Err(io::Error::other("it panicked")))
}

/// What the server says first, once it is known to be of this build.
pub(crate) fn hello(frame: &[u8]) -> io::Result<Setup> {
    let hello: Hello<'_> = borrow(frame)?;
    if hello.build != message::BUILD {
        return Err(io::Error::other("the server is of another build"));
    }
    Ok(hello.setup)
}

/// The server hands over its sockets as standard input and output; taken from there, they cannot be printed to.
pub(crate) fn take(standard: impl AsFd) -> io::Result<UnixStream> {
    let fd: OwnedFd = standard.as_fd().try_clone_to_owned()?;
    Ok(fd.into())
}

/// Leads standard input and output nowhere.
pub(crate) fn leave_standard() -> io::Result<()> {
    let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    Ok(())
}

/// Bounds what the process may take of the machine, whatever a script does: a process that wants more ends.
pub(crate) fn bound(memory: u64) -> io::Result<()> {
    // Within one operation a script may have its memory twice: a copy of what it has, say.
    let hard = memory.saturating_add(memory.max(OVERDRAFT));
    allocator::bound(usize::try_from(hard).unwrap_or(usize::MAX));
    let at_most = |maximum| Rlimit { current: Some(maximum), maximum: Some(maximum) };
    // Twice, for what the circle's own script has beside it.
    setrlimit(Resource::As, at_most((STACK as u64 + MAPPED).saturating_add(hard.saturating_mul(2))))?;
    setrlimit(Resource::Core, at_most(0))?;
    setrlimit(Resource::Fsize, at_most(0))?;
    Ok(())
}

/// What both threads of a worker see.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shared {
    pub(crate) watch: Arc<Watch>,
    pub(crate) inventory: SharedInventory,
}

impl Shared {
    pub(crate) fn environment(&self, setup: Setup, sources: Sources, server: &Server) -> Environment {
        let meter = Meter::new(self.watch.clone(), &setup.limits);
        Environment::new(setup, sources, meter, self.inventory.clone(), server.printer(), server.caller())
    }
}

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
    fn read(&self, frame: &mut Vec<u8>) -> io::Result<bool> {
        message::read_frame(&mut *self.from.borrow_mut(), frame)
    }

    pub(crate) fn say(&self, said: &FromWorker, buffer: &mut Vec<u8>) -> io::Result<()> {
        message::write_frame(&*self.to.0, said, buffer)
    }

    /// Has a host function carried out. A play that waits reads its answer from where plays come from, since none comes
    /// before it has ended.
    fn call_host(&self, call: HostCall) -> HostReturn {
        let (number, mut buffer) = (call.number, Vec::new());
        match self.say(&FromWorker::HostCall(call), &mut buffer).and_then(|()| self.read(&mut buffer)) {
            Ok(true) => match borrow(&buffer) {
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

    fn printer(&self) -> impl Fn(Print) + 'static {
        let line = self.0.clone();
        let buffer = RefCell::new(Vec::new());
        move |print| {
            if let Some(line) = line.get() {
                // A server that is gone is seen by the other thread, which ends the process.
                let _gone = line.say(&FromWorker::Print(print), &mut buffer.borrow_mut());
            }
        }
    }

    fn caller(&self) -> impl Fn(HostCall) -> HostReturn + 'static {
        let line = self.0.clone();
        move |call| line.get().map_or(HostReturn::Aborted, |line| line.call_host(call))
    }
}

/// What is asked of the seal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seal {
    /// Whether a process that cannot be kept from the system ends instead.
    pub(crate) must_hold: bool,
    /// Whether the memory is bounded.
    pub(crate) is_memory_counted: bool,
}

/// Makes the process one that has nothing but its sockets and its memory, and says so.
pub(crate) fn settle(line: &Line, control: UnixStream, shared: &Shared, seal: Seal) -> io::Result<()> {
    sandbox::withdraw();
    let gate = Arc::new(Barrier::new(2));
    let (passed, shared) = (gate.clone(), shared.clone());
    thread::Builder::new().name("obey".into()).spawn(move || {
        passed.wait();
        // Before the seal nothing of a client's is looked at, not even a question.
        passed.wait();
        // Ends the process from whatever happens here, a panic included: the server sees its sockets close.
        let obeyed = std::panic::catch_unwind(|| obey(&control, &shared.watch, &shared.inventory));
        os::end(i32::from(!matches!(obeyed, Ok(Ok(())))));
    })?;
    // A thread that does not run yet could be one that the seal misses.
    gate.wait();
    let layers = sandbox::seal(seal.is_memory_counted);
    if seal.must_hold && !layers.contains(&Layer::Syscalls) {
        return Err(io::Error::other("it cannot be sealed, and must be"));
    }
    gate.wait();
    line.say(&FromWorker::Sealed(layers), &mut Vec::new())
}

/// Reads plays and queries from the work socket and answers them there, until it closes.
pub(crate) fn evaluate(line: &Line, environment: &mut Environment) -> io::Result<()> {
    let (mut frame, mut answer) = (Vec::new(), Vec::new());
    while line.read(&mut frame)? {
        let said = match borrow(&frame)? {
            ToWorker::Play(play) => FromWorker::Done { play: play.number, outcome: environment.play(&play) },
            ToWorker::Inspect(Inquiry { number, query }) => {
                FromWorker::Answer { number, answer: environment.answer_query(&query) }
            }
            // Of a play that did not wait for it; there is none.
            ToWorker::Return { .. } => continue,
        };
        line.say(&said, &mut answer)?;
    }
    Ok(())
}

/// Does what the control socket says, until it closes: then the server is gone, and so must the worker be.
pub(crate) fn obey(control: &UnixStream, watch: &Watch, inventory: &SharedInventory) -> io::Result<()> {
    let mut from = BufReader::with_capacity(256, control);
    let (mut frame, mut answer) = (Vec::new(), Vec::new());
    while message::read_frame(&mut from, &mut frame)? {
        match borrow(&frame)? {
            Control::Stop { play } => watch.stop(play),
            Control::Progress => {
                message::write_frame(control, &FromControl::Progress(watch.report()), &mut answer)?;
            }
            Control::Inspect(Inquiry { number, query }) => {
                let found = inspection::answer(&query, inventory, None);
                message::write_frame(control, &FromControl::Answer { number, answer: found }, &mut answer)?;
            }
        }
    }
    Ok(())
}

fn borrow<'a, T: serde::Deserialize<'a>>(frame: &'a [u8]) -> io::Result<T> {
    postcard::from_bytes(frame).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}
