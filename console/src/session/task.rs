//! The task that owns a session: an event loop over inputs, answers, notices and timers.

use std::sync::Arc;

use client_ws::{ClientError, Description, Notice};
use frontend::error::CliError;
use tokio::{
    runtime::Handle,
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};

use super::{
    core::Core,
    event::{ConnectionStatus, SessionState},
    functions::FunctionsUpdate,
    handle::{Events, SessionHandle, SessionInput, TaskGuard},
    init::{InitUpdate, InitWork},
    options::SessionOptions,
    pending::{CommandOutcome, ConnectOutcome, PartUpdate, PendingCommand, RunningInput, RunningPart, RunningUpdate},
};

/// The capacity of the channel to the task. The task takes inputs at once, and queues them itself.
const INPUT_CAPACITY: usize = 256;

/// The maximum number of unsent events. Beyond it, the task takes no more notices.
const MAX_UNREAD_EVENTS: usize = 256;

/// The capacity of the channel of events. If it is full, output makes the circle wait.
const EVENT_CAPACITY: usize = 64;

impl SessionHandle {
    /// Opens a session, which does not connect yet.
    pub fn open(runtime: &Handle, options: SessionOptions) -> (Self, Events) {
        let (inputs, taken) = mpsc::channel(INPUT_CAPACITY);
        let (report, events) = mpsc::channel(EVENT_CAPACITY);
        let (publish, state) = watch::channel(SessionState { key: options.key.clone(), ..SessionState::default() });
        let (remote, target) = (options.remote.clone(), Arc::new(options.target.clone()));
        let task = runtime.spawn(Core::new(options, report, publish).run(taken)).abort_handle();
        (
            Self { inputs, state, remote: remote.clone(), target, _task: Arc::new(TaskGuard { task, remote }) },
            Events(events),
        )
    }
}

/// The reason for which the event loop woke up.
enum Wakeup {
    Input(SessionInput),
    Ended,
    Reported,
    Connected(ConnectOutcome),
    Authenticated(Result<Option<Description>, ClientError>),
    Notice(Result<Notice, ClientError>),
    Retry,
    Running(RunningUpdate),
    Init(InitUpdate),
    Part(PartUpdate),
    Pending(CommandOutcome),
    Saved(Result<String, CliError>),
    Functions(Result<FunctionsUpdate, ClientError>),
}

impl Core {
    pub(super) async fn run(mut self, mut inputs: mpsc::Receiver<SessionInput>) {
        loop {
            match self.wake(&mut inputs).await {
                Wakeup::Input(input) => self.on_input(input),
                Wakeup::Ended => return,
                Wakeup::Reported => continue,
                Wakeup::Connected(connected) => self.on_connect_outcome(connected),
                Wakeup::Authenticated(result) => self.on_authenticated(result),
                Wakeup::Notice(notice) => self.on_notice(notice),
                Wakeup::Retry => self.connect(),
                // Output does not change the state.
                Wakeup::Running(update) if update.is_output() => {
                    self.on_running_update(update);
                    continue;
                }
                Wakeup::Running(update) => self.on_running_update(update),
                Wakeup::Init(update) if update.is_output() => {
                    self.on_init_update(update);
                    continue;
                }
                Wakeup::Init(update) => self.on_init_update(update),
                Wakeup::Part(update) => self.on_part_update(update),
                Wakeup::Pending(done) => self.on_command_outcome(done),
                Wakeup::Saved(saved) => self.on_saved(saved),
                Wakeup::Functions(update) => self.on_functions_fetched(update),
            }
            self.publish();
        }
    }

    /// Waits for the next wakeup. Cancel safe, because each of its branches is.
    async fn wake(&mut self, inputs: &mut mpsc::Receiver<SessionInput>) -> Wakeup {
        // Plays with output wait until the events before are sent; everything else goes on.
        let has_room = self.reports.outbox.is_empty();
        // A file that is loaded, and an input that waits for the right to play, are played after the init script.
        let is_play = matches!(self.work.pending, Some(PendingCommand::Load(_) | PendingCommand::Rights { .. }));
        let is_watch = matches!(self.work.pending, Some(PendingCommand::Watch(_)));
        let can_continue = !(self.is_playing_init() && is_play) && (has_room || !is_watch);
        let authenticated = async {
            match &mut self.login.authenticating {
                Some((_, answer)) => answer.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            input = inputs.recv() => input.map_or(Wakeup::Ended, Wakeup::Input),
            room = self.reports.report.reserve(), if !has_room => {
                let Ok(room) = room else { return Wakeup::Ended };
                if let Some(event) = self.reports.outbox.pop_front() {
                    room.send(event);
                }
                Wakeup::Reported
            }
            connected = next(&mut self.connection.connecting) => {
                self.connection.connecting = None;
                Wakeup::Connected(connected)
            }
            result = authenticated => Wakeup::Authenticated(result),
            notice = next(&mut self.connection.notices), if self.reports.outbox.len() < MAX_UNREAD_EVENTS => {
                self.connection.notices = None;
                Wakeup::Notice(notice)
            }
            () = sleep_until_some(self.reconnection.retry.as_ref().and_then(|retry| retry.at)) => {
                Wakeup::Retry
            }
            update = InitWork::next(&mut self.init.work), if has_room => Wakeup::Init(update),
            update = RunningInput::next(&mut self.work.running), if has_room => Wakeup::Running(update),
            update = RunningPart::next(&mut self.work.part) => Wakeup::Part(update),
            done = PendingCommand::next(&mut self.work.pending), if can_continue => Wakeup::Pending(done),
            update = next(&mut self.functions.refresh) => {
                self.functions.refresh = None;
                Wakeup::Functions(update)
            }
            // The panic hook has reported a panic.
            Some(Ok(saved)) = self.work.saves.join_next() => Wakeup::Saved(saved),
        }
    }

    fn on_input(&mut self, input: SessionInput) {
        match input {
            SessionInput::Connect { is_kept } => self.on_connect(is_kept),
            SessionInput::Retry
                if self.reconnection.is_kept && self.connection.status == ConnectionStatus::Disconnected =>
            {
                self.connect();
            }
            SessionInput::Retry => {}
            SessionInput::WaitForStart => self.wait_for_start(),
            SessionInput::Target(target) => self.target = target,
            SessionInput::Disconnect => self.disconnect(),
            SessionInput::Authenticate => self.choose_key(),
            SessionInput::UseKey(name) => self.use_key(name),
            SessionInput::Unlocked(name) => self.on_key_unlocked(name),
            SessionInput::KeepLocked(name) => self.on_key_kept_locked(&name),
            SessionInput::Submit(input) => self.submit(input),
            SessionInput::Cancel => self.cancel(),
            SessionInput::Size(room) => self.room = room,
            SessionInput::FanOut(targets) => self.on_fan_out_targets(targets),
            SessionInput::Part(part) => self.start_part(part),
            SessionInput::RefreshFunctions => self.refresh_functions(),
            // Fails if the caller is gone.
            SessionInput::Sync(answer) => drop(answer.send(())),
        }
    }
}

/// Waits for an optional future. The caller removes it once it is done.
async fn next<F: Future + Unpin>(future: &mut Option<F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

async fn sleep_until_some(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
