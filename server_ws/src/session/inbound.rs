//! The messages from a connection to its session.

use std::collections::VecDeque;

use bytestring::ByteString;
use tokio::sync::mpsc;

use crate::quota::HeldBytes;

/// The maximum number of items that wait for a busy session.
const MAX_QUEUED_ITEMS: usize = 4;

/// Makes the channel from a connection to its session. Its items are in boxes, because the channel has room for 32 of them
/// even while it is empty.
pub(crate) fn channel() -> (mpsc::Sender<Box<Inbound>>, mpsc::Receiver<Box<Inbound>>) {
    mpsc::channel(MAX_QUEUED_ITEMS)
}

/// An item from the connection. When the channel closes, the client is gone.
#[derive(Debug)]
pub(crate) enum Inbound {
    /// Text messages that have arrived together, in order. Never empty.
    Texts(InboundTexts),
    /// A heartbeat: a control frame, which shows that the client is alive.
    Heartbeat,
    /// The client violated the WebSocket protocol, so the session closes the connection.
    Violation {
        /// The close code (RFC 6455 §7.4).
        code: u16,
        /// The close reason, for a person.
        reason: &'static str,
    },
}

/// Text messages, counted to their connection until all of them have been processed: they share a buffer.
#[derive(Debug)]
pub(crate) struct InboundTexts {
    texts: VecDeque<ByteString>,
    _held: HeldBytes,
}

impl InboundTexts {
    pub(crate) fn new(texts: VecDeque<ByteString>, held: HeldBytes) -> Self {
        Self { texts, _held: held }
    }
}

/// One message of the client.
#[derive(Debug)]
pub(super) enum Message {
    Text(ByteString),
    Heartbeat,
    Violation { code: u16, reason: &'static str },
}

/// The messages of the client that the session has not processed.
#[derive(Debug)]
pub(super) struct Messages {
    inbound: mpsc::Receiver<Box<Inbound>>,
    /// The texts of the last item. They are dropped once the last of them has been processed.
    texts: Option<InboundTexts>,
}

impl Messages {
    pub(super) fn new(inbound: mpsc::Receiver<Box<Inbound>>) -> Self {
        Self { inbound, texts: None }
    }

    /// Waits for the next message; `None` if the client is gone. Cancel safe.
    pub(super) async fn next(&mut self) -> Option<Message> {
        if let Some(text) = self.next_text() {
            return Some(Message::Text(text));
        }
        let item = self.inbound.recv().await?;
        self.open(*item)
    }

    /// Returns the next message if it has arrived.
    pub(super) fn arrived(&mut self) -> Option<Message> {
        if let Some(text) = self.next_text() {
            return Some(Message::Text(text));
        }
        let item = self.inbound.try_recv().ok()?;
        self.open(*item)
    }

    /// Whether a message has arrived.
    pub(super) fn has_arrived(&self) -> bool {
        self.texts.as_ref().is_some_and(|texts| !texts.texts.is_empty()) || !self.inbound.is_empty()
    }

    /// Releases the bytes of the texts if all of them have been processed.
    pub(super) fn release(&mut self) {
        if self.texts.as_ref().is_some_and(|texts| texts.texts.is_empty()) {
            self.texts = None;
        }
    }

    /// Waits until the client is gone. Discards its messages.
    pub(super) async fn discard_all(&mut self) {
        self.texts = None;
        while self.inbound.recv().await.is_some() {}
    }

    fn next_text(&mut self) -> Option<ByteString> {
        self.texts.as_mut()?.texts.pop_front()
    }

    fn open(&mut self, item: Inbound) -> Option<Message> {
        match item {
            Inbound::Texts(texts) => {
                self.texts = Some(texts);
                self.next_text().map(Message::Text)
            }
            Inbound::Heartbeat => Some(Message::Heartbeat),
            Inbound::Violation { code, reason } => Some(Message::Violation { code, reason }),
        }
    }
}
