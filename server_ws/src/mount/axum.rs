//! A circle at a path of an axum router.

use std::net::SocketAddr;

use axum::{
    body::Body,
    extract::{ConnectInfo, Request},
    http::{
        HeaderValue, Method, StatusCode, Version,
        header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_VERSION, UPGRADE},
    },
    response::{IntoResponse, Response},
    routing::{MethodRouter, get},
};
use hyper_util::rt::TokioIo;

use crate::{
    running::RunningCircle,
    transport::{mounted::check_handshake, rejection::Rejection},
};

/// Returns the route of a circle.
///
/// Serve the router with `into_make_service_with_connect_info::<SocketAddr>()`: without the address of a client, the
/// circle refuses it with the status 500.
///
/// # Examples
///
/// ```no_run
/// # async fn example(circle: server_ws::RunningCircle) -> std::io::Result<()> {
/// use std::net::SocketAddr;
///
/// let router = axum::Router::new().route("/circle", server_ws::mount::axum::route(circle));
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
/// axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>()).await
/// # }
/// ```
pub fn route<S: Clone + Send + Sync + 'static>(circle: RunningCircle) -> MethodRouter<S> {
    get(
        move |request: Request| async move { connect(circle, request).await.unwrap_or_else(|rejection| refuse(&rejection)) },
    )
}

async fn connect(circle: RunningCircle, mut request: Request) -> Result<Response, Rejection> {
    let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>().copied() else {
        tracing::error!(
            "a circle needs the addresses of its clients: serve the router with \
             into_make_service_with_connect_info::<SocketAddr>()"
        );
        return Err(Rejection::internal());
    };
    let is_get = request.method() == Method::GET && request.version() >= Version::HTTP_11;
    let accept = check_handshake(circle.circle(), is_get, request.headers())?;
    let accept = HeaderValue::try_from(accept).map_err(|_| Rejection::internal())?;
    let accepted = circle.accept(peer.ip(), request.headers()).await?;
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        match upgrade.await {
            Ok(stream) => accepted.serve(TokioIo::new(stream)).await,
            // The client is gone, or the server cannot upgrade.
            Err(error) => tracing::debug!(%error, "connection ended during the upgrade"),
        }
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    Ok(response)
}

fn refuse(rejection: &Rejection) -> Response {
    let status = StatusCode::from_u16(rejection.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, format!("{}\n", rejection.reason())).into_response();
    if status == StatusCode::UPGRADE_REQUIRED {
        response.headers_mut().insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    }
    response
}
