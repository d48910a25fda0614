//! What is outside of the app, faked for tests: the circles, and requests to the supervisor.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use client_ws::{
    ClientError, CompleteResult, Description, FunctionInfo, FunctionsInfo, Notice, PlayResult, Rights, RpcError,
    SubscriptionEvent,
};
use console::{
    commands::ReplCommand,
    session::{
        FunctionCall, PlayUpdate, Remote, RemoteFuture, RunningRequest, Script, WatchEvents, channel_watch,
        failed_watch,
    },
    watch::WatchSubject,
};
use frontend::text::StyledLine;
use keys::KeyPair;
use protocol::{
    Limits,
    methods::{Access, CallerInfo},
};
use serde_json::value::RawValue;
use tokio::sync::{Notify, mpsc};

/// The outside of an app. Nothing in it touches the disk, the network or another process.
#[derive(Debug, Default)]
pub(crate) struct FakeOutside {
    requests: Mutex<Vec<String>>,
    circles: Mutex<Vec<Arc<FakeCircle>>>,
    refuses: Arc<AtomicBool>,
    offer: Arc<Mutex<FakeOffer>>,
    calls: Arc<Mutex<Vec<FunctionCall>>>,
    watches: Arc<Mutex<Vec<FakeWatch>>>,
}

/// A subscription to keys, whose events the test sends. It is closed once the app has left it.
#[derive(Debug, Clone)]
pub(crate) struct FakeWatch {
    pub(crate) subject: WatchSubject,
    pub(crate) events: mpsc::UnboundedSender<Result<SubscriptionEvent, ClientError>>,
}

/// What the fake circles offer to a caller.
#[derive(Debug, Default)]
struct FakeOffer {
    functions: Vec<FunctionInfo>,
    is_play_refused: bool,
    /// The error that answers each call.
    call_error: Option<RpcError>,
    /// What the role grants of the store.
    subscribe: Vec<String>,
    /// The error that answers each subscription.
    watch_error: Option<RpcError>,
}

/// A connection to an open circle, which answers everything at once. A script with `loop` runs until it is cancelled.
#[derive(Debug, Default)]
pub(crate) struct FakeCircle {
    is_connected: AtomicBool,
    lost: Notify,
    refuses: Arc<AtomicBool>,
    offer: Arc<Mutex<FakeOffer>>,
    calls: Arc<Mutex<Vec<FunctionCall>>>,
    watches: Arc<Mutex<Vec<FakeWatch>>>,
}

impl FakeOutside {
    /// Records a request to the supervisor.
    pub(super) fn record(&self, request: String) {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request);
    }

    /// Returns the requests to the supervisor since the last call.
    pub(crate) fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut self.requests.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns a new connection.
    pub(super) fn remote(&self) -> Arc<FakeCircle> {
        let (refuses, offer) = (self.refuses.clone(), self.offer.clone());
        let (calls, watches) = (self.calls.clone(), self.watches.clone());
        let circle = Arc::new(FakeCircle { refuses, offer, calls, watches, ..FakeCircle::default() });
        self.circles.lock().unwrap_or_else(PoisonError::into_inner).push(circle.clone());
        circle
    }

    /// Sets whether connections are refused from now on.
    pub(crate) fn refuse_connections(&self, refuses: bool) {
        self.refuses.store(refuses, Ordering::SeqCst);
    }

    /// Sets the functions of the circles, and whether callers may play.
    pub(crate) fn offer(&self, functions: Vec<FunctionInfo>, may_play: bool) {
        *locked(&self.offer) = FakeOffer { functions, is_play_refused: !may_play, ..FakeOffer::default() };
    }

    /// Sets what the role of callers grants of the store, and the error that answers each subscription.
    pub(crate) fn grant(&self, subscribe: &[&str], error: Option<RpcError>) {
        let mut offer = locked(&self.offer);
        offer.subscribe = subscribe.iter().map(ToString::to_string).collect();
        offer.watch_error = error;
    }

    /// Returns the subscriptions that are open.
    pub(crate) fn watches(&self) -> Vec<FakeWatch> {
        let mut watches = locked(&self.watches);
        watches.retain(|watch| !watch.events.is_closed());
        watches.clone()
    }

    /// Sets the error that answers each call of a function; `None` has the calls succeed.
    pub(crate) fn fail_calls(&self, error: Option<RpcError>) {
        locked(&self.offer).call_error = error;
    }

    /// Returns the calls of functions since the last call.
    pub(crate) fn take_calls(&self) -> Vec<FunctionCall> {
        std::mem::take(&mut locked(&self.calls))
    }

    /// Loses all connections.
    pub(crate) fn lose_connections(&self) {
        for circle in self.circles.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            circle.is_connected.store(false, Ordering::SeqCst);
            circle.lost.notify_waiters();
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn description(offer: &FakeOffer) -> Description {
    let functions = FunctionsInfo { version: offer.functions.len().to_string(), count: offer.functions.len() as u64 };
    Description {
        name: "fake".to_owned(),
        description: None,
        version: String::new(),
        protocol: protocol::VERSION,
        access: Access::Open,
        you: CallerInfo {
            public_key: None,
            admitted: true,
            name: None,
            role: None,
            may: Some(Rights { play: !offer.is_play_refused, r#use: Vec::new(), subscribe: offer.subscribe.clone() }),
        },
        modules: Vec::new(),
        sandbox: Vec::new(),
        tls: false,
        functions: Some(functions).filter(|_| !offer.functions.is_empty()),
        limits: Limits::default(),
    }
}

fn answer() -> PlayResult {
    let value = RawValue::from_string("42".to_owned()).expect("it is JSON").into();
    PlayResult { output: "42".to_owned(), r#type: "i64".to_owned(), value, elapsed_us: 1500, operations: 7 }
}

fn lost() -> ClientError {
    ClientError::ConnectionLost { code: None, reason: "no reason given".to_owned() }
}

impl Remote for FakeCircle {
    fn connect(self: Arc<Self>) -> RemoteFuture<Description> {
        if self.refuses.load(Ordering::SeqCst) {
            let reason = "connection refused".to_owned();
            let error = ClientError::Unreachable { url: "ws://127.0.0.1:9003/".to_owned(), reason };
            return Box::pin(std::future::ready(Err(error)));
        }
        self.is_connected.store(true, Ordering::SeqCst);
        Remote::describe(self)
    }

    fn authenticate(self: Arc<Self>, _: Arc<KeyPair>) -> RemoteFuture<()> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn play(self: Arc<Self>, script: Script) -> RunningRequest {
        RunningRequest::spawn(move |mut reporter| async move {
            let result = if script.text.contains("loop") {
                let is_lost = self.lost.notified();
                tokio::select! {
                    () = reporter.wait_for_cancel() => Err(RpcError::Cancelled.into()),
                    () = is_lost => Err(lost()),
                }
            } else {
                Ok(answer())
            };
            reporter.report(PlayUpdate::Ended(result)).await;
        })
    }

    fn call(self: Arc<Self>, call: FunctionCall) -> RunningRequest {
        locked(&self.calls).push(call);
        let result = locked(&self.offer).call_error.clone().map_or_else(|| Ok(answer()), |error| Err(error.into()));
        RunningRequest::spawn(|reporter| async move { reporter.report(PlayUpdate::Ended(result)).await })
    }

    fn describe(self: Arc<Self>) -> RemoteFuture<Description> {
        let description = description(&locked(&self.offer));
        Box::pin(std::future::ready(Ok(description)))
    }

    fn functions(self: Arc<Self>) -> RemoteFuture<Vec<FunctionInfo>> {
        let functions = locked(&self.offer).functions.clone();
        Box::pin(std::future::ready(Ok(functions)))
    }

    fn query(self: Arc<Self>, _: ReplCommand) -> RemoteFuture<Vec<StyledLine>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    fn complete(self: Arc<Self>, _: String, _: u64) -> RemoteFuture<CompleteResult> {
        Box::pin(std::future::ready(Err(ClientError::NotConnected)))
    }

    fn watch(self: Arc<Self>, subject: WatchSubject) -> WatchEvents {
        if let Some(error) = locked(&self.offer).watch_error.clone() {
            return failed_watch(error.into());
        }
        let (events, receiver) = mpsc::unbounded_channel();
        locked(&self.watches).push(FakeWatch { subject, events });
        channel_watch(receiver)
    }

    fn next_notice(self: Arc<Self>) -> RemoteFuture<Notice> {
        Box::pin(async move {
            self.lost.notified().await;
            Err(lost())
        })
    }

    fn is_connected(&self) -> bool {
        self.is_connected.load(Ordering::SeqCst)
    }

    fn disconnect(&self) {
        self.is_connected.store(false, Ordering::SeqCst);
    }
}
