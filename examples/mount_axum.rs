//! A circle at a path of an axum server, beside a page of its own.
//!
//! `cargo run --release -p circles-examples --bin mount_axum -- 8080`, then `circles repl --circle ws://127.0.0.1:8080/circle`

use std::net::SocketAddr;

use axum::{Router, routing::get};
use server_ws::{Circle, mount};

#[global_allocator]
static ALLOCATOR: worker::Allocator = worker::Allocator;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    worker::run_if_worker();
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let port: u16 = std::env::args().nth(1).ok_or("usage: mount_axum PORT")?.parse()?;
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
        let address = listener.local_addr()?;
        // The authorities by which clients reach the server.
        let hosts = [address.to_string().parse()?];
        let circle = server_ws::start(Circle::builder("mounted").hosts(hosts).build()?).await?;
        let router = Router::new()
            .route("/", get(|| async { "a page of the server\n" }))
            .route("/circle", mount::axum::route(circle));
        println!("listening on http://{address}");
        Ok(axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>()).await?)
    })
}
