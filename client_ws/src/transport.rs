//! The transport interface: the two halves of a connection, and the platform's functions for tasks and time.

#[cfg(not(target_arch = "wasm32"))]
pub(crate) mod native;

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use native as platform;

/// `Send` on platforms with threads.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use Send as MaybeSend;

/// A boxed future, `Send` on platforms with threads.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use futures_util::future::BoxFuture;

use crate::ClientError;

/// The sending half of a connection.
pub(crate) trait TransportSender: MaybeSend + 'static {
    /// Sends one text message.
    fn send(&mut self, text: String) -> impl Future<Output = Result<(), ClientError>> + MaybeSend;

    /// Sends a ping, if the platform supports it.
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
