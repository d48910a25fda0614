//! What is outside of the app, faked for tests: the circles, and requests to the supervisor.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use client_ws::{ClientError, CompleteResult, Description, Notice, PlayResult, RpcError};
use console::{
    commands::ReplCommand,
    session::{PlayUpdate, Remote, RemoteFuture, Script, SessionPlay},
};
use frontend::text::StyledLine;
use keys::KeyPair;
use protocol::{
    Limits,
    methods::{Access, CallerInfo},
};
use serde_json::value::RawValue;
use tokio::sync::Notify;

/// The outside of an app. Nothing in it touches the disk, the network or another process.
#[derive(Debug, Default)]
pub(crate) struct FakeOutside {
    requests: Mutex<Vec<String>>,
    circles: Mutex<Vec<Arc<FakeCircle>>>,
    refuses: Arc<AtomicBool>,
}

/// A connection to an open circle, which answers everything at once. A script with `loop` runs until it is cancelled.
#[derive(Debug, Default)]
pub(crate) struct FakeCircle {
    is_connected: AtomicBool,
    lost: Notify,
    refuses: Arc<AtomicBool>,
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
        let circle = Arc::new(FakeCircle { refuses: self.refuses.clone(), ..FakeCircle::default() });
        self.circles.lock().unwrap_or_else(PoisonError::into_inner).push(circle.clone());
        circle
    }

    /// Sets whether connections are refused from now on.
    pub(crate) fn refuse_connections(&self, refuses: bool) {
        self.refuses.store(refuses, Ordering::SeqCst);
    }

    /// Loses all connections.
    pub(crate) fn lose_connections(&self) {
        for circle in self.circles.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            circle.is_connected.store(false, Ordering::SeqCst);
            circle.lost.notify_waiters();
        }
    }
}

fn description() -> Description {
    Description {
        name: "fake".to_owned(),
        description: None,
        version: String::new(),
        protocol: protocol::VERSION,
        access: Access::Open,
        you: CallerInfo { public_key: None, admitted: true, name: None, role: None, may: None },
        modules: Vec::new(),
        sandbox: Vec::new(),
        tls: false,
        functions: None,
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
        Box::pin(std::future::ready(Ok(description())))
    }

    fn authenticate(self: Arc<Self>, _: Arc<KeyPair>) -> RemoteFuture<()> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn play(self: Arc<Self>, script: Script) -> SessionPlay {
        SessionPlay::spawn(move |mut reporter| async move {
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

    fn query(self: Arc<Self>, _: ReplCommand) -> RemoteFuture<Vec<StyledLine>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    fn complete(self: Arc<Self>, _: String, _: u64) -> RemoteFuture<CompleteResult> {
        Box::pin(std::future::ready(Err(ClientError::NotConnected)))
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
