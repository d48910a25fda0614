//! Tests of handles whose workers are apart: bytes, commands and reports pass between both ends in pieces of any size, as
//! over a network. It has no test harness, because a fork server runs the program's own executable.

mod network;
#[path = "../../../tests/support/skipped.rs"]
mod skipped;

use std::{
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Instant,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    fd::OwnedFd,
    process::{Pid, PidfdFlags, Signal, getpriority_process, kill_process, pidfd_open},
};
use tokio::task::JoinHandle;
use worker::{
    EvalOutcome, ForkServer, HostFunction, HostModule, HostReturn, ModuleSources, Play, Program, Query, SpareWorker,
    Usage, Worker, WorkerEvent, WorkerLimits, WorkerSetup,
};

use network::relay;

#[global_allocator]
static ALLOCATOR: worker::Allocator = worker::Allocator;

/// The sizes of pieces, in bytes.
const PIECES: [usize; 4] = [1, 7, 4 << 10, 64 << 10];

/// The capacity of the queue of the work channel, in bytes.
const WORK_QUEUE: usize = 64 << 10;

/// Prints more than the queues and the pipe hold, and never ends.
const PRINTS: &str = "let text = \"x\"; text.pad(500, \"x\"); for n in 0..1000 { print(text); } loop {}";

fn main() -> ExitCode {
    worker::run_if_worker();
    if cfg!(not(target_os = "linux")) {
        skipped::report("worker::remote", "this system has no fork servers");
        println!("test result: ok. 0 passed; 0 failed; 9 ignored; handles whose workers are apart");
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let fork_server = ForkServer::start(Program::SameExecutable, setup()).await.expect("a fork server");
        for (piece, is_spare) in PIECES.into_iter().zip([false, true, true, false]) {
            let apart = Apart { fork_server: &fork_server, is_spare, piece };
            plays_sent_together_run_in_order(&apart).await;
            unread_prints_stop_their_worker_and_none_is_lost(&apart).await;
            plays_are_stopped_withdrawn_and_held(&apart).await;
            host_calls_and_queries_are_answered(&apart).await;
            killed_worker_is_lost(&apart).await;
            memory_limit_is_reported(&apart).await;
            usage_and_priority_are_those_of_process(&apart).await;
            dropped_handle_ends_process(&apart).await;
            lost_network_is_unreachable(&apart).await;
        }
    });
    println!("test result: ok. 9 passed; 0 failed; handles whose workers are apart");
    ExitCode::SUCCESS
}

fn setup() -> WorkerSetup {
    let home = tempfile::tempdir().expect("a directory");
    std::fs::write(home.path().join("geo.rhai"), "fn area(a, b) { a * b }").expect("written");
    let function = HostFunction { name: "count".into(), params: Vec::new(), doc: String::new(), signature: None };
    WorkerSetup {
        limits: WorkerLimits { memory_bytes: 16 << 20, ..WorkerLimits::default() },
        init: Some("fn double(x) { x * 2 }".into()),
        modules: ModuleSources::read(home.path()).expect("readable"),
        host: vec![HostModule { name: "stock".into(), functions: vec![function], keeps_types: false }],
        ..WorkerSetup::default()
    }
}

/// A fork server whose workers are apart from their handles, and the size of the pieces that pass between both.
struct Apart<'f> {
    fork_server: &'f ForkServer,
    /// Whether the worker has waited as a spare worker.
    is_spare: bool,
    piece: usize,
}

/// A handle, and the network between the handle and the worker.
struct RemoteWorker {
    worker: Worker,
    pid: Pid,
    /// The number of bytes on the work channel that the handle's queue has accepted.
    accepted: Arc<AtomicUsize>,
    network: JoinHandle<()>,
}

impl Apart<'_> {
    async fn start(&self) -> RemoteWorker {
        let relayed = if self.is_spare {
            let spare = self.fork_server.start_spare_worker().await;
            spare.and_then(SpareWorker::into_relayed)
        } else {
            self.fork_server.start_relayed(1).await
        };
        let relayed = relayed.expect("a worker");
        let pid = relayed.process.pid().expect("Linux");
        let (worker, mut peer) = Worker::remote(&setup(), "other", Some(pid));
        peer.report_usage(relayed.process.usage().expect("Linux"));
        let accepted = Arc::new(AtomicUsize::new(0));
        let network = tokio::spawn(relay(peer, relayed, self.piece, accepted.clone()));
        let pid = Pid::from_raw(pid.cast_signed()).expect("not 0");
        RemoteWorker { worker, pid, accepted, network }
    }
}

impl RemoteWorker {
    fn send(&mut self, scripts: &[&str]) {
        for (number, script) in (1..).zip(scripts) {
            self.worker.play(&Play { number, script, name: None, bind: None });
        }
    }

    /// The next outcome of a play or the next decision about one, as text.
    async fn outcome(&mut self) -> String {
        loop {
            match self.worker.event().await {
                WorkerEvent::Done { play, outcome: EvalOutcome::Value(value) } => {
                    return format!("{play}: {}", value.output);
                }
                WorkerEvent::Done { play, outcome: EvalOutcome::Failed(error) } => {
                    return format!("{play}: {}", error.message);
                }
                WorkerEvent::Done { play, outcome } => return format!("{play}: {outcome:?}"),
                WorkerEvent::Withdrawn { play } => return format!("{play}: withdrawn"),
                WorkerEvent::Held => return "held".into(),
                WorkerEvent::Lost(loss) => return format!("lost: {loss:?}"),
                _ => {}
            }
        }
    }

    async fn wait_for_print(&mut self) {
        while !matches!(self.worker.event().await, WorkerEvent::Print(_)) {}
    }

    /// A descriptor of the process, which becomes readable when the process ends.
    fn process(&self) -> OwnedFd {
        pidfd_open(self.pid, PidfdFlags::empty()).expect("it lives")
    }
}

/// Waits until a process has ended.
async fn wait_for_end(process: OwnedFd) {
    let wait = move || poll(&mut [PollFd::new(&process, PollFlags::IN)], None);
    assert_eq!(tokio::task::spawn_blocking(wait).await.expect("no panic"), Ok(1));
}

async fn plays_sent_together_run_in_order(apart: &Apart<'_>) {
    let mut remote = apart.start().await;
    remote.send(&["let n = double(4); n", "import \"geo\" as geo; geo::area(n, 2)", "throw 3", "n += 1; n"]);
    for expected in ["1: 8", "2: 16", "3: Runtime error: 3", "4: 9"] {
        assert_eq!(remote.outcome().await, expected);
    }
    assert!(remote.worker.layers().is_some());
    assert_eq!(
        (remote.worker.machine(), remote.worker.pid()),
        (Some("other"), Some(remote.pid.as_raw_pid().cast_unsigned()))
    );
}

async fn unread_prints_stop_their_worker_and_none_is_lost(apart: &Apart<'_>) {
    let mut remote = apart.start().await;
    remote.send(&["let text = \"x\"; text.pad(500, \"x\"); for n in 0..1000 { print(`${n} ${text}`); } \"end\""]);
    // Nobody reads: the queue of the handle fills, and then the pipe of the worker.
    remote.worker.flush();
    while remote.accepted.load(Relaxed) < WORK_QUEUE {
        tokio::task::yield_now().await;
    }
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(remote.accepted.load(Relaxed), WORK_QUEUE);
    let mut prints = 0;
    loop {
        match remote.worker.event().await {
            WorkerEvent::Print(print) => {
                assert_eq!(print.text.split(' ').next(), Some(prints.to_string().as_str()));
                prints += 1;
            }
            WorkerEvent::Done { play: 1, outcome: EvalOutcome::Value(value) } => {
                break assert_eq!((prints, value.output.as_str()), (1000, "end"));
            }
            event => panic!("{event:?}"),
        }
    }
}

async fn plays_are_stopped_withdrawn_and_held(apart: &Apart<'_>) {
    let mut remote = apart.start().await;
    remote.send(&["print(1); loop {}", "let n = 2; n", "n + 1", "n + 2"]);
    remote.wait_for_print().await;
    remote.worker.stop(3);
    assert_eq!(remote.outcome().await, "3: withdrawn");
    remote.worker.hold();
    remote.worker.stop(1);
    assert_eq!(remote.outcome().await, "1: Stopped");
    assert_eq!(remote.outcome().await, "held");
    remote.worker.resume();
    assert_eq!([remote.outcome().await, remote.outcome().await], ["2: 2", "4: 4"]);
    // A worker that waits for its reader stops, too.
    remote.worker.play(&Play { number: 5, script: PRINTS, name: None, bind: None });
    remote.wait_for_print().await;
    remote.worker.stop(5);
    assert_eq!(remote.outcome().await, "5: Stopped");
}

async fn host_calls_and_queries_are_answered(apart: &Apart<'_>) {
    let mut remote = apart.start().await;
    remote.send(&["let sum = 0; for n in 0..3 { sum += stock::count(); } sum", "print(2); loop {}"]);
    for number in 1..=3 {
        let event = remote.worker.event().await;
        assert!(matches!(&event, WorkerEvent::HostCall(call) if call.number == number), "{event:?}");
        remote.worker.return_host_call(HostReturn::Value("14".into()));
    }
    assert_eq!(remote.outcome().await, "1: 42");
    remote.wait_for_print().await;
    // While a play runs, the control channel carries queries.
    remote.worker.send_query(1, Query::Scope);
    remote.worker.request_progress();
    let (mut has_answer, mut has_progress) = (false, false);
    while !(has_answer && has_progress) {
        match remote.worker.control_event().await {
            WorkerEvent::Answer { number: 1, .. } => has_answer = true,
            WorkerEvent::Progress(report) => has_progress = report.play == 2,
            event => panic!("{event:?}"),
        }
    }
}

async fn killed_worker_is_lost(apart: &Apart<'_>) {
    let mut remote = apart.start().await;
    // While nobody reads its prints.
    remote.send(&[PRINTS]);
    remote.wait_for_print().await;
    remote.worker.kill();
    assert_eq!(remote.outcome().await, "lost: Killed");
    // By someone else.
    let mut remote = apart.start().await;
    remote.send(&["print(1); loop {}"]);
    remote.wait_for_print().await;
    kill_process(remote.pid, Signal::KILL).expect("it lives");
    assert_eq!(remote.outcome().await, "lost: Killed");
    let mut remote = apart.start().await;
    remote.worker.kill_as_crashed();
    assert_eq!(remote.outcome().await, "lost: Crashed");
}

async fn memory_limit_is_reported(apart: &Apart<'_>) {
    let mut remote = apart.start().await;
    remote.send(&["let list = []; loop { list.push(blob(50000)); }", "1"]);
    assert!(remote.outcome().await.starts_with("1: Limit"));
    assert_eq!(remote.outcome().await, "2: 1");
    let mut remote = apart.start().await;
    remote.send(&["let a = \"x\"; let b = \"x\"; a.pad(60000, \"a\"); b.pad(60000, \"b\"); a.replace(\"a\", b);"]);
    assert_eq!(remote.outcome().await, "lost: Memory");
}

async fn usage_and_priority_are_those_of_process(apart: &Apart<'_>) {
    let before = Instant::now();
    let mut remote = apart.start().await;
    // It came with the worker.
    assert!(remote.worker.memory_usage(before).known().is_some());
    remote.send(&["let kept = []; for n in 0..100 { kept.push(blob(50000, 1)); } kept.len()"]);
    assert_eq!(remote.outcome().await, "1: 100");
    let since = Instant::now();
    let memory = loop {
        match remote.worker.memory_usage(since) {
            Usage::Known(bytes) => break bytes,
            Usage::Pending => tokio::task::yield_now().await,
            usage => panic!("{usage:?}"),
        }
    };
    assert!(memory > 4 << 20, "{memory}");
    assert!(remote.worker.cpu_usage(since).known().is_some_and(|computed| !computed.is_zero()));
    assert_eq!(getpriority_process(Some(remote.pid)), Ok(0));
    remote.worker.lower_priority();
    while getpriority_process(Some(remote.pid)) == Ok(0) {
        tokio::task::yield_now().await;
    }
}

async fn dropped_handle_ends_process(apart: &Apart<'_>) {
    for script in ["1", "print(1); loop {}", PRINTS] {
        let mut remote = apart.start().await;
        remote.send(&[script]);
        drop(remote.worker.event().await);
        let process = remote.process();
        drop(remote.worker);
        remote.network.await.expect("it ends");
        wait_for_end(process).await;
    }
}

async fn lost_network_is_unreachable(apart: &Apart<'_>) {
    let mut remote = apart.start().await;
    remote.send(&["print(1); loop {}", "2"]);
    remote.wait_for_print().await;
    let process = remote.process();
    remote.network.abort();
    assert_eq!(remote.outcome().await, "lost: Unreachable");
    wait_for_end(process).await;
}
