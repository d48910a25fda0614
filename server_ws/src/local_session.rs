//! A session within the program, without a connection.

mod pending_calls;

use std::{
    future::IntoFuture,
    net::{IpAddr, Ipv4Addr},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytestring::ByteString;
use keys::Authority;
use pending_calls::{Finished, PendingCalls};
use protocol::{
    Id, Method, RpcError, message,
    methods::{
        self, Access, CompleteParams, CompleteResult, FunctionDoc, LookupParams, NoParams, PlayParams, PlayResult,
        ScopeResult,
    },
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::mpsc;

use crate::{
    audit::PlayCaller,
    circle::Circle,
    quota::{HeldBytes, Slot},
    rpc,
    session::{
        Session,
        inbound::{self, Inbound, InboundTexts},
        outbound::{self, OutboundFrame, QueuedFrame},
        span::SpannedSession,
    },
};

/// The authority of a session without a connection. Nobody signs for it.
const AUTHORITY: &str = "localhost";

/// A session within the program, begun by [`RunningCircle::session`](crate::RunningCircle::session). It has an
/// environment of its own, and ends when it is dropped.
///
/// # Examples
///
/// ```no_run
/// # async fn example(circle: server_ws::RunningCircle, key: server_ws::PublicKey) -> Result<(), Box<dyn std::error::Error>> {
/// use server_ws::PlayCaller;
///
/// let session = circle.session(PlayCaller::Key(key))?;
/// let played = session.play("print(`hello`); 6 * 7").await?;
/// assert_eq!((played.get::<i64>()?, played.prints.join("")), (42, "hello".to_owned()));
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct LocalSession {
    to_session: mpsc::Sender<Box<Inbound>>,
    pending: Arc<PendingCalls>,
    slot: Arc<Slot>,
    max_message: usize,
    calls: AtomicU64,
}

/// The error of a [`LocalSession`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocalSessionError {
    /// The circle is shutting down.
    #[error("the circle is shutting down")]
    ShuttingDown,
    /// The circle does not admit this caller.
    #[error("the circle does not admit {caller}: its access is {access}")]
    NotAdmitted {
        /// The caller.
        caller: PlayCaller,
        /// The access of the circle.
        access: Access,
    },
    /// The circle has no room for a further connection or session.
    #[error("the circle has no room for a further connection")]
    NoRoom,
    /// The request is larger than the circle accepts.
    #[error("the request has {} KiB, and the circle accepts {} KiB (limits.message_kib)", size.div_ceil(1024), max / 1024)]
    TooLarge {
        /// The size of the request in bytes.
        size: usize,
        /// The maximum in bytes.
        max: usize,
    },
    /// The session has ended.
    #[error("the session has ended: {reason}")]
    Ended {
        /// The reason, as the circle gives it to clients.
        reason: String,
    },
    /// The response is an error, such as that of a script.
    #[error(transparent)]
    Rpc(#[from] RpcError),
}

/// The result of a play in a [`LocalSession`].
#[derive(Debug)]
#[non_exhaustive]
pub struct LocalPlayResult {
    /// The result, as clients get it.
    pub result: PlayResult,
    /// What the play printed, one text for each call of `print` or `debug`.
    pub prints: Vec<String>,
}

impl LocalPlayResult {
    /// Converts the value.
    ///
    /// # Errors
    ///
    /// The value does not fit the type.
    pub fn get<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        self.result.value.get()
    }
}

impl LocalSession {
    pub(crate) fn begin(circle: &Arc<Circle>, caller: PlayCaller) -> Result<Self, LocalSessionError> {
        if circle.is_draining() {
            return Err(LocalSessionError::ShuttingDown);
        }
        let (key, address) = match caller {
            PlayCaller::Key(key) => (Some(key), IpAddr::V4(Ipv4Addr::LOCALHOST)),
            PlayCaller::Anonymous(address) => (None, address),
        };
        if circle.rights_of(key.as_ref()).role.is_none() {
            let access = circle.settings().rights.access();
            return Err(LocalSessionError::NotAdmitted { caller, access });
        }
        let slot = circle.admission.connections.accept(None).map_err(|_| LocalSessionError::NoRoom)?;
        slot.upgrade(address).map_err(|_| LocalSessionError::NoRoom)?;
        slot.admit(circle.caller(key, address));

        let (to_session, messages) = inbound::channel();
        let (outbound, from_session) = outbound::channel(slot.clone());
        let limits = circle.settings().limits.clone();
        let max_message = limits.max_message();
        let authority = Authority::new(AUTHORITY, None).expect("a valid authority");
        let number = circle.next_session_number();
        let mut session = Session::new(circle.clone(), limits, number, authority, address, slot.clone(), outbound);
        if let Some(key) = key {
            session.auth.assume(key);
            session.note_authentication();
        }
        tokio::spawn(SpannedSession::new(Box::new(session).serve(messages, rpc::receive), slot.clone(), number));
        let pending = Arc::<PendingCalls>::default();
        // The task ends with the session, which ends once `to_session` is dropped.
        tokio::spawn(receive(from_session, to_session.downgrade(), pending.clone(), slot.clone()));
        Ok(Self { to_session, pending, slot, max_message, calls: AtomicU64::new(0) })
    }

    /// Returns a request to play a script. Await it for the result. Dropping its future cancels the play.
    pub fn play(&self, script: impl Into<String>) -> LocalPlay<'_> {
        LocalPlay {
            session: self,
            params: PlayParams { script: script.into(), timeout_ms: None, bind: None, name: None },
        }
    }

    /// Requests completions at a cursor, as `client_ws` does.
    ///
    /// # Errors
    ///
    /// See [`LocalSessionError`].
    pub async fn complete(&self, script: impl Into<String>, cursor: u64) -> Result<CompleteResult, LocalSessionError> {
        self.request::<methods::Complete>(&CompleteParams { script: script.into(), cursor }).await
    }

    /// Requests the variables and script functions of this session.
    ///
    /// # Errors
    ///
    /// See [`LocalSessionError`].
    pub async fn scope(&self) -> Result<ScopeResult, LocalSessionError> {
        self.request::<methods::Scope>(&NoParams {}).await
    }

    /// Requests the documentation of the functions with a name or an `alias::name`.
    ///
    /// # Errors
    ///
    /// See [`LocalSessionError`].
    pub async fn lookup(&self, name: impl Into<String>) -> Result<Vec<FunctionDoc>, LocalSessionError> {
        let params = LookupParams { name: name.into() };
        self.request::<methods::Lookup>(&params).await.map(|result| result.functions)
    }

    /// Replaces the environment with a fresh one, after the plays before it.
    ///
    /// # Errors
    ///
    /// See [`LocalSessionError`].
    pub async fn reset(&self) -> Result<(), LocalSessionError> {
        self.request::<methods::Reset>(&NoParams {}).await.map(|_| ())
    }

    /// Calls a function of the circle, such as `order.place`, as its callers do: `params` are a map of named parameters, or
    /// a list of them by position. Dropping the future cancels the call.
    ///
    /// # Errors
    ///
    /// See [`LocalSessionError`]. The error of a value that does not have the type `T` is [`RpcError::Internal`].
    pub async fn call<T: DeserializeOwned>(
        &self,
        function: &str,
        params: impl Serialize,
    ) -> Result<T, LocalSessionError> {
        let (id, response) = self.send_text(&format!("fn.{function}"), &params).await?;
        let mut cancel = CancelOnDrop { session: self, play: Some(id) };
        let finished = response.await;
        cancel.play = None;
        parse(finished?)
    }

    async fn request<M: Method>(&self, params: &M::Params) -> Result<M::Result, LocalSessionError> {
        let (_, finished) = self.send::<M>(params).await?;
        parse(finished.await?)
    }

    /// Sends a request. Returns its id, and a future of its response.
    async fn send<M: Method>(
        &self,
        params: &M::Params,
    ) -> Result<(Id, impl Future<Output = Result<Finished, LocalSessionError>> + use<M>), LocalSessionError> {
        self.send_text(M::NAME, params).await
    }

    async fn send_text<P: Serialize>(
        &self,
        method: &str,
        params: &P,
    ) -> Result<(Id, impl Future<Output = Result<Finished, LocalSessionError>> + use<P>), LocalSessionError> {
        let number = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let id = Id::number(number);
        let text = message::call(Some(&id), method, params);
        if text.len() > self.max_message {
            return Err(LocalSessionError::TooLarge { size: text.len(), max: self.max_message });
        }
        let pending = self.pending.clone();
        // A future that is dropped while it waits for room leaves nothing.
        let Ok(room) = self.to_session.reserve().await else { return Err(pending.ended()) };
        let response = pending.insert(number);
        room.send(Box::new(self.message(text)));
        Ok((id, async move { response.await.map_err(|_| pending.ended()) }))
    }

    fn message(&self, text: String) -> Inbound {
        self.slot.hold_inbound(text.len());
        let held = HeldBytes::new(self.slot.clone(), text.len());
        Inbound::Texts(InboundTexts::new([ByteString::from(text)].into(), held))
    }
}

/// Routes what the session sends, until it ends.
async fn receive(
    mut from_session: mpsc::Receiver<Box<QueuedFrame>>,
    to_session: mpsc::WeakSender<Box<Inbound>>,
    pending: Arc<PendingCalls>,
    slot: Arc<Slot>,
) {
    while let Some(queued) = from_session.recv().await {
        slot.release_outbound(queued.frame.wire_bytes());
        match queued.frame {
            OutboundFrame::Texts(texts) => texts.iter().for_each(|text| pending.receive(text)),
            OutboundFrame::Ping => {
                // Without a sender, the program has dropped the session. If the queue is full, its messages show that the
                // program is there. To wait for room would be a deadlock with a session that waits for room here.
                let Some(to_session) = to_session.upgrade() else { continue };
                let _is_full = to_session.try_send(Box::new(Inbound::Heartbeat));
            }
            OutboundFrame::Close(_, reason) => {
                pending.end(reason);
                break;
            }
        }
    }
    pending.end("its connection was closed");
}

fn parse<T: DeserializeOwned>(finished: Finished) -> Result<T, LocalSessionError> {
    serde_json::from_str(finished.result?.get()).map_err(|_| RpcError::Internal.into())
}

/// A play in a [`LocalSession`] that is not sent yet.
#[derive(Debug)]
#[must_use = "a play is sent when it is awaited"]
pub struct LocalPlay<'a> {
    session: &'a LocalSession,
    params: PlayParams,
}

impl LocalPlay<'_> {
    /// Sets a time limit below the circle's own, rounded up to whole milliseconds, at least one.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        let milliseconds = timeout.as_nanos().div_ceil(1_000_000).max(1);
        self.params.timeout_ms = Some(u64::try_from(milliseconds).unwrap_or(u64::MAX));
        self
    }

    /// Sets a variable to which the circle binds the value, unless the value is `()`.
    pub fn bind(mut self, name: impl Into<String>) -> Self {
        self.params.bind = Some(name.into());
        self
    }

    async fn finish(self) -> Result<LocalPlayResult, LocalSessionError> {
        let (id, response) = self.session.send::<methods::Play>(&self.params).await?;
        let mut cancel = CancelOnDrop { session: self.session, play: Some(id) };
        let finished = response.await;
        cancel.play = None;
        let mut finished = finished?;
        let prints = std::mem::take(&mut finished.prints);
        Ok(LocalPlayResult { result: parse(finished)?, prints })
    }
}

impl<'a> IntoFuture for LocalPlay<'a> {
    type Output = Result<LocalPlayResult, LocalSessionError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.finish())
    }
}

/// Cancels a play whose result nobody awaits any more.
struct CancelOnDrop<'a> {
    session: &'a LocalSession,
    play: Option<Id>,
}

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        let Some(play) = self.play.take() else { return };
        let cancel = message::notification(methods::Cancel::NAME, &methods::CancelParams { play });
        let (message, to_session) = (self.session.message(cancel), self.session.to_session.clone());
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            // The session may have ended.
            runtime.spawn(async move { drop(to_session.send(Box::new(message)).await) });
        }
    }
}
