//! The upgrade of a connection to a WebSocket (RFC 6455 §4).

use keys::Authority;
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        Error,
        error::ProtocolError,
        handshake::client::generate_key,
        http::{Request, Response, header},
        protocol::WebSocketConfig,
    },
};

use super::{NetworkStream, error_text};
use crate::{CircleUrl, ClientError, message_limit::MAX_MESSAGE};

/// Size of the read buffer, in bytes. Every connection allocates one; the library's default is 128 KiB.
const READ_BUFFER: usize = 16 << 10;

/// Maximum length of an address that a redirect names, in characters.
const MAX_LOCATION: usize = 200;

/// Upgrades a connection to a WebSocket of the circle that the client knows as `authority`.
pub(super) async fn upgrade(
    url: &CircleUrl,
    authority: &Authority,
    stream: NetworkStream,
) -> Result<WebSocketStream<NetworkStream>, ClientError> {
    let request = Request::builder()
        .header(header::HOST, authority.as_str())
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_KEY, generate_key())
        // The library wants a scheme, and sends none.
        .uri(format!("ws://{authority}{}", url.as_url().path()))
        .body(())
        .map_err(|error| ClientError::BadUrl { url: url.to_string(), reason: error.to_string() })?;
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE));
    let (socket, _) = client_async_with_config(request, stream, Some(config))
        .await
        .map_err(|error| upgrade_error(url.to_string(), &error))?;
    Ok(socket)
}

fn upgrade_error(url: String, error: &Error) -> ClientError {
    match error {
        Error::Http(response) => http_error(url, response),
        Error::Io(error) if error.kind() != std::io::ErrorKind::InvalidData => {
            ClientError::Unreachable { url, reason: error_text(error) }
        }
        // A server that answers in TLS, among others.
        Error::Protocol(ProtocolError::HttparseError(_)) => {
            ClientError::NotACircle { url, reason: "it does not answer in HTTP; if it speaks TLS, use wss://".into() }
        }
        other => ClientError::NotACircle { url, reason: other.to_string() },
    }
}

fn http_error(url: String, response: &Response<Option<Vec<u8>>>) -> ClientError {
    let status = response.status().as_u16();
    let body = response.body().as_deref().map(String::from_utf8_lossy).unwrap_or_default();
    let reason: String = body.trim().chars().filter(|character| !character.is_control()).take(300).collect();
    match status {
        403 | 421 | 429 | 503 => ClientError::Refused { url, status, reason },
        _ => {
            let location = response.headers().get(header::LOCATION);
            let location = location.and_then(|location| location.to_str().ok()).map(circle_location);
            ClientError::NotUpgraded { url, status, location }
        }
    }
}

/// The address of a redirect, with the scheme of a circle's URL.
fn circle_location(location: &str) -> String {
    let location = match location.split_once("://") {
        Some(("http", rest)) => format!("ws://{rest}"),
        Some(("https", rest)) => format!("wss://{rest}"),
        _ => location.to_owned(),
    };
    location.chars().filter(|character| !character.is_control()).take(MAX_LOCATION).collect()
}
