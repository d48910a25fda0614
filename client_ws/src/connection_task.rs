//! The one task that owns the connection. It reads while it writes: a circle may take what is written only once what it
//! wrote has been read.

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

/// A circle that was not asked anything for so long is asked for a sign of life.
const PING_INTERVAL: Duration = Duration::from_secs(10);

/// A circle that gave none for so long is late.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(20);

/// One that gives none for so long from then on is gone. A client that was stopped itself (Ctrl-Z) finds its clock gone on,
/// and what came meanwhile unread: it counts.
const HEARTBEAT_GRACE_PERIOD: Duration = Duration::from_secs(10);

/// A request to be sent.
#[derive(Debug)]
pub(crate) struct OutgoingRequest {
    pub(crate) id: u64,
    pub(crate) text: String,
    pub(crate) response_sender: oneshot::Sender<RawResponse>,
    pub(crate) events: Option<mpsc::Sender<PlayEvent>>,
}

/// What is told without having been asked: a notice, or last of all why the connection is over.
pub(crate) type NoticeResult = Result<Notice, ClientError>;

/// Runs until the connection ends or nobody can send commands any more.
pub(crate) async fn run(
    mut sender: impl TransportSender,
    mut receiver: impl TransportReceiver,
    mut requests: mpsc::Receiver<OutgoingRequest>,
    mut notices: mpsc::Sender<NoticeResult>,
    limit: MessageLimit,
    url: String,
) {
    // Each sender has a place of its own in the channel, so there always is one for the end.
    let mut last = notices.clone();
    let pending = Arc::new(Mutex::new(PendingRequests::new(limit.clone())));
    let write = async {
        loop {
            let sent = match platform::timeout(PING_INTERVAL, requests.next()).await {
                Some(Some(command)) => {
                    lock(&pending).insert(command.id, command.response_sender, command.events);
                    sender.send(command.text).await
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
                        "the circle gives no sign of life for {} s",
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
                // Waits for whoever listens, and so slows down the play that prints. If nobody does any more, the
                // print is dropped.
                Ok(Delivery::Event(mut events, event)) => {
                    let _unheard = events.send(event).await;
                }
                // Told while there is room; a notice that nobody takes must not hold up answers.
                Ok(Delivery::Notice(notice)) => {
                    let _unheard = notices.try_send(Ok(notice));
                }
                Err(reason) => return ClientError::NotACircle { url: url.clone(), reason },
            }
        }
    };
    let error = {
        pin_mut!(write, read);
        future::select(write, read).await.factor_first().0
    };
    // Closed first, so that nothing can come in behind what is failed here.
    requests.close();
    let mut pending = lock(&pending);
    while let Ok(command) = requests.try_recv() {
        pending.insert(command.id, command.response_sender, command.events);
    }
    pending.fail_all(|| clone_error(&error));
    // Nobody may want to know.
    let _unheard = last.try_send(Err(error));
}

fn lock(pending: &Mutex<PendingRequests>) -> MutexGuard<'_, PendingRequests> {
    pending.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The error that ends a connection, once for each request that it leaves unanswered.
fn clone_error(error: &ClientError) -> ClientError {
    match error {
        ClientError::ConnectionLost { code, reason } => {
            ClientError::ConnectionLost { code: *code, reason: reason.clone() }
        }
        ClientError::NotACircle { url, reason } => ClientError::NotACircle { url: url.clone(), reason: reason.clone() },
        _ => ClientError::NotConnected,
    }
}
