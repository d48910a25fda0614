//! The worker's life, seen from inside its process.

use std::{
    cell::RefCell,
    io::{self, BufReader, Read, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    rc::Rc,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
        mpsc::SyncSender,
    },
    thread,
};

use rustix::process::{Resource, Rlimit, setrlimit};

use crate::{
    allocator,
    environment::Environment,
    host::{HostCall, HostReturn},
    inspection::{self, Inquiry, SharedInventory},
    message::{self, Control, FromControl, FromWorker, Hello, ToWorker},
    meter::{Meter, Watch},
    modules::Sources,
    sandbox::{self, Layer},
};

/// The argument that makes a program a worker.
pub(crate) const FLAG: &str = "--circles-worker";

/// Bytes of native stack for the thread that evaluates; reserved, used only as far as a script goes.
const STACK: usize = 256 << 20;

/// Bytes of address space besides that stack and what scripts may have: what the program and its libraries map.
const MAPPED: u64 = 512 << 20;

/// Bytes that one operation of a script may have at a time beyond its limit, at the least.
const OVERDRAFT: u64 = 32 << 20;

/// In a worker process, runs the worker and ends the process; in any other, returns at once.
///
/// To be called first thing in `main`, before any thread or runtime exists.
pub fn run_if_worker() {
    run_if_worker_with(|_| {});
}

/// The same, with functions and types of the program's own for its scripts: `natives` is called in the worker, for each of
/// its engines. They run inside of the sandbox, and can only compute.
pub fn run_if_worker_with(natives: fn(&mut rhai::Engine)) {
    IS_PREPARED.store(true, Ordering::Relaxed);
    // The first that is set is the one of this process.
    let _first = NATIVES.set(natives);
    if std::env::args_os().nth(1).is_some_and(|argument| argument == FLAG) {
        // Nobody can act on the error here; whoever started the process sees it end.
        std::process::exit(i32::from(run().is_err()));
    }
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

fn run() -> io::Result<()> {
    let is_memory_counted = allocator::begin();
    sandbox::close_inherited();
    let work = take(io::stdin().as_fd())?;
    let control = take(io::stdout().as_fd())?;
    let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;

    let watch = Arc::new(Watch::default());
    let inventory = SharedInventory::default();
    let (for_plays, of_plays) = (watch.clone(), inventory.clone());
    let (seal, sealed) = std::sync::mpsc::sync_channel(1);
    thread::Builder::new().name("evaluate".into()).stack_size(STACK).spawn(move || {
        // Ends the process from whatever happens here, a panic included: the server sees its sockets close.
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            evaluate(work, is_memory_counted, &seal, for_plays, of_plays)
        }));
        std::process::exit(i32::from(!matches!(result, Ok(Ok(())))));
    })?;
    // Before the seal nothing of a client's is looked at, not even a question.
    if sealed.recv().is_err() {
        return Ok(());
    }
    obey(&control, &watch, &inventory)
}

/// Bounds what the process may take of the machine, whatever a script does: a process that wants more ends.
fn bound(memory: u64) -> io::Result<()> {
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

/// The server hands over its sockets as standard input and output; taken from there, they cannot be printed to.
fn take(standard: impl AsFd) -> io::Result<UnixStream> {
    let fd: OwnedFd = standard.as_fd().try_clone_to_owned()?;
    Ok(fd.into())
}

/// The work socket, for everything that the thread that evaluates does with it.
#[derive(Debug, Clone)]
struct Shared(Rc<UnixStream>);

impl Read for Shared {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(bytes)
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self.0).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads plays and queries from the work socket and answers them there, until it closes.
fn evaluate(
    work: UnixStream,
    is_memory_counted: bool,
    sealed: &SyncSender<()>,
    watch: Arc<Watch>,
    inventory: SharedInventory,
) -> io::Result<()> {
    let work = Shared(Rc::new(work));
    let mut from = BufReader::with_capacity(32 << 10, work.clone());
    let mut frame = Vec::new();
    if !message::read_frame(&mut from, &mut frame)? {
        return Ok(());
    }
    let hello: Hello = borrow(&frame)?;
    if hello.build != message::BUILD {
        return Err(io::Error::other("the server is of another build"));
    }
    // What is made here cannot be made behind the seal.
    let sources = Sources::read(hello.setup.modules.as_deref());
    bound(hello.setup.limits.memory_bytes)?;
    // Both threads run: the other one made this one. Nothing of a script has been looked at.
    let layers = sandbox::seal(is_memory_counted);
    if hello.setup.must_be_sealed && !layers.contains(&Layer::Syscalls) {
        return Err(io::Error::other("it cannot be sealed, and must be"));
    }
    // The other thread waits for it for as long as the process lives.
    let _waiting = sealed.send(());
    message::write_frame(work.clone(), &FromWorker::Sealed(layers), &mut Vec::new())?;
    let meter = Meter::new(watch, &hello.setup.limits);
    let from = Rc::new(RefCell::new(from));
    let (answers, calls, prints) = (from.clone(), work.clone(), work.clone());
    let call_host = move |call| ask_host(&mut *answers.borrow_mut(), calls.clone(), call);
    let buffer = RefCell::new(Vec::new());
    let print = move |print| {
        // A server that is gone is seen by the other thread, which ends the process.
        let _gone = message::write_frame(prints.clone(), &FromWorker::Print(print), &mut buffer.borrow_mut());
    };
    let mut environment = Environment::new(hello.setup, sources, meter, inventory, print, call_host);
    let mut answer = Vec::new();
    while message::read_frame(&mut *from.borrow_mut(), &mut frame)? {
        let said = match borrow(&frame)? {
            ToWorker::Play(play) => FromWorker::Done { play: play.number, outcome: environment.play(&play) },
            ToWorker::Inspect(Inquiry { number, query }) => {
                FromWorker::Answer { number, answer: environment.answer_query(&query) }
            }
            // Of a play that did not wait for it; there is none.
            ToWorker::Return { .. } => continue,
        };
        message::write_frame(work.clone(), &said, &mut answer)?;
    }
    Ok(())
}

/// Has a host function carried out: a play that waits reads its answer from where plays come from, since none comes
/// before it has ended.
fn ask_host(from: &mut impl Read, to: Shared, call: HostCall) -> HostReturn {
    let (number, mut buffer) = (call.number, Vec::new());
    let asked = message::write_frame(to, &FromWorker::HostCall(call), &mut buffer);
    match asked.and_then(|()| message::read_frame(from, &mut buffer)) {
        Ok(true) => match borrow(&buffer) {
            Ok(ToWorker::Return { call, returned }) if call == number => returned,
            _ => HostReturn::Aborted,
        },
        // The server is gone, which ends the process elsewhere.
        _ => HostReturn::Aborted,
    }
}

/// Does what the control socket says, until it closes: then the server is gone, and so must the process be.
fn obey(control: &UnixStream, watch: &Watch, inventory: &SharedInventory) -> io::Result<()> {
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
