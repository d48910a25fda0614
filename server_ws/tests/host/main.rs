//! Host functions over real sockets and real workers, with each kind of workers. This is a program of its own, because
//! workers are started from the program's own executable.

mod calls;
#[path = "../../../tests/support/eventually.rs"]
mod eventually;
mod forged;
mod limits;
mod metrics;
mod output;
mod plays;
mod transactions;
mod values;
#[path = "../../../tests/support/wire.rs"]
#[expect(dead_code, reason = "these tests need only a part of it")]
mod wire;

use std::{
    net::TcpListener,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{OnceLock, mpsc},
    time::Duration,
};

use eventually::eventually;
use server_ws::{CircleBuilder, Observer, Workers};
use tokio::{runtime::Runtime, sync::oneshot};
use wire::WireClient;

#[global_allocator]
static ALLOCATOR: worker::Allocator = worker::Allocator;

/// Bounds every wait: reaching it is a failure, never a way to pass.
const WAIT_TIMEOUT: Duration = Duration::from_secs(30);

/// A test, which runs with each kind of workers.
type Test = (&'static str, fn(&Workers));

fn main() {
    worker::run_if_worker_with(|engine| {
        calls::natives(engine);
        values::natives(engine);
    });
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let program = std::env::current_exe().expect("it is known");
    let worker_kinds = [
        ("same executable", Workers::SameExecutable),
        ("another program", Workers::Process { program }),
        ("threads", Workers::TrustedThreads),
    ];
    let (mut passed, mut failed) = (0, 0);
    for (kind, workers) in worker_kinds {
        let tests = [
            calls::TESTS,
            values::TESTS,
            output::TESTS,
            metrics::TESTS,
            limits::TESTS,
            plays::TESTS,
            transactions::TESTS,
        ]
        .concat();
        let process_tests = match workers {
            Workers::TrustedThreads => Vec::new(),
            _ => [forged::PROCESS_TESTS, plays::PROCESS_TESTS].concat(),
        };
        for (name, test) in tests.into_iter().chain(process_tests) {
            if !name.contains(&filter) {
                continue;
            }
            if catch_unwind(AssertUnwindSafe(|| test(&workers))).is_ok() {
                passed += 1;
            } else {
                failed += 1;
                println!("{name} FAILED with {kind}");
            }
        }
    }
    let result = if failed == 0 { "ok" } else { "FAILED" };
    println!("test result: {result}. {passed} passed; {failed} failed");
    assert_eq!(failed, 0);
}

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
    })
}

/// A circle that serves until it is dropped.
struct RunningCircle {
    authority: String,
    observer: Observer,
    stop: Option<oneshot::Sender<()>>,
    ended: mpsc::Receiver<()>,
}

fn serve(workers: &Workers, circle: CircleBuilder) -> RunningCircle {
    let circle = circle.workers(workers.clone()).grace_period(Duration::ZERO).build().expect("a circle");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let authority = listener.local_addr().expect("bound").to_string();
    let observer = circle.observer();
    let ((stop, stopped), (end, ended)) = (oneshot::channel::<()>(), mpsc::channel());
    runtime().spawn(async move {
        let shutdown = async {
            // A dropped sender also ends the wait.
            let _stopped = stopped.await;
        };
        server_ws::run(listener, circle, shutdown).await.expect("it serves");
        drop(end);
    });
    RunningCircle { authority, observer, stop: Some(stop), ended }
}

impl RunningCircle {
    fn connect(&self) -> WireClient {
        WireClient::connect(&self.authority)
    }

    fn stop(&mut self) {
        drop(self.stop.take());
        // Nothing is ever sent; the sender is dropped at the end.
        assert!(matches!(self.ended.recv_timeout(WAIT_TIMEOUT), Err(mpsc::RecvTimeoutError::Disconnected)), "it ends");
    }
}

impl Drop for RunningCircle {
    fn drop(&mut self) {
        drop(self.stop.take());
    }
}

/// Waits for the next message of a host function.
fn receive<T>(messages: &mpsc::Receiver<T>) -> T {
    messages.recv_timeout(WAIT_TIMEOUT).expect("a message")
}
