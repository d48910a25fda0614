//! A fake circle under the control of a test. It never answers automatically, and records the requests of the session.

mod play;

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use client_ws::{
    ClientError, CompleteResult, Description, FunctionInfo, FunctionsInfo, Notice, Rights, RpcError, SubscriptionEvent,
};
use frontend::text::StyledLine;
use futures_util::stream;
use keys::{KeyPair, PublicKey};
use protocol::{
    Limits,
    error::{ScriptError, ScriptErrorKind},
    methods::{Access, CallerInfo},
};
use tokio::sync::{mpsc, oneshot};

use super::NEVER;
use crate::{
    commands::ReplCommand,
    session::{FunctionCall, PlayReporter, Remote, RemoteFuture, RunningRequest, Script, WatchEvents},
    watch::WatchSubject,
};
pub(super) use play::{FakePlay, result};

/// The channel for an answer.
pub(super) type Reply<T> = oneshot::Sender<Result<T, ClientError>>;

/// The notices of a connection. The end of the channel is the end of the connection.
type Notices = mpsc::UnboundedReceiver<Result<Notice, ClientError>>;

/// A request of a session.
pub(super) enum RemoteCall {
    Connect(Reply<Description>),
    Authenticate(PublicKey, Reply<()>),
    Query(ReplCommand, Reply<Vec<StyledLine>>),
    Play(FakePlay),
    Functions(Reply<Vec<FunctionInfo>>),
    Call(FunctionCall, FakePlay),
    Watch(WatchSubject, mpsc::UnboundedSender<Result<SubscriptionEvent, ClientError>>),
}

impl std::fmt::Debug for RemoteCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Connect(_) => f.write_str("connect"),
            Self::Authenticate(key, _) => write!(f, "authenticate with {}", key.short()),
            Self::Query(command, _) => write!(f, "ask {command:?}"),
            Self::Play(playing) => write!(f, "play {:?}", playing.script.text),
            Self::Functions(_) => f.write_str("list the functions"),
            Self::Call(call, _) => write!(f, "call {call:?}"),
            Self::Watch(subject, _) => write!(f, "watch {subject:?}"),
        }
    }
}

/// The test's side of the fake circle.
pub(super) struct FakeCircle {
    pub(super) remote: Arc<FakeRemote>,
    calls: mpsc::UnboundedReceiver<RemoteCall>,
    notices: Option<mpsc::UnboundedSender<Result<Notice, ClientError>>>,
    pub(super) name: &'static str,
    pub(super) access: Access,
    pub(super) limits: Limits,
    /// What the caller may do besides calling functions.
    pub(super) may: Option<Rights>,
    pub(super) role: Option<String>,
    pub(super) functions: Option<FunctionsInfo>,
}

/// The session's side of the fake circle.
pub(super) struct FakeRemote {
    calls: mpsc::UnboundedSender<RemoteCall>,
    notices: Mutex<Option<Arc<tokio::sync::Mutex<Notices>>>>,
    is_connected: AtomicBool,
    disconnections: AtomicUsize,
    /// The answer to every question for a description.
    description: Mutex<Option<Description>>,
    descriptions: AtomicUsize,
    completions: AtomicUsize,
}

impl FakeCircle {
    pub(super) fn new(name: &'static str, access: Access) -> Self {
        let (report, calls) = mpsc::unbounded_channel();
        let remote = FakeRemote {
            calls: report,
            notices: Mutex::new(None),
            is_connected: AtomicBool::new(false),
            disconnections: AtomicUsize::new(0),
            description: Mutex::new(None),
            descriptions: AtomicUsize::new(0),
            completions: AtomicUsize::new(0),
        };
        let limits = Limits::default();
        Self {
            remote: remote.into(),
            calls,
            notices: None,
            name,
            access,
            limits,
            may: None,
            role: None,
            functions: None,
        }
    }

    /// Waits for the next request of the session.
    pub(super) async fn call(&mut self) -> RemoteCall {
        let call = tokio::time::timeout(NEVER, self.calls.recv()).await;
        call.expect("the session asks for something").expect("the session is there")
    }

    /// Returns a pending request of the session, if there is one.
    pub(super) fn pending_call(&mut self) -> Option<RemoteCall> {
        self.calls.try_recv().ok()
    }

    /// Waits for a connection attempt.
    pub(super) async fn attempt(&mut self) -> Reply<Description> {
        match self.call().await {
            RemoteCall::Connect(reply) => reply,
            other => panic!("{other:?} instead of a connection"),
        }
    }

    /// Accepts the next connection attempt.
    pub(super) async fn accept(&mut self) {
        let attempt = self.attempt().await;
        self.answer(attempt);
    }

    /// Accepts a connection attempt.
    pub(super) fn answer(&mut self, attempt: Reply<Description>) {
        let (send, notices) = mpsc::unbounded_channel();
        self.notices = Some(send);
        *self.remote.notices() = Some(Arc::new(notices.into()));
        self.remote.is_connected.store(true, Ordering::SeqCst);
        self.publish();
        attempt.send(Ok(self.description())).expect("the session waits for the connection");
    }

    /// Describes the circle as it is now, to every question from now on.
    pub(super) fn publish(&self) {
        *self.remote.description.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.description());
    }

    /// Returns how often the session has asked for a description, and for completions.
    pub(super) fn questions(&self) -> (usize, usize) {
        (self.remote.descriptions.load(Ordering::SeqCst), self.remote.completions.load(Ordering::SeqCst))
    }

    /// Waits for a question for the functions, and answers it.
    pub(super) async fn list(&mut self, functions: Vec<FunctionInfo>) {
        match self.call().await {
            RemoteCall::Functions(reply) => reply.send(Ok(functions)).expect("the session waits for them"),
            other => panic!("{other:?} instead of the functions"),
        }
    }

    /// Waits for a call of a function.
    pub(super) async fn called(&mut self) -> (FunctionCall, FakePlay) {
        match self.call().await {
            RemoteCall::Call(call, running) => (call, running),
            other => panic!("{other:?} instead of a call"),
        }
    }

    /// Refuses the next connection attempt.
    pub(super) async fn refuse(&mut self) {
        self.refuse_with(unreachable()).await;
    }

    pub(super) async fn refuse_with(&mut self, error: ClientError) {
        self.attempt().await.send(Err(error)).expect("the session waits for the connection");
    }

    /// Waits for an authentication; returns the key and the channel for the answer.
    pub(super) async fn key(&mut self) -> (PublicKey, Reply<()>) {
        match self.call().await {
            RemoteCall::Authenticate(key, reply) => (key, reply),
            other => panic!("{other:?} instead of an authentication"),
        }
    }

    /// Admits the next key that the session authenticates with.
    pub(super) async fn admit(&mut self) -> PublicKey {
        let (key, reply) = self.key().await;
        reply.send(Ok(())).expect("the session waits for it");
        key
    }

    /// Rejects the next key that the session authenticates with.
    pub(super) async fn reject(&mut self, error: ClientError) {
        let (_, reply) = self.key().await;
        reply.send(Err(error)).expect("the session waits for it");
    }

    /// Waits for a query; returns the command and the channel for the answer.
    pub(super) async fn query(&mut self) -> (ReplCommand, Reply<Vec<StyledLine>>) {
        match self.call().await {
            RemoteCall::Query(command, reply) => (command, reply),
            other => panic!("{other:?} instead of a question"),
        }
    }

    /// Waits for a play.
    pub(super) async fn play(&mut self) -> FakePlay {
        match self.call().await {
            RemoteCall::Play(playing) => playing,
            other => panic!("{other:?} instead of a play"),
        }
    }

    /// Waits for a play of the given script.
    pub(super) async fn plays(&mut self, script: &str) -> FakePlay {
        let playing = self.play().await;
        assert_eq!(playing.script.text, script);
        playing
    }

    /// Sends a notice.
    pub(super) fn notify(&self, notice: Notice) {
        let notices = self.notices.as_ref().expect("there is a connection");
        notices.send(Ok(notice)).expect("the session listens");
    }

    /// Loses the connection. The test has to end running plays, as the client would.
    pub(super) fn lose(&mut self) {
        self.remote.is_connected.store(false, Ordering::SeqCst);
        let notices = self.notices.take().expect("there is a connection");
        // Fails if the session has noticed the loss by another error.
        drop(notices.send(Err(lost())));
    }

    /// Loses the connection without notifying the session.
    pub(super) fn lose_unnoticed(&self) {
        self.remote.is_connected.store(false, Ordering::SeqCst);
    }

    pub(super) fn disconnections(&self) -> usize {
        self.remote.disconnections.load(Ordering::SeqCst)
    }

    fn description(&self) -> Description {
        Description {
            name: self.name.to_owned(),
            description: None,
            version: String::new(),
            protocol: protocol::VERSION,
            access: self.access,
            you: CallerInfo {
                public_key: None,
                admitted: self.access == Access::Open,
                name: None,
                role: self.role.clone(),
                may: self.may.clone(),
            },
            modules: Vec::new(),
            sandbox: Vec::new(),
            tls: false,
            functions: self.functions.clone(),
            limits: self.limits.clone(),
        }
    }
}

impl FakeRemote {
    fn notices(&self) -> MutexGuard<'_, Option<Arc<tokio::sync::Mutex<Notices>>>> {
        self.notices.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a request to the test when the future is polled.
    fn request<T: Send + 'static>(
        self: Arc<Self>,
        call: impl FnOnce(Reply<T>) -> RemoteCall + Send + 'static,
    ) -> RemoteFuture<T> {
        Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            self.report(call(reply));
            answer.await.unwrap_or(Err(ClientError::NotConnected))
        })
    }

    /// Starts a play or a call, whose updates come from the test.
    fn run(
        self: Arc<Self>,
        call: impl FnOnce(PlayReporter, oneshot::Receiver<()>) -> RemoteCall + Send + 'static,
    ) -> RunningRequest {
        RunningRequest::spawn(move |reporter| async move {
            let (listening, listened) = oneshot::channel::<()>();
            self.report(call(reporter, listened));
            std::future::pending::<()>().await;
            drop(listening);
        })
    }

    fn report(&self, call: RemoteCall) {
        // Fails if the test has ended.
        drop(self.calls.send(call));
    }
}

impl Remote for FakeRemote {
    fn connect(self: Arc<Self>) -> RemoteFuture<Description> {
        self.request(RemoteCall::Connect)
    }

    fn authenticate(self: Arc<Self>, keypair: Arc<KeyPair>) -> RemoteFuture<()> {
        self.request(move |reply| RemoteCall::Authenticate(keypair.public_key(), reply))
    }

    fn play(self: Arc<Self>, script: Script) -> RunningRequest {
        self.run(|reporter, listened| RemoteCall::Play(FakePlay { script, reporter, listened }))
    }

    fn call(self: Arc<Self>, call: FunctionCall) -> RunningRequest {
        let script = Script::default();
        self.run(|reporter, listened| RemoteCall::Call(call, FakePlay { script, reporter, listened }))
    }

    fn describe(self: Arc<Self>) -> RemoteFuture<Description> {
        self.descriptions.fetch_add(1, Ordering::SeqCst);
        let description = self.description.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Box::pin(std::future::ready(description.ok_or(ClientError::NotConnected)))
    }

    fn functions(self: Arc<Self>) -> RemoteFuture<Vec<FunctionInfo>> {
        self.request(RemoteCall::Functions)
    }

    fn query(self: Arc<Self>, command: ReplCommand) -> RemoteFuture<Vec<StyledLine>> {
        self.request(move |reply| RemoteCall::Query(command, reply))
    }

    fn complete(self: Arc<Self>, _: String, _: u64) -> RemoteFuture<CompleteResult> {
        self.completions.fetch_add(1, Ordering::SeqCst);
        Box::pin(async { Err(ClientError::NotConnected) })
    }

    fn watch(self: Arc<Self>, subject: WatchSubject) -> WatchEvents {
        let (events, watched) = mpsc::unbounded_channel();
        self.report(RemoteCall::Watch(subject, events));
        Box::pin(stream::unfold(watched, |mut watched| async move { Some((watched.recv().await?, watched)) }))
    }

    fn next_notice(self: Arc<Self>) -> RemoteFuture<Notice> {
        Box::pin(async move {
            let notices = self.notices().clone();
            let next = match &notices {
                Some(notices) => notices.lock().await.recv().await,
                None => None,
            };
            next.unwrap_or(Err(ClientError::NotConnected))
        })
    }

    fn is_connected(&self) -> bool {
        self.is_connected.load(Ordering::SeqCst)
    }

    fn disconnect(&self) {
        self.disconnections.fetch_add(1, Ordering::SeqCst);
        self.is_connected.store(false, Ordering::SeqCst);
        *self.notices() = None;
    }
}

/// The error of requests on a lost connection.
pub(super) fn lost() -> ClientError {
    ClientError::ConnectionLost { code: None, reason: "no reason given".to_owned() }
}

/// The error of a script that reads a variable that does not exist.
pub(super) fn not_found(variable: &str) -> RpcError {
    RpcError::Script(Box::new(ScriptError {
        message: format!("Variable not found: {variable}"),
        kind: ScriptErrorKind::Runtime,
        line: Some(1),
        column: Some(1),
        function: None,
        hint: None,
        thrown: None,
        trace: Vec::new(),
    }))
}

pub(super) fn unreachable() -> ClientError {
    ClientError::Unreachable { url: "ws://team:9001/".to_owned(), reason: "connection refused".to_owned() }
}
