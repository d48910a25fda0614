//! Fan-outs: one script on several circles at the same time, with a part in each circle's session.

use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
};

use super::{
    event::{FanOutEvent, FanOutOutcome, FanOutRefusal},
    handle::{FanOutPart, FanOutTarget, SessionHandle, SessionInput},
    play::{Script, wait_for_cancel},
};

/// The maximum number of unread events. Further output makes the plays wait.
const EVENT_CAPACITY: usize = 64;

/// Plays on several circles. Dropping the value discards their events, but does not end the plays.
#[derive(Debug)]
pub struct FanOut {
    events: mpsc::Receiver<(usize, FanOutEvent)>,
    cancel: watch::Sender<bool>,
    _requests: JoinSet<()>,
}

impl FanOut {
    /// Plays a script on each circle, as soon as its session is connected. Needs a tokio runtime.
    ///
    /// Take the events with [`FanOut::next`]: plays with output wait until they are taken.
    pub fn start(targets: &[FanOutTarget], script: &Script) -> Self {
        Self::start_parts(targets, script, false)
    }

    /// Plays a script on each circle as [`start`](Self::start) does. Errors name commands of the console.
    pub(super) fn start_for_console(targets: &[FanOutTarget], script: &Script) -> Self {
        Self::start_parts(targets, script, true)
    }

    fn start_parts(targets: &[FanOutTarget], script: &Script, is_for_console: bool) -> Self {
        let (report, events) = mpsc::channel(EVENT_CAPACITY);
        let (cancel, cancelled) = watch::channel(false);
        let mut requests = JoinSet::new();
        for (index, FanOutTarget { session, .. }) in targets.iter().cloned().enumerate() {
            let (script, report, cancelled) = (script.clone(), report.clone(), cancelled.clone());
            let part = FanOutPart { script, index, report, cancelled, is_for_console };
            requests.spawn(run_part(session, part));
        }
        Self { events, cancel, _requests: requests }
    }

    /// Waits for the next event, and returns it with the index of its circle; `None` once all plays have ended. Cancel
    /// safe.
    pub async fn next(&mut self) -> Option<(usize, FanOutEvent)> {
        self.events.recv().await
    }

    /// Cancels the running plays. Their ends still come as events.
    pub fn cancel(&self) {
        self.cancel.send_replace(true);
    }
}

/// Sends a part to a session once it has settled.
async fn run_part(session: SessionHandle, mut part: FanOutPart) {
    let is_settled = tokio::select! {
        settled = wait_until_settled(&session) => settled,
        () = wait_for_cancel(&mut part.cancelled) => false,
    };
    if is_settled {
        let (index, report) = (part.index, part.report.clone());
        if session.inputs.send(SessionInput::Part(part)).await.is_err() {
            let why = FanOutRefusal::Unreachable;
            drop(report.send((index, FanOutEvent::Refused(why))).await);
        }
    } else {
        part.end(FanOutEvent::Ended(FanOutOutcome::Cancelled)).await;
    }
}

/// Waits until a session has settled: it neither connects, authenticates nor waits for a key. False if the session has
/// ended. Cancel safe.
async fn wait_until_settled(session: &SessionHandle) -> bool {
    // The state may be older than the connection request.
    let (sync, synced) = oneshot::channel();
    if session.inputs.send(SessionInput::Sync(sync)).await.is_err() || synced.await.is_err() {
        return false;
    }
    session.watch().wait_for(|state| !state.is_settling() && !state.is_key_requested).await.is_ok()
}
