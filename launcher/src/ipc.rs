//! IPC between a circle and its supervisor, over a socket that is the circle's standard input: JSON-RPC 2.0, one
//! message per line.
//!
//! The supervisor first sends the circle's [`Configuration`]. The circle sends [`Recovering`] while it recovers its store
//! after a crash, [`Ready`] once it accepts connections, and then a [`Heartbeat`] every [`HEARTBEAT_INTERVAL`]. The supervisor sends [`Configure`] to change the
//! configuration, [`Export`] to write the entries of its store into a file, [`CancelExport`] to stop
//! that, and [`Drain`] to stop the circle; the end of the socket means [`Drain`], too.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use futures_util::{SinkExt, StreamExt};
use protocol::{
    Id, Method, Params, RpcError,
    message::{self, IncomingMessage, ServerMessage},
    method::ParamValues,
    methods::Notification,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use tokio::net::{
    UnixStream,
    unix::{OwnedReadHalf, OwnedWriteHalf},
};
use tokio_util::codec::{Framed, FramedRead, FramedWrite, LinesCodec};

use crate::{StoreStatus, WorkerPoolStatus};

/// Interval of a circle's heartbeats.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);

/// Largest message to a circle in bytes; its arguments fit in, roles and members of a whole circles.json included.
const MAX_MESSAGE_TO_CIRCLE: usize = 10 << 20;

/// Largest message of a circle in bytes.
const MAX_MESSAGE_OF_CIRCLE: usize = 2 << 20;

/// Notification: the circle accepts connections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// Address that the circle listens on.
    pub address: SocketAddr,
    /// Public key of the circle's identity, as hex; absent if the identity ends with the process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
}

impl Notification for Ready {
    const NAME: &'static str = "ready";
}

/// Notification: the circle recovers its store after a crash, before it is ready. It comes whenever the circle has made
/// progress, at most once in a [`HEARTBEAT_INTERVAL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovering {
    /// Share of the work that is done, from 0 to 100.
    pub percent: u8,
}

impl Notification for Recovering {
    const NAME: &'static str = "recovering";
}

/// Notification: the circle is alive, with figures about its load.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Heartbeat {
    /// Number of connections, including those that are being closed.
    pub connections: u64,
    /// Number of sessions that hold a worker.
    pub workers: u64,
    /// Number of plays that have finished since the process started, whatever their outcome.
    pub plays: u64,
    /// Memory of the process and its workers in bytes.
    pub memory_bytes: u64,
    /// Sandbox layers that are in effect, as `describe` returns them.
    pub sandbox: Vec<String>,
    /// The store, if the circle has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<StoreStatus>,
    /// The worker pool, if the circle has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_pool: Option<Box<WorkerPoolStatus>>,
}

impl Notification for Heartbeat {
    const NAME: &'static str = "figures";
}

/// Notification: the circle has to stop accepting connections and plays, let running plays finish within a grace
/// period, and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drain {}

impl Notification for Drain {
    const NAME: &'static str = "drain";
}

/// Configuration of a circle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Configuration {
    /// Arguments of `circles` that would start the circle with this configuration.
    pub arguments: Vec<String>,
}

/// The first message to a circle. Its command line, which every user of the system can read, names no member, host or
/// path.
impl Notification for Configuration {
    const NAME: &'static str = "start";
}

impl Params for Configuration {
    const NAMES: &'static [&'static str] = &["arguments"];

    fn take(given: ParamValues<'_>) -> Result<Self, RpcError> {
        Ok(Self { arguments: given.param::<Option<_>>("arguments")?.unwrap_or_default() })
    }
}

/// Request: apply a new configuration without a restart. An error changes nothing.
#[derive(Debug)]
pub struct Configure;

/// Result of [`Configure`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigureResult {}

impl Method for Configure {
    const NAME: &'static str = "configure";
    type Params = Configuration;
    type Result = ConfigureResult;
}

/// Request: write all entries of the store into a new file. An error leaves no file.
#[derive(Debug)]
pub struct Export;

/// Parameters of [`Export`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExportTarget {
    /// The file to make; absolute.
    pub file: PathBuf,
}

impl Params for ExportTarget {
    const NAMES: &'static [&'static str] = &["file"];

    fn take(given: ParamValues<'_>) -> Result<Self, RpcError> {
        Ok(Self { file: given.param::<String>("file")?.into() })
    }
}

/// Result of [`Export`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportResult {
    /// Number of entries in the file.
    pub entries: u64,
}

impl Method for Export {
    const NAME: &'static str = "export";
    type Params = ExportTarget;
    type Result = ExportResult;
}

/// Notification: nobody waits for the running [`Export`] any more. The circle responds to the request once the export has
/// ended. A success, which came too late to stop, leaves the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelExport {}

impl Notification for CancelExport {
    const NAME: &'static str = "cancel_export";
}

/// The peer has closed its end of the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the other end of the circle's socket is closed")]
pub struct IpcClosed;

/// Message that a circle receives from its supervisor.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ToCircle {
    /// Drain and end; also received when the supervisor is gone.
    Drain,
    /// Apply this configuration, and respond to this id.
    Configure(Id, Configuration),
    /// Write the entries of the store into this file, and respond to this id.
    Export(Id, PathBuf),
    /// Stop the running export. Its request gets its response when it has ended.
    CancelExport,
}

/// The circle's sending half.
#[derive(Debug)]
pub struct SupervisorSender(FramedWrite<OwnedWriteHalf, LinesCodec>);

/// The circle's receiving half.
#[derive(Debug)]
pub struct SupervisorReceiver(FramedRead<OwnedReadHalf, LinesCodec>);

/// Splits the circle's end of the socket.
pub fn supervisor_channel(socket: UnixStream) -> (SupervisorSender, SupervisorReceiver) {
    let (read, write) = socket.into_split();
    let codec = LinesCodec::new_with_max_length;
    (
        SupervisorSender(FramedWrite::new(write, codec(MAX_MESSAGE_OF_CIRCLE))),
        SupervisorReceiver(FramedRead::new(read, codec(MAX_MESSAGE_TO_CIRCLE))),
    )
}

impl SupervisorSender {
    /// Sends a notification. Waits while the supervisor does not read.
    ///
    /// # Errors
    ///
    /// The supervisor has closed its end.
    pub async fn notify<N: Notification>(&mut self, notification: &N) -> Result<(), IpcClosed> {
        self.0.send(message::notification(N::NAME, notification)).await.map_err(|_| IpcClosed)
    }

    /// Responds to [`Configure`] or [`Export`].
    ///
    /// # Errors
    ///
    /// The supervisor has closed its end.
    pub async fn respond<T: Serialize>(&mut self, id: &Id, outcome: Result<T, RpcError>) -> Result<(), IpcClosed> {
        self.0.send(message::response(Some(id), outcome.as_ref())).await.map_err(|_| IpcClosed)
    }
}

impl SupervisorReceiver {
    /// Receives the arguments that the circle starts with; `None` if the supervisor is gone or the circle has to drain.
    /// Cancel safe.
    pub async fn receive_arguments(&mut self) -> Option<Vec<String>> {
        while let Some(Ok(line)) = self.0.next().await {
            let Ok(IncomingMessage::Single(Ok(call))) = message::parse(&line, 1) else { continue };
            match &*call.method {
                <Configuration as Notification>::NAME => {
                    return Configuration::from_raw(call.params).ok().map(|configuration| configuration.arguments);
                }
                Drain::NAME => return None,
                _ => {}
            }
        }
        None
    }

    /// Receives the next message; skips messages that this version does not know. Cancel safe.
    pub async fn next(&mut self) -> ToCircle {
        while let Some(Ok(line)) = self.0.next().await {
            let Ok(IncomingMessage::Single(Ok(call))) = message::parse(&line, 1) else { continue };
            match (&*call.method, call.id) {
                (Drain::NAME, _) => return ToCircle::Drain,
                (CancelExport::NAME, _) => return ToCircle::CancelExport,
                (Configure::NAME, Some(id)) => {
                    if let Ok(configuration) = Configuration::from_raw(call.params) {
                        return ToCircle::Configure(id, configuration);
                    }
                }
                (Export::NAME, Some(id)) => {
                    if let Ok(target) = ExportTarget::from_raw(call.params) {
                        return ToCircle::Export(id, target.file);
                    }
                }
                _ => {}
            }
        }
        ToCircle::Drain
    }
}

/// Message that a supervisor receives from a circle.
#[derive(Debug)]
pub(crate) enum FromCircle {
    Recovering(Recovering),
    Ready(Ready),
    Heartbeat(Heartbeat),
    /// The response to the request with this id.
    Response(u64, Result<Box<RawValue>, RpcError>),
}

/// The supervisor's end of the socket.
#[derive(Debug)]
pub(crate) struct CircleChannel {
    lines: Framed<UnixStream, LinesCodec>,
    last_id: u64,
}

impl CircleChannel {
    pub(crate) fn new(socket: UnixStream) -> Self {
        Self { lines: Framed::new(socket, LinesCodec::new_with_max_length(MAX_MESSAGE_OF_CIRCLE)), last_id: 0 }
    }

    /// Receives the next message; `None` if the circle has closed its end. Cancel safe.
    pub(crate) async fn next(&mut self) -> Option<FromCircle> {
        while let Some(Ok(line)) = self.lines.next().await {
            if let Some(said) = parse_message(&line) {
                return Some(said);
            }
        }
        None
    }

    /// Sends the arguments to start with. Waits while the circle does not read.
    pub(crate) async fn start(&mut self, arguments: Vec<String>) -> Result<(), IpcClosed> {
        let received = message::notification(<Configuration as Notification>::NAME, &Configuration { arguments });
        self.lines.send(received).await.map_err(|_| IpcClosed)
    }

    /// Sends a new configuration, and returns the id of the request. Waits while the circle does not read.
    pub(crate) async fn configure(&mut self, arguments: Vec<String>) -> Result<u64, IpcClosed> {
        self.last_id += 1;
        let request = message::call(Some(&Id::number(self.last_id)), Configure::NAME, &Configuration { arguments });
        self.lines.send(request).await.map_err(|_| IpcClosed)?;
        Ok(self.last_id)
    }

    /// Sends a request to write the entries of the store into a file, and returns the id of the request. Waits while the
    /// circle does not read.
    pub(crate) async fn export(&mut self, file: PathBuf) -> Result<u64, IpcClosed> {
        self.last_id += 1;
        let request = message::call(Some(&Id::number(self.last_id)), Export::NAME, &ExportTarget { file });
        self.lines.send(request).await.map_err(|_| IpcClosed)?;
        Ok(self.last_id)
    }

    /// Tells the circle that nobody waits for its export any more. Waits while the circle does not read.
    pub(crate) async fn cancel_export(&mut self) -> Result<(), IpcClosed> {
        self.lines.send(message::notification(CancelExport::NAME, &CancelExport {})).await.map_err(|_| IpcClosed)
    }

    /// Tells the circle to drain. Waits while the circle does not read.
    pub(crate) async fn drain(&mut self) -> Result<(), IpcClosed> {
        self.lines.send(message::notification(Drain::NAME, &Drain {})).await.map_err(|_| IpcClosed)
    }
}

/// Parses a message; `None` if this version does not know it.
fn parse_message(line: &str) -> Option<FromCircle> {
    fn read<T: DeserializeOwned>(params: &str) -> Option<T> {
        serde_json::from_str(params).ok()
    }
    match message::parse_server_message(line)? {
        ServerMessage::Notification { method, params } => match &*method {
            Ready::NAME => read(params.get()).map(FromCircle::Ready),
            Recovering::NAME => read(params.get()).map(FromCircle::Recovering),
            Heartbeat::NAME => read(params.get()).map(FromCircle::Heartbeat),
            _ => None,
        },
        ServerMessage::Response { id, result } => Some(FromCircle::Response(id.as_number()?, result)),
    }
}

#[cfg(test)]
mod tests;
