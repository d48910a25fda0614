//! The task that owns a session: the loop that takes inputs, answers, notices and time.

use std::sync::Arc;

use client_ws::{ClientError, Notice};
use frontend::error::CliError;
use tokio::{
    runtime::Handle,
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};

use super::{
    awaited::{Connected, Done, PartUpdate, Pending, Running, RunningPart, Update},
    core::Core,
    event::{ConnectionStatus, SessionState},
    handle::{Ended, Events, Input, SessionHandle},
    opening::SessionOptions,
};

/// Inputs on their way to the task. Its loop takes them at once; they wait in the session.
const INPUTS: usize = 256;

/// Events that wait for room before no more notices are taken.
const MAX_UNTAKEN: usize = 256;

/// Events that wait to be taken, before the session makes the circle wait.
const EVENTS: usize = 64;

impl SessionHandle {
    /// Opens a session, which connects to nothing yet.
    pub fn open(runtime: &Handle, opening: SessionOptions) -> (Self, Events) {
        let (inputs, taken) = mpsc::channel(INPUTS);
        let (report, events) = mpsc::channel(EVENTS);
        let (publish, state) = watch::channel(SessionState { key: opening.key.clone(), ..SessionState::default() });
        let (remote, target) = (opening.remote.clone(), Arc::new(opening.target.clone()));
        let task = runtime.spawn(Core::new(opening, report, publish).run(taken)).abort_handle();
        (
            Self { inputs, state, remote: remote.clone(), target, _task: Arc::new(Ended { task, remote }) },
            Events(events),
        )
    }
}

/// What the loop woke up for.
#[expect(clippy::large_enum_variant, reason = "it lives for one turn of the loop")]
enum Woken {
    Input(Input),
    Ended,
    Reported,
    Connected(Connected),
    Authenticated(Result<(), ClientError>),
    Notice(Result<Notice, ClientError>),
    Retry,
    Running(Update),
    Part(PartUpdate),
    Pending(Done),
    Saved(Result<String, CliError>),
}

impl Core {
    pub(super) async fn run(mut self, mut inputs: mpsc::Receiver<Input>) {
        loop {
            match self.wake(&mut inputs).await {
                Woken::Input(input) => self.input(input),
                Woken::Ended => return,
                Woken::Reported => continue,
                Woken::Connected(connected) => self.connected(connected),
                Woken::Authenticated(result) => self.authenticated(result),
                Woken::Notice(notice) => self.noticed(notice),
                Woken::Retry => self.connect(),
                // Prints change nothing that anybody watches.
                Woken::Running(update) if update.is_output() => {
                    self.updated(update);
                    continue;
                }
                Woken::Running(update) => self.updated(update),
                Woken::Part(update) => self.part_updated(update),
                Woken::Pending(done) => self.resolved(done),
                Woken::Saved(saved) => self.saved(saved),
            }
            self.publish();
        }
    }

    /// Waits for what comes next. Nothing is lost where it is dropped: each of what it waits for is cancel safe.
    async fn wake(&mut self, inputs: &mut mpsc::Receiver<Input>) -> Woken {
        // What plays print waits until what they printed before is taken; everything else goes on.
        let has_room = self.reports.outbox.is_empty();
        let authenticated = async {
            match &mut self.login.authenticating {
                Some((_, answer)) => answer.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            input = inputs.recv() => input.map_or(Woken::Ended, Woken::Input),
            room = self.reports.report.reserve(), if !has_room => {
                let Ok(room) = room else { return Woken::Ended };
                if let Some(event) = self.reports.outbox.pop_front() {
                    room.send(event);
                }
                Woken::Reported
            }
            connected = next(&mut self.connection.connecting) => {
                self.connection.connecting = None;
                Woken::Connected(connected)
            }
            result = authenticated => Woken::Authenticated(result),
            notice = next(&mut self.connection.notices), if self.reports.outbox.len() < MAX_UNTAKEN => {
                self.connection.notices = None;
                Woken::Notice(notice)
            }
            () = until(self.reconnection.retry.as_ref().and_then(|retry| retry.at)) => {
                Woken::Retry
            }
            update = Running::next(&mut self.work.running), if has_room => Woken::Running(update),
            update = RunningPart::next(&mut self.work.part) => Woken::Part(update),
            done = Pending::next(&mut self.work.pending) => Woken::Pending(done),
            // A panic has been reported by its hook.
            Some(Ok(saved)) = self.work.saves.join_next() => Woken::Saved(saved),
        }
    }

    fn input(&mut self, input: Input) {
        match input {
            Input::Connect { is_kept } => self.connect_asked(is_kept),
            Input::Retry if self.reconnection.is_kept && self.connection.link == ConnectionStatus::Disconnected => {
                self.connect()
            }
            Input::Retry => {}
            Input::Expect => self.expect(),
            Input::Target(target) => self.target = target,
            Input::Disconnect => self.disconnect(),
            Input::Authenticate => self.choose_key(),
            Input::UseKey(name) => self.use_key(name),
            Input::Unlocked(name) => self.key_unlocked(name),
            Input::StaysLocked(name) => self.key_stays_locked(&name),
            Input::Submit(input) => self.submit(input),
            Input::Cancel => self.cancel(),
            Input::Room(room) => self.room = room,
            Input::FanOut(targets) => self.fan_out(targets),
            Input::Part(part) => self.take_part(part),
            // Whoever asked may be gone.
            Input::Sync(answer) => drop(answer.send(())),
        }
    }
}

/// Waits for a future that may not be there. The caller takes it away once it is done.
async fn next<F: Future + Unpin>(future: &mut Option<F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
