//! Runs an untrusted script in a sandboxed worker process, without a server.
//!
//! `cargo run --release -p circles-examples --bin run_script -- 'print("hi"); 40 + 2'`

use worker::{EvalOutcome, Play, Program, Worker, WorkerEvent, WorkerSetup};

#[global_allocator]
static ALLOCATOR: worker::Allocator = worker::Allocator;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    worker::run_if_worker();
    let script = std::env::args().nth(1).ok_or("usage: run_script SCRIPT")?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let mut worker = Worker::start(Program::SameExecutable, WorkerSetup::default()).await?;
        worker.play(&Play { number: 1, script: &script, name: None, bind: None });
        loop {
            match worker.event().await {
                WorkerEvent::Print(print) => println!("{}", print.text),
                WorkerEvent::Done { outcome: EvalOutcome::Value(value), .. } => break println!("{}", value.output),
                WorkerEvent::Done { outcome, .. } => return Err(format!("{outcome:?}").into()),
                WorkerEvent::Lost(loss) => return Err(format!("the worker process ended: {loss:?}").into()),
                _ => {}
            }
        }
        Ok(())
    })
}
