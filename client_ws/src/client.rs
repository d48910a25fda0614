//! The client: a connection to one circle and the methods of the protocol.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
    time::Duration,
};

use futures_channel::{mpsc, oneshot};
use futures_util::{SinkExt, StreamExt, future};
use keys::{Authority, Challenge, KeyPair, Nonce, PublicKey};
use protocol::{
    Id, Method, message,
    methods::{
        self, AuthenticateParams, CancelParams, CompleteParams, CompleteResult, Description, FetchNonceParams,
        FetchNonceResult, FunctionDoc, IdentifyParams, LookupParams, NoParams, ScopeResult,
    },
};

use crate::{
    CircleUrl, CircleWsClientBuilder, ClientError, Notice, PlayEvent, PlayRequest, VerifiedIdentity,
    connection_task::{self, NoticeResult, OutgoingRequest},
    identity::{self, IdentityRules},
    message_limit::MessageLimit,
    pending_requests::RawResponse,
    transport::platform,
};

/// Maximum number of requests that wait to be sent.
const MAX_QUEUED_REQUESTS: usize = 32;

/// Maximum number of notices that wait for the program.
const MAX_QUEUED_NOTICES: usize = 16;

/// A client of one circle.
///
/// Build one with [`builder`](Self::builder); dropping it closes its connection. All methods take `&self`, so the
/// client can be shared through an `Arc`, to request completions or to cancel while a play runs.
#[derive(Debug)]
pub struct CircleWsClient {
    url: CircleUrl,
    /// The circle's own authority, for connections through a tunnel.
    authority: Option<Authority>,
    timeout: Duration,
    identity_rules: IdentityRules,
    /// Whether the client authenticates over an unencrypted connection to another machine.
    is_insecure: bool,
    transport: platform::Transport,
    state: Mutex<ClientState>,
}

#[derive(Debug)]
struct ClientState {
    keypair: Option<Arc<KeyPair>>,
    connection: Option<ActiveConnection>,
    /// The waker of the task that waits for a notice, woken when the connection is replaced.
    waker: Option<Waker>,
}

#[derive(Debug)]
struct ActiveConnection {
    request_sender: RequestSender,
    notices: mpsc::Receiver<NoticeResult>,
    limit: MessageLimit,
    /// The authority that the client connected to.
    target_authority: Authority,
    /// The identity that the circle has shown.
    identity: VerifiedIdentity,
}

/// The sender of requests to the task that owns the connection.
#[derive(Debug)]
struct RequestSender {
    requests: mpsc::Sender<OutgoingRequest>,
    next_id: u64,
}

/// A request with its id.
struct NumberedRequest {
    requests: mpsc::Sender<OutgoingRequest>,
    number: u64,
    text: String,
}

impl RequestSender {
    /// Builds the next request.
    fn next<M: Method>(&mut self, params: &M::Params) -> NumberedRequest {
        let number = self.next_id;
        self.next_id += 1;
        let text = message::call(Some(&Id::number(number)), M::NAME, params);
        NumberedRequest { requests: self.requests.clone(), number, text }
    }
}

impl NumberedRequest {
    /// Sends the request, and returns its id and the receiver of the response.
    async fn send(
        mut self,
        events: Option<mpsc::Sender<PlayEvent>>,
    ) -> Result<(Id, oneshot::Receiver<RawResponse>), ClientError> {
        let (response_sender, response) = oneshot::channel();
        let request = OutgoingRequest { id: self.number, text: self.text, response_sender, events };
        self.requests.send(request).await.map_err(|_| ClientError::NotConnected)?;
        Ok((Id::number(self.number), response))
    }
}

impl CircleWsClient {
    /// Returns a builder for a client of the circle at a `ws://` or `wss://` URL.
    pub fn builder(url: impl Into<String>) -> CircleWsClientBuilder {
        CircleWsClientBuilder::new(url.into())
    }

    pub(crate) fn new(url: CircleUrl, transport: platform::Transport, builder: CircleWsClientBuilder) -> Self {
        let CircleWsClientBuilder { keypair, authority, timeout, identity_rules, is_insecure, .. } = builder;
        let state = ClientState { keypair, connection: None, waker: None };
        Self { url, authority, timeout, identity_rules, is_insecure, transport, state: Mutex::new(state) }
    }

    /// The URL of the circle.
    pub fn url(&self) -> &CircleUrl {
        &self.url
    }

    /// The public key with which [`authenticate`](Self::authenticate) authenticates, if the client has one.
    pub fn public_key(&self) -> Option<PublicKey> {
        self.state().keypair.as_ref().map(|keypair| keypair.public_key())
    }

    /// Sets or replaces the client's key.
    pub fn set_keypair(&self, keypair: impl Into<Arc<KeyPair>>) {
        self.state().keypair = Some(keypair.into());
    }

    /// Connects to the circle and verifies its identity before it sends anything else. A previous connection is closed.
    ///
    /// The new session shares nothing with the previous one: it is not authenticated and has no variables.
    ///
    /// # Errors
    ///
    /// Returns [`ClientError::Unreachable`], [`ClientError::Tls`], [`ClientError::NotUpgraded`],
    /// [`ClientError::Refused`] or [`ClientError::NotACircle`] if there is no circle at the URL that accepts the
    /// connection, [`ClientError::OtherIdentity`] if the circle's identity is not
    /// the [expected](CircleWsClientBuilder::expect_identity) one, [`ClientError::EphemeralIdentity`] if it is
    /// [ephemeral](CircleWsClientBuilder::accept_ephemeral_identity) on another machine, and
    /// [`ClientError::IdentityRefused`] if the [check](CircleWsClientBuilder::check_identity) refuses it.
    ///
    /// # Panics
    ///
    /// A native client panics outside of a tokio runtime with I/O and time enabled.
    pub async fn connect(&self) -> Result<(), ClientError> {
        self.disconnect();
        let (sender, receiver, target_authority) =
            self.transport.connect(&self.url, self.authority.as_ref(), self.timeout).await?;
        let (requests, to_task) = mpsc::channel(MAX_QUEUED_REQUESTS);
        let (to_client, notices) = mpsc::channel(MAX_QUEUED_NOTICES);
        let limit = MessageLimit::new();
        platform::spawn(connection_task::run(
            sender,
            receiver,
            to_task,
            to_client,
            limit.clone(),
            self.url.to_string(),
        ));
        let mut request_sender = RequestSender { requests, next_id: 1 };
        let identity = self.identify(&mut request_sender, &target_authority).await?;
        self.identity_rules.verify(&self.url, &target_authority, identity).await?;
        self.replace(Some(ActiveConnection { request_sender, notices, limit, target_authority, identity }));
        Ok(())
    }

    /// Requests and verifies the circle's identity. A server without a valid identity is not a circle.
    async fn identify(
        &self,
        request_sender: &mut RequestSender,
        target_authority: &Authority,
    ) -> Result<VerifiedIdentity, ClientError> {
        let not_a_circle = |reason: String| ClientError::NotACircle { url: self.url.to_string(), reason };
        let challenge = Challenge::generate()?;
        let request = request_sender.next::<methods::Identify>(&IdentifyParams { challenge: challenge.to_string() });
        let identified = async {
            let (_, answer) = request.send(None).await?;
            self.answer::<methods::Identify>(answer).await
        };
        let answer = identified.await.map_err(|error| match error {
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

    /// The verified identity of the connected circle.
    pub fn identity(&self) -> Option<VerifiedIdentity> {
        self.state().connection.as_ref().map(|connection| connection.identity)
    }

    /// Whether the client is connected, as far as it knows.
    pub fn is_connected(&self) -> bool {
        self.state().connection.as_ref().is_some_and(|connection| !connection.request_sender.requests.is_closed())
    }

    /// Closes the connection. The circle cancels the plays of the session.
    pub fn disconnect(&self) {
        self.replace(None);
    }

    /// Takes the next notice that has arrived, without waiting.
    pub fn take_notice(&self) -> Option<Notice> {
        self.state().connection.as_mut()?.notices.try_recv().ok()?.ok()
    }

    /// Waits for the next notice or the end of the connection.
    ///
    /// Only one task can wait at a time: a later call displaces an earlier one.
    ///
    /// # Errors
    ///
    /// Returns the reason for the end of the connection once, and [`ClientError::NotConnected`] after that.
    pub async fn next_notice(&self) -> Result<Notice, ClientError> {
        let notice = future::poll_fn(|context| {
            let mut state = self.state();
            state.waker = Some(context.waker().clone());
            match &mut state.connection {
                Some(connection) => connection.notices.poll_next_unpin(context),
                None => Poll::Ready(None),
            }
        });
        notice.await.unwrap_or(Err(ClientError::NotConnected))
    }

    /// Authenticates with the client's key.
    ///
    /// The client does not sign a nonce for another authority or another circle than the connected one, or one with an
    /// implausible time ("Authentication" in `docs/protocol.md` defines this rule).
    ///
    /// # Errors
    ///
    /// Returns [`ClientError::NoKey`] if the client has no key, [`ClientError::NotEncrypted`] if the URL is `ws://` and
    /// of another machine and [`insecure`](CircleWsClientBuilder::insecure) does not allow that, [`ClientError::NonceRejected`] or
    /// [`ClientError::BadNonce`] if it refuses to sign the nonce, [`ClientError::Rpc`] if the circle refuses the key,
    /// and other errors if the connection or the request fails.
    pub async fn authenticate(&self) -> Result<(), ClientError> {
        let keypair = self.state().keypair.clone().ok_or(ClientError::NoKey)?;
        self.authenticate_keypair(&keypair).await
    }

    /// Checks whether the client may authenticate at this URL, before it asks for a passphrase.
    ///
    /// # Errors
    ///
    /// Returns [`ClientError::NotEncrypted`] if the URL is `ws://` and of another machine, and
    /// [`insecure`](CircleWsClientBuilder::insecure) does not allow that.
    pub fn check_encryption(&self) -> Result<(), ClientError> {
        if self.is_insecure || self.url.is_private() {
            return Ok(());
        }
        Err(ClientError::NotEncrypted { url: self.url.to_string() })
    }

    /// Authenticates with another key, and keeps it as the client's key if the circle accepts it.
    ///
    /// If the future is dropped, or fails for another reason than the circle's answer, the circle may still have
    /// authenticated the session with that key.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`authenticate`](Self::authenticate).
    pub async fn authenticate_as(&self, keypair: impl Into<Arc<KeyPair>>) -> Result<(), ClientError> {
        let keypair = keypair.into();
        self.authenticate_keypair(&keypair).await?;
        self.set_keypair(keypair);
        Ok(())
    }

    async fn authenticate_keypair(&self, keypair: &KeyPair) -> Result<(), ClientError> {
        self.check_encryption()?;
        let pubkey = keypair.public_key().to_hex();
        let target = self
            .state()
            .connection
            .as_ref()
            .map(|connection| (connection.target_authority.clone(), connection.identity));
        let (target_authority, circle) = target.ok_or(ClientError::NotConnected)?;
        let FetchNonceResult { nonce } =
            self.call::<methods::FetchNonce>(&FetchNonceParams { pubkey: pubkey.clone() }).await?;
        let nonce = Nonce::parse(&nonce)?;
        nonce.check(&target_authority, circle.public_key, platform::now_unix())?;
        let signature = keypair.sign_nonce(&nonce).to_string();
        self.call::<methods::Authenticate>(&AuthenticateParams { pubkey, signature }).await?;
        Ok(())
    }

    /// Returns a request to play a script. Await it for the result, or [`start`](PlayRequest::start) it to receive its
    /// output as well.
    pub fn play(&self, script: impl Into<String>) -> PlayRequest<'_> {
        PlayRequest::new(self, script.into())
    }

    /// Cancels a running or queued play. Returns false if the play had already ended.
    ///
    /// # Errors
    ///
    /// Returns a [`ClientError`] if the connection or the request fails.
    pub async fn cancel(&self, play: &Id) -> Result<bool, ClientError> {
        let params = CancelParams { play: play.clone() };
        self.call::<methods::Cancel>(&params).await.map(|result| result.cancelled)
    }

    /// Replaces the session's environment with a fresh one, after the plays before it.
    ///
    /// # Errors
    ///
    /// Returns a [`ClientError`] if the connection or the request fails.
    pub async fn reset(&self) -> Result<(), ClientError> {
        let limit = self.limit();
        let (_, answer) = self.request::<methods::Reset>(&NoParams {}, None).await?;
        // No timeout: the circle answers after the plays before, which have their own time limits.
        parse_result::<methods::Reset>(await_response(answer).await, &self.url)?;
        // The operator may have changed the circle's limits, which apply to fresh environments.
        if let Some(limit) = limit {
            limit.forget_stated();
        }
        Ok(())
    }

    /// Requests completions at a cursor, which is a count of Unicode scalar values from the start of the script (as in
    /// `script.chars()`). While a play runs, the circle answers with the names that existed before it.
    ///
    /// # Errors
    ///
    /// Returns [`ClientError::Rpc`] with code −32602 if the cursor is after the end of the script, and other errors if
    /// the connection or the request fails.
    pub async fn complete(&self, script: impl Into<String>, cursor: u64) -> Result<CompleteResult, ClientError> {
        self.call::<methods::Complete>(&CompleteParams { script: script.into(), cursor }).await
    }

    /// Requests the variables and script functions of this session. While a play runs, the circle answers with those
    /// that existed before it, without their values.
    ///
    /// # Errors
    ///
    /// Returns a [`ClientError`] if the connection or the request fails.
    pub async fn scope(&self) -> Result<ScopeResult, ClientError> {
        self.call::<methods::Scope>(&NoParams {}).await
    }

    /// Requests the documentation of all functions with a name or an `alias::name`. The list is empty for an unknown
    /// name.
    ///
    /// # Errors
    ///
    /// Returns a [`ClientError`] if the connection or the request fails.
    pub async fn lookup(&self, name: impl Into<String>) -> Result<Vec<FunctionDoc>, ClientError> {
        self.call::<methods::Lookup>(&LookupParams { name: name.into() }).await.map(|result| result.functions)
    }

    /// Requests the description of the circle: its limits, its modules, and the key that this session authenticated
    /// with.
    ///
    /// The answer also sets the maximum size of the circle's messages, derived from its `output_kib`, until the
    /// environment is replaced; otherwise, and at most, it is 32 MiB. A larger message closes the connection.
    ///
    /// # Errors
    ///
    /// Returns a [`ClientError`] if the connection or the request fails.
    pub async fn describe(&self) -> Result<Description, ClientError> {
        let limit = self.limit();
        let description = self.call::<methods::Describe>(&NoParams {}).await?;
        if let Some(limit) = limit {
            limit.set_stated(description.limits.output_kib);
        }
        Ok(description)
    }

    /// Requests the description of the protocol, an `OpenRPC` document.
    ///
    /// # Errors
    ///
    /// Returns a [`ClientError`] if the connection or the request fails.
    pub async fn discover(&self) -> Result<serde_json::Value, ClientError> {
        self.call::<methods::Discover>(&NoParams {}).await
    }

    fn replace(&self, connection: Option<ActiveConnection>) {
        let (previous, waker) = {
            let mut state = self.state();
            (std::mem::replace(&mut state.connection, connection), state.waker.take())
        };
        drop(previous);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The message limit of the current connection.
    fn limit(&self) -> Option<MessageLimit> {
        self.state().connection.as_ref().map(|connection| connection.limit.clone())
    }

    fn state(&self) -> MutexGuard<'_, ClientState> {
        // No code panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls a method that the circle answers without delay, so that the client's timeout applies.
    async fn call<M: Method>(&self, params: &M::Params) -> Result<M::Result, ClientError> {
        let (_, answer) = self.request::<M>(params, None).await?;
        self.answer::<M>(answer).await
    }

    /// Waits for the result of a request, at most for the client's timeout.
    async fn answer<M: Method>(&self, answer: oneshot::Receiver<RawResponse>) -> Result<M::Result, ClientError> {
        let answer = platform::timeout(self.timeout, await_response(answer)).await;
        parse_result::<M>(answer.ok_or(ClientError::TimedOut { after: self.timeout })?, &self.url)
    }

    /// Sends a request, and returns its id and the receiver of the response.
    pub(crate) async fn request<M: Method>(
        &self,
        params: &M::Params,
        events: Option<mpsc::Sender<PlayEvent>>,
    ) -> Result<(Id, oneshot::Receiver<RawResponse>), ClientError> {
        let request = {
            let mut state = self.state();
            let connection = state.connection.as_mut().ok_or(ClientError::NotConnected)?;
            connection.request_sender.next::<M>(params)
        };
        request.send(events).await
    }
}

/// Waits for the response to a request.
pub(crate) async fn await_response(answer: oneshot::Receiver<RawResponse>) -> RawResponse {
    answer.await.unwrap_or(Err(ClientError::NotConnected))
}

pub(crate) fn parse_result<M: Method>(answer: RawResponse, url: &CircleUrl) -> Result<M::Result, ClientError> {
    serde_json::from_str(answer?.get()).map_err(|error| ClientError::NotACircle {
        url: url.to_string(),
        reason: format!("its answer to `{}` is invalid: {error}", M::NAME),
    })
}

#[cfg(test)]
mod tests;
