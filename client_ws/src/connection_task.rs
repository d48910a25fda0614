//! The task that owns the connection. It reads while it writes, because a circle may not read before the client has
//! read what the circle wrote.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_channel::{mpsc, oneshot};
use futures_util::{StreamExt, future, pin_mut};

use crate::{
    message_limit::MessageLimit,
    notices::NoticeQueue,
    pending_requests::{PendingRequests, RawResponse, RequestEvents},
    request_channel::{ConnectionEnd, EndReason},
    transport::{TransportReceiver, TransportSender, platform},
};

/// Interval after the last request at which the client sends a ping.
const PING_INTERVAL: Duration = Duration::from_secs(10);

/// Time without a message or pong after which the circle is late.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(20);

/// Further time after which the connection is lost. After a client was itself stopped (Ctrl-Z), its timer has expired
/// while messages are waiting: those still count.
const HEARTBEAT_GRACE_PERIOD: Duration = Duration::from_secs(10);

/// A request for the task to send.
#[derive(Debug)]
pub(crate) struct OutgoingRequest {
    pub(crate) id: u64,
    pub(crate) text: String,
    pub(crate) response_sender: oneshot::Sender<RawResponse>,
    pub(crate) events: Option<RequestEvents>,
}

/// Time for which the client still reads after it could not write: the circle's reason may be on its way.
const LAST_WORDS_TIMEOUT: Duration = Duration::from_secs(1);

/// The parts of a connection that its task shares with the client.
#[derive(Debug)]
pub(crate) struct TaskContext {
    pub(crate) notices: NoticeQueue,
    pub(crate) limit: MessageLimit,
    pub(crate) end: ConnectionEnd,
    /// Receives the reason for the end, and the number of requests without an answer.
    pub(crate) ended: oneshot::Sender<(EndReason, usize)>,
    pub(crate) url: String,
}

/// Runs until the connection ends, or all senders of requests are dropped or closed.
pub(crate) async fn run(
    mut sender: impl TransportSender,
    mut receiver: impl TransportReceiver,
    mut requests: mpsc::Receiver<OutgoingRequest>,
    context: TaskContext,
) {
    let TaskContext { notices, limit, end, ended, url } = context;
    let pending = Arc::new(Mutex::new(PendingRequests::new(limit.clone())));
    let write = async {
        loop {
            let sent = match platform::timeout(PING_INTERVAL, requests.next()).await {
                Some(Some(request)) => {
                    lock(&pending).insert(request.id, request.response_sender, request.events);
                    sender.send(request.text).await
                }
                Some(None) => {
                    sender.close().await;
                    return EndReason::Closed;
                }
                None => sender.ping().await,
            };
            if let Err(error) = sent {
                platform::timeout(LAST_WORDS_TIMEOUT, future::pending::<()>()).await;
                return error.into();
            }
        }
    };
    let read = async {
        let mut is_late = false;
        loop {
            let received =
                platform::timeout(if is_late { HEARTBEAT_GRACE_PERIOD } else { HEARTBEAT_TIMEOUT }, receiver.receive())
                    .await;
            let was_late = std::mem::replace(&mut is_late, received.is_none());
            let text = match received {
                Some(Ok(Some(text))) => text,
                Some(Ok(None)) => continue,
                Some(Err(error)) => return error.into(),
                None if !was_late => continue,
                None => {
                    let reason = format!(
                        "no heartbeat from the circle for {} s",
                        (HEARTBEAT_TIMEOUT + HEARTBEAT_GRACE_PERIOD).as_secs()
                    );
                    return EndReason::Lost { code: None, reason };
                }
            };
            if let Err(reason) = limit.check(text.as_ref().len()) {
                return EndReason::Lost { code: None, reason };
            }
            // Nothing here waits: what the program does not take must not delay the rest.
            let received = lock(&pending).receive(text.as_ref());
            match received {
                Ok(None) => {}
                Ok(Some(notice)) => notices.push(notice),
                Err(reason) => return EndReason::NotACircle { reason },
            }
        }
    };
    let reason = {
        pin_mut!(write, read);
        future::select(write, read).await.factor_first().0
    };
    end.set(reason.clone());
    // Close the channel first, so that no request can arrive after the last one that fails here.
    requests.close();
    let unanswered = {
        let mut pending = lock(&pending);
        while let Ok(request) = requests.try_recv() {
            pending.insert(request.id, request.response_sender, request.events);
        }
        pending.fail_all(|| reason.to_error(&url))
    };
    // Nobody waits for the end of a client that does not reconnect.
    let _unawaited = ended.send((reason, unanswered));
    notices.wake();
}

fn lock(pending: &Mutex<PendingRequests>) -> MutexGuard<'_, PendingRequests> {
    pending.lock().unwrap_or_else(PoisonError::into_inner)
}
