//! The metrics of a circle, which are separate from those of other circles.

use std::sync::{Mutex, OnceLock, mpsc};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use serde_json::json;
use server_ws::{Circle, Limits, Workers, host};

use super::{RunningCircle, Test, eventually, receive, serve};

pub(crate) const TESTS: &[Test] = &[
    ("host_calls_are_counted_by_outcome", host_calls_are_counted_by_outcome),
    ("circles_count_separately", circles_count_separately),
];

impl RunningCircle {
    /// Returns the value of a series.
    fn count(&self, series: &str) -> u64 {
        let page = self.observer.prometheus();
        let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.expect(series).parse().expect("a number")
    }

    fn host_calls(&self, outcome: &str) -> u64 {
        self.count(&format!("circles_host_calls_total{{outcome=\"{outcome}\"}}"))
    }
}

fn host_calls_are_counted_by_outcome(workers: &Workers) {
    let (started, begins) = mpsc::channel();
    let module = host::Module::new("m")
        .function("fine", [], "Well.", |_: host::Call, (): ()| async { Ok(1) })
        .function("fails", [], "Not so well.", |_: host::Call, (): ()| async {
            Err::<(), _>(host::Error::new("not today"))
        })
        .function("large", [], "Too large.", |_: host::Call, (): ()| async { Ok("x".repeat(3000)) })
        .function("waits", [], "Waits for the end of its play.", move |call: host::Call, (): ()| {
            started.send(()).expect("the test listens");
            async move {
                call.cancelled().await;
                Ok(())
            }
        });
    let limits = Limits { host_calls: 4, host_kib: 2, ..Limits::default() };
    let circle = serve(workers, Circle::builder("test").limits(limits).host_module(module));
    let mut wire = circle.connect();
    wire.value("m::fine() + m::fine()");
    wire.error("m::fails()");
    wire.error("m::large()");
    wire.error("for n in 0..9 { m::fine(); }");
    let play = wire.request("play", json!(["m::waits()"]));
    receive(&begins);
    wire.call("cancel", json!([play]));
    assert_eq!(wire.answer(&play)["error"]["code"], -32005);
    let found =
        ["ok", "failed", "too_large", "refused", "abandoned", "unreadable"].map(|outcome| circle.host_calls(outcome));
    assert_eq!(found, [6, 1, 1, 1, 1, 0]);
    let snapshot = circle.observer.snapshot();
    assert_eq!((snapshot.plays, snapshot.running_plays, snapshot.connections), (5, 0, 1));
}

/// The names that were registered with the program's recorder.
static REGISTERED: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct ProgramRecorder;

impl ProgramRecorder {
    fn note(key: &Key) {
        REGISTERED.lock().expect("not poisoned").push(key.name().to_owned());
    }
}

impl Recorder for ProgramRecorder {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Self::note(key);
        Counter::noop()
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Self::note(key);
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Self::note(key);
        Histogram::noop()
    }
}

fn circles_count_separately(workers: &Workers) {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED
        .get_or_init(|| assert!(metrics::set_global_recorder(ProgramRecorder).is_ok(), "nothing else installs one"));
    let (one, other) = (serve(workers, Circle::builder("one")), serve(workers, Circle::builder("other")));
    let mut wire = one.connect();
    wire.value("40 + 2");
    wire.error("throw 1");
    metrics::counter!("of_the_program").increment(1);
    let plays =
        |circle: &RunningCircle, outcome: &str| circle.count(&format!("circles_plays_total{{outcome=\"{outcome}\"}}"));
    assert_eq!((plays(&one, "ok"), plays(&one, "script_error")), (1, 1));
    assert_eq!((plays(&other, "ok"), other.observer.snapshot().plays), (0, 0));
    drop(wire);
    eventually(|| {
        let snapshot = one.observer.snapshot();
        (snapshot.connections == 0 && snapshot.workers == 0).then_some(()).ok_or("it is still counted")
    });
    let registered = REGISTERED.lock().expect("not poisoned");
    assert!(registered.iter().all(|name| name == "of_the_program"), "{registered:?}");
}
