//! The transport interface: the two halves of a connection, and the platform's functions for tasks and time.
//!
//! `native` and `wasm` are all that differs between a native client and one in a browser. Both have a `Transport` that
//! connects, its `TransportOptions`, and the functions `spawn`, `timeout` and `now_unix`.

#[cfg(not(target_arch = "wasm32"))]
pub(crate) mod native;
#[cfg(target_arch = "wasm32")]
pub(crate) mod wasm;

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use native as platform;
#[cfg(target_arch = "wasm32")]
pub(crate) use wasm as platform;

pub use platform::{MaybeSend, MaybeSync};

use crate::ClientError;

/// A boxed future, `Send` on platforms with threads.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) type BoxFuture<'a, T> = futures_util::future::BoxFuture<'a, T>;
/// A boxed future, `Send` on platforms with threads.
#[cfg(target_arch = "wasm32")]
pub(crate) type BoxFuture<'a, T> = futures_util::future::LocalBoxFuture<'a, T>;

/// The sending half of a connection.
pub(crate) trait TransportSender: MaybeSend + 'static {
    /// Sends one text message.
    fn send(&mut self, text: String) -> impl Future<Output = Result<(), ClientError>> + MaybeSend;

    /// Sends something that the circle answers although it is idle.
    fn ping(&mut self) -> impl Future<Output = Result<(), ClientError>> + MaybeSend;

    /// Closes the connection with a close frame.
    fn close(&mut self) -> impl Future<Output = ()> + MaybeSend;
}

/// The receiving half of a connection.
pub(crate) trait TransportReceiver: MaybeSend + 'static {
    /// A text message as received.
    type Text: AsRef<str> + MaybeSend;

    /// Waits for the next text message, or `None` for a ping or pong. The error says how the connection ended. Cancel
    /// safe.
    fn receive(&mut self) -> impl Future<Output = Result<Option<Self::Text>, ClientError>> + MaybeSend;
}

/// The error for a connection that the circle closed with a code (RFC 6455 §7.4) and its reason.
fn closed_by_circle(code: Option<u16>, reason: &str) -> ClientError {
    let Some(code) = code else {
        return ClientError::ConnectionLost { code: None, reason: "the circle closed the connection".into() };
    };
    let text: String = reason.chars().filter(|character| !character.is_control()).collect();
    let reason =
        if text.is_empty() { format!("the circle closed the connection ({code})") } else { format!("{text} ({code})") };
    ClientError::ConnectionLost { code: Some(code), reason }
}

/// The error for a message that is not text.
fn binary_message(url: &str) -> ClientError {
    ClientError::NotACircle { url: url.to_owned(), reason: "it sent a binary message".into() }
}
