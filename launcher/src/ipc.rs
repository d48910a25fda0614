//! What a circle and its supervisor say to each other over the circle's socket, which is its standard input: JSON-RPC 2.0,
//! one message a line.
//!
//! The supervisor begins with the circle's [`Configuration`]. The circle says [`Ready`] once it takes connections, and from then
//! on its [`Figures`] every [`BEAT_INTERVAL`]: a heartbeat. The supervisor asks it to [`Configure`] itself anew, and tells it to
//! [`Drain`]; the end of the socket means that, too.

use std::{net::SocketAddr, time::Duration};

use futures_util::{SinkExt, StreamExt};
use protocol::{
    Id, Method, Params, RpcError,
    message::{self, IncomingMessage, ServerMessage},
    method::ParamValues,
    methods::Notification,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::net::{
    UnixStream,
    unix::{OwnedReadHalf, OwnedWriteHalf},
};
use tokio_util::codec::{Framed, FramedRead, FramedWrite, LinesCodec};

/// How often a circle gives a sign of life.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);

/// Bytes of one message: what a circle may have for arguments fits in.
const MAX_MESSAGE: usize = 2 << 20;

/// The circle takes connections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// Where it is dialled.
    pub address: SocketAddr,
    /// The public key that it identifies itself with, as hex; none, where that ends with its process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
}

impl Notification for Ready {
    const NAME: &'static str = "ready";
}

/// A sign of life: how the circle is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Heartbeat {
    /// Connections that it has, those that are being closed included.
    pub connections: u64,
    /// Sessions that hold a worker.
    pub workers: u64,
    /// Plays that have ended since its process was started, however they did.
    pub plays: u64,
    /// Bytes that its process and its workers have of their own.
    pub memory_bytes: u64,
    /// What keeps its scripts where they are, as `describe` has it.
    pub sandbox: Vec<String>,
}

impl Notification for Heartbeat {
    const NAME: &'static str = "figures";
}

/// The circle is to end: no new connections and plays, and a grace for those that run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drain {}

impl Notification for Drain {
    const NAME: &'static str = "drain";
}

/// What a circle is to be from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Configuration {
    /// The arguments of `circles` that would start it so.
    pub arguments: Vec<String>,
}

/// Told before anything else: what a circle is from its start on. Its arguments on the command line, which every user of the
/// system can read, name no member, host or path.
impl Notification for Configuration {
    const NAME: &'static str = "start";
}

impl Params for Configuration {
    const NAMES: &'static [&'static str] = &["arguments"];

    fn take(given: ParamValues<'_>) -> Result<Self, RpcError> {
        Ok(Self { arguments: given.param::<Option<_>>("arguments")?.unwrap_or_default() })
    }
}

/// The circle takes over what it can without being started again; an error changes nothing.
#[derive(Debug)]
pub struct Configure;

/// It has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigureResult {}

impl Method for Configure {
    const NAME: &'static str = "configure";
    type Params = Configuration;
    type Result = ConfigureResult;
}

/// The other end is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the other end of the circle's socket is gone")]
pub struct IpcClosed;

/// What a supervisor wants of a circle.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ToCircle {
    /// It is to end, or the supervisor has.
    Drain,
    /// It is to be that from now on; the id is that of the answer.
    Configure(Id, Configuration),
}

/// A circle's end, what it says.
#[derive(Debug)]
pub struct SupervisorSender(FramedWrite<OwnedWriteHalf, LinesCodec>);

/// A circle's end, what it hears.
#[derive(Debug)]
pub struct SupervisorReceiver(FramedRead<OwnedReadHalf, LinesCodec>);

/// The end of a circle.
pub fn supervisor_channel(socket: UnixStream) -> (SupervisorSender, SupervisorReceiver) {
    let (read, write) = socket.into_split();
    let codec = || LinesCodec::new_with_max_length(MAX_MESSAGE);
    (SupervisorSender(FramedWrite::new(write, codec())), SupervisorReceiver(FramedRead::new(read, codec())))
}

impl SupervisorSender {
    /// Tells something. It waits for a supervisor that does not read.
    pub async fn notify<N: Notification>(&mut self, notification: &N) -> Result<(), IpcClosed> {
        self.0.send(message::notification(N::NAME, notification)).await.map_err(|_| IpcClosed)
    }

    /// Answers [`Configure`].
    pub async fn respond(&mut self, id: &Id, outcome: Result<ConfigureResult, RpcError>) -> Result<(), IpcClosed> {
        self.0.send(message::response(Some(id), outcome.as_ref())).await.map_err(|_| IpcClosed)
    }
}

impl SupervisorReceiver {
    /// The arguments that the circle starts with; none, where the other end is gone or wants its end. Cancel safe.
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

    /// The next that is wanted; what this version does not know is passed over. Cancel safe.
    pub async fn next(&mut self) -> ToCircle {
        while let Some(Ok(line)) = self.0.next().await {
            let Ok(IncomingMessage::Single(Ok(call))) = message::parse(&line, 1) else { continue };
            match (&*call.method, call.id) {
                (Drain::NAME, _) => return ToCircle::Drain,
                (Configure::NAME, Some(id)) => {
                    if let Ok(configuration) = Configuration::from_raw(call.params) {
                        return ToCircle::Configure(id, configuration);
                    }
                }
                _ => {}
            }
        }
        ToCircle::Drain
    }
}

/// What a circle says.
#[derive(Debug)]
pub(crate) enum FromCircle {
    Ready(Ready),
    Heartbeat(Heartbeat),
    /// The answer to [`Link::configure`] of that number.
    ConfigureResponse(u64, Result<(), RpcError>),
}

/// A supervisor's end.
#[derive(Debug)]
pub(crate) struct CircleChannel {
    lines: Framed<UnixStream, LinesCodec>,
    last_id: u64,
}

impl CircleChannel {
    pub(crate) fn new(socket: UnixStream) -> Self {
        Self { lines: Framed::new(socket, LinesCodec::new_with_max_length(MAX_MESSAGE)), last_id: 0 }
    }

    /// What it says next, until its end is closed. Cancel safe.
    pub(crate) async fn next(&mut self) -> Option<FromCircle> {
        while let Some(Ok(line)) = self.lines.next().await {
            if let Some(said) = parse_message(&line) {
                return Some(said);
            }
        }
        None
    }

    /// Tells it what it is. It waits for a circle that does not read.
    pub(crate) async fn start(&mut self, arguments: Vec<String>) -> Result<(), IpcClosed> {
        let received = message::notification(<Configuration as Notification>::NAME, &Configuration { arguments });
        self.lines.send(received).await.map_err(|_| IpcClosed)
    }

    /// Asks it to be that from now on; what is returned is the number of the answer. It waits for a circle that does not read.
    pub(crate) async fn configure(&mut self, arguments: Vec<String>) -> Result<u64, IpcClosed> {
        self.last_id += 1;
        let request = message::call(Some(&Id::number(self.last_id)), Configure::NAME, &Configuration { arguments });
        self.lines.send(request).await.map_err(|_| IpcClosed)?;
        Ok(self.last_id)
    }

    /// Tells it to end. It waits for a circle that does not read.
    pub(crate) async fn drain(&mut self) -> Result<(), IpcClosed> {
        self.lines.send(message::notification(Drain::NAME, &Drain {})).await.map_err(|_| IpcClosed)
    }
}

/// `None` where it says what this version does not know.
fn parse_message(line: &str) -> Option<FromCircle> {
    fn read<T: DeserializeOwned>(params: &str) -> Option<T> {
        serde_json::from_str(params).ok()
    }
    match message::parse_server_message(line)? {
        ServerMessage::Notification { method, params } => match &*method {
            Ready::NAME => read(params.get()).map(FromCircle::Ready),
            Heartbeat::NAME => read(params.get()).map(FromCircle::Heartbeat),
            _ => None,
        },
        ServerMessage::Response { id, result } => {
            Some(FromCircle::ConfigureResponse(id.as_number()?, result.map(|_| ())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel_pair() -> (CircleChannel, SupervisorSender, SupervisorReceiver) {
        let (one, other) = UnixStream::pair().expect("a pair");
        let (to, from) = supervisor_channel(other);
        (CircleChannel::new(one), to, from)
    }

    #[tokio::test]
    async fn each_end_receives_what_the_other_sends() {
        let (mut channel, mut to, mut from) = channel_pair();
        let address = "127.0.0.1:9001".parse().expect("an address");
        let ready = Ready { address, identity: Some("02ab".into()) };
        to.notify(&ready).await.expect("it is there");
        assert!(matches!(channel.next().await, Some(FromCircle::Ready(received)) if received == ready));
        let sandbox = vec!["process".to_owned()];
        let figures = Heartbeat { connections: 12, workers: 3, plays: 4, memory_bytes: 1 << 40, sandbox };
        to.notify(&figures).await.expect("it is there");
        assert!(matches!(channel.next().await, Some(FromCircle::Heartbeat(received)) if received == figures));

        let arguments = vec!["serve".to_owned(), "--name=\u{e4}\n".to_owned()];
        channel.start(arguments.clone()).await.expect("it is there");
        assert_eq!(from.receive_arguments().await.as_ref(), Some(&arguments));
        let request = channel.configure(arguments.clone()).await.expect("it is there");
        let ToCircle::Configure(id, configuration) = from.next().await else { panic!("it is asked") };
        assert_eq!(configuration.arguments, arguments);
        to.respond(&id, Err(RpcError::Internal)).await.expect("it is there");
        assert!(
            matches!(channel.next().await, Some(FromCircle::ConfigureResponse(number, Err(_))) if number == request)
        );

        channel.drain().await.expect("it is there");
        assert_eq!(from.next().await, ToCircle::Drain);
    }

    #[tokio::test]
    async fn each_end_notices_close_and_ignores_unknown_messages() {
        let (mut channel, mut to, mut from) = channel_pair();
        for line in ["", "12", "{", r#"{"jsonrpc":"2.0","method":"later","params":{}}"#] {
            channel.lines.send(line).await.expect("it is there");
            to.0.send(line).await.expect("it is there");
        }
        drop(to);
        assert!(channel.next().await.is_none());
        drop(channel);
        assert_eq!(from.next().await, ToCircle::Drain);
    }
}
