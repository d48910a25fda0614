//! Tests of the sandbox: native functions that act like a compromised worker. It has no test harness, because a worker
//! runs the program's own executable.

#[path = "../../tests/support/skipped.rs"]
mod skipped;

use std::{
    fs::File,
    io,
    net::{TcpListener, TcpStream},
    os::unix::net::UnixListener,
    process::Command,
};

use worker::{EvalOutcome, ForkServer, Layer, Loss, Play, Program, Worker, WorkerEvent, WorkerSetup, rhai::Engine};

#[global_allocator]
static ALLOCATOR: worker::Allocator = worker::Allocator;

fn describe_result<T>(tried: io::Result<T>) -> String {
    match tried {
        Ok(_) => "done".into(),
        Err(error) => format!("{:?}", error.kind()),
    }
}

/// Recurses until the stack overflows.
#[inline(never)]
fn overflow_stack(level: i64) -> i64 {
    let frame = std::hint::black_box([level; 64]);
    if level < 0 { 0 } else { overflow_stack(level + 1).wrapping_add(frame[0]) }
}

/// Registers native functions that use the operating system.
fn natives(engine: &mut Engine) {
    engine.register_fn("read_file", || describe_result(File::open("/etc/passwd")));
    engine.register_fn("write_file", || describe_result(File::create("/tmp/circles-worker-was-here")));
    engine.register_fn("list_directory", || describe_result(std::fs::read_dir("/")));
    engine.register_fn("remove_file", || describe_result(std::fs::remove_file("/tmp/circles-worker-was-here")));
    engine.register_fn("connect", |port: i64| {
        describe_result(TcpStream::connect(("127.0.0.1", u16::try_from(port).unwrap_or_default())))
    });
    engine.register_fn("listen", || describe_result(TcpListener::bind("127.0.0.1:0")));
    engine.register_fn("listen_locally", || describe_result(UnixListener::bind("/tmp/circles-worker-was-here")));
    engine.register_fn("start_process", || describe_result(Command::new("/bin/true").status()));
    engine.register_fn("start_thread", || describe_result(std::thread::Builder::new().spawn(|| {})));
    engine.register_fn("signal", |pid: i64| {
        let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap_or_default());
        describe_result(
            pid.ok_or(io::ErrorKind::NotFound.into()).and_then(|pid| {
                rustix::process::kill_process(pid, rustix::process::Signal::CONT).map_err(io::Error::from)
            }),
        )
    });
    engine.register_fn("overflow", || overflow_stack(0));
    engine.register_fn("variables", || i64::try_from(std::env::vars_os().count()).unwrap_or(-1));
}

fn main() {
    worker::run_if_worker_with(natives);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (passed, skipped) = runtime.block_on(async {
        let setup = || WorkerSetup::default();
        let fresh = Worker::start(Program::SameExecutable, setup()).await.expect("it starts");
        let fork_server = ForkServer::start(Program::SameExecutable, setup()).await.expect("it starts");
        let forked = fork_server.start_worker().await.expect("it forks");
        let (mut passed, mut skipped) = (0, 0);
        for (name, worker) in [("fresh_worker_is_sandboxed", fresh), ("forked_worker_is_sandboxed", forked)] {
            match check_sandbox(worker).await {
                SandboxSupport::Holds => passed += 1,
                SandboxSupport::IsMissing => {
                    skipped::report(&format!("worker::{name}"), "this system has no seccomp, as the worker reports");
                    skipped += 1;
                }
            }
        }
        (passed, skipped)
    });
    println!("test result: ok. {passed} passed; 0 failed; {skipped} ignored; workers cannot use the operating system");
}

/// Whether the sandbox is supported.
enum SandboxSupport {
    Holds,
    /// The system is not Linux.
    IsMissing,
}

async fn check_sandbox(mut worker: Worker) -> SandboxSupport {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let scripts = [
        ("read_file()", "PermissionDenied"),
        ("write_file()", "PermissionDenied"),
        ("list_directory()", "PermissionDenied"),
        ("remove_file()", "PermissionDenied"),
        (&format!("connect({port})"), "PermissionDenied"),
        ("listen()", "PermissionDenied"),
        ("listen_locally()", "PermissionDenied"),
        ("start_process()", "PermissionDenied"),
        ("start_thread()", "PermissionDenied"),
        (&format!("signal({})", std::process::id()), "PermissionDenied"),
        ("variables()", "0"),
        // Allowed operations still work.
        ("let text = \"\"; for i in 0..1000 { text += `${i}`; } text.len()", "2890"),
        ("timestamp().elapsed >= 0.0", "true"),
        ("clock::now() > 1_700_000_000_000", "true"),
        ("let n = random::int(1, 6); n >= 1 && n <= 6 && random::float() < 1.0", "true"),
        ("random::bytes(1024).len() + random::text(1024).len() + random::shuffle([1, 2]).len()", "2050"),
        ("random::pick([7, 7])", "7"),
        ("let first = id(); first.len() == 36 && first < id()", "true"),
        ("caller().values()", "[(), (), ()]"),
    ];
    for (number, (script, expected)) in (1..).zip(scripts) {
        worker.play(&Play { number, script, name: None, bind: None });
        let output = loop {
            match worker.event().await {
                WorkerEvent::Done { outcome: EvalOutcome::Value(value), .. } => break value.output,
                WorkerEvent::Done { outcome, .. } => panic!("{script}: {outcome:?}"),
                WorkerEvent::Lost(loss) => panic!("{script}: lost, {loss:?}"),
                _ => {}
            }
        };
        if number == 1 && !worker.layers().is_some_and(|layers| layers.contains(&Layer::Syscalls)) {
            // Without seccomp, the worker reports a missing layer.
            let is_linux = cfg!(target_os = "linux");
            assert!(!is_linux, "Linux has seccomp");
            return SandboxSupport::IsMissing;
        }
        assert_eq!(output, expected, "{script}");
    }
    assert!(worker.layers().is_some_and(|layers| layers.contains(&Layer::Memory)));
    // A stack overflow ends the worker, although the seal denies the system calls of an abort.
    worker.play(&Play { number: 99, script: "overflow()", name: None, bind: None });
    loop {
        match worker.event().await {
            WorkerEvent::Lost(loss) => break assert_eq!(loss, Loss::Crashed),
            WorkerEvent::Done { outcome, .. } => panic!("{outcome:?}"),
            _ => {}
        }
    }
    SandboxSupport::Holds
}
