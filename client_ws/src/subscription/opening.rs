//! Opening a subscription on the current connection of the client, and leaving it.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use protocol::methods::{self, Event, SubscribeResult};

use super::{
    SubscribeRequest,
    queue::{SubscriptionReceiver, subscription_queue},
};
use crate::{
    ClientError, client::Shared, message_limit::is_limit_message, request_channel::RequestChannel, transport::platform,
};

/// A subscription that the circle has opened.
pub(super) struct Opening {
    pub(super) open: OpenSubscription,
    pub(super) cursor: Option<String>,
    pub(super) gap: bool,
}

/// A subscription on one connection. Dropping it leaves the subscription.
pub(super) struct OpenSubscription {
    requests: Arc<RequestChannel>,
    events: SubscriptionReceiver,
}

impl OpenSubscription {
    /// Takes the next event; `None` if the client has left the subscription, or the connection has ended.
    pub(super) fn poll_event(&self, context: &mut Context<'_>) -> Poll<Option<Event>> {
        self.events.poll_next(context)
    }

    /// The error of the connection if a message over the limit has ended it.
    pub(super) fn message_limit_error(&self) -> Option<ClientError> {
        Some(self.requests.end_error()).filter(is_message_limit_error)
    }
}

fn is_message_limit_error(error: &ClientError) -> bool {
    matches!(error, ClientError::ConnectionLost { code: None, reason } if is_limit_message(reason))
}

/// Opens a subscription, as soon as the client is connected.
pub(super) async fn open(shared: Arc<Shared>, request: SubscribeRequest) -> Result<Opening, ClientError> {
    loop {
        let requests = shared.connection().await?.requests.clone();
        if !requests.is_open() && shared.is_reconnecting() {
            continue;
        }
        match open_on(&requests, &shared, &request).await {
            // The client sends this request again, because it has no effect on the circle.
            Err(ClientError::ConnectionLost { .. }) if shared.is_reconnecting() => {}
            opened => return opened,
        }
    }
}

async fn open_on(
    requests: &Arc<RequestChannel>,
    shared: &Shared,
    request: &SubscribeRequest,
) -> Result<Opening, ClientError> {
    let (sender, events) = subscription_queue(Arc::downgrade(requests));
    let sent = requests.send_subscribe(&request.params(), sender).await?;
    let answer = platform::timeout(shared.timeout(), requests.response(sent.response)).await;
    let answer = answer.ok_or(ClientError::TimedOut { after: shared.timeout() })?;
    let SubscribeResult { cursor, gap, .. } = requests.parse::<methods::Subscribe>(answer)?;
    Ok(Opening { open: OpenSubscription { requests: requests.clone(), events }, cursor, gap })
}
