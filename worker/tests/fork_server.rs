//! Tests of forked workers: their isolation from each other and from their fork server, and the handling of failures.
//! It has no test harness, because a fork server runs the program's own executable.

#[path = "../../tests/support/skipped.rs"]
mod skipped;

use std::{
    io,
    os::unix::process::CommandExt,
    process::{Command, ExitCode},
    time::Instant,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open},
};
use worker::{
    EvalOutcome, ForkServer, Layer, Loss, Play, Program, Query, SpareWorker, Usage, Worker, WorkerEvent, WorkerSetup,
    rhai::Engine,
};

#[global_allocator]
static ALLOCATOR: worker::Allocator = worker::Allocator;

/// The argument of the run as another user.
const AS_NOBODY: &str = "as-nobody";

/// The argument of the run with a blocked and an ignored signal.
const WITH_SIGNALS: &str = "with-signals";

/// Counts the open descriptors from 3 on.
#[expect(unsafe_code, reason = "the test probes descriptor numbers that it does not own")]
fn descriptors() -> i64 {
    let is_open = |number: i32| {
        // SAFETY: the number may not be open, which is what the transfer of no bytes detects.
        let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(number) };
        // Each end of a pipe allows only one of the two.
        let closed = Err(rustix::io::Errno::BADF);
        rustix::io::read(fd, &mut [0_u8; 0]) != closed || rustix::io::write(fd, &[]) != closed
    };
    (3..4096).filter(|number| is_open(*number)).count().try_into().expect("few")
}

fn natives(engine: &mut Engine) {
    engine.register_fn("descriptors", descriptors);
    engine.register_fn("panics", || -> i64 { panic!("simulated defect") });
    engine.register_fn("ends", || -> i64 { std::process::exit(3) });
}

fn main() -> ExitCode {
    worker::run_if_worker_with(natives);
    if cfg!(not(target_os = "linux")) {
        skipped::report("worker::fork_server", "this system has no fork servers");
        println!("test result: ok. 0 passed; 0 failed; 16 ignored; fork servers and their workers");
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    if std::env::args().any(|argument| argument == AS_NOBODY) {
        runtime.block_on(async {
            worker_memory_is_not_readable().await;
            workers_start_without_network_and_privileges().await;
        });
        return ExitCode::SUCCESS;
    }
    if std::env::args().any(|argument| argument == WITH_SIGNALS) {
        runtime.block_on(workers_reset_signals());
        return ExitCode::SUCCESS;
    }
    runtime.block_on(async {
        workers_are_isolated().await;
        plays_sent_together_run_in_order().await;
        stopped_play_that_has_not_begun_is_withdrawn().await;
        held_worker_pauses_between_plays().await;
        failed_worker_affects_no_other().await;
        usage_is_that_of_process().await;
        fork_server_end_kills_its_workers().await;
        init_script_that_kills_fork_server_is_an_error().await;
        dropped_fork_server_ends_with_last_worker().await;
        dropped_request_leaves_nothing().await;
        spare_worker_waits_and_is_then_like_any_other().await;
        ended_spare_worker_is_not_alive().await;
        killed_idle_worker_is_not_alive().await;
        workers_start_without_network_and_privileges().await;
    });
    run_with_signals();
    // Root may read the memory of every process, so this runs as another user.
    if rustix::process::getuid().is_root() {
        let mut again = Command::new("/proc/self/exe");
        assert!(again.arg(AS_NOBODY).uid(65534).gid(65534).current_dir("/").status().expect("it runs").success());
    } else {
        runtime.block_on(worker_memory_is_not_readable());
    }
    println!("test result: ok. 16 passed; 0 failed; fork servers and their workers");
    ExitCode::SUCCESS
}

async fn start_fork_server(init: &str) -> ForkServer {
    let setup = WorkerSetup { init: Some(init.into()), ..WorkerSetup::default() };
    ForkServer::start(Program::SameExecutable, setup).await.expect("a fork server")
}

/// Plays a script, and returns its output, its error or the loss as text.
async fn play(worker: &mut Worker, number: u64, script: &str) -> String {
    worker.play(&Play { number, script, name: None, bind: None });
    loop {
        match worker.event().await {
            WorkerEvent::Done { outcome: EvalOutcome::Value(value), .. } => return value.output,
            WorkerEvent::Done { outcome, .. } => return format!("{outcome:?}"),
            WorkerEvent::Lost(loss) => return format!("{loss:?}"),
            _ => {}
        }
    }
}

fn worker_pid(worker: &Worker) -> Pid {
    Pid::from_raw(worker.pid().expect("it has one").try_into().expect("small")).expect("not 0")
}

async fn workers_are_isolated() {
    let fork_server = start_fork_server("print(\"dropped\"); let list = [1]; fn common() { 1 }").await;
    let mut first = fork_server.start_worker().await.expect("a worker");
    assert_eq!(play(&mut first, 1, "list += 2; fn common() { 2 } list.len() + common()").await, "4");
    let mut second = fork_server.start_worker().await.expect("a worker");
    assert_eq!(play(&mut second, 1, "list.len() + common()").await, "2");
    for worker in [&mut first, &mut second] {
        assert_eq!(play(worker, 2, "descriptors()").await, "3");
    }
    assert_eq!(play(&mut first, 3, "list.len()").await, "2");
}

fn send_plays(worker: &mut Worker, scripts: &[&str]) {
    for (number, script) in (1..).zip(scripts) {
        worker.play(&Play { number, script, name: None, bind: None });
    }
}

/// Waits for the next outcome of a play or the next decision about one, as text.
async fn next_outcome(worker: &mut Worker) -> String {
    loop {
        match worker.event().await {
            WorkerEvent::Done { play, outcome: EvalOutcome::Value(value) } => {
                return format!("{play}: {}", value.output);
            }
            WorkerEvent::Done { play, outcome } => return format!("{play}: {outcome:?}"),
            WorkerEvent::Withdrawn { play } => return format!("{play}: withdrawn"),
            WorkerEvent::Held => return "held".into(),
            WorkerEvent::Lost(loss) => return format!("{loss:?}"),
            _ => {}
        }
    }
}

async fn wait_for_print(worker: &mut Worker) {
    while !matches!(worker.event().await, WorkerEvent::Print(_)) {}
}

async fn plays_sent_together_run_in_order() {
    let fork_server = start_fork_server("").await;
    let mut worker = fork_server.start_worker().await.expect("a worker");
    send_plays(&mut worker, &["let n = 1; n", "n += 1; n", "throw 3", "n += 1; n"]);
    for expected in ["1: 1", "2: 2"] {
        assert_eq!(next_outcome(&mut worker).await, expected);
    }
    assert!(next_outcome(&mut worker).await.starts_with("3: Failed"));
    assert_eq!(next_outcome(&mut worker).await, "4: 3");
}

async fn stopped_play_that_has_not_begun_is_withdrawn() {
    let fork_server = start_fork_server("").await;
    let mut worker = fork_server.start_worker().await.expect("a worker");
    send_plays(&mut worker, &["let ran = [1]; print(1); loop {}", "ran += 2", "ran += 3", "ran += 4; ran.len()"]);
    wait_for_print(&mut worker).await;
    // The stop of a later play must not hide that of an earlier one.
    worker.stop(3);
    worker.stop(2);
    assert_eq!(next_outcome(&mut worker).await, "3: withdrawn");
    assert_eq!(next_outcome(&mut worker).await, "2: withdrawn");
    worker.stop(1);
    assert_eq!(next_outcome(&mut worker).await, "1: Stopped");
    assert_eq!(next_outcome(&mut worker).await, "4: 2");
}

async fn held_worker_pauses_between_plays() {
    let fork_server = start_fork_server("").await;
    let mut worker = fork_server.start_worker().await.expect("a worker");
    send_plays(&mut worker, &["print(1); loop {}", "let n = 2; n", "n + 1"]);
    wait_for_print(&mut worker).await;
    worker.hold();
    worker.stop(1);
    assert_eq!(next_outcome(&mut worker).await, "1: Stopped");
    assert_eq!(next_outcome(&mut worker).await, "held");
    // A query is answered, and a held play can be withdrawn.
    worker.send_query(1, Query::Scope);
    while !matches!(worker.event().await, WorkerEvent::Answer { number: 1, .. }) {}
    worker.stop(3);
    assert_eq!(next_outcome(&mut worker).await, "3: withdrawn");
    worker.resume();
    assert_eq!(next_outcome(&mut worker).await, "2: 2");
    assert_eq!(play(&mut worker, 4, "n").await, "2");
    // A hold ends with the last play that was sent before it.
    worker.play(&Play { number: 5, script: "print(5); loop {}", name: None, bind: None });
    wait_for_print(&mut worker).await;
    worker.hold();
    worker.stop(5);
    assert_eq!(next_outcome(&mut worker).await, "5: Stopped");
    assert_eq!(play(&mut worker, 6, "6").await, "6");
}

async fn failed_worker_affects_no_other() {
    let fork_server = start_fork_server("").await;
    let mut other = fork_server.start_worker().await.expect("a worker");
    assert_eq!(play(&mut other, 1, "let mine = 7;").await, "");
    for (script, loss) in [("panics()", Loss::Crashed), ("ends()", Loss::Crashed)] {
        let mut worker = fork_server.start_worker().await.expect("a worker");
        assert_eq!(play(&mut worker, 1, script).await, format!("{loss:?}"), "{script}");
    }
    let bomb = "let a = \"x\"; let b = \"x\"; a.pad(60000, \"a\"); b.pad(60000, \"b\"); a.replace(\"a\", b);";
    let mut worker = fork_server.start_worker().await.expect("a worker");
    assert_eq!(play(&mut worker, 1, bomb).await, "Memory");
    let mut worker = fork_server.start_worker().await.expect("a worker");
    worker.kill();
    assert_eq!(play(&mut worker, 1, "loop {}").await, "Killed");
    assert_eq!(play(&mut other, 2, "mine").await, "7");
}

async fn usage_is_that_of_process() {
    let since = Instant::now();
    let fork_server = start_fork_server("").await;
    let spare = fork_server.start_spare_worker().await.expect("a spare worker");
    let base = spare.memory_usage().known().expect("Linux");
    let mut worker = spare.into_worker().expect("a worker");
    let computed = worker.cpu_usage(since).known().expect("Linux");
    assert_eq!(
        play(&mut worker, 1, "let list = blob(30000, 1); let n = 0; while n < 100000 { n += 1; } n").await,
        "100000"
    );
    assert!(worker.cpu_usage(since).known().expect("Linux") > computed);
    assert_eq!(
        play(&mut worker, 2, "let kept = []; for n in 0..64 { kept.push(blob(100000, 1)); } kept.len()").await,
        "64"
    );
    assert!(worker.memory_usage(since).known().expect("Linux") > base + (4 << 20));
    worker.kill();
    assert!(matches!(worker.event().await, WorkerEvent::Lost(Loss::Killed)));
    assert_eq!((worker.memory_usage(since), worker.cpu_usage(since)), (Usage::Unknown, Usage::Unknown));
}

async fn fork_server_end_kills_its_workers() {
    let fork_server = start_fork_server("").await;
    let mut worker = fork_server.start_worker().await.expect("a worker");
    assert_eq!(play(&mut worker, 1, "1").await, "1");
    kill_process(Pid::from_raw(fork_server.pid().expect("one").cast_signed()).expect("not 0"), Signal::KILL)
        .expect("there");
    assert!(matches!(worker.event().await, WorkerEvent::Lost(Loss::Killed)));
    let error = fork_server.start_worker().await.expect_err("the fork server has ended");
    assert_eq!((error.kind(), fork_server.has_ended()), (io::ErrorKind::BrokenPipe, true), "{error}");
}

async fn init_script_that_kills_fork_server_is_an_error() {
    for (init, loss) in [
        ("let a = \"x\"; let b = \"x\"; a.pad(60000, \"a\"); b.pad(60000, \"b\"); a.replace(\"a\", b);", "Memory"),
        ("ends()", "Crashed"),
        ("panics()", "Crashed"),
    ] {
        let error = start_fork_server(init).await.start_worker().await.expect_err("the fork server has ended");
        assert!(error.to_string().ends_with(&format!("({loss})")), "{init}: {error}");
    }
    // An init script that only fails makes each play fail.
    let mut worker = start_fork_server("let a = 1; a.nothing()").await.start_worker().await.expect("a worker");
    assert!(play(&mut worker, 1, "1").await.contains("nothing"));
}

async fn dropped_fork_server_ends_with_last_worker() {
    let fork_server = start_fork_server("").await;
    let mut worker = fork_server.start_worker().await.expect("a worker");
    let pid = fork_server.pid().expect("one");
    drop(fork_server);
    assert_eq!(play(&mut worker, 1, "40 + 2").await, "42");
    let process = pidfd_open(Pid::from_raw(pid.cast_signed()).expect("not 0"), PidfdFlags::empty());
    let process = process.expect("it is there");
    drop(worker);
    let ends = tokio::task::spawn_blocking(move || poll(&mut [PollFd::new(&process, PollFlags::IN)], None));
    assert_eq!(ends.await.expect("it waits"), Ok(1));
}

async fn dropped_request_leaves_nothing() {
    // The fork server never becomes ready.
    let fork_server = start_fork_server("loop {}").await;
    for _ in 0..100 {
        let mut waiting = Box::pin(fork_server.start_worker());
        assert!(poll_once(waiting.as_mut()).await.is_none());
    }
    let open = std::fs::read_dir("/proc/self/fd").expect("Linux").count();
    assert!(open < 50, "{open} descriptors");
}

/// Polls a future once.
async fn poll_once<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> Option<T> {
    tokio::select! {
        biased;
        value = future => Some(value),
        () = std::future::ready(()) => None,
    }
}

async fn worker_memory_is_not_readable() {
    let fork_server = start_fork_server("").await;
    let mut worker = fork_server.start_worker().await.expect("a worker");
    assert_eq!(play(&mut worker, 1, "1").await, "1");
    // The memory of the fork server, of the same user, is readable, so the denial has no other reason.
    drop(std::fs::File::open(format!("/proc/{}/mem", fork_server.pid().expect("one"))).expect("its user's"));
    let error = std::fs::File::open(format!("/proc/{}/mem", worker_pid(&worker))).expect_err("it is not dumpable");
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
}

/// Returns the name of a process in process lists.
fn process_name(pid: Pid) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).expect("it runs").trim().to_owned()
}

fn spare_pid(spare: &SpareWorker) -> Pid {
    Pid::from_raw(spare.pid().expect("it has one").try_into().expect("small")).expect("not 0")
}

async fn spare_worker_waits_and_is_then_like_any_other() {
    let fork_server = start_fork_server("let list = [1];").await;
    let (mut spare, mut unused) =
        (fork_server.start_spare_worker().await.expect("one"), fork_server.start_spare_worker().await.expect("one"));
    let pid = spare_pid(&spare);
    assert!(spare.is_alive() && unused.is_alive());
    assert_eq!(process_name(pid), "circles-spare");
    // It is sealed before anyone uses it: 2 is a filter of system calls.
    assert_eq!(status(pid, "Seccomp"), 2);
    let mut worker = spare.into_worker().expect("it is alive");
    assert_eq!(play(&mut worker, 1, "list += 2; list.len()").await, "2");
    assert_eq!((worker_pid(&worker), process_name(pid)), (pid, "circles-worker".into()));
    // It has closed the file through which it changed its name.
    assert_eq!(play(&mut worker, 2, "descriptors()").await, "3");
    assert!(unused.is_alive());
    let mut other = unused.into_worker().expect("it is alive");
    assert_eq!(play(&mut other, 1, "list.len()").await, "1");
}

async fn ended_spare_worker_is_not_alive() {
    let fork_server = start_fork_server("").await;
    let mut spares = Vec::new();
    for _ in 0..3 {
        spares.push(fork_server.start_spare_worker().await.expect("one"));
    }
    let mut killed = spares.remove(0);
    let process = pidfd_open(spare_pid(&killed), PidfdFlags::empty()).expect("it runs");
    kill_process(spare_pid(&killed), Signal::KILL).expect("it runs");
    poll(&mut [PollFd::new(&process, PollFlags::IN)], None).expect("it ends");
    // Nobody has told the server yet.
    assert!(!killed.is_alive() && spares.iter_mut().all(SpareWorker::is_alive));
    // A dropped spare worker ends.
    let dropped = pidfd_open(spare_pid(&spares[0]), PidfdFlags::empty()).expect("it runs");
    drop(spares.remove(0));
    let ends = tokio::task::spawn_blocking(move || poll(&mut [PollFd::new(&dropped, PollFlags::IN)], None));
    ends.await.expect("no panic").expect("it ends");
    // The last one keeps its fork server.
    drop(fork_server);
    assert!(spares[0].is_alive());
}

async fn killed_idle_worker_is_not_alive() {
    let fork_server = start_fork_server("").await;
    let mut worker = fork_server.start_worker().await.expect("a worker");
    assert_eq!(play(&mut worker, 1, "1").await, "1");
    assert!(worker.is_alive_and_silent());
    let pid = Pid::from_raw(worker.pid().expect("Linux").try_into().expect("a pid")).expect("a pid");
    let process = pidfd_open(pid, PidfdFlags::empty()).expect("it runs");
    kill_process(pid, Signal::KILL).expect("it runs");
    // This blocks the runtime, so it does not see that the channels close.
    poll(&mut [PollFd::new(&process, PollFlags::IN)], None).expect("it ends");
    assert!(!worker.is_alive_and_silent());
}

/// Reads a mask from `/proc/PID/status`.
fn status(pid: Pid, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t")).expect("Linux");
    u64::from_str_radix(line, 16).expect("a mask")
}

async fn workers_start_without_network_and_privileges() {
    let fork_server = start_fork_server("").await;
    let mut worker = fork_server.start_worker().await.expect("a worker");
    assert_eq!(play(&mut worker, 1, "1").await, "1");
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(status(worker_pid(&worker), set), 0, "{set}");
    }
    let is_root = rustix::process::getuid().is_root();
    if !worker.layers().expect("it has played").contains(&Layer::Network) {
        return skipped::report("worker::fork_server network", "the system refuses a network namespace");
    }
    assert_eq!(status(worker_pid(&worker), "CapBnd"), 0);
    // Only root may read a worker's namespaces. Workers inherit those of their fork server.
    let pid = if is_root {
        worker_pid(&worker).as_raw_nonzero().get().cast_unsigned()
    } else {
        fork_server.pid().expect("one")
    };
    let network = |pid: String| std::fs::read_link(format!("/proc/{pid}/ns/net")).expect("it runs");
    assert_ne!(network(pid.to_string()), network("self".into()));
}

/// Runs this program again with a blocked and an ignored signal.
fn run_with_signals() {
    let options = ["--block-signal=TERM", "--ignore-signal=HUP"];
    let has_options = Command::new("env").args(options).arg("true").status().is_ok_and(|status| status.success());
    if !has_options {
        return skipped::report("worker::fork_server signals", "env(1) has no --block-signal on this system");
    }
    let program = std::env::current_exe().expect("it is there");
    let again = Command::new("env").args(options).arg(program).arg(WITH_SIGNALS).status();
    assert!(again.expect("it runs").success());
}

async fn workers_reset_signals() {
    let [term, hup] = [Signal::TERM, Signal::HUP].map(|signal| 1_u64 << (signal.as_raw() - 1));
    let own = rustix::process::getpid();
    assert!(status(own, "SigBlk") & term != 0 && status(own, "SigIgn") & hup != 0, "the signals are not set up");
    let fork_server = start_fork_server("").await;
    let mut worker = fork_server.start_worker().await.expect("a worker");
    assert_eq!(play(&mut worker, 1, "1").await, "1");
    assert_eq!((status(worker_pid(&worker), "SigBlk"), status(worker_pid(&worker), "SigIgn") & hup), (0, 0));
}
