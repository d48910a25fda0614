//! One script on several circles, side by side: a part in each circle's session, all of them heard in one place.

use std::{collections::VecDeque, sync::Arc};

use client_ws::{ClientError, PlayEvent, PlayResult, RpcError};
use frontend::{
    error::CliError,
    report,
    text::{Line, Size, Style},
    visible::visible,
};
use protocol::methods::Output;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::Instant,
};

use super::{
    Event, Input, Link, Session, Shown, ShownKind,
    obey::Pending,
    play::{Play, PlayUpdate, Script},
    sentences::{self, NotReady},
    task::Task,
};
use crate::{LAST_VALUE, columns, notebook::costs_environment, too_large};

/// Events that wait to be taken, before the circles are made to wait.
const EVENTS: usize = 64;

/// The close code of a connection over which a message came that is too large (RFC 6455 §7.4.1).
const MESSAGE_TOO_BIG: u16 = 1009;

/// A circle among several.
#[derive(Debug, Clone)]
pub struct Target {
    /// The circle as its user calls it.
    pub label: String,
    /// The session that plays there.
    pub session: Session,
}

/// What has happened on one circle.
#[derive(Debug)]
pub enum FanOutEvent {
    /// Its play printed something.
    Output(Output),
    /// Its play has ended: the last event of this circle.
    Ended(Outcome),
    /// Nothing is played there, and why: its last event, too.
    Refused(String),
}

/// How a play ended.
#[derive(Debug)]
pub enum Outcome {
    /// With a value.
    Value(Arc<PlayResult>),
    /// With an error.
    Failed(CliError),
    /// It was cancelled as its user wanted.
    Cancelled,
}

/// Plays on several circles. Dropped, they are not listened to any more, which ends none of them.
#[derive(Debug)]
pub struct FanOut {
    events: mpsc::Receiver<(usize, FanOutEvent)>,
    cancel: watch::Sender<bool>,
    _requests: JoinSet<()>,
}

impl FanOut {
    /// Plays a script on each circle, as soon as its session has connected. To be called in a tokio runtime.
    ///
    /// Events are to be taken ([`FanOut::next`]): until they are, plays that print wait.
    pub fn start(targets: &[Target], script: &Script) -> Self {
        let (report, events) = mpsc::channel(EVENTS);
        let (cancel, cancelled) = watch::channel(false);
        let mut requests = JoinSet::new();
        for (index, Target { label, session }) in targets.iter().cloned().enumerate() {
            let part =
                Part { script: script.clone(), index, label, report: report.clone(), cancelled: cancelled.clone() };
            requests.spawn(request(session, part));
        }
        Self { events, cancel, _requests: requests }
    }

    /// What has happened next, and on which circle; `None` once all have ended. Cancel safe.
    pub async fn next(&mut self) -> Option<(usize, FanOutEvent)> {
        self.events.recv().await
    }

    /// Cancels the plays that have not ended; their ends come as events all the same.
    pub fn cancel(&self) {
        self.cancel.send_replace(true);
    }
}

/// Has a session play its part, once it has connected and authenticated as far as it does by itself.
async fn request(session: Session, mut part: Part) {
    let mut state = session.watch();
    let is_settled = tokio::select! {
        settled = state.wait_for(|state| !state.is_settling()) => settled.is_ok(),
        () = requested(&mut part.cancelled) => false,
    };
    if is_settled {
        let (index, label, report) = (part.index, part.label.clone(), part.report.clone());
        if session.inputs.send(Input::Part(part)).await.is_err() {
            let why = sentences::not_ready(NotReady::Unreachable, &label);
            drop(report.send((index, FanOutEvent::Refused(why))).await);
        }
    } else {
        part.end(FanOutEvent::Ended(Outcome::Cancelled)).await;
    }
}

/// Waits until the cancellation is requested. Cancel safe.
async fn requested(cancelled: &mut watch::Receiver<bool>) {
    if cancelled.wait_for(|is_cancelled| *is_cancelled).await.is_err() {
        std::future::pending().await
    }
}

/// What one session has to play.
#[derive(Debug)]
pub(super) struct Part {
    script: Script,
    index: usize,
    label: String,
    report: mpsc::Sender<(usize, FanOutEvent)>,
    cancelled: watch::Receiver<bool>,
}

impl Part {
    async fn end(self, event: FanOutEvent) {
        // Nobody listens any more where the plays were given up.
        drop(self.report.send((self.index, event)).await);
    }
}

/// A part that is played.
pub(super) struct RunningPart {
    part: Part,
    /// `None` once it has ended.
    play: Option<Play>,
    is_cancelled: bool,
    started: Instant,
    /// Events for which there is no room yet.
    outbox: VecDeque<FanOutEvent>,
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
            () = requested(&mut part.cancelled), if !*is_cancelled => PartUpdate::Cancelled,
            update = next(play), if has_room => PartUpdate::Play(update),
        }
    }
}

async fn next(play: &mut Option<Play>) -> PlayUpdate {
    match play {
        Some(play) => play.next().await,
        None => std::future::pending().await,
    }
}

/// Plays on several circles, as the session shows them that they were asked of.
pub(super) struct SeveralPlays {
    pub(super) plays: FanOut,
    labels: Vec<Arc<str>>,
    ends: Vec<End>,
}

/// How far one of several plays is.
enum End {
    NotYet,
    Refused,
    Ended(Outcome),
}

impl Task {
    /// Plays its part of a script that is played on several circles.
    pub(super) fn take_part(&mut self, part: Part) {
        let is_busy = self.part.is_some()
            || self.running.as_ref().is_some_and(super::playing::Running::is_play)
            || matches!(self.pending, Some(Pending::Ask { .. } | Pending::Load(_) | Pending::Key { .. }));
        let refused = |why| Some(FanOutEvent::Refused(sentences::not_ready(why, &part.label)));
        let end = if !self.state().is_ready() || self.requested.is_some() {
            refused(if self.link == Link::On { NotReady::NeedsKey } else { NotReady::Unreachable })
        } else if is_busy {
            refused(NotReady::Busy)
        } else {
            // The circle would close the connection over it, which costs the session its variables.
            let why = self.circle.as_ref().and_then(|circle| too_large(&circle.limits, &part.script.text));
            let error = why.map(|reason| ClientError::ConnectionLost { code: Some(MESSAGE_TOO_BIG), reason });
            error.map(|error| FanOutEvent::Ended(Outcome::Failed(self.error(error))))
        };
        if let Some(end) = end {
            // Whoever listens may pause, which is to hold up nothing here.
            drop(tokio::spawn(part.end(end)));
            return;
        }
        self.notebook.begin(&part.script.text);
        let play = Some(self.remote.clone().play(part.script.clone()));
        let (started, outbox) = (Instant::now(), VecDeque::new());
        self.part = Some(RunningPart { part, play, is_cancelled: false, started, outbox });
    }

    pub(super) fn part_updated(&mut self, update: PartUpdate) {
        let Some(running) = &mut self.part else { return };
        match update {
            PartUpdate::Play(PlayUpdate::Event(PlayEvent::Output(output))) => {
                self.notebook.printed(&output.text);
                running.outbox.push_back(FanOutEvent::Output(output));
            }
            PartUpdate::Play(PlayUpdate::Event(_)) => {}
            PartUpdate::Play(PlayUpdate::Ended(result)) => self.part_ended(result),
            PartUpdate::Cancelled => {
                running.is_cancelled = true;
                if let Some(play) = &running.play {
                    play.cancel();
                }
            }
            PartUpdate::Reported(true) if running.play.is_some() || !running.outbox.is_empty() => {}
            PartUpdate::Reported(is_heard) => {
                if !is_heard && running.play.is_some() {
                    self.notebook.went_wrong(&[], false);
                }
                self.part = None;
                self.off_connection(None);
                self.carry_on();
            }
        }
    }

    fn part_ended(&mut self, result: Result<PlayResult, ClientError>) {
        let Some(mut running) = self.part.take() else { return };
        running.play = None;
        let script = running.part.script.text.clone();
        let mut lost = None;
        let outcome = match result {
            Ok(result) => {
                let result = Arc::new(result);
                self.went_well(&script, result.clone(), running.started.elapsed());
                Outcome::Value(result)
            }
            Err(ClientError::Rpc(RpcError::Cancelled)) if running.is_cancelled => {
                self.notebook.went_wrong(&[], false);
                Outcome::Cancelled
            }
            Err(error) => {
                let is_lost = costs_environment(&error);
                if matches!(error, ClientError::ConnectionLost { .. } | ClientError::NotConnected) {
                    lost = Some(ClientError::NotConnected);
                }
                let error = CliError::answer(&script, &self.target, error);
                self.notebook.went_wrong(&error.lines(self.room.width), is_lost);
                Outcome::Failed(error)
            }
        };
        self.off_connection(lost.as_ref());
        running.outbox.push_back(FanOutEvent::Ended(outcome));
        self.part = Some(running);
    }

    pub(super) fn begin_fan_out(&mut self, targets: Vec<Target>, script: String) {
        let play = Script { text: script.clone(), bind: Some(LAST_VALUE.into()), ..Script::default() };
        let plays = FanOut::start(&targets, &play);
        let labels: Vec<Arc<str>> = targets.into_iter().map(|target| target.label.into()).collect();
        let ends = labels.iter().map(|_| End::NotYet).collect();
        self.play_on_several(SeveralPlays { plays, labels, ends }, script);
    }

    pub(super) fn one_of_several(&mut self, index: usize, event: FanOutEvent) {
        let Some(several) = self.several() else { return };
        let (Some(label), Some(end)) = (several.labels.get(index).cloned(), several.ends.get_mut(index)) else {
            return;
        };
        match event {
            FanOutEvent::Output(output) => self.report(Event::Output(output, Some(label))),
            FanOutEvent::Ended(outcome) => *end = End::Ended(outcome),
            FanOutEvent::Refused(why) => {
                *end = End::Refused;
                let line = Line::of(Style::Error, "error: ").with(Style::Plain, &format!("{}: {why}", visible(&label)));
                self.show(Shown::new(ShownKind::Error, vec![line]));
            }
        }
    }

    pub(super) fn all_ended(&mut self) {
        if let Some(several) = self.take_several() {
            self.show_several(several);
            self.done();
            self.carry_on();
        }
    }

    /// What several circles answered, side by side.
    pub(super) fn show_several(&mut self, several: SeveralPlays) {
        let SeveralPlays { labels, ends, .. } = several;
        let ends: Vec<_> = labels.into_iter().zip(ends).filter(|(_, end)| !matches!(end, End::Refused)).collect();
        if ends.is_empty() {
            return;
        }
        let width = columns::columns(ends.len(), self.room.width).unwrap_or(self.room.width);
        let room = Size { width, height: self.room.height.saturating_sub(1) };
        let mut shown = Vec::new();
        for (label, end) in ends {
            let lines = match end {
                End::Ended(Outcome::Value(result)) => self.value(&result, room),
                End::Ended(Outcome::Failed(error)) => error.lines(width),
                End::Ended(Outcome::Cancelled) => report::cancelled(),
                End::NotYet | End::Refused => sentences::given_up(),
            };
            shown.push((label.to_string(), lines));
        }
        let lines = columns::lines(&shown, self.room.width);
        self.show(Shown::new(ShownKind::Value, lines));
    }
}
