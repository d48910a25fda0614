//! The native transport, based on tokio-tungstenite.

mod endpoints;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use keys::Authority;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        Bytes, Error, Message, Utf8Bytes,
        error::{CapacityError, ProtocolError},
        handshake::client::generate_key,
        http::{Request, Response, header},
        protocol::{CloseFrame, WebSocketConfig},
    },
};

use endpoints::{Endpoint, endpoints};

use super::{TransportReceiver, TransportSender, binary_message, closed_by_circle};
pub use std::marker::{Send as MaybeSend, Sync as MaybeSync};

use crate::{
    CircleUrl, ClientError,
    message_limit::{MAX_MESSAGE, limit_message},
};

/// Size of the read buffer, in bytes. Every connection allocates one; the library's default is 128 KiB.
const READ_BUFFER: usize = 16 << 10;

type NativeSocket = WebSocketStream<TcpStream>;

pub(crate) struct NativeSender(SplitSink<NativeSocket, Message>);

pub(crate) struct NativeReceiver {
    socket: SplitStream<NativeSocket>,
    url: String,
}

/// Connects to a circle. Returns both halves of the connection and the authority that the client connected to:
/// `authority` if given, otherwise that of the endpoint. `connect_timeout` applies to each endpoint and to the upgrade.
pub(crate) async fn connect(
    url: &CircleUrl,
    authority: Option<&Authority>,
    connect_timeout: Duration,
) -> Result<(NativeSender, NativeReceiver, Authority), ClientError> {
    if url.is_tls() {
        let reason = "this version does not support TLS yet; use a ws:// URL".into();
        return Err(ClientError::BadUrl { url: url.to_string(), reason });
    }
    let (stream, endpoint_authority) = connect_any(url, connect_timeout)
        .await
        .map_err(|reason| ClientError::Unreachable { url: url.to_string(), reason })?;
    let authority = authority.cloned().unwrap_or(endpoint_authority);
    let request = Request::builder()
        .header(header::HOST, authority.as_str())
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_KEY, generate_key())
        .uri(format!("ws://{authority}{}", url.as_url().path()))
        .body(())
        .map_err(|error| ClientError::BadUrl { url: url.to_string(), reason: error.to_string() })?;
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE));
    let (socket, _) = timeout(connect_timeout, client_async_with_config(request, stream, Some(config)))
        .await
        .ok_or_else(|| ClientError::NotACircle {
            url: url.to_string(),
            reason: format!("it accepted the connection but did not answer within {} s", connect_timeout.as_secs()),
        })?
        .map_err(|error| handshake_error(url, &error))?;
    let (sender, receiver) = socket.split();
    Ok((NativeSender(sender), NativeReceiver { socket: receiver, url: url.to_string() }, authority))
}

/// Connects to the first endpoint that accepts a connection, and returns its authority.
///
/// The error is that of the first endpoint: for the second one of `localhost`, a machine without IPv6 would report a
/// missing address, which says nothing about the circle.
async fn connect_any(url: &CircleUrl, connect_timeout: Duration) -> Result<(TcpStream, Authority), String> {
    let mut first_reason = None;
    for Endpoint { host, port, authority } in endpoints(url) {
        match connect_tcp(&host, port, connect_timeout).await {
            Ok(stream) => return Ok((stream, authority)),
            Err(reason) => first_reason = first_reason.or(Some(reason)),
        }
    }
    Err(first_reason.unwrap_or_default())
}

async fn connect_tcp(host: &str, port: u16, connect_timeout: Duration) -> Result<TcpStream, String> {
    let stream = timeout(connect_timeout, TcpStream::connect((host, port)))
        .await
        .ok_or_else(|| format!("no answer within {} s", connect_timeout.as_secs()))?
        .map_err(|error| error_text(&error))?;
    stream.set_nodelay(true).map_err(|error| error_text(&error))?;
    Ok(stream)
}

fn handshake_error(url: &CircleUrl, error: &Error) -> ClientError {
    let url = url.to_string();
    match error {
        Error::Http(response) => http_error(url, response),
        Error::Io(error) if error.kind() != std::io::ErrorKind::InvalidData => {
            ClientError::Unreachable { url, reason: error_text(error) }
        }
        other => ClientError::NotACircle { url, reason: other.to_string() },
    }
}

fn http_error(url: String, response: &Response<Option<Vec<u8>>>) -> ClientError {
    let status = response.status().as_u16();
    let body = response.body().as_deref().map(String::from_utf8_lossy).unwrap_or_default();
    let body_text: String = body.trim().chars().filter(|character| !character.is_control()).take(300).collect();
    match status {
        403 | 421 | 503 => ClientError::Refused { url, status, reason: body_text },
        _ => ClientError::NotACircle { url, reason: format!("it answered with HTTP {status} instead of a WebSocket") },
    }
}

/// The text of the operating system's error without its number.
fn error_text(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

impl TransportSender for NativeSender {
    async fn send(&mut self, text: String) -> Result<(), ClientError> {
        self.0.send(Message::text(text)).await.map_err(|error| lost(&error))
    }

    async fn ping(&mut self) -> Result<(), ClientError> {
        self.0.send(Message::Ping(Bytes::new())).await.map_err(|error| lost(&error))
    }

    async fn close(&mut self) {
        // Closing fails if the connection has already ended.
        let _already_closed = self.0.close().await;
    }
}

impl TransportReceiver for NativeReceiver {
    type Text = Utf8Bytes;

    async fn receive(&mut self) -> Result<Option<Utf8Bytes>, ClientError> {
        match self.socket.next().await {
            Some(Ok(Message::Text(text))) => Ok(Some(text)),
            Some(Ok(Message::Close(frame))) => Err(closed(frame.as_ref())),
            Some(Ok(Message::Binary(_))) => Err(binary_message(&self.url)),
            Some(Ok(_)) => Ok(None),
            Some(Err(error)) => Err(lost(&error)),
            None => Err(ClientError::ConnectionLost { code: None, reason: "the circle ended the connection".into() }),
        }
    }
}

fn closed(frame: Option<&CloseFrame>) -> ClientError {
    match frame {
        Some(frame) => closed_by_circle(Some(frame.code.into()), &frame.reason),
        None => closed_by_circle(None, ""),
    }
}

fn lost(error: &Error) -> ClientError {
    let reason = match error {
        Error::Io(error) => error_text(error),
        // A killed process or a machine that is down.
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => "no reason given".into(),
        Error::Capacity(CapacityError::MessageTooLong { size, max_size }) => limit_message(*size, *max_size),
        other => other.to_string(),
    };
    ClientError::ConnectionLost { code: None, reason }
}

/// Runs a future as a background task.
pub(crate) fn spawn(future: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(future);
}

/// Waits for a future, and returns `None` if it takes longer than `after`.
pub(crate) async fn timeout<F: Future>(after: Duration, future: F) -> Option<F::Output> {
    tokio::time::timeout(after, future).await.ok()
}

/// Seconds since 1970.
pub(crate) fn now_unix() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
