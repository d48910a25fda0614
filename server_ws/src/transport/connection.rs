//! The `CircleWs` actor of a connection. It holds no timers and no plays, because it does not run while its client does
//! not read: an HTTP/1 connection polls its response body only while there is room to write.

use std::{net::IpAddr, sync::Arc};

use actix::{Actor, ActorContext, AsyncContext, StreamHandler};
use actix_web::{Error, HttpRequest, HttpResponse, body::MessageBody, web::Payload};
use actix_web_actors::ws::{CloseCode, CloseReason, Message, ProtocolError, WebsocketContext, WsResponseBuilder};
use futures_util::stream;
use keys::Authority;
use tokio::sync::mpsc;

use super::{
    chunks::Chunks,
    frames::{ControlFrame, Frames},
};
use crate::{
    circle::Circle,
    quota::Slot,
    rpc,
    session::{
        Session,
        outbound::{self, OutboundFrame, QueuedFrame},
        span::SpannedSession,
    },
};

/// The maximum number of messages that wait for a busy session.
const MAX_QUEUED_MESSAGES: usize = 4;

/// Upgrades a request and starts the session of the connection.
pub(crate) fn start(
    circle: &Arc<Circle>,
    slot: Arc<Slot>,
    address: IpAddr,
    authority: Authority,
    request: &HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Error> {
    let (to_session, inbound) = mpsc::channel(MAX_QUEUED_MESSAGES);
    let (outbound, from_session) = outbound::channel(slot.clone());
    let limits = circle.settings().limits.clone();
    let max_message = usize::try_from(limits.values.message_kib.saturating_mul(1024)).unwrap_or(usize::MAX);
    let actor = CircleWs {
        frames: Some(Frames::new(payload, to_session, max_message, slot.clone())),
        from_session: Some(from_session),
        is_closing: false,
    };
    // `Frames` reads the payload, because the stream of the builder would read ahead without a bound.
    let response = WsResponseBuilder::new(actor, request, stream::pending()).start()?;
    let response = response.map_body(|_, body| Chunks::new(body).boxed());
    let number = circle.next_session_number();
    let session = Session::new(circle.clone(), limits, number, authority, address, slot.clone(), outbound);
    // In a box, because the future of an async method has room for several copies of what it takes.
    tokio::spawn(SpannedSession::new(Box::new(session).serve(inbound, rpc::receive), slot, number));
    Ok(response)
}

struct CircleWs {
    frames: Option<Frames>,
    from_session: Option<mpsc::Receiver<QueuedFrame>>,
    /// Whether a close frame has been sent; nothing may follow it.
    is_closing: bool,
}

impl Actor for CircleWs {
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

impl CircleWs {
    fn close(&mut self, reason: Option<CloseReason>, context: &mut WebsocketContext<Self>) {
        if !self.is_closing {
            self.is_closing = true;
            context.close(reason);
        }
    }
}

/// The frames from the session. The end of this stream ends the connection.
impl StreamHandler<QueuedFrame> for CircleWs {
    fn handle(&mut self, queued: QueuedFrame, context: &mut Self::Context) {
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
impl StreamHandler<ControlFrame> for CircleWs {
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

/// The builder requires this stream, which never yields.
impl StreamHandler<Result<Message, ProtocolError>> for CircleWs {
    fn handle(&mut self, _: Result<Message, ProtocolError>, _: &mut Self::Context) {}
}
