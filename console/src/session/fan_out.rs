//! One script on several circles, side by side: a part in each circle's session, all of them heard in one place.

use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
};

use super::{
    event::{FanOutEvent, FanOutOutcome, FanOutRefusal},
    handle::{FanOutPart, FanOutTarget, SessionHandle, SessionInput},
    play::{Script, wait_for_cancel},
};

/// Events that wait to be taken, before the circles are made to wait.
const EVENT_CAPACITY: usize = 64;

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
    pub fn start(targets: &[FanOutTarget], script: &Script) -> Self {
        let (report, events) = mpsc::channel(EVENT_CAPACITY);
        let (cancel, cancelled) = watch::channel(false);
        let mut requests = JoinSet::new();
        for (index, FanOutTarget { session, .. }) in targets.iter().cloned().enumerate() {
            let part =
                FanOutPart { script: script.clone(), index, report: report.clone(), cancelled: cancelled.clone() };
            requests.spawn(run_part(session, part));
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

/// Waits until a session is connected and authenticated as far as it will be; false if it has ended. Cancel safe.
async fn wait_until_settled(session: &SessionHandle) -> bool {
    // The state may be older than the request to connect.
    let (sync, synced) = oneshot::channel();
    if session.inputs.send(SessionInput::Sync(sync)).await.is_err() || synced.await.is_err() {
        return false;
    }
    session.watch().wait_for(|state| !state.is_settling() && !state.is_key_requested).await.is_ok()
}
