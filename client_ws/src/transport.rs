//! What the client asks of a connection: two small traits, and the platform's ways to spawn and to wait.

#[cfg(not(target_arch = "wasm32"))]
pub(crate) mod native;

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use native as platform;

/// `Send` where there are threads to be sent to.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use Send as MaybeSend;

/// A boxed future, `Send` where there are threads to be sent to.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use futures_util::future::BoxFuture;

use crate::ClientError;

/// The half of a connection that sends.
pub(crate) trait TransportSender: MaybeSend + 'static {
    /// Sends one text message.
    fn send(&mut self, text: String) -> impl Future<Output = Result<(), ClientError>> + MaybeSend;

    /// Asks for a sign of life; where a client cannot, it does nothing.
    fn ping(&mut self) -> impl Future<Output = Result<(), ClientError>> + MaybeSend;

    /// Says goodbye.
    fn close(&mut self) -> impl Future<Output = ()> + MaybeSend;
}

/// The half of a connection that receives.
pub(crate) trait TransportReceiver: MaybeSend + 'static {
    /// A text message as it came.
    type Text: AsRef<str> + MaybeSend;

    /// The next text message, or `None` for a sign of life that says nothing; the error says how the connection ended.
    /// Cancel safe.
    fn receive(&mut self) -> impl Future<Output = Result<Option<Self::Text>, ClientError>> + MaybeSend;
}
