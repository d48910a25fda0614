//! A circle at a path of an actix-web server, beside a page of its own.
//!
//! `cargo run --release -p circles-examples --bin mount_actix -- 8080`, then `circles repl --circle ws://127.0.0.1:8080/circle`

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    web::{Data, Payload, get},
};
use server_ws::{Circle, RunningCircle, mount};

#[global_allocator]
static ALLOCATOR: worker::Allocator = worker::Allocator;

async fn circle(request: HttpRequest, payload: Payload, circle: Data<RunningCircle>) -> HttpResponse {
    mount::actix::connect(&circle, &request, payload).await
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    worker::run_if_worker();
    actix_web::rt::System::new().block_on(async {
        let port: u16 = std::env::args().nth(1).ok_or("usage: mount_actix PORT")?.parse()?;
        let listener = std::net::TcpListener::bind(("127.0.0.1", port))?;
        // The authorities by which clients reach the server.
        let hosts = [listener.local_addr()?.to_string().parse()?];
        println!("listening on http://{}", listener.local_addr()?);
        let mounted = Data::new(server_ws::start(Circle::builder("mounted").hosts(hosts).build()?).await?);
        let app = move || {
            App::new()
                .app_data(mounted.clone())
                .route("/", get().to(|| async { "a page of the server\n" }))
                .route("/circle", get().to(circle))
        };
        Ok(HttpServer::new(app).listen(listener)?.run().await?)
    })
}
