//! What a session waits for: a connection, a play, parts of plays on several circles, answers.

use std::{
    collections::VecDeque,
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
    event::{FanOutEvent, FanOutOutcome, PlaySnapshot},
    fan_out::FanOut,
    handle::FanOutPart,
    play::{PlayUpdate, SessionPlay, wait_for_cancel},
    remote::RemoteFuture,
};
use crate::commands::ReplCommand;

/// A connection that is being made.
pub(super) type ConnectFuture = BoxFuture<'static, ConnectOutcome>;

/// What came of it.
pub(super) struct ConnectOutcome {
    pub(super) result: Result<Description, ClientError>,
    /// Where the circle is, if it has taken another free port (`"port": 0`) since.
    pub(super) moved: Option<String>,
}

/// When the connection is tried again.
pub(super) struct RetryState {
    /// `None` while it is tried.
    pub(super) at: Option<Instant>,
    /// The pause that led to it.
    pub(super) backoff: Duration,
    /// Whether the circle is being started: inputs wait until it is there.
    pub(super) is_starting: bool,
}

/// Another circle in the place of the session's.
pub(super) struct ReplacingCircle {
    pub(super) name: String,
    /// Whether its user was told so with an input that was given back: what is typed after that is for this circle.
    pub(super) is_announced: bool,
}

/// A play that has not ended.
pub(super) struct RunningInput {
    pub(super) play: PlayKind,
    pub(super) script: String,
    pub(super) purpose: Purpose,
    pub(super) started: StdInstant,
    pub(super) progress: Option<Progress>,
    pub(super) cancelled: Option<Instant>,
}

pub(super) enum PlayKind {
    /// A play on this session's circle.
    Single(SessionPlay),
    /// One on several circles.
    FanOut(RunningFanOut),
}

/// What a play is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Its value is shown.
    Value,
    /// Its value is shown, and the time that it took.
    Time,
    /// Its value is drawn.
    Plot,
}

/// What has happened to what runs.
pub(super) enum RunningUpdate {
    Play(PlayUpdate),
    FanOut(Option<(usize, FanOutEvent)>),
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
    /// What happens next. Cancel safe.
    pub(super) async fn next(running: &mut Option<Self>) -> RunningUpdate {
        match running.as_mut().map(|running| &mut running.play) {
            Some(PlayKind::Single(play)) => RunningUpdate::Play(play.next().await),
            Some(PlayKind::FanOut(several)) => RunningUpdate::FanOut(several.plays.next().await),
            None => std::future::pending().await,
        }
    }

    /// Whether it is a play on this session's own connection.
    pub(super) fn is_play(&self) -> bool {
        matches!(self.play, PlayKind::Single(_))
    }

    pub(super) fn state(&self) -> PlaySnapshot {
        PlaySnapshot {
            started: self.started,
            progress: self.progress.clone(),
            cancelled: self.cancelled.map(Instant::into_std),
        }
    }

    pub(super) fn cancel(&self) {
        match &self.play {
            PlayKind::Single(play) => play.cancel(),
            PlayKind::FanOut(several) => several.plays.cancel(),
        }
    }
}

/// A future that is awaited beside everything else.
type BlockingResult<T> = BoxFuture<'static, Result<Result<T, CliError>, JoinError>>;

/// What the next input waits for, other than a play.
pub(super) enum PendingCommand {
    /// The circle's answer to a command.
    Query { command: ReplCommand, answer: RemoteFuture<Vec<StyledLine>> },
    /// A key to authenticate with; the one before it.
    Key { before: Option<KeyName> },
    /// A file that is to be played.
    Load(BlockingResult<String>),
    /// The circles that a script is to be played on.
    FanOut { script: String },
}

/// What came of it.
pub(super) enum CommandOutcome {
    Answered(Result<Vec<StyledLine>, ClientError>),
    Loaded(Result<String, CliError>),
}

impl PendingCommand {
    /// What came of it. Cancel safe.
    pub(super) async fn next(pending: &mut Option<Self>) -> CommandOutcome {
        match pending {
            Some(Self::Query { answer, .. }) => CommandOutcome::Answered(answer.await),
            Some(Self::Load(read)) => match read.await {
                Ok(read) => CommandOutcome::Loaded(read),
                // A panic has been reported by its hook; or the runtime ends, and with it this task.
                Err(_) => std::future::pending().await,
            },
            Some(Self::Key { .. } | Self::FanOut { .. }) | None => std::future::pending().await,
        }
    }
}

/// A part that is played.
pub(super) struct RunningPart {
    pub(super) part: FanOutPart,
    /// `None` once it has ended.
    pub(super) play: Option<SessionPlay>,
    pub(super) is_cancelled: bool,
    pub(super) started: Instant,
    /// Events for which there is no room yet.
    pub(super) outbox: VecDeque<FanOutEvent>,
}

/// What has happened to a part.
pub(super) enum PartUpdate {
    /// Its play goes on or has ended.
    Play(PlayUpdate),
    /// Its cancellation was requested.
    Cancelled,
    /// What happened last is reported; whether there is anyone who listens.
    Reported(bool),
}

impl RunningPart {
    /// What happens next. Cancel safe.
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

async fn next(play: &mut Option<SessionPlay>) -> PlayUpdate {
    match play {
        Some(play) => play.next().await,
        None => std::future::pending().await,
    }
}

/// Plays on several circles, as the session shows them that they were asked of.
pub(super) struct RunningFanOut {
    pub(super) plays: FanOut,
    pub(super) labels: Vec<Arc<str>>,
    pub(super) states: Vec<FanOutState>,
}

/// How far one of several plays is.
pub(super) enum FanOutState {
    Running,
    Refused,
    Ended(FanOutOutcome),
}
