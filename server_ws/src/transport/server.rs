//! The HTTP server of a circle. A socket gets its slot when it is accepted.

use std::{io, net::TcpListener, sync::Arc, time::Duration};

use actix_codec::Framed;
use actix_http::{HttpService, KeepAlive, Request, h1::Codec};
use actix_service::{Service, ServiceFactoryExt, apply_fn_factory, fn_service};
use actix_web::dev::Server;

use super::{accept::accept, chunks::CHUNK, http, request_socket::RequestSocket, upgrade};
use crate::circle::Circle;

/// The maximum number of threads that serve connections.
const MAX_THREADS: usize = 4;

/// In effect no limit: the circle bounds its sockets itself, while actix would stop accepting and keep members waiting.
const MAX_SOCKETS: usize = 1 << 30;

/// Starts to serve the circle on these sockets. The server's handle stops it.
pub(crate) fn start(circle: &Arc<Circle>, listeners: Vec<TcpListener>) -> io::Result<Server> {
    let circle = circle.clone();
    let service = move || {
        let upgraded = circle.clone();
        let upgrades = apply_fn_factory(
            http::service(circle.clone()),
            move |(request, framed): (Request, Framed<RequestSocket, Codec>), http| {
                upgrade::mark(&request);
                upgrade::finish(upgraded.clone(), http.call(request), framed)
            },
        );
        let http = HttpService::build()
            .client_request_timeout(http::HANDSHAKE_TIMEOUT)
            // A socket serves one request.
            .keep_alive(KeepAlive::Disabled)
            // A session closes the connection and waits for the client itself.
            .client_disconnect_timeout(Duration::ZERO)
            .h1_write_buffer_size(CHUNK)
            .on_connect_ext(http::on_connect)
            .upgrade(upgrades)
            .finish(http::service(circle.clone()));
        let circle = circle.clone();
        fn_service(move |stream| accept(circle.clone(), stream)).and_then(http)
    };
    let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get().min(MAX_THREADS));
    let mut server = Server::build().workers(threads).max_concurrent_connections(MAX_SOCKETS).disable_signals();
    for listener in listeners {
        server = server.listen("circle", listener, service.clone())?;
    }
    Ok(server.run())
}
