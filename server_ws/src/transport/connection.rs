//! The connection of a WebSocket: its `CircleWs` actor, and the task that runs the actor and writes its frames. The actor
//! holds no timers and no plays, because it does not run while its client does not read.

use std::{net::IpAddr, pin::pin, sync::Arc, time::Duration};

use actix::{Actor, ActorContext, AsyncContext, StreamHandler};
use actix_web::Error;
use actix_web_actors::ws::{CloseCode, CloseReason, Message, ProtocolError, WebsocketContext};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use keys::Authority;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    sync::mpsc,
    task::JoinHandle,
    time::timeout,
};

use super::{
    counted_stream::CountedStream,
    frames::{ControlFrame, Frames},
    unsent::UnsentBytes,
};
use crate::{
    circle::Circle,
    rpc,
    session::{
        Session, inbound,
        outbound::{self, OutboundFrame, QueuedFrame},
        span::SpannedSession,
    },
};

/// The timeout of a connection whose client does not read. The kernel enforces it for sockets of the circle's own;
/// other streams may have no such timeout.
pub(super) const STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Starts the connection of a client at `address` that dialled `authority`, and its session. The stream is a WebSocket
/// whose handshake is done.
pub(super) fn start<S>(
    circle: &Arc<Circle>,
    address: IpAddr,
    authority: Authority,
    stream: CountedStream<S>,
) -> ConnectionTasks
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let slot = stream.slot().clone();
    let (reader, writer) = tokio::io::split(stream);
    let (to_session, messages) = inbound::channel();
    let (outbound, from_session) = outbound::channel(slot.clone());
    let limits = circle.settings().limits.clone();
    let max_message = limits.max_message();
    let actor = CircleWs {
        frames: Some(Frames::new(reader, to_session, max_message, slot.clone())),
        from_session: Some(from_session),
        is_closing: false,
    };
    // `Frames` reads the socket, because the context would read ahead without a bound.
    let socket = actix_web::rt::spawn(run(WebsocketContext::create(actor, stream::pending()), writer));
    let number = circle.next_session_number();
    let session = Session::new(circle.clone(), limits, number, authority, address, slot.clone(), outbound);
    // In a box, because the future of an async method has room for several copies of what it takes.
    let session = tokio::spawn(SpannedSession::new(Box::new(session).serve(messages, rpc::receive), slot, number));
    ConnectionTasks { socket, session }
}

/// The tasks of a connection, which run on if this is dropped.
pub(super) struct ConnectionTasks {
    socket: JoinHandle<()>,
    session: JoinHandle<()>,
}

impl ConnectionTasks {
    /// Waits until both tasks have ended.
    pub(super) async fn ended(self) {
        for task in [self.socket, self.session] {
            if let Err(error) = task.await {
                tracing::error!(%error, "a connection has failed");
            }
        }
    }
}

/// Runs the actor and writes its frames, until one of them ends. The actor runs only when the socket has accepted the
/// frames before.
async fn run(frames: impl Stream<Item = Result<Bytes, Error>>, mut socket: impl AsyncWrite + Unpin) {
    let mut frames = pin!(frames);
    while let Some(Ok(bytes)) = frames.next().await {
        let mut unsent = UnsentBytes::new(bytes);
        while !unsent.is_empty() {
            match timeout(STALL_TIMEOUT, socket.write(unsent.as_slice())).await {
                Ok(Ok(written)) if written > 0 => unsent.advance(written),
                // The client is gone or does not read, or its slot is closed.
                _ => return,
            }
        }
        // TLS accepts bytes before the socket does.
        if !matches!(timeout(STALL_TIMEOUT, socket.flush()).await, Ok(Ok(()))) {
            return;
        }
    }
    if let Err(error) = socket.shutdown().await {
        tracing::debug!(%error, "cannot shut down the socket of a connection");
    }
}

struct CircleWs<R> {
    frames: Option<Frames<R>>,
    from_session: Option<mpsc::Receiver<Box<QueuedFrame>>>,
    /// Whether a close frame has been sent; nothing may follow it.
    is_closing: bool,
}

impl<R: AsyncRead + Unpin + 'static> Actor for CircleWs<R> {
    type Context = WebsocketContext<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        if let Some(frames) = self.frames.take() {
            context.add_stream(frames);
        }
        if let Some(mut from_session) = self.from_session.take() {
            context.add_stream(stream::poll_fn(move |cx| from_session.poll_recv(cx)));
        }
    }
}

impl<R: AsyncRead + Unpin + 'static> CircleWs<R> {
    fn close(&mut self, reason: Option<CloseReason>, context: &mut WebsocketContext<Self>) {
        if !self.is_closing {
            self.is_closing = true;
            context.close(reason);
        }
    }
}

/// The frames from the session. The end of this stream ends the connection.
impl<R: AsyncRead + Unpin + 'static> StreamHandler<Box<QueuedFrame>> for CircleWs<R> {
    fn handle(&mut self, queued: Box<QueuedFrame>, context: &mut Self::Context) {
        match queued.frame {
            OutboundFrame::Texts(_) | OutboundFrame::Ping if self.is_closing => {}
            OutboundFrame::Texts(texts) => texts.into_iter().for_each(|text| context.text(text)),
            OutboundFrame::Ping => context.ping(b""),
            OutboundFrame::Close(code, reason) => {
                let reason = CloseReason { code: CloseCode::from(code), description: Some(reason.into()) };
                self.close(Some(reason), context);
            }
        }
    }
}

/// The control frames from the client. The end of this stream ends the connection.
impl<R: AsyncRead + Unpin + 'static> StreamHandler<ControlFrame> for CircleWs<R> {
    fn handle(&mut self, control: ControlFrame, context: &mut Self::Context) {
        match control {
            ControlFrame::Ping(payload) if !self.is_closing => context.pong(&payload),
            ControlFrame::Ping(_) => {}
            ControlFrame::Close(reason) => {
                self.close(reason, context);
                context.stop();
            }
        }
    }
}

/// The context requires this stream, which never yields.
impl<R: AsyncRead + Unpin + 'static> StreamHandler<Result<Message, ProtocolError>> for CircleWs<R> {
    fn handle(&mut self, _: Result<Message, ProtocolError>, _: &mut Self::Context) {}
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures_util::poll;
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn frame_is_taken_once_the_socket_has_accepted_the_one_before() {
        let (mut client, socket) = tokio::io::duplex(1 << 10);
        let taken = Cell::new(0);
        let frames = stream::repeat_with(|| {
            taken.set(taken.get() + 1);
            Ok(Bytes::from_static(&[0; 4 << 10]))
        });
        let mut run = pin!(run(frames.take(3), socket));
        assert!(poll!(run.as_mut()).is_pending());
        client.read_exact(&mut [0; 1 << 10]).await.expect("a part of the first frame");
        assert!(poll!(run.as_mut()).is_pending());
        assert_eq!(taken.get(), 1);
        let mut rest = Vec::new();
        let (read, ()) = tokio::join!(client.read_to_end(&mut rest), run);
        assert_eq!((read.expect("an orderly end"), taken.get()), (11 << 10, 3));
    }

    /// The paused time advances as soon as every task waits.
    #[tokio::test(start_paused = true)]
    async fn frames_end_if_the_client_does_not_read() {
        let (_client, socket) = tokio::io::duplex(1 << 10);
        let begun = tokio::time::Instant::now();
        run(stream::repeat_with(|| Ok(Bytes::from_static(b"x"))), socket).await;
        assert_eq!(begun.elapsed(), STALL_TIMEOUT);
    }

    #[tokio::test]
    async fn frames_end_with_the_socket() {
        let (client, socket) = tokio::io::duplex(1 << 10);
        drop(client);
        run(stream::repeat_with(|| Ok(Bytes::from_static(b"x"))), socket).await;
    }
}
