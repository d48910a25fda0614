//! A play or a call: what it sends, its output while it runs, and its outcome.

use std::{path::Path, sync::Arc, time::Duration};

use client_ws::{CallRequest, CircleWsClient, ClientError, Id, PlayEvent, PlayResult, PlayValue, RpcError};
use frontend::functions::play_result;
use futures_util::{Stream, StreamExt};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

use super::call::FunctionCall;

/// The time to wait beyond the play's own timeout: the circle takes a second to kill the play, and the answer has to
/// arrive.
const ANSWER_GRACE_PERIOD: Duration = Duration::from_secs(10);

/// The maximum number of unread updates. Further output waits in the client.
const UPDATE_CAPACITY: usize = 64;

/// A script to play, with its options.
#[derive(Debug, Clone, Default)]
pub struct Script {
    /// The script text.
    pub text: String,
    /// The name of the script's file, for tracebacks.
    pub name: Option<String>,
    /// A script to play first, as a separate play.
    pub prelude: Option<String>,
    /// A time limit below that of the circle.
    pub timeout: Option<Duration>,
    /// The variable to bind the value to.
    pub bind: Option<String>,
}

impl Script {
    /// The name of a script's file for tracebacks, without its directory, which is no business of the circle.
    pub fn file_name(file: &Path) -> Option<String> {
        file.file_name().map(|name| name.to_string_lossy().into_owned())
    }
}

/// An update of a play or a call.
#[derive(Debug)]
pub enum PlayUpdate {
    /// Output or progress.
    Event(PlayEvent),
    /// The end of the play or the call, which is the last update.
    Ended(Result<PlayResult, ClientError>),
}

/// A started play or call. Dropping it cancels the play or the call.
#[derive(Debug)]
pub struct RunningRequest {
    updates: mpsc::Receiver<PlayUpdate>,
    cancel: watch::Sender<bool>,
    _task: JoinSet<()>,
}

/// Reports the updates of a play or a call to the holder of its [`RunningRequest`].
#[derive(Debug)]
pub struct PlayReporter {
    updates: mpsc::Sender<PlayUpdate>,
    cancel: watch::Receiver<bool>,
}

impl RunningRequest {
    /// Plays a script on a client. Needs a tokio runtime.
    ///
    /// Take the updates with [`RunningRequest::next`]: the client drops output over 32 MiB that nobody takes.
    pub fn play(client: Arc<CircleWsClient>, script: Script) -> Self {
        Self::spawn(|mut reporter| async move {
            let result = play(&client, &script, &mut reporter).await;
            reporter.report(PlayUpdate::Ended(result)).await;
        })
    }

    /// Calls a function on a client. The value ends the call as that of a play. Needs a tokio runtime.
    pub(super) fn call(client: Arc<CircleWsClient>, call: FunctionCall) -> Self {
        Self::spawn(|mut reporter| async move {
            let result = self::call(&client, call, &mut reporter).await;
            reporter.report(PlayUpdate::Ended(result)).await;
        })
    }

    /// Returns a request whose updates come from `run`. Needs a tokio runtime.
    pub fn spawn<F: Future<Output = ()> + Send + 'static>(run: impl FnOnce(PlayReporter) -> F) -> Self {
        let (send, updates) = mpsc::channel(UPDATE_CAPACITY);
        let (cancel, cancelled) = watch::channel(false);
        let mut task = JoinSet::new();
        task.spawn(run(PlayReporter { updates: send, cancel: cancelled }));
        Self { updates, cancel, _task: task }
    }

    /// Waits for the next update. Cancel safe. Do not call it after [`PlayUpdate::Ended`].
    pub async fn next(&mut self) -> PlayUpdate {
        self.updates.recv().await.unwrap_or(PlayUpdate::Ended(Err(ClientError::NotConnected)))
    }

    /// Waits until the play or the call has ended.
    pub(super) async fn wait_for_end(mut self) {
        while !matches!(self.next().await, PlayUpdate::Ended(_)) {}
    }

    /// Cancels the play or the call. Its end still comes as an update.
    pub fn cancel(&self) {
        self.cancel.send_replace(true);
    }
}

impl PlayReporter {
    /// Reports an update. Does nothing if the play was dropped.
    pub async fn report(&self, update: PlayUpdate) {
        drop(self.updates.send(update).await);
    }

    /// Waits until the play is cancelled. Cancel safe.
    pub async fn wait_for_cancel(&mut self) {
        wait_for_cancel(&mut self.cancel).await;
    }
}

/// Waits until the play is cancelled. Cancel safe.
pub(super) async fn wait_for_cancel(cancel: &mut watch::Receiver<bool>) {
    if cancel.wait_for(|is_cancelled| *is_cancelled).await.is_err() {
        std::future::pending::<()>().await;
    }
}

async fn play(
    client: &CircleWsClient,
    script: &Script,
    reporter: &mut PlayReporter,
) -> Result<PlayResult, ClientError> {
    if let Some(before) = &script.prelude {
        tokio::select! {
            done = client.play(before.as_str()) => drop(done?),
            () = reporter.wait_for_cancel() => return Err(RpcError::Cancelled.into()),
        }
    }
    let mut request = client.play(script.text.as_str());
    if let Some(timeout) = script.timeout {
        request = request.timeout(timeout);
    }
    if let Some(bind) = &script.bind {
        request = request.bind(bind.as_str());
    }
    if let Some(name) = &script.name {
        request = request.name(name);
    }
    let mut running = request.start().await?;
    let longest = script.timeout.map_or(Duration::MAX, |timeout| timeout.saturating_add(ANSWER_GRACE_PERIOD));
    let id = running.id().clone();
    report_events(client, &id, &mut running, longest, reporter).await?;
    running.result().await
}

async fn call(
    client: &CircleWsClient,
    call: FunctionCall,
    reporter: &mut PlayReporter,
) -> Result<PlayResult, ClientError> {
    let request = CallRequest::new(call.name).params(call.params);
    let mut running = client.start_call(request).await?;
    let id = running.id().clone();
    report_events(client, &id, &mut running, Duration::MAX, reporter).await?;
    running.result::<PlayValue>().await.map(play_result)
}

/// Reports the events of the request with an id until it has ended, for at most `longest`, and cancels it when it should end.
async fn report_events(
    client: &CircleWsClient,
    id: &Id,
    events: &mut (impl Stream<Item = PlayEvent> + Unpin),
    longest: Duration,
    reporter: &mut PlayReporter,
) -> Result<(), ClientError> {
    let mut late = std::pin::pin!(tokio::time::sleep(longest));
    let mut is_cancelled = false;
    // An event that waits for room in the channel.
    let mut event = None;
    loop {
        let PlayReporter { updates, cancel } = &mut *reporter;
        tokio::select! {
            room = updates.reserve(), if event.is_some() => {
                // An error means that the play was dropped.
                if let (Ok(room), Some(event)) = (room, event.take()) {
                    room.send(PlayUpdate::Event(event));
                }
            }
            next = events.next(), if event.is_none() => match next {
                Some(next) => event = Some(next),
                None => return Ok(()),
            },
            // Also while there is no room: a slow reader must not prevent a cancellation.
            () = wait_for_cancel(cancel), if !is_cancelled => {
                is_cancelled = true;
                client.cancel(id).await?;
            }
            () = &mut late => return Err(ClientError::TimedOut { after: longest }),
        }
    }
}
