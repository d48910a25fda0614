//! Tests of calls of functions in workers of a fork server and on threads. It has no test harness, because a fork server
//! runs the program's own executable.
//!
//! With the argument `measure`, it prints the times of calls and plays instead.

#[path = "../../tests/support/skipped.rs"]
mod skipped;

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use worker::{
    CALLER_NAME, Call, EvalOutcome, ForkServer, FunctionFile, FunctionFiles, HostFunction, HostModule, HostReturn,
    LimitKind, NamedValue, Play, Program, TraceSource, Value, Worker, WorkerEvent, WorkerLimits, WorkerSetup,
    inspect_functions,
};

#[global_allocator]
static ALLOCATOR: worker::Allocator = worker::Allocator;

const ORDER: &str = "\
const ITEMS = #{ tea: 2 };
let total = 0;
const COUNT = || { total += 1; total };
/// Places an order.
fn order(item, count) { circle::price(item) * count }
fn count() { global::COUNT.call() }
fn endless() { print(\"begun\"); loop {} }
fn waits() { stock::count() + 1 }
fn typed(x) { [type_of(x), x] }
fn user() { USER }
fn who() { caller() }
const AT_START = [id(), random::int(1, 6), random::bytes(1024)];
fn randoms() { [id().sub_string(19), random::int(-9223372036854775807, 9223372036854775807), random::bytes(16), random::text(16)] }
fn natives() { let id = id(); [id.len(), clock::now() > 0, random::pick([random::int(3, 3)]), sortable(-1)] }
fn fails(x) {
  throw #{ code: x };
}
fn keeps(n) { let list = []; let cycle = || list; list = [cycle, blob(n)]; }
fn large() { let text = \"x\"; text.pad(500000, \"y\"); text }
fn grows() { let list = []; loop { list.push(blob(100000)); } }
";

const PRICE: &str = "private fn secret(item) { 7 } fn price(item) { secret(item) }";

fn setup() -> WorkerSetup {
    let file = |name: &str, source: &str| FunctionFile {
        name: name.into(),
        path: format!("shop/{name}.rhai"),
        source: source.into(),
    };
    let functions = ["count"].map(|name| HostFunction {
        name: name.into(),
        params: Vec::new(),
        doc: String::new(),
        signature: None,
    });
    WorkerSetup {
        limits: WorkerLimits { memory_bytes: 32 << 20, ..WorkerLimits::default() },
        host: vec![HostModule { name: "stock".into(), functions: functions.into(), keeps_types: false }],
        functions: Some(FunctionFiles {
            namespace: "circle".into(),
            files: vec![file("order", ORDER), file("price", PRICE)],
        }),
        ..WorkerSetup::default()
    }
}

/// A worker, the names of its functions and the number of its last call.
struct CallingWorker {
    worker: Worker,
    names: Vec<String>,
    number: u64,
    constants: Vec<NamedValue>,
}

impl CallingWorker {
    fn new(worker: Worker) -> Self {
        let setup = setup();
        let files = setup.functions.expect("there are files").files;
        let declared = inspect_functions(&files, &setup.limits).expect("the files parse");
        let names =
            declared.into_iter().filter(|function| !function.is_private).map(|function| function.name).collect();
        Self { worker, names, number: 0, constants: Vec::new() }
    }

    async fn forked() -> Self {
        let fork_server = ForkServer::start(Program::SameExecutable, setup()).await.expect("a fork server");
        Self::new(fork_server.start_worker().await.expect("a worker"))
    }

    /// Sends a call and returns its number.
    fn send(&mut self, name: &str, args: &[Value]) -> u64 {
        let function = self.names.iter().position(|known| known == name).expect(name);
        self.number += 1;
        let function = u32::try_from(function).expect("few");
        let call = Call { number: self.number, function, args, constants: &self.constants };
        self.worker.call(&call).expect("valid arguments");
        self.number
    }

    async fn outcome(&mut self) -> EvalOutcome {
        loop {
            match self.worker.event().await {
                WorkerEvent::Done { play, outcome } => {
                    assert_eq!(play, self.number);
                    return outcome;
                }
                WorkerEvent::HostCall(_) => self.worker.return_host_call(HostReturn::Value("41".into())),
                WorkerEvent::Lost(loss) => panic!("{loss:?}"),
                _ => {}
            }
        }
    }

    async fn call(&mut self, name: &str, args: &[Value]) -> EvalOutcome {
        self.send(name, args);
        self.outcome().await
    }

    async fn json(&mut self, name: &str, args: &[Value]) -> String {
        match self.call(name, args).await {
            EvalOutcome::Value(value) => value.json,
            outcome => panic!("{name}: {outcome:?}"),
        }
    }
}

fn text(text: &str) -> Value {
    Value::String(text.into())
}

fn main() -> ExitCode {
    worker::run_if_worker();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    if std::env::args().any(|argument| argument == "measure") {
        runtime.block_on(measure());
        return ExitCode::SUCCESS;
    }
    if cfg!(not(target_os = "linux")) {
        skipped::report("worker::functions", "workers of this system are not forked and count no memory");
        println!("test result: ok. 0 passed; 0 failed; 5 ignored; calls of functions");
        return ExitCode::SUCCESS;
    }
    runtime.block_on(async {
        calls_work_in(CallingWorker::forked().await).await;
        calls_work_in(CallingWorker::new(Worker::start(Program::SameExecutable, setup()).await.expect("a worker")))
            .await;
        calls_work_in(CallingWorker::new(Worker::start_on_threads(setup()).expect("a worker"))).await;
        workers_of_a_fork_server_have_different_random_values().await;
        worker_does_not_grow_with_its_calls().await;
    });
    println!("test result: ok. 5 passed; 0 failed; calls of functions");
    ExitCode::SUCCESS
}

async fn calls_work_in(mut worker: CallingWorker) {
    assert_eq!(worker.json("order", &[text("tea"), Value::Int(3)]).await, "21");
    for value in [Value::Float(2.0), Value::Blob(vec![1, 2]), Value::Map([("a".to_owned(), Value::Int(1))].into())] {
        let expected = match value {
            Value::Float(_) => r#"["f64",2.0]"#,
            Value::Blob(_) => r#"["blob","AQI="]"#,
            _ => r#"["map",{"a":1}]"#,
        };
        assert_eq!(worker.json("typed", &[value]).await, expected);
    }
    assert_eq!(worker.json("natives", &[]).await, r#"[36,true,3,"7fffffffffffffff"]"#);
    assert_eq!(worker.json("who", &[]).await, r#"{"key":null,"name":null,"role":null}"#);
    // Nothing of a call reaches the next one.
    for user in ["alice", "bob"] {
        worker.constants = vec![NamedValue::new("USER", user).expect("valid")];
        assert_eq!(worker.json("count", &[]).await, "1");
        assert_eq!(worker.json("user", &[]).await, format!("\"{user}\""));
        worker.constants = vec![NamedValue::new(CALLER_NAME, user).expect("valid")];
        assert_eq!(worker.json("who", &[]).await, format!(r#"{{"key":null,"name":"{user}","role":null}}"#));
    }
    assert_eq!(worker.json("waits", &[]).await, "42");
    match worker.call("fails", &[Value::Int(5)]).await {
        EvalOutcome::Failed(error) => {
            assert_eq!(error.thrown.as_deref(), Some(r#"{"code":5}"#));
            assert_eq!(error.trace[0].source, TraceSource::File("shop/order.rhai".into()));
            assert_eq!(error.trace[0].text.as_deref(), Some("  throw #{ code: x };"));
            assert_eq!(error.trace[0].position.map(|position| position.line), Some(16));
        }
        outcome => panic!("{outcome:?}"),
    }
    deep_argument_is_rejected(&mut worker);
    // A running call, and one that has not begun.
    let first = worker.send("endless", &[]);
    let second = worker.send("order", &[text("tea"), Value::Int(1)]);
    while !matches!(worker.worker.event().await, WorkerEvent::Print(print) if print.play == first) {}
    worker.worker.request_progress();
    while !matches!(worker.worker.event().await, WorkerEvent::Progress(report) if report.play == first) {}
    worker.worker.stop(second);
    while !matches!(worker.worker.event().await, WorkerEvent::Withdrawn { play } if play == second) {}
    worker.worker.stop(first);
    assert!(
        matches!(worker.worker.event().await, WorkerEvent::Done { play, outcome: EvalOutcome::Stopped } if play == first)
    );
    assert_eq!(worker.json("order", &[text("tea"), Value::Int(1)]).await, "7");
}

fn deep_argument_is_rejected(worker: &mut CallingWorker) {
    let deep = (0..Value::MAX_DEPTH).fold(Value::Unit, |inner, _| Value::Array(vec![inner]));
    let args = [Value::Unit, deep];
    let call = Call { number: worker.number + 1, function: 0, args: &args, constants: &[] };
    let error = worker.worker.call(&call).expect_err("it is too deep");
    assert_eq!(error.to_string(), "cannot pass the value 'argument 2' to the script: it has more than 64 levels");
}

/// Both workers continue from the state in which the top level of a file left the generators.
async fn workers_of_a_fork_server_have_different_random_values() {
    let fork_server = ForkServer::start(Program::SameExecutable, setup()).await.expect("a fork server");
    let mut values = Vec::new();
    for _ in 0..2 {
        let mut worker = CallingWorker::new(fork_server.start_worker().await.expect("a worker"));
        let json = worker.json("randoms", &[]).await;
        values.push(serde_json::from_str::<Vec<serde_json::Value>>(&json).expect("an array"));
    }
    assert!(values[0].iter().zip(&values[1]).all(|(first, second)| first != second), "{values:?}");
}

async fn worker_does_not_grow_with_its_calls() {
    let mut worker = CallingWorker::forked().await;
    let mut at_first = 0;
    for number in 0..10_000 {
        // Each call has another caller.
        worker.constants = vec![NamedValue::new("USER", format!("user{number:05}")).expect("valid")];
        assert_eq!(worker.json("user", &[]).await, format!("\"user{number:05}\""));
        if number == 100 {
            at_first = worker.worker.live_bytes();
        }
    }
    let growth = worker.worker.live_bytes().saturating_sub(at_first);
    assert!(growth < 4096, "{growth} bytes");
    // The value of a call is not part of the growth.
    assert_eq!(worker.json("large", &[]).await.len(), 500_002);
    assert!(worker.worker.live_bytes() < at_first + (64 << 10), "{}", worker.worker.live_bytes());
    // A cycle of references is never freed.
    assert_eq!(worker.json("keeps", &[Value::Int(50_000)]).await, "null");
    assert!(worker.worker.live_bytes() > at_first + 50_000, "{}", worker.worker.live_bytes());
    let outcome = worker.call("grows", &[]).await;
    assert!(matches!(outcome, EvalOutcome::Limit { kind: LimitKind::Memory, .. }), "{outcome:?}");
    assert_eq!(worker.json("count", &[]).await, "1");
}

/// Prints the times of round trips: the median of several rounds of calls and of plays in the same worker.
async fn measure() {
    const ROUNDS: usize = 21;
    const ROUND: u32 = 2000;
    let mut worker = CallingWorker::forked().await;
    let (mut calls, mut plays) = (Vec::new(), Vec::new());
    let args = [text("tea"), Value::Int(3)];
    for _ in 0..ROUNDS {
        let began = Instant::now();
        for _ in 0..ROUND {
            assert_eq!(worker.json("order", &args).await, "21");
        }
        calls.push(began.elapsed() / ROUND);
        let began = Instant::now();
        for _ in 0..ROUND {
            worker.number += 1;
            worker.worker.play(&Play { number: worker.number, script: "40 + 2", name: None, bind: None });
            assert!(matches!(worker.outcome().await, EvalOutcome::Value(value) if value.json == "42"));
        }
        plays.push(began.elapsed() / ROUND);
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort();
        times[times.len() / 2]
    };
    let (call, play) = (median(&mut calls), median(&mut plays));
    println!("call {call:?}, play {play:?}, ratio {:.2}", call.as_secs_f64() / play.as_secs_f64());
}
