//! The HTTP server of a circle. A socket gets its slot when it is accepted.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use actix_codec::Framed;
use actix_http::{HttpService, KeepAlive, Protocol, Request, error::DispatchError, h1::Codec};
use actix_service::{Service, ServiceFactory, ServiceFactoryExt, apply_fn_factory, fn_service};
use actix_web::dev::Server;

use super::{accept::accept, chunks::CHUNK, http, request_socket::RequestSocket, upgrade};
use crate::{circle::Circle, running};

/// In effect no limit: the circle bounds its sockets itself, while actix would stop accepting and keep members waiting.
const MAX_SOCKETS: usize = 1 << 30;

/// Starts to serve the circle on these sockets. The server's handle stops it.
pub(crate) fn start(circle: &Arc<Circle>, listeners: Vec<TcpListener>) -> io::Result<Server> {
    let circle = circle.clone();
    let service = move || {
        let accepting = circle.clone();
        fn_service(move |stream| accept(accepting.clone(), stream)).and_then(http_service(circle.clone()))
    };
    let threads = running::thread_count();
    let mut server = Server::build().workers(threads).max_concurrent_connections(MAX_SOCKETS).disable_signals();
    for listener in listeners {
        server = server.listen("circle", listener, service.clone())?;
    }
    Ok(server.run())
}

/// Makes the service of accepted sockets.
pub(super) fn http_service(
    circle: Arc<Circle>,
) -> impl ServiceFactory<
    (RequestSocket, Protocol, Option<SocketAddr>),
    Config = (),
    Response = (),
    Error = DispatchError,
    InitError = (),
    Service: 'static,
    Future: 'static,
> {
    let upgraded = circle.clone();
    let upgrades = apply_fn_factory(
        http::service(circle.clone()),
        move |(request, framed): (Request, Framed<RequestSocket, Codec>), http| {
            upgrade::mark(&request);
            upgrade::finish(upgraded.clone(), http.call(request), framed)
        },
    );
    HttpService::build()
        .client_request_timeout(http::HANDSHAKE_TIMEOUT)
        // A socket serves one request.
        .keep_alive(KeepAlive::Disabled)
        // A session closes the connection and waits for the client itself.
        .client_disconnect_timeout(Duration::ZERO)
        .h1_write_buffer_size(CHUNK)
        .on_connect_ext(http::on_connect)
        .upgrade(upgrades)
        .finish(http::service(circle))
}
