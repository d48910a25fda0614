//! A connection of a client: opening it, and the identity that the circle has shown on it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_channel::{mpsc, oneshot};
use keys::{Authority, Challenge, KeyPair};
use protocol::methods::{self, IdentifyParams};

use super::Shared;
use crate::{
    ClientError, VerifiedIdentity,
    connection_task::{self, TaskContext},
    identity,
    message_limit::MessageLimit,
    notices::NoticeQueue,
    request_channel::{ConnectionEnd, EndReason, RequestChannel},
    transport::platform,
};

/// Maximum number of requests that wait to be sent.
const MAX_QUEUED_REQUESTS: usize = 32;

/// A connection to a circle that the client has accepted.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) requests: Arc<RequestChannel>,
    pub(super) limit: MessageLimit,
    /// The authority that the client connected to.
    pub(super) target_authority: Authority,
    /// The identity that the circle has shown.
    pub(super) identity: VerifiedIdentity,
    /// The key with which the session is authenticated.
    authenticated: Mutex<Option<Arc<KeyPair>>>,
    ended: Mutex<Option<oneshot::Receiver<(EndReason, usize)>>>,
}

impl Connection {
    /// The key with which the session is authenticated.
    pub(crate) fn authenticated(&self) -> Option<Arc<KeyPair>> {
        lock(&self.authenticated).clone()
    }

    pub(super) fn set_authenticated(&self, keypair: Arc<KeyPair>) {
        *lock(&self.authenticated) = Some(keypair);
    }

    /// Waits for the end of the connection. Returns the reason and the number of requests without an answer. For one
    /// task.
    pub(crate) async fn ended(&self) -> (EndReason, usize) {
        let ended = lock(&self.ended).take();
        match ended {
            Some(ended) => ended.await.unwrap_or((EndReason::Closed, 0)),
            None => (EndReason::Closed, 0),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code panics while it holds the lock.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Opens a connection, and verifies the circle's identity before the client sends anything else.
    pub(super) async fn open(&self, notices: NoticeQueue) -> Result<Connection, ClientError> {
        let (sender, receiver, target_authority) =
            self.transport.connect(&self.url, self.authority.as_ref(), self.timeout).await?;
        let (to_task, from_client) = mpsc::channel(MAX_QUEUED_REQUESTS);
        let (limit, end, url) = (MessageLimit::new(), ConnectionEnd::default(), self.url.to_string());
        let (report_end, ended) = oneshot::channel();
        let context =
            TaskContext { notices, limit: limit.clone(), end: end.clone(), ended: report_end, url: url.clone() };
        platform::spawn(connection_task::run(sender, receiver, from_client, context));
        let requests = Arc::new(RequestChannel::new(to_task, end, url));
        let identity = self.identify(&requests, &target_authority).await?;
        self.identity_rules.verify(&self.url, &target_authority, identity).await?;
        let (authenticated, ended) = (Mutex::new(None), Mutex::new(Some(ended)));
        Ok(Connection { requests, limit, target_authority, identity, authenticated, ended })
    }

    /// Opens a connection in the place of a lost one, and authenticates it as that one was.
    pub(crate) async fn reopen(&self, lost: &Connection) -> Result<Connection, ClientError> {
        let connection = self.open(self.notices()).await?;
        let (expected, shown) = (lost.identity, connection.identity.public_key);
        if expected.is_persistent && shown != expected.public_key {
            let (expected, shown) = (expected.public_key.into(), shown.into());
            return Err(ClientError::OtherIdentity { url: self.url.to_string(), expected, shown });
        }
        if let Some(keypair) = lost.authenticated() {
            self.authenticate(&connection, keypair).await?;
        }
        Ok(connection)
    }

    /// Requests and verifies the circle's identity. A server without a valid identity is not a circle.
    async fn identify(
        &self,
        requests: &RequestChannel,
        target_authority: &Authority,
    ) -> Result<VerifiedIdentity, ClientError> {
        let not_a_circle = |reason: String| ClientError::NotACircle { url: self.url.to_string(), reason };
        let challenge = Challenge::generate()?;
        let params = IdentifyParams { challenge: challenge.to_string() };
        let answer = requests.call::<methods::Identify>(&params, self.timeout).await.map_err(|error| match error {
            ClientError::TimedOut { .. } => not_a_circle(format!("`identify` failed: {error}")),
            ClientError::Rpc(error) => not_a_circle(format!("it answered `identify` with an error: {error}")),
            // No play was sent yet, so the caller may simply try again.
            ClientError::ConnectionLost { code: None, reason } => ClientError::Unreachable {
                url: self.url.to_string(),
                reason: format!("it closed the connection before it showed its identity: {reason}"),
            },
            other => other,
        })?;
        identity::verify_identity(&answer, target_authority, challenge).map_err(|reason| not_a_circle(reason.into()))
    }
}
