//! A WebSocket echo on the stack that serves circles: the cost of a round trip without a play.

use std::{future::Future, io::Read, net::TcpListener};

use actix::{Actor, StreamHandler};
use actix_web::{App, HttpRequest, HttpServer, Responder, web};
use actix_web_actors::ws;

use crate::BoxError;

/// The argument that runs this program as an echo.
pub(crate) const FLAG: &str = "--echo";

struct Echo;

impl Actor for Echo {
    type Context = ws::WebsocketContext<Self>;
}

impl StreamHandler<Result<ws::Message, ws::ProtocolError>> for Echo {
    fn handle(&mut self, message: Result<ws::Message, ws::ProtocolError>, context: &mut Self::Context) {
        if let Ok(ws::Message::Text(text)) = message {
            context.text(text);
        }
    }
}

async fn echo(request: HttpRequest, payload: web::Payload) -> impl Responder {
    ws::start(Echo, &request, payload)
}

/// Returns the server, which runs while it is polled.
pub(crate) fn serve_on(listener: TcpListener) -> std::io::Result<impl Future<Output = std::io::Result<()>>> {
    let server = HttpServer::new(|| App::new().route("/", web::get().to(echo)));
    Ok(server.workers(2).tcp_nodelay(true).disable_signals().listen(listener)?.run())
}

/// Prints the address of an echo and serves it until standard input ends.
pub(crate) async fn serve() -> Result<(), BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    let input_ended = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    tokio::select! {
        ended = serve_on(listener)? => ended?,
        ended = input_ended => drop(ended??),
    }
    Ok(())
}
