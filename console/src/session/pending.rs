//! The activities that a session waits for: connections, plays, fan-outs, queries.

use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant as StdInstant},
};

use client_ws::{ClientError, Description, PlayEvent};
use frontend::{error::CliError, text::StyledLine};
use futures_util::future::BoxFuture;
use keys::keystore::KeyName;
use protocol::methods::Progress;
use tokio::{task::JoinError, time::Instant};

use super::{
    call::{CallAttempt, CallError, CallPreparation},
    event::{FanOutEvent, FanOutOutcome, PlaySnapshot},
    fan_out::FanOut,
    functions::FunctionsUpdate,
    handle::FanOutPart,
    play::{PlayUpdate, RunningRequest, Script, wait_for_cancel},
    remote::RemoteFuture,
    watch::{self, WatchEvents, WatchUpdate},
};
use crate::commands::ReplCommand;

/// A connection attempt.
pub(super) type ConnectFuture = BoxFuture<'static, ConnectOutcome>;

/// The outcome of a connection attempt.
pub(super) struct ConnectOutcome {
    pub(super) result: Result<Description, ClientError>,
    /// The new URL of the circle, if its free port (`"port": 0`) has changed.
    pub(super) moved: Option<String>,
}

/// The state of automatic reconnection.
pub(super) struct RetryState {
    /// The time of the next attempt; `None` during an attempt.
    pub(super) at: Option<Instant>,
    /// The current pause between attempts.
    pub(super) backoff: Duration,
    /// Whether the circle is starting, so that inputs wait for it.
    pub(super) is_starting: bool,
}

/// Another circle at the address of the session's circle.
pub(super) struct ReplacingCircle {
    pub(super) name: String,
    /// Whether a notice returned an input to the user. Later inputs are meant for the other circle.
    pub(super) is_announced: bool,
}

/// A running input: a play on this circle or on several circles, or a call.
pub(super) struct RunningInput {
    pub(super) work: RunningWork,
    /// The script; empty for a call.
    pub(super) script: String,
    pub(super) purpose: Purpose,
    /// The command that the input stands for if it is no variable.
    pub(super) word: Option<&'static str>,
    pub(super) started: StdInstant,
    pub(super) progress: Option<Progress>,
    pub(super) cancelled: Option<Instant>,
}

/// What a running input does.
pub(super) enum RunningWork {
    /// A play on this session's circle.
    Play(RunningRequest),
    /// A call of a function of this session's circle.
    Call(RunningRequest, CallAttempt),
    /// A fan-out to several circles.
    FanOut(RunningFanOut),
    /// A play or a call that the circle refused. The session asks for the rights and the functions of the caller, which
    /// may have changed, before it reports the error.
    Refused(Refusal),
}

/// The refusal of a play or a call.
pub(super) struct Refusal {
    pub(super) error: ClientError,
    /// The call; `None` for a play.
    pub(super) call: Option<CallAttempt>,
    pub(super) fetched: RemoteFuture<FunctionsUpdate>,
}

/// What to show of a play.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The value.
    Value,
    /// The value and the timing.
    Time,
    /// The value as a chart.
    Plot,
    /// Nothing but prints and errors: an input of a replay.
    Replay,
    /// The prints and errors of the first run, and at the end the times of all.
    TimeIt,
}

/// An update of the running play.
pub(super) enum RunningUpdate {
    Play(PlayUpdate),
    FanOut(Option<(usize, FanOutEvent)>),
    /// What the circle says after a refusal.
    Described(Box<Result<FunctionsUpdate, ClientError>>),
}

impl RunningUpdate {
    pub(super) fn is_output(&self) -> bool {
        matches!(
            self,
            Self::Play(PlayUpdate::Event(PlayEvent::Output(_))) | Self::FanOut(Some((_, FanOutEvent::Output(_))))
        )
    }
}

impl RunningInput {
    /// Waits for the next update. Cancel safe.
    pub(super) async fn next(running: &mut Option<Self>) -> RunningUpdate {
        match running.as_mut().map(|running| &mut running.work) {
            Some(RunningWork::Play(request) | RunningWork::Call(request, _)) => {
                RunningUpdate::Play(request.next().await)
            }
            Some(RunningWork::FanOut(fan_out)) => RunningUpdate::FanOut(fan_out.plays.next().await),
            Some(RunningWork::Refused(refusal)) => RunningUpdate::Described(Box::new((&mut refusal.fetched).await)),
            None => std::future::pending().await,
        }
    }

    /// Whether the input uses the session's own connection, which a fan-out does not.
    pub(super) fn uses_connection(&self) -> bool {
        !matches!(self.work, RunningWork::FanOut(_))
    }

    pub(super) fn state(&self) -> PlaySnapshot {
        PlaySnapshot {
            started: self.started,
            progress: self.progress.clone(),
            cancelled: self.cancelled.map(Instant::into_std),
        }
    }

    pub(super) fn cancel(&mut self) {
        match &mut self.work {
            RunningWork::Play(request) | RunningWork::Call(request, _) => request.cancel(),
            RunningWork::FanOut(fan_out) => fan_out.plays.cancel(),
            // The input has failed already.
            RunningWork::Refused(refusal) => {
                refusal.fetched = Box::pin(std::future::ready(Err(ClientError::NotConnected)));
            }
        }
    }
}

/// The result of a blocking task.
pub(super) type BlockingResult<T> = BoxFuture<'static, Result<Result<T, CliError>, JoinError>>;

/// A command that the next input waits for.
pub(super) enum PendingCommand {
    /// A command that the circle answers.
    Query { command: ReplCommand, answer: RemoteFuture<Vec<StyledLine>> },
    /// A list of functions: those of the circle, and lines about those of the session.
    Functions { text: String, answer: RemoteFuture<(FunctionsUpdate, Option<Vec<StyledLine>>)> },
    /// An input that needs the right to play, which the caller may have been given since the circle last described the
    /// caller.
    Rights { input: String, fetched: RemoteFuture<FunctionsUpdate> },
    /// A call whose arguments are being read, or whose function is not known yet.
    Call { name: String, prepared: BoxFuture<'static, Result<CallPreparation, CallError>> },
    /// A `:key` command that waits for its key, with the previous key.
    Key { before: Option<KeyName> },
    /// A file to play, which is being read.
    Load(BlockingResult<Script>),
    /// A change of the directory.
    Directory(BlockingResult<PathBuf>),
    /// A fan-out that waits for its targets.
    FanOut { script: String },
    /// A watch, which goes on until the user stops it.
    Watch(WatchEvents),
}

/// The outcome of a pending command.
pub(super) enum CommandOutcome {
    Answered(Result<Vec<StyledLine>, ClientError>),
    FunctionsListed(Result<(FunctionsUpdate, Option<Vec<StyledLine>>), ClientError>),
    RightsFetched(Result<FunctionsUpdate, ClientError>),
    CallPrepared(Result<CallPreparation, CallError>),
    Loaded(Result<Script, CliError>),
    DirectoryChanged(Result<PathBuf, CliError>),
    Watched(WatchUpdate),
}

impl PendingCommand {
    /// Waits for the outcome. Cancel safe.
    pub(super) async fn next(pending: &mut Option<Self>) -> CommandOutcome {
        match pending {
            Some(Self::Query { answer, .. }) => CommandOutcome::Answered(answer.await),
            Some(Self::Functions { answer, .. }) => CommandOutcome::FunctionsListed(answer.await),
            Some(Self::Rights { fetched, .. }) => CommandOutcome::RightsFetched(fetched.await),
            Some(Self::Call { prepared, .. }) => CommandOutcome::CallPrepared(prepared.await),
            Some(Self::Load(read)) => CommandOutcome::Loaded(finished(read).await),
            Some(Self::Directory(changed)) => CommandOutcome::DirectoryChanged(finished(changed).await),
            Some(Self::Watch(events)) => CommandOutcome::Watched(watch::next_watch_event(events).await),
            Some(Self::Key { .. } | Self::FanOut { .. }) | None => std::future::pending().await,
        }
    }
}

/// Waits for a blocking task. Cancel safe.
pub(super) async fn finished<T>(task: &mut BlockingResult<T>) -> Result<T, CliError> {
    match task.await {
        Ok(result) => result,
        // The panic hook has reported a panic; or the runtime is shutting down, and this task with it.
        Err(_) => std::future::pending().await,
    }
}

/// This session's part of a fan-out.
pub(super) struct RunningPart {
    pub(super) part: FanOutPart,
    /// The play; `None` once it has ended.
    pub(super) play: Option<RunningRequest>,
    pub(super) is_cancelled: bool,
    pub(super) started: Instant,
    /// Events that wait for room in the channel.
    pub(super) outbox: VecDeque<FanOutEvent>,
}

/// An update of a part.
pub(super) enum PartUpdate {
    /// An update of the play.
    Play(PlayUpdate),
    /// The starter of the fan-out cancelled it.
    Cancelled,
    /// The last event was reported; whether the receiver still exists.
    Reported(bool),
}

impl RunningPart {
    /// Waits for the next update. Cancel safe.
    pub(super) async fn next(part: &mut Option<Self>) -> PartUpdate {
        let Some(Self { part, play, is_cancelled, outbox, .. }) = part else { return std::future::pending().await };
        let has_room = outbox.is_empty();
        tokio::select! {
            room = part.report.reserve(), if !has_room => match (room, outbox.pop_front()) {
                (Ok(room), Some(event)) => {
                    room.send((part.index, event));
                    PartUpdate::Reported(true)
                }
                _ => PartUpdate::Reported(false),
            },
            () = part.report.closed() => PartUpdate::Reported(false),
            () = wait_for_cancel(&mut part.cancelled), if !*is_cancelled => PartUpdate::Cancelled,
            update = next(play), if has_room => PartUpdate::Play(update),
        }
    }
}

async fn next(play: &mut Option<RunningRequest>) -> PlayUpdate {
    match play {
        Some(play) => play.next().await,
        None => std::future::pending().await,
    }
}

/// A fan-out that this session started.
pub(super) struct RunningFanOut {
    pub(super) plays: FanOut,
    pub(super) labels: Vec<Arc<str>>,
    pub(super) states: Vec<FanOutState>,
}

/// The state of one play of a fan-out.
pub(super) enum FanOutState {
    Running,
    Refused,
    Ended(FanOutOutcome),
}
