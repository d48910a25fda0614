use std::io::Write;

use super::*;
use crate::message::{FromControl, FromWorker, ProcessCommand, Stream, frame};
use crate::parent::ProcessOwner;
use crate::system::channels::WorkerChannels;

#[derive(Debug)]
struct NoOwner;

impl ProcessOwner for NoOwner {
    fn execute(&self, _: ProcessCommand) {}
}

fn a_print() -> Print {
    Print { play: 1, stream: Stream::Print, text: String::new(), position: None }
}

fn print(text: &str) -> FromWorker {
    FromWorker::Print(Print { text: text.into(), ..a_print() })
}

/// A worker whose process a test plays itself.
fn fake_worker() -> (Worker, WorkerChannels, tokio::sync::oneshot::Sender<Loss>) {
    let (server_channels, worker_channels) = channels().expect("channels");
    let (end, ended) = tokio::sync::oneshot::channel();
    let bounds = MessageBounds::new(&WorkerSetup::default());
    let worker = Worker::new(server_channels, Process::new(None, NoOwner, ended), bounds).expect("a worker");
    (worker, worker_channels, end)
}

fn write<'a>(channel: &mut impl Write, messages: impl IntoIterator<Item = &'a (impl serde::Serialize + 'a)>) {
    let bytes = messages.into_iter().fold(Vec::new(), |bytes, message| frame::encode(message, bytes));
    channel.write_all(&bytes).expect("written");
}

fn done(play: u64) -> FromWorker {
    FromWorker::Done { play, outcome: EvalOutcome::Stopped, live_bytes: 0 }
}

fn print_of(play: u64) -> FromWorker {
    FromWorker::Print(Print { play, ..a_print() })
}

/// A call of a host function that the setup does not have.
fn host_call(play: u64, function: u32) -> FromWorker {
    FromWorker::HostCall(HostCall { play, number: 1, function, args: "[]".into() })
}

/// A worker may be compromised by its script.
#[tokio::test]
async fn worker_that_goes_on_although_it_is_held_is_killed() {
    for violation in [done(2), FromWorker::Print(Print { play: 2, ..a_print() })] {
        let (mut worker, mut channels, end) = fake_worker();
        (1..=3).for_each(|number| worker.play(&Play { number, script: "", name: None, bind: None }));
        worker.hold();
        write(&mut channels.work.1, &[FromWorker::Sealed(Vec::new()), done(1)]);
        write(&mut channels.control, &[FromControl::Begun { play: 1 }]);
        assert!(matches!(worker.event().await, WorkerEvent::Done { play: 1, .. }));
        assert!(matches!(worker.event().await, WorkerEvent::Held));
        write(&mut channels.work.1, &[violation]);
        end.send(Loss::Killed).expect("it waits");
        assert!(matches!(worker.event().await, WorkerEvent::Lost(Loss::Crashed)));
    }
}

#[tokio::test]
async fn answer_to_no_stop_is_a_violation() {
    let (mut worker, mut channels, end) = fake_worker();
    worker.play(&Play { number: 1, script: "", name: None, bind: None });
    write(&mut channels.work.1, &[FromWorker::Sealed(Vec::new()), FromWorker::Print(a_print())]);
    assert!(matches!(worker.event().await, WorkerEvent::Print(_)));
    write(&mut channels.control, &[FromControl::Begun { play: 1 }]);
    end.send(Loss::Killed).expect("it waits");
    assert!(matches!(worker.event().await, WorkerEvent::Lost(Loss::Crashed)));
}

#[tokio::test]
async fn messages_before_end_of_worker_are_read_after_failed_write() {
    let (mut worker, mut channels, end) = fake_worker();
    worker.play(&Play { number: 1, script: "", name: None, bind: None });
    worker.flush();
    write(&mut channels.work.1, &[FromWorker::Sealed(Vec::new()), done(1)]);
    drop(channels);
    end.send(Loss::Memory).expect("it waits");
    worker.play(&Play { number: 2, script: "", name: None, bind: None });
    assert!(matches!(worker.event().await, WorkerEvent::Done { play: 1, .. }));
    assert!(matches!(worker.event().await, WorkerEvent::Lost(Loss::Memory)));
}

#[tokio::test]
async fn arrived_prints_are_taken_up_to_next_event() {
    let (mut worker, mut channels, _end) = fake_worker();
    worker.play(&Play { number: 1, script: "", name: None, bind: None });
    assert_eq!(worker.arrived_print(), None, "before anything has arrived");
    let messages = [FromWorker::Sealed(Vec::new()), print("a"), print("b"), print("c"), done(1), print("late")];
    write(&mut channels.work.1, &messages);
    assert!(matches!(worker.event().await, WorkerEvent::Print(print) if print.text == "a"));
    let rest: Vec<String> = std::iter::from_fn(|| worker.arrived_print()).map(|print| print.text).collect();
    assert_eq!(rest, ["b", "c"]);
    assert!(matches!(worker.event().await, WorkerEvent::Done { play: 1, .. }));
    assert_eq!(worker.arrived_print(), None, "a print of no running play");
}

/// A worker may be compromised by the functions or the arguments of a call.
#[tokio::test]
async fn worker_that_reports_another_call_is_killed() {
    for violation in [done(2), print_of(2), host_call(1, 7), done(0)] {
        let (mut worker, mut channels, end) = fake_worker();
        for number in [1, 2] {
            let call = Call { number, function: 0, args: &[Value::Int(1)], constants: &[] };
            worker.call(&call).expect("valid arguments");
        }
        write(&mut channels.work.1, &[FromWorker::Sealed(Vec::new()), violation]);
        end.send(Loss::Killed).expect("it waits");
        assert!(matches!(worker.event().await, WorkerEvent::Lost(Loss::Crashed)));
    }
}

#[tokio::test]
async fn live_bytes_are_those_of_last_outcome() {
    let (mut worker, mut channels, _end) = fake_worker();
    assert_eq!(worker.live_bytes(), 0);
    worker.call(&Call { number: 1, function: 0, args: &[], constants: &[] }).expect("valid arguments");
    let done = FromWorker::Done { play: 1, outcome: EvalOutcome::Stopped, live_bytes: 7 };
    write(&mut channels.work.1, &[FromWorker::Sealed(Vec::new()), done]);
    assert!(matches!(worker.event().await, WorkerEvent::Done { play: 1, .. }));
    assert_eq!(worker.live_bytes(), 7);
}
