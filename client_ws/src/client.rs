//! The client: its connection to one circle.

mod authentication;
mod connection;
mod functions;
mod methods;
mod subscriptions;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
    time::Duration,
};

use futures_channel::oneshot;
use futures_util::future;
use keys::{Authority, KeyPair, PublicKey};
use protocol::Method;

use crate::{
    CircleUrl, CircleWsClientBuilder, ClientError, Notice, ReconnectPolicy, VerifiedIdentity, identity::IdentityRules,
    notices::NoticeQueue, reconnection, transport::platform,
};

pub(crate) use connection::Connection;

/// A client of one circle.
///
/// Build one with [`builder`](Self::builder); dropping it closes its connection. All methods take `&self`, so the
/// client can be shared through an `Arc`, to request completions or to cancel while a play runs.
#[derive(Debug)]
pub struct CircleWsClient {
    shared: Arc<Shared>,
}

/// What a client shares with the task that reconnects.
#[derive(Debug)]
pub(crate) struct Shared {
    url: CircleUrl,
    /// The circle's own authority, for connections through a tunnel.
    authority: Option<Authority>,
    timeout: Duration,
    identity_rules: IdentityRules,
    /// Whether the client authenticates over an unencrypted connection to another machine.
    is_insecure: bool,
    policy: Option<ReconnectPolicy>,
    transport: platform::Transport,
    state: Mutex<ClientState>,
}

#[derive(Debug)]
struct ClientState {
    keypair: Option<Arc<KeyPair>>,
    /// The connection, which may have ended.
    connection: Option<Arc<Connection>>,
    notices: NoticeQueue,
    /// Whether a task is about to replace the connection, which has ended.
    is_reconnecting: bool,
    /// The calls that wait until the client has reconnected.
    waiting: Vec<oneshot::Sender<()>>,
}

impl ClientState {
    fn is_current(&self, connection: &Arc<Connection>) -> bool {
        self.connection.as_ref().is_some_and(|current| Arc::ptr_eq(current, connection))
    }
}

impl CircleWsClient {
    /// Returns a builder for a client of the circle at a `ws://` or `wss://` URL.
    pub fn builder(url: impl Into<String>) -> CircleWsClientBuilder {
        CircleWsClientBuilder::new(url.into())
    }

    #[cfg_attr(target_arch = "wasm32", expect(clippy::arc_with_non_send_sync, reason = "a page has one thread"))]
    pub(crate) fn new(url: CircleUrl, transport: platform::Transport, builder: CircleWsClientBuilder) -> Self {
        let CircleWsClientBuilder { keypair, authority, timeout, identity_rules, is_insecure, policy, .. } = builder;
        let state = ClientState {
            keypair,
            connection: None,
            notices: NoticeQueue::default(),
            is_reconnecting: false,
            waiting: Vec::new(),
        };
        let state = Mutex::new(state);
        let shared = Shared { url, authority, timeout, identity_rules, is_insecure, policy, transport, state };
        Self { shared: Arc::new(shared) }
    }

    /// The URL of the circle.
    pub fn url(&self) -> &CircleUrl {
        &self.shared.url
    }

    /// The public key with which [`authenticate`](Self::authenticate) authenticates, if the client has one.
    pub fn public_key(&self) -> Option<PublicKey> {
        self.shared.state().keypair.as_ref().map(|keypair| keypair.public_key())
    }

    /// Sets or replaces the client's key.
    pub fn set_keypair(&self, keypair: impl Into<Arc<KeyPair>>) {
        self.shared.state().keypair = Some(keypair.into());
    }

    /// Connects to the circle and verifies its identity before it sends anything else. A previous connection is closed.
    ///
    /// The new session shares nothing with the previous one: it is not authenticated and has no variables.
    ///
    /// # Errors
    ///
    /// Returns [`ClientError::Unreachable`], [`ClientError::Tls`], [`ClientError::NotUpgraded`],
    /// [`ClientError::Refused`] or [`ClientError::NotACircle`] if there is no circle at the URL that accepts the
    /// connection, [`ClientError::OtherIdentity`] if the circle's identity is not the
    /// [expected](CircleWsClientBuilder::expect_identity) one, [`ClientError::EphemeralIdentity`] if it is
    /// [ephemeral](CircleWsClientBuilder::accept_ephemeral_identity) on another machine, and
    /// [`ClientError::IdentityRefused`] if the [check](CircleWsClientBuilder::check_identity) refuses it.
    ///
    /// # Panics
    ///
    /// A native client panics outside of a tokio runtime with I/O and time enabled.
    pub async fn connect(&self) -> Result<(), ClientError> {
        self.disconnect();
        let notices = NoticeQueue::default();
        let connection = Arc::new(self.shared.open(notices.clone()).await?);
        self.shared.replace(Some((connection.clone(), notices)));
        if let Some(policy) = self.shared.policy {
            platform::spawn(reconnection::run(Arc::downgrade(&self.shared), policy, connection));
        }
        Ok(())
    }

    /// The verified identity of the connected circle.
    pub fn identity(&self) -> Option<VerifiedIdentity> {
        self.shared.state().connection.as_ref().map(|connection| connection.identity)
    }

    /// Whether the client is connected, as far as it knows.
    pub fn is_connected(&self) -> bool {
        self.shared.state().connection.as_ref().is_some_and(|connection| connection.requests.is_open())
    }

    /// Closes the connection, and does not reconnect. The circle cancels the plays and calls of the session.
    pub fn disconnect(&self) {
        self.shared.replace(None);
    }

    /// Takes the next notice that has arrived, without waiting.
    pub fn take_notice(&self) -> Option<Notice> {
        self.shared.notices().pop()
    }

    /// Waits for the next notice or the end of the connection.
    ///
    /// Only one task can wait at a time: a later call displaces an earlier one.
    ///
    /// # Errors
    ///
    /// Returns the reason why the connection ended, unless the client [reconnects](CircleWsClientBuilder::reconnect);
    /// [`ClientError::NotConnected`] if the client has disconnected itself, or never connected.
    pub async fn next_notice(&self) -> Result<Notice, ClientError> {
        future::poll_fn(|context| {
            let notices = self.shared.notices();
            notices.register(context);
            if let Some(notice) = notices.pop() {
                return Poll::Ready(Ok(notice));
            }
            let state = self.shared.state();
            match &state.connection {
                Some(connection) if connection.requests.is_open() || state.is_reconnecting => Poll::Pending,
                Some(connection) => Poll::Ready(Err(connection.requests.end_error())),
                None => Poll::Ready(Err(ClientError::NotConnected)),
            }
        })
        .await
    }

    /// The timeout for the answers to all requests except plays and calls.
    pub(crate) fn timeout(&self) -> Duration {
        self.shared.timeout
    }

    /// Returns the connection, as [`Shared::connection`] does.
    pub(crate) async fn connection(&self) -> Result<Arc<Connection>, ClientError> {
        self.shared.connection().await
    }

    /// Calls a method that the circle answers without delay, so that the client's timeout applies.
    async fn request<M: Method>(&self, params: &M::Params) -> Result<M::Result, ClientError> {
        self.connection().await?.requests.call::<M>(params, self.shared.timeout).await
    }
}

impl Drop for CircleWsClient {
    fn drop(&mut self) {
        self.disconnect();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, ClientState> {
        // No code panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The timeout for the answers to all requests except plays and calls.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Whether a task is about to replace the connection if it ends.
    pub(crate) fn is_reconnecting(&self) -> bool {
        self.state().is_reconnecting
    }

    /// Returns the connection. While the client reconnects, the call waits, at most for the client's timeout.
    pub(crate) async fn connection(&self) -> Result<Arc<Connection>, ClientError> {
        let reconnected = {
            let mut state = self.state();
            let connection = state.connection.clone().ok_or(ClientError::NotConnected)?;
            if connection.requests.is_open() || !state.is_reconnecting {
                return Ok(connection);
            }
            let (sender, reconnected) = oneshot::channel();
            state.waiting.retain(|waiting| !waiting.is_canceled());
            state.waiting.push(sender);
            reconnected
        };
        // Dropped, it means the same: the wait is over.
        let _over = platform::timeout(self.timeout, reconnected).await;
        self.state().connection.clone().ok_or(ClientError::NotConnected)
    }

    pub(crate) fn notices(&self) -> NoticeQueue {
        self.state().notices.clone()
    }

    /// Replaces the connection at the request of the program.
    fn replace(&self, connection: Option<(Arc<Connection>, NoticeQueue)>) {
        let (connection, notices) = connection.unzip();
        let (previous, previous_notices, waiting) = {
            let mut state = self.state();
            state.is_reconnecting = self.policy.is_some() && connection.is_some();
            (
                std::mem::replace(&mut state.connection, connection),
                std::mem::replace(&mut state.notices, notices.unwrap_or_default()),
                std::mem::take(&mut state.waiting),
            )
        };
        drop(waiting);
        if let Some(previous) = previous {
            previous.requests.close();
        }
        previous_notices.wake();
    }

    /// Whether this is the client's connection.
    pub(crate) fn is_current(&self, connection: &Arc<Connection>) -> bool {
        self.state().is_current(connection)
    }

    /// Puts a new connection in the place of a lost one. Returns false if the program has replaced that one.
    pub(crate) fn replace_lost(&self, lost: &Arc<Connection>, newer: Arc<Connection>, attempts: u32) -> bool {
        let (notices, waiting) = {
            let mut state = self.state();
            if !state.is_current(lost) {
                return false;
            }
            state.connection = Some(newer);
            (state.notices.clone(), std::mem::take(&mut state.waiting))
        };
        notices.push(Notice::Reconnected { attempts });
        drop(waiting);
        true
    }

    /// Ends the reconnection of a lost connection.
    pub(crate) fn give_up(&self, lost: &Arc<Connection>, error: &ClientError) {
        let waiting = {
            let mut state = self.state();
            if !state.is_current(lost) {
                return;
            }
            state.is_reconnecting = false;
            std::mem::take(&mut state.waiting)
        };
        drop(waiting);
        self.notices().push(Notice::ReconnectFailed { reason: error.to_string() });
    }
}

#[cfg(test)]
mod tests;
