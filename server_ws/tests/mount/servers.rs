//! Circles at paths of other web servers.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{
    client_async,
    tungstenite::{self, client::IntoClientRequest, http::HeaderValue},
};

use super::*;

type Connected = Result<WebSocketStream<TcpStream>, tungstenite::Error>;

/// Connects to a path with this `Host`.
async fn connect(address: SocketAddr, path: &str, host: &str, origin: Option<&str>) -> Connected {
    let mut request = format!("ws://{address}{path}").into_client_request().expect("a request");
    request.headers_mut().insert("host", HeaderValue::from_str(host).expect("a host"));
    if let Some(origin) = origin {
        request.headers_mut().insert("origin", HeaderValue::from_str(origin).expect("an origin"));
    }
    let stream = TcpStream::connect(address).await.expect("it listens");
    client_async(request, stream).await.map(|(socket, _)| socket)
}

/// Checks a server with the circles `one` and `two` at paths of these names, and a page of its own at `/page`.
async fn check_server(address: SocketAddr, circles: [&RunningCircle; 2]) {
    for name in ["one", "two"] {
        let mut socket = connect(address, &format!("/{name}"), HOST, None).await.expect("connected");
        assert_eq!(play(&mut socket, "CIRCLE_NAME").await["result"]["value"], name);
        // More than the buffers on the way take at once.
        let printed = play(&mut socket, "let text = \"\"; text.pad(300000, 'x'); text").await;
        assert_eq!(printed["result"]["value"].as_str().map(str::len), Some(300_000));
        let long = format!("let text = \"{}\"; text.len", "y".repeat(100_000));
        assert_eq!(play(&mut socket, &long).await["result"]["value"], 100_000);
    }
    let own = format!("http://{HOST}");
    assert!(connect(address, "/one", HOST, Some(&own)).await.is_ok());
    for (host, origin, status) in [("other.example", None, 421), (HOST, Some("https://evil.example"), 403)] {
        match connect(address, "/one", host, origin).await {
            Err(tungstenite::Error::Http(refused)) => assert_eq!(refused.status(), status),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(request(address, "/page").await, (200, "a page".to_owned()));
    let (status, body) = request(address, "/one").await;
    assert!(status == 426 && body.contains("this is the circle 'one'"), "{status} {body}");

    let mut socket = connect(address, "/one", HOST, None).await.expect("connected");
    assert_eq!(play(&mut socket, "1").await["result"]["value"], 1);
    let ((), closed) = tokio::join!(circles[0].drain(), closed(&mut socket));
    assert_eq!(closed.0, 1001);
    match connect(address, "/one", HOST, None).await {
        Err(tungstenite::Error::Http(refused)) => assert_eq!(refused.status(), 503),
        other => panic!("{other:?}"),
    }
    // A client that leaves frees its place.
    drop(connect(address, "/two", HOST, None).await.expect("connected"));
    circles[1].drain().await;
    assert_eq!(circles[1].circle().observer().snapshot().connections, 0);
}

/// Makes a request without an upgrade. Returns the status and the body.
async fn request(address: SocketAddr, path: &str) -> (u16, String) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let request = format!("GET {path} HTTP/1.1\r\nhost: {HOST}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut response = String::new();
    stream.read_to_string(&mut response).await.expect("UTF-8");
    let (head, body) = response.split_once("\r\n\r\n").expect("a head");
    (head[9..12].parse().expect("a status"), body.to_owned())
}

#[cfg(feature = "axum")]
#[tokio::test]
async fn circles_are_mounted_in_axum() {
    use axum::{Router, routing::get};
    use server_ws::mount::axum::route;

    let (one, two) = (start(builder("one")).await, start(builder("two")).await);
    let router = Router::new()
        .route("/one", route(one.clone()))
        .route("/two", route(two.clone()))
        .route("/page", get(|| async { "a page" }));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    check_server(address, [&one, &two]).await;
}

#[cfg(feature = "axum")]
#[tokio::test]
async fn axum_without_addresses_is_refused() {
    let circle = start(builder("one")).await;
    let router = axum::Router::new().route("/one", server_ws::mount::axum::route(circle));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move { axum::serve(listener, router).await });
    match connect(address, "/one", HOST, None).await {
        Err(tungstenite::Error::Http(refused)) => assert_eq!(refused.status(), 500),
        other => panic!("{other:?}"),
    }
}

#[actix_web::test]
async fn circles_are_mounted_in_actix_web() {
    use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
    use server_ws::mount::actix::connect;

    async fn one(request: HttpRequest, payload: web::Payload, circles: web::Data<[RunningCircle; 2]>) -> HttpResponse {
        connect(&circles[0], &request, payload).await
    }
    async fn two(request: HttpRequest, payload: web::Payload, circles: web::Data<[RunningCircle; 2]>) -> HttpResponse {
        connect(&circles[1], &request, payload).await
    }
    let circles = [start(builder("one")).await, start(builder("two")).await];
    let shared = web::Data::new(circles.clone());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let server = HttpServer::new(move || {
        App::new()
            .app_data(shared.clone())
            .route("/one", web::get().to(one))
            .route("/two", web::get().to(two))
            .route("/page", web::get().to(|| async { "a page" }))
    });
    let server = server.workers(1).disable_signals().listen(listener).expect("it listens").run();
    let handle = server.handle();
    actix_web::rt::spawn(server);
    check_server(address, [&circles[0], &circles[1]]).await;
    handle.stop(false).await;
}
