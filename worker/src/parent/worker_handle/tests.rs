use std::io::Write;

use super::*;
use crate::message::{ProcessCommand, Stream, frame};
use crate::parent::ProcessOwner;

#[derive(Debug)]
struct NoOwner;

impl ProcessOwner for NoOwner {
    fn execute(&self, _: ProcessCommand) {}
}

fn print(text: &str) -> FromWorker {
    FromWorker::Print(Print { play: 1, stream: Stream::Print, text: text.into(), position: None })
}

#[tokio::test]
async fn arrived_prints_are_taken_up_to_next_event() {
    let (server_channels, mut worker_channels) = channels().expect("channels");
    let (_ended, ended) = tokio::sync::oneshot::channel();
    let bounds = MessageBounds::new(&WorkerSetup::default());
    let mut worker = Worker::new(server_channels, Process::new(None, NoOwner, ended), bounds).expect("a worker");
    worker.play(&Play { number: 1, script: "", bind: None, caller: None });
    assert_eq!(worker.arrived_print(), None, "before anything has arrived");
    let done = FromWorker::Done { play: 1, outcome: EvalOutcome::Stopped };
    let messages = [FromWorker::Sealed(Vec::new()), print("a"), print("b"), print("c"), done, print("late")];
    let bytes = messages.iter().fold(Vec::new(), |bytes, message| frame::encode(message, bytes));
    worker_channels.work.1.write_all(&bytes).expect("write");
    assert!(matches!(worker.event().await, WorkerEvent::Print(print) if print.text == "a"));
    let rest: Vec<String> = std::iter::from_fn(|| worker.arrived_print()).map(|print| print.text).collect();
    assert_eq!(rest, ["b", "c"]);
    assert!(matches!(worker.event().await, WorkerEvent::Done { play: 1, .. }));
    assert_eq!(worker.arrived_print(), None, "a print of no running play");
}
