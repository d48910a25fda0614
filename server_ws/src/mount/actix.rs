//! A circle at a path of an actix-web application.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use actix_web::{
    HttpRequest, HttpResponse,
    error::PayloadError,
    http::{Method, Version, header::SEC_WEBSOCKET_ACCEPT},
    web::Payload,
};
use bytes::{Buf, Bytes};
use futures_util::{Stream, stream};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::mpsc,
};
use tokio_util::sync::PollSender;

use crate::{
    running::RunningCircle,
    transport::{
        http::{rejected, to_http_headers},
        mounted::{AcceptedConnection, check_handshake},
        rejection::Rejection,
    },
};

/// The maximum number of chunks that wait for the socket.
const MAX_QUEUED_CHUNKS: usize = 2;

/// The maximum size of a chunk in bytes.
const MAX_CHUNK: usize = 16 << 10;

/// Connects a client to a circle, in a handler of an actix-web application.
///
/// # Examples
///
/// ```no_run
/// use actix_web::{HttpRequest, HttpResponse, web};
///
/// async fn circle(
///     request: HttpRequest,
///     payload: web::Payload,
///     circle: web::Data<server_ws::RunningCircle>,
/// ) -> HttpResponse {
///     server_ws::mount::actix::connect(&circle, &request, payload).await
/// }
/// ```
pub async fn connect(circle: &RunningCircle, request: &HttpRequest, payload: Payload) -> HttpResponse {
    accept(circle, request).await.map_or_else(
        |rejection| rejected(&rejection),
        |(accept, accepted)| {
            let (sender, receiver) = mpsc::channel(MAX_QUEUED_CHUNKS);
            let stream = PayloadStream { payload, read: Bytes::new(), sender: PollSender::new(sender) };
            actix_web::rt::spawn(accepted.serve_here(stream));
            let body = stream::unfold(receiver, |mut receiver| async move {
                receiver.recv().await.map(|chunk| (Ok::<_, io::Error>(chunk), receiver))
            });
            HttpResponse::SwitchingProtocols()
                .upgrade("websocket")
                .insert_header((SEC_WEBSOCKET_ACCEPT, accept))
                .streaming(body)
        },
    )
}

async fn accept(circle: &RunningCircle, request: &HttpRequest) -> Result<(String, AcceptedConnection), Rejection> {
    let headers = to_http_headers(request.headers());
    let is_get = request.method() == Method::GET && request.version() >= Version::HTTP_11;
    let accept = check_handshake(circle.circle(), is_get, &headers)?;
    let Some(peer) = request.peer_addr() else {
        tracing::error!("a circle needs the addresses of its clients, and this server has none");
        return Err(Rejection::internal());
    };
    Ok((accept, circle.accept(peer.ip(), &headers).await?))
}

/// The two directions of an upgraded request: its payload, and the body of its response.
struct PayloadStream {
    payload: Payload,
    /// The rest of the last chunk of the payload.
    read: Bytes,
    sender: PollSender<Bytes>,
}

impl AsyncRead for PayloadStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.read.is_empty() {
            match ready!(Pin::new(&mut this.payload).poll_next(cx)) {
                Some(Ok(chunk)) => this.read = chunk,
                // actix ends the payload of an upgraded request with this error when the client is gone.
                Some(Err(PayloadError::Incomplete(_))) | None => return Poll::Ready(Ok(())),
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error.to_string()))),
            }
        }
        let length = this.read.len().min(buffer.remaining());
        buffer.put_slice(&this.read[..length]);
        this.read.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for PayloadStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let closed = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        ready!(this.sender.poll_reserve(cx)).map_err(closed)?;
        let length = bytes.len().min(MAX_CHUNK);
        this.sender.send_item(Bytes::copy_from_slice(&bytes[..length])).map_err(closed)?;
        Poll::Ready(Ok(length))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().sender.close();
        Poll::Ready(Ok(()))
    }
}
