//! The task that owns the connection. It reads while it writes, because a circle may not read before the client has
//! read what the circle wrote.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_channel::{mpsc, oneshot};
use futures_util::{SinkExt, StreamExt, future, pin_mut};

use crate::{
    ClientError, Notice, PlayEvent,
    message_limit::MessageLimit,
    pending_requests::{Delivery, PendingRequests, RawResponse},
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
    pub(crate) events: Option<mpsc::Sender<PlayEvent>>,
}

/// A notice, or, as the last item, the reason for the end of the connection.
pub(crate) type NoticeResult = Result<Notice, ClientError>;

/// Runs until the connection ends or all senders of requests are dropped.
pub(crate) async fn run(
    mut sender: impl TransportSender,
    mut receiver: impl TransportReceiver,
    mut requests: mpsc::Receiver<OutgoingRequest>,
    mut notices: mpsc::Sender<NoticeResult>,
    limit: MessageLimit,
    url: String,
) {
    // Each sender has a guaranteed slot in the channel, so a second sender reserves one for the final error.
    let mut last = notices.clone();
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
                    return ClientError::NotConnected;
                }
                None => sender.ping().await,
            };
            if let Err(error) = sent {
                return error;
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
                Some(Err(error)) => return error,
                None if !was_late => continue,
                None => {
                    let reason = format!(
                        "no heartbeat from the circle for {} s",
                        (HEARTBEAT_TIMEOUT + HEARTBEAT_GRACE_PERIOD).as_secs()
                    );
                    return ClientError::ConnectionLost { code: None, reason };
                }
            };
            if let Err(reason) = limit.check(text.as_ref().len()) {
                return ClientError::ConnectionLost { code: None, reason };
            }
            let delivery = lock(&pending).receive(text.as_ref());
            match delivery {
                Ok(Delivery::Done) => {}
                // Waits for the receiver of events, and so slows down a play that prints. If the receiver is
                // dropped, the output is dropped as well.
                Ok(Delivery::Event(mut events, event)) => {
                    let _receiver_dropped = events.send(event).await;
                }
                // Dropped if the channel is full: a notice that nobody takes must not delay answers.
                Ok(Delivery::Notice(notice)) => {
                    let _receiver_dropped = notices.try_send(Ok(notice));
                }
                Err(reason) => return ClientError::NotACircle { url: url.clone(), reason },
            }
        }
    };
    let error = {
        pin_mut!(write, read);
        future::select(write, read).await.factor_first().0
    };
    // Close the channel first, so that no request can arrive after the last one that fails here.
    requests.close();
    let mut pending = lock(&pending);
    while let Ok(request) = requests.try_recv() {
        pending.insert(request.id, request.response_sender, request.events);
    }
    pending.fail_all(|| clone_error(&error));
    // The client may have been dropped.
    let _receiver_dropped = last.try_send(Err(error));
}

fn lock(pending: &Mutex<PendingRequests>) -> MutexGuard<'_, PendingRequests> {
    pending.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Copies the error that ended the connection, for each unanswered request.
fn clone_error(error: &ClientError) -> ClientError {
    match error {
        ClientError::ConnectionLost { code, reason } => {
            ClientError::ConnectionLost { code: *code, reason: reason.clone() }
        }
        ClientError::NotACircle { url, reason } => ClientError::NotACircle { url: url.clone(), reason: reason.clone() },
        _ => ClientError::NotConnected,
    }
}
