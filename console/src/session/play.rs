//! One play: a script, what it prints while it runs, and its outcome.

use std::{sync::Arc, time::Duration};

use client_ws::{CircleWsClient, ClientError, PlayEvent, PlayResult, RpcError};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

/// How much longer than its own timeout a play is waited for: the circle takes a second to kill it, and the answer its way.
const ANSWER_GRACE_PERIOD: Duration = Duration::from_secs(10);

/// Updates that wait to be taken, before the circle is made to wait.
const UPDATE_CAPACITY: usize = 64;

/// What is played.
#[derive(Debug, Clone, Default)]
pub struct Script {
    /// The script itself.
    pub text: String,
    /// A play of its own that goes ahead.
    pub prelude: Option<String>,
    /// Shortens the circle's time limit.
    pub timeout: Option<Duration>,
    /// A variable that the value is bound to.
    pub bind: Option<String>,
}

/// What has happened to a play.
#[derive(Debug)]
pub enum PlayUpdate {
    /// It printed, or said how far it is.
    Event(PlayEvent),
    /// It has ended: the last update.
    Ended(Result<PlayResult, ClientError>),
}

/// A play that was started. Dropped, it is not listened to any more, which does not end it.
#[derive(Debug)]
pub struct SessionPlay {
    updates: mpsc::Receiver<PlayUpdate>,
    cancel: watch::Sender<bool>,
    _task: JoinSet<()>,
}

/// Reports what happens to a play to whoever holds the [`Play`].
#[derive(Debug)]
pub struct PlayReporter {
    updates: mpsc::Sender<PlayUpdate>,
    cancel: watch::Receiver<bool>,
}

impl SessionPlay {
    /// Plays a script on a client. To be called in a tokio runtime.
    ///
    /// Updates are to be taken ([`Play::next`]): until they are, a play that prints waits.
    pub fn start(client: Arc<CircleWsClient>, script: Script) -> Self {
        Self::spawn(|mut reporter| async move {
            let result = play(&client, &script, &mut reporter).await;
            reporter.report(PlayUpdate::Ended(result)).await;
        })
    }

    /// A play that `run` reports of. To be called in a tokio runtime.
    pub fn spawn<F: Future<Output = ()> + Send + 'static>(run: impl FnOnce(PlayReporter) -> F) -> Self {
        let (send, updates) = mpsc::channel(UPDATE_CAPACITY);
        let (cancel, cancelled) = watch::channel(false);
        let mut task = JoinSet::new();
        task.spawn(run(PlayReporter { updates: send, cancel: cancelled }));
        Self { updates, cancel, _task: task }
    }

    /// The next update. Cancel safe; not to be called after [`PlayUpdate::Ended`].
    pub async fn next(&mut self) -> PlayUpdate {
        self.updates.recv().await.unwrap_or(PlayUpdate::Ended(Err(ClientError::NotConnected)))
    }

    /// Waits for the play's end, whatever it is.
    pub(super) async fn wait_for_end(mut self) {
        while !matches!(self.next().await, PlayUpdate::Ended(_)) {}
    }

    /// Cancels the play; its end comes as an update all the same.
    pub fn cancel(&self) {
        self.cancel.send_replace(true);
    }
}

impl PlayReporter {
    /// Reports an update. It is dropped where nobody listens any more.
    pub async fn report(&self, update: PlayUpdate) {
        drop(self.updates.send(update).await);
    }

    /// Waits until the play is cancelled. Cancel safe.
    pub async fn wait_for_cancel(&mut self) {
        wait_for_cancel(&mut self.cancel).await;
    }
}

/// Waits until the cancellation is requested. Cancel safe.
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
    let mut running = request.start().await?;
    let longest = script.timeout.map_or(Duration::MAX, |timeout| timeout.saturating_add(ANSWER_GRACE_PERIOD));
    let mut late = std::pin::pin!(tokio::time::sleep(longest));
    let mut is_cancelled = false;
    // An event for which there is no room yet.
    let mut event = None;
    loop {
        let PlayReporter { updates, cancel } = reporter;
        tokio::select! {
            room = updates.reserve(), if event.is_some() => {
                // Without room nobody listens any more.
                if let (Ok(room), Some(event)) = (room, event.take()) {
                    room.send(PlayUpdate::Event(event));
                }
            }
            next = running.next(), if event.is_none() => match next {
                Some(next) => event = Some(next),
                None => break,
            },
            // Also while there is no room: a reader who pauses does not keep a play from being cancelled.
            () = wait_for_cancel(cancel), if !is_cancelled => {
                is_cancelled = true;
                running.cancel().await?;
            }
            () = &mut late => return Err(ClientError::TimedOut { after: longest }),
        }
    }
    running.result().await
}
