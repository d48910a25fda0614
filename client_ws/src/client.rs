//! The client itself.

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

/// Requests that wait to be written.
const MAX_QUEUED_REQUESTS: usize = 32;

/// Notices that wait to be taken.
const MAX_QUEUED_NOTICES: usize = 16;

/// A client of one circle. It is made with [`builder`](Self::builder); dropping it closes its connection. Everything takes
/// `&self`: share it through an `Arc`, and ask for completions or cancel while a play runs.
#[derive(Debug)]
pub struct CircleWsClient {
    url: CircleUrl,
    /// The circle's own authority, where it is dialled through a tunnel.
    authority: Option<Authority>,
    timeout: Duration,
    identity_rules: IdentityRules,
    state: Mutex<ClientState>,
}

#[derive(Debug)]
struct ClientState {
    keypair: Option<Arc<KeyPair>>,
    connection: Option<ActiveConnection>,
    /// Who waits for a notice, to look again once the connection is another.
    waker: Option<Waker>,
}

#[derive(Debug)]
struct ActiveConnection {
    request_sender: RequestSender,
    notices: mpsc::Receiver<NoticeResult>,
    limit: MessageLimit,
    /// The authority by which the circle was dialled.
    target_authority: Authority,
    /// The identity that the circle has shown.
    identity: VerifiedIdentity,
}

/// The way of requests to the task that owns the connection.
#[derive(Debug)]
struct RequestSender {
    requests: mpsc::Sender<OutgoingRequest>,
    next_id: u64,
}

/// A request that has its id.
struct NumberedRequest {
    commands: mpsc::Sender<OutgoingRequest>,
    number: u64,
    text: String,
}

impl RequestSender {
    /// The next request.
    fn next<M: Method>(&mut self, params: &M::Params) -> NumberedRequest {
        let number = self.next_id;
        self.next_id += 1;
        let text = message::call(Some(&Id::number(number)), M::NAME, params);
        NumberedRequest { commands: self.requests.clone(), number, text }
    }
}

impl NumberedRequest {
    /// Sends it; what is returned gets its answer.
    async fn send(
        mut self,
        events: Option<mpsc::Sender<PlayEvent>>,
    ) -> Result<(Id, oneshot::Receiver<RawResponse>), ClientError> {
        let (answer, response) = oneshot::channel();
        let command = OutgoingRequest { id: self.number, text: self.text, response_sender: answer, events };
        self.commands.send(command).await.map_err(|_| ClientError::NotConnected)?;
        Ok((Id::number(self.number), response))
    }
}

impl CircleWsClient {
    /// Begins to describe a client of the circle at a `ws://` URL.
    pub fn builder(url: impl Into<String>) -> CircleWsClientBuilder {
        CircleWsClientBuilder::new(url.into())
    }

    pub(crate) fn new(url: CircleUrl, builder: CircleWsClientBuilder) -> Self {
        let CircleWsClientBuilder { keypair, authority, timeout, identity_rules, .. } = builder;
        let state = ClientState { keypair, connection: None, waker: None };
        Self { url, authority, timeout, identity_rules, state: Mutex::new(state) }
    }

    /// Where it connects to.
    pub fn url(&self) -> &CircleUrl {
        &self.url
    }

    /// The key that [`authenticate`](Self::authenticate) proves, if it has one.
    pub fn public_key(&self) -> Option<PublicKey> {
        self.state().keypair.as_ref().map(|keypair| keypair.public_key())
    }

    /// Gives it a key, or another one.
    pub fn set_keypair(&self, keypair: impl Into<Arc<KeyPair>>) {
        self.state().keypair = Some(keypair.into());
    }

    /// Connects, in the place of an earlier connection, and has the circle show its identity, before anything else is sent. The
    /// new session knows nothing of the one before: it is not authenticated and has no variables.
    ///
    /// # Errors
    ///
    /// Nothing can be reached at the URL, what answers there is no circle, or its identity is not
    /// [expected](CircleWsClientBuilder::expect_identity), [ephemeral](CircleWsClientBuilder::accept_ephemeral_identity) and
    /// not on this machine, or refused by the [check](CircleWsClientBuilder::check_identity).
    pub async fn connect(&self) -> Result<(), ClientError> {
        self.disconnect();
        let (sender, receiver, dialled) = platform::connect(&self.url, self.authority.as_ref(), self.timeout).await?;
        let (commands, to_task) = mpsc::channel(MAX_QUEUED_REQUESTS);
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
        let mut link = RequestSender { requests: commands, next_id: 1 };
        let identity = self.identify(&mut link, &dialled).await?;
        self.identity_rules.verify(&self.url, &dialled, identity).await?;
        self.replace(Some(ActiveConnection {
            request_sender: link,
            notices,
            limit,
            target_authority: dialled,
            identity,
        }));
        Ok(())
    }

    /// Has the circle show its identity. What cannot is no circle.
    async fn identify(&self, link: &mut RequestSender, dialled: &Authority) -> Result<VerifiedIdentity, ClientError> {
        let not_a_circle = |reason: String| ClientError::NotACircle { url: self.url.to_string(), reason };
        let challenge = Challenge::generate()?;
        let request = link.next::<methods::Identify>(&IdentifyParams { challenge: challenge.to_string() });
        let identified = async {
            let (_, answer) = request.send(None).await?;
            self.answer::<methods::Identify>(answer).await
        };
        let answer = identified.await.map_err(|error| match error {
            ClientError::TimedOut { .. } => not_a_circle(format!("to `identify` there is {error}")),
            ClientError::Rpc(error) => not_a_circle(format!("to `identify` it answers: {error}")),
            // Nothing was asked of it that could have happened.
            ClientError::ConnectionLost { code: None, reason } => ClientError::Unreachable {
                url: self.url.to_string(),
                reason: format!("it ended the connection before it showed its identity: {reason}"),
            },
            other => other,
        })?;
        identity::verify_identity(&answer, dialled, challenge).map_err(|reason| not_a_circle(reason.into()))
    }

    /// The identity that the circle of this connection has shown.
    pub fn identity(&self) -> Option<VerifiedIdentity> {
        self.state().connection.as_ref().map(|connection| connection.identity)
    }

    /// Whether a connection was made and, as far as is known, still is.
    pub fn is_connected(&self) -> bool {
        self.state().connection.as_ref().is_some_and(|connection| !connection.request_sender.requests.is_closed())
    }

    /// Closes the connection. What runs there is cancelled.
    pub fn disconnect(&self) {
        self.replace(None);
    }

    /// A notice that has come since this was last asked.
    pub fn take_notice(&self) -> Option<Notice> {
        self.state().connection.as_mut()?.notices.try_recv().ok()?.ok()
    }

    /// Waits for the next notice, or for the end of the connection, whose reason is the error: it comes once, then
    /// [`ClientError::NotConnected`]. Only one at a time can wait; of several, the newest does.
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

    /// Proves the keypair to the circle.
    ///
    /// A nonce that names another authority, another circle than the one that has shown its identity, or lapses at an unlikely time, is not signed (the source of this rule is
    /// "Authentication" in `docs/protocol.md`).
    pub async fn authenticate(&self) -> Result<(), ClientError> {
        let keypair = self.state().keypair.clone().ok_or(ClientError::NoKey)?;
        self.authenticate_keypair(&keypair).await
    }

    /// Proves a keypair, and keeps it for later only if the circle took it. Where this is dropped, or fails in another way than
    /// by the circle's answer, the circle may still take the session for that key's.
    pub async fn authenticate_as(&self, keypair: impl Into<Arc<KeyPair>>) -> Result<(), ClientError> {
        let keypair = keypair.into();
        self.authenticate_keypair(&keypair).await?;
        self.set_keypair(keypair);
        Ok(())
    }

    async fn authenticate_keypair(&self, keypair: &KeyPair) -> Result<(), ClientError> {
        let pubkey = keypair.public_key().to_hex();
        let target = self
            .state()
            .connection
            .as_ref()
            .map(|connection| (connection.target_authority.clone(), connection.identity));
        let (dialled, circle) = target.ok_or(ClientError::NotConnected)?;
        let FetchNonceResult { nonce } =
            self.call::<methods::FetchNonce>(&FetchNonceParams { pubkey: pubkey.clone() }).await?;
        let nonce = Nonce::parse(&nonce)?;
        nonce.check(&dialled, circle.public_key, platform::now_unix())?;
        let signature = keypair.sign_nonce(&nonce).to_string();
        self.call::<methods::Authenticate>(&AuthenticateParams { pubkey, signature }).await?;
        Ok(())
    }

    /// Begins to describe a play. Awaited as it is, it gives the value; [`PlayRequest::start`] gives what it prints, too.
    pub fn play(&self, script: impl Into<String>) -> PlayRequest<'_> {
        PlayRequest::new(self, script.into())
    }

    /// Ends a running or waiting play; false if it had ended.
    pub async fn cancel(&self, play: &Id) -> Result<bool, ClientError> {
        let params = CancelParams { play: play.clone() };
        self.call::<methods::Cancel>(&params).await.map(|result| result.cancelled)
    }

    /// Gives this session a fresh environment, once the plays before it are done.
    pub async fn reset(&self) -> Result<(), ClientError> {
        let limit = self.limit();
        let (_, answer) = self.request::<methods::Reset>(&NoParams {}, None).await?;
        // It waits for the plays before it, which have time limits of their own.
        parse_result::<methods::Reset>(await_response(answer).await, &self.url)?;
        // The circle may have been given other limits, which hold for fresh environments.
        if let Some(limit) = limit {
            limit.forget_stated();
        }
        Ok(())
    }

    /// Asks what may stand in a script at a cursor, which counts Unicode scalar values from the script's start (as
    /// `script.chars()` does). A cursor behind the end is refused with −32602. Also answered while a play runs, then from
    /// the names that there were before it.
    pub async fn complete(&self, script: impl Into<String>, cursor: u64) -> Result<CompleteResult, ClientError> {
        self.call::<methods::Complete>(&CompleteParams { script: script.into(), cursor }).await
    }

    /// Asks for the variables and script functions of this session. While a play runs: those that there were before it,
    /// without their values.
    pub async fn scope(&self) -> Result<ScopeResult, ClientError> {
        self.call::<methods::Scope>(&NoParams {}).await
    }

    /// Asks what the functions of a name do, or of an `alias::name`; none if there is no such name.
    pub async fn lookup(&self, name: impl Into<String>) -> Result<Vec<FunctionDoc>, ClientError> {
        self.call::<methods::Lookup>(&LookupParams { name: name.into() }).await.map(|result| result.functions)
    }

    /// Asks what the circle is, what it allows, and who it takes this session for.
    ///
    /// From then on a message of the circle may be as large as the circle's `output_kib` allows and 32 MiB at most, until the
    /// environment is a fresh one; before, 32 MiB. A larger message ends the connection.
    pub async fn describe(&self) -> Result<Description, ClientError> {
        let limit = self.limit();
        let description = self.call::<methods::Describe>(&NoParams {}).await?;
        if let Some(limit) = limit {
            limit.set_stated(description.limits.output_kib);
        }
        Ok(description)
    }

    /// Asks for the contract, an `OpenRPC` document.
    pub async fn discover(&self) -> Result<serde_json::Value, ClientError> {
        self.call::<methods::Discover>(&NoParams {}).await
    }

    fn replace(&self, connection: Option<ActiveConnection>) {
        let (before, waiting) = {
            let mut state = self.state();
            (std::mem::replace(&mut state.connection, connection), state.waker.take())
        };
        drop(before);
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }

    /// The limit for messages of the connection that there is now.
    fn limit(&self) -> Option<MessageLimit> {
        self.state().connection.as_ref().map(|connection| connection.limit.clone())
    }

    fn state(&self) -> MutexGuard<'_, ClientState> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls a method that is answered at once.
    async fn call<M: Method>(&self, params: &M::Params) -> Result<M::Result, ClientError> {
        let (_, answer) = self.request::<M>(params, None).await?;
        self.answer::<M>(answer).await
    }

    /// The answer to a request that is answered at once.
    async fn answer<M: Method>(&self, answer: oneshot::Receiver<RawResponse>) -> Result<M::Result, ClientError> {
        let answer = platform::timeout(self.timeout, await_response(answer)).await;
        parse_result::<M>(answer.ok_or(ClientError::TimedOut { after: self.timeout })?, &self.url)
    }

    /// Sends a request; what is returned gets its answer.
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

/// The answer to a request, once it comes.
pub(crate) async fn await_response(answer: oneshot::Receiver<RawResponse>) -> RawResponse {
    answer.await.unwrap_or(Err(ClientError::NotConnected))
}

pub(crate) fn parse_result<M: Method>(answer: RawResponse, url: &CircleUrl) -> Result<M::Result, ClientError> {
    serde_json::from_str(answer?.get()).map_err(|error| ClientError::NotACircle {
        url: url.to_string(),
        reason: format!("its answer to {} cannot be read: {error}", M::NAME),
    })
}

#[cfg(test)]
mod tests;
