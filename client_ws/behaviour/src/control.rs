//! What a test requests from the program that runs it: circles and fake circles.
//!
//! The requests are JSON, because a page passes them to the program that controls the browser.

use futures_util::future::LocalBoxFuture;
use serde::{Deserialize, Serialize};

/// Carries out the requests of one test.
pub trait Control {
    /// Carries out a request and returns its reply. The error is a text for the person who reads the failure.
    fn call(&self, request: Request) -> LocalBoxFuture<'_, Result<Reply, String>>;
}

/// A request of a test. Circles and fake circles have the number of their port, connections of fake circles have a
/// number of their own.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "camelCase")]
pub enum Request {
    /// Starts `circles serve` and waits until the circle accepts connections. The reply has its port.
    Serve {
        /// The port of an earlier circle that has ended; a free one if null.
        port: Option<u16>,
        /// Options of `circles serve`.
        options: Vec<String>,
        /// Whether the circle has a persistent identity: that of the test.
        persistent: bool,
    },
    /// Kills a circle.
    Kill {
        /// The circle.
        port: u16,
    },
    /// Has a circle drain, and waits until it has ended.
    Drain {
        /// The circle.
        port: u16,
    },
    /// Starts a fake circle: a WebSocket server on which the test answers. The reply has its port.
    Listen,
    /// Ends a fake circle, so that nobody listens on its port. Its connections stay.
    Unlisten {
        /// The fake circle.
        port: u16,
    },
    /// Waits for the next connection to a fake circle. The reply has the connection's number and the `Host`.
    Accept {
        /// The fake circle.
        port: u16,
    },
    /// Waits for the next frame on a connection. The reply has the frame.
    Receive {
        /// The connection.
        connection: usize,
    },
    /// Sends a text message.
    Send {
        /// The connection.
        connection: usize,
        /// The text.
        text: String,
    },
    /// Sends a notification of a later version of the protocol that has this size, in KiB.
    SendLarge {
        /// The connection.
        connection: usize,
        /// The size of the message in KiB.
        kib: usize,
    },
    /// Sends an empty binary message.
    SendBinary {
        /// The connection.
        connection: usize,
    },
    /// Sends a close frame.
    Close {
        /// The connection.
        connection: usize,
        /// The close code.
        code: u16,
        /// The reason.
        reason: String,
    },
    /// Ends a connection without a close frame.
    Abort {
        /// The connection.
        connection: usize,
    },
}

/// The reply to a request: each request says what it has.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Reply {
    /// A port.
    pub port: u16,
    /// A connection of a fake circle.
    pub connection: usize,
    /// The header `Host` of a connection.
    pub host: String,
    /// A received frame.
    pub frame: Frame,
}

/// A frame that a fake circle has received.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Frame {
    /// A text message.
    Text(String),
    /// A ping.
    Ping,
    /// The connection has ended, with or without a close frame.
    #[default]
    End,
}
