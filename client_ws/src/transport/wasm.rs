//! The transport of a browser, based on gloo-net.
//!
//! It differs from the native one in what a browser does not allow:
//!
//! - The browser sets `Host` from the URL, so [`authority`](crate::CircleWsClientBuilder::authority) is only what the
//!   client expects in signatures. `localhost` stays `localhost`; a circle answers to that name only if it listens on
//!   both addresses behind it.
//! - A page cannot send pings. The client sends a request in their place.
//! - The browser does not tell a page why a connection failed, nor the HTTP status of a refusal.
//! - The browser reads each message whole before the page sees its size, and gloo-net queues messages without a bound.
//!   The connection task therefore never waits while messages arrive: it limits the size of each, and what it keeps.

use std::{
    cell::RefCell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{Sink, Stream, future, pin_mut};
use gloo_net::websocket::{Message, State, WebSocketError, futures::WebSocket};
use gloo_timers::future::TimeoutFuture;
use keys::Authority;
use web_time::{SystemTime, UNIX_EPOCH};

use super::{TransportReceiver, TransportSender, binary_message, closed_by_circle};
use crate::{CircleUrl, ClientError};

/// The close code for a connection that the client no longer needs.
const NORMAL_CLOSURE: u16 = 1000;

/// The code that a browser reports for a connection that ended without a close frame.
const ABNORMAL_CLOSURE: u16 = 1006;

/// The code that a browser reports for a close frame without a code.
const NO_CODE: u16 = 1005;

/// A request that every circle answers and none counts towards the caller's rate limit. Requests of the client count
/// from 1, so nothing else has the id, and there is no such play.
const HEARTBEAT: &str = r#"{"jsonrpc":"2.0","id":0,"method":"cancel","params":{"play":0}}"#;

/// `Send` on platforms with threads; on this one, everything.
pub trait MaybeSend {}
impl<T: ?Sized> MaybeSend for T {}

/// `Sync` on platforms with threads; on this one, everything.
pub trait MaybeSync {}
impl<T: ?Sized> MaybeSync for T {}

/// The WebSocket of both halves; `None` once the client has closed it.
#[derive(Clone)]
struct SharedSocket(Rc<RefCell<Option<WebSocket>>>);

impl SharedSocket {
    /// Polls the socket. A closed one is never ready.
    fn poll<T>(&self, poll: impl FnOnce(Pin<&mut WebSocket>) -> Poll<T>) -> Poll<T> {
        match &mut *self.0.borrow_mut() {
            Some(socket) => poll(Pin::new(socket)),
            None => Poll::Pending,
        }
    }

    fn poll_open(&self, context: &mut Context<'_>) -> Poll<bool> {
        self.poll(|mut socket| socket.as_mut().poll_ready(context).map(|_| matches!(socket.state(), State::Open)))
    }

    fn close(&self) {
        let socket = self.0.borrow_mut().take();
        if let Some(socket) = socket {
            // Fails only for codes that a page must not use.
            let _closed = socket.close(Some(NORMAL_CLOSURE), None);
        }
    }
}

pub(crate) struct WasmSender(SharedSocket);

pub(crate) struct WasmReceiver {
    socket: SharedSocket,
    url: String,
}

/// The options of the transport: a page has none.
#[derive(Debug, Default)]
pub(crate) struct TransportOptions {}

/// The transport of one client.
#[derive(Debug)]
pub(crate) struct Transport;

impl Transport {
    #[expect(clippy::unnecessary_wraps, reason = "the native transport can fail")]
    pub(crate) fn new(_: &CircleUrl, _: &TransportOptions) -> Result<Self, ClientError> {
        Ok(Self)
    }

    /// Connects to a circle. Returns both halves of the connection and the authority that the client connected to:
    /// `authority` if given, otherwise that of the URL.
    pub(crate) async fn connect(
        &self,
        url: &CircleUrl,
        authority: Option<&Authority>,
        connect_timeout: Duration,
    ) -> Result<(WasmSender, WasmReceiver, Authority), ClientError> {
        let unreachable = |reason: String| ClientError::Unreachable { url: url.to_string(), reason };
        // The browser refuses, for example, ws:// from a page of https://.
        let socket = WebSocket::open(url.as_str())
            .map_err(|error| unreachable(format!("the browser does not allow it: {}", error.message)))?;
        let socket = SharedSocket(Rc::new(RefCell::new(Some(socket))));
        match timeout(connect_timeout, future::poll_fn(|context| socket.poll_open(context))).await {
            Some(true) => {}
            Some(false) => {
                return Err(unreachable(
                    "the browser could not open a WebSocket there; it tells only its developer tools why: no circle \
                 answers, the certificate is not trusted, or the circle does not list this page's origin in `origins`"
                        .into(),
                ));
            }
            None => return Err(unreachable(format!("no answer within {} s", connect_timeout.as_secs_f32()))),
        }
        let target_authority = authority.unwrap_or(url.authority()).clone();
        let receiver = WasmReceiver { socket: socket.clone(), url: url.to_string() };
        Ok((WasmSender(socket), receiver, target_authority))
    }
}

impl WasmSender {
    fn send_text(&mut self, text: String) -> Result<(), ClientError> {
        let Some(socket) = &mut *self.0.0.borrow_mut() else { return Err(ClientError::NotConnected) };
        Pin::new(socket)
            .start_send(Message::Text(text))
            .map_err(|error| ClientError::ConnectionLost { code: None, reason: error.to_string() })
    }
}

impl TransportSender for WasmSender {
    async fn send(&mut self, text: String) -> Result<(), ClientError> {
        self.send_text(text)
    }

    async fn ping(&mut self) -> Result<(), ClientError> {
        self.send_text(HEARTBEAT.to_owned())
    }

    async fn close(&mut self) {
        self.0.close();
    }
}

impl TransportReceiver for WasmReceiver {
    type Text = String;

    async fn receive(&mut self) -> Result<Option<String>, ClientError> {
        loop {
            let next = future::poll_fn(|context| self.socket.poll(|socket| socket.poll_next(context))).await;
            return match next {
                Some(Ok(Message::Text(text))) => Ok(Some(text)),
                Some(Ok(Message::Bytes(_))) => Err(binary_message(&self.url)),
                // The close event, which says more, follows.
                Some(Err(WebSocketError::ConnectionError)) => continue,
                Some(Err(WebSocketError::ConnectionClose(event))) => Err(match event.code {
                    ABNORMAL_CLOSURE => ClientError::ConnectionLost { code: None, reason: "no reason given".into() },
                    NO_CODE => closed_by_circle(None, ""),
                    code => closed_by_circle(Some(code), &event.reason),
                }),
                Some(Err(error)) => Err(ClientError::ConnectionLost { code: None, reason: error.to_string() }),
                None => Err(closed_by_circle(None, "")),
            };
        }
    }
}

/// Runs a future as a background task.
pub(crate) fn spawn(future: impl Future<Output = ()> + 'static) {
    wasm_bindgen_futures::spawn_local(future);
}

/// Waits. A browser counts up to 24 days.
async fn sleep(duration: Duration) {
    TimeoutFuture::new(u32::try_from(duration.as_millis()).unwrap_or(u32::MAX).min(i32::MAX.unsigned_abs())).await;
}

/// Waits for a future, and returns `None` if it takes longer than `after`.
pub(crate) async fn timeout<F: Future>(after: Duration, future: F) -> Option<F::Output> {
    let late = sleep(after);
    pin_mut!(future, late);
    match future::select(future, late).await {
        future::Either::Left((output, _)) => Some(output),
        future::Either::Right(((), _)) => None,
    }
}

/// Seconds since 1970.
pub(crate) fn now_unix() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
