//! The upgrade of a socket from HTTP to a WebSocket. actix hands over the socket of such a request; after the response,
//! nothing of HTTP is left of the connection.

use std::{future::poll_fn, io, net::IpAddr, pin::pin, sync::Arc};

use actix_codec::Framed;
use actix_http::{
    Request, Response,
    h1::{Codec, Message},
};
use actix_web::{
    Error, HttpMessage,
    body::{BoxBody, MessageBody},
    dev::ServiceResponse,
};
use bytes::BytesMut;
use keys::Authority;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::codec::Encoder;

use super::{connection, request_socket::RequestSocket};
use crate::circle::Circle;

/// The mark of a request whose socket can be upgraded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Upgradable;

/// The mark of a response that accepts an upgrade. The slot of the socket counts it as a WebSocket already.
#[derive(Debug)]
pub(super) struct AcceptedUpgrade {
    pub(super) address: IpAddr,
    pub(super) authority: Authority,
}

/// Marks the request of a socket that actix has handed over.
pub(super) fn mark(request: &Request) {
    request.extensions_mut().insert(Upgradable);
}

/// Sends the response to a marked request. If the response accepts the upgrade, the connection begins, in a task of its
/// own, so that the state of the HTTP request is freed.
pub(super) async fn finish(
    circle: Arc<Circle>,
    response: impl Future<Output = Result<ServiceResponse<impl MessageBody + 'static>, Error>>,
    framed: Framed<RequestSocket, Codec>,
) -> Result<(), Error> {
    let mut response = match response.await {
        Ok(response) => Response::from(response.map_into_boxed_body()),
        Err(error) => Response::from(error),
    };
    let accepted = response.extensions_mut().remove::<AcceptedUpgrade>();
    // The socket reads no byte after the head, so the buffers of actix are empty.
    let parts = framed.into_parts();
    let sent = match accepted {
        Some(accepted) => accept(&circle, accepted, response, parts.io, parts.codec).await,
        None => refuse(response, parts.io, parts.codec).await,
    };
    if let Err(error) = sent {
        // actix would log it as an error of the server, and the client would decide how often.
        tracing::debug!(%error, "connection ended during the handshake");
    }
    Ok(())
}

async fn accept(
    circle: &Arc<Circle>,
    AcceptedUpgrade { address, authority }: AcceptedUpgrade,
    response: Response<BoxBody>,
    mut socket: RequestSocket,
    codec: Codec,
) -> io::Result<()> {
    send(response, &mut socket, codec).await?;
    connection::start(circle, address, authority, socket.into_stream());
    Ok(())
}

async fn refuse(response: Response<BoxBody>, mut socket: RequestSocket, codec: Codec) -> io::Result<()> {
    send(response, &mut socket, codec).await?;
    // Discards what the client has sent after the head.
    let _end = socket.read(&mut [0]).await?;
    socket.shutdown().await
}

/// Sends a response. `SendResponse` of actix would wait without end if the socket was full when it had the whole body.
async fn send(response: Response<BoxBody>, socket: &mut RequestSocket, mut codec: Codec) -> io::Result<()> {
    let (head, body) = response.into_parts();
    let mut bytes = BytesMut::new();
    codec.encode(Message::Item((head, body.size())), &mut bytes)?;
    let mut body = pin!(body);
    loop {
        let chunk = poll_fn(|cx| body.as_mut().poll_next(cx)).await.transpose();
        let chunk = chunk.map_err(|error| io::Error::other(error.to_string()))?;
        let is_end = chunk.is_none();
        codec.encode(Message::Chunk(chunk), &mut bytes)?;
        socket.write_all_buf(&mut bytes).await?;
        if is_end {
            return socket.flush().await;
        }
    }
}
