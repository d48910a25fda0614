//! The bytes that the NATS client holds. The client itself bounds only the number of its messages.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use async_nats::{Client, message::OutboundMessage};

/// Number of bytes after which the client has to write all that it holds. It gets as many meanwhile.
pub(super) const BATCH: usize = 1 << 20;

/// Counts the bytes that the client gets: at most twice [`BATCH`], and the rest of two messages.
pub(super) struct InFlight {
    client: Client,
    /// The bytes since the last flush began.
    bytes: usize,
    /// The flush of all bytes before these.
    flush: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl fmt::Debug for InFlight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InFlight").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl InFlight {
    pub(super) fn new(client: Client) -> Self {
        Self { client, bytes: 0, flush: None }
    }

    /// Counts a message that the client gets.
    pub(super) fn add(&mut self, message: &OutboundMessage) {
        let reply = message.reply.as_ref().map_or(0, |reply| reply.len());
        self.bytes += message.payload.len() + message.subject.len() + reply;
    }

    /// Waits until the client may get another message.
    pub(super) fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Some(flush) = &mut self.flush
            && flush.as_mut().poll(context).is_ready()
        {
            self.flush = None;
        }
        if self.bytes < BATCH {
            return Poll::Ready(());
        }
        if self.flush.is_some() {
            return Poll::Pending;
        }
        let client = self.client.clone();
        let mut flush = Box::pin(async move {
            // An error means that the client has ended: it accepts no message either.
            let _ended = client.flush().await;
        });
        // The first poll puts the request behind the messages.
        if flush.as_mut().poll(context).is_pending() {
            self.flush = Some(flush);
        }
        self.bytes = 0;
        Poll::Ready(())
    }
}
