//! Streams that the program has accepted: after an upgrade, and with HTTP.

use std::net::{IpAddr, Ipv4Addr};

use http::{HeaderMap, HeaderValue, header};
use server_ws::PlayCaller;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    net::UnixStream,
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, protocol::Role},
};

use super::*;

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn headers(of: &[(header::HeaderName, &str)]) -> HeaderMap {
    of.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).expect("a value"))).collect()
}

/// Serves one end of a stream whose upgrade is done, and returns the other one.
async fn serve(circle: &RunningCircle, peer: IpAddr, headers: HeaderMap) -> WebSocketStream<DuplexStream> {
    let (near, far) = tokio::io::duplex(1 << 16);
    let circle = circle.clone();
    tokio::spawn(async move { circle.serve(far, peer, &headers).await });
    WebSocketStream::from_raw_socket(near, Role::Client, None).await
}

#[tokio::test]
async fn upgraded_stream_is_served_until_it_ends() {
    let circle = start(builder("team")).await;
    let (near, far) = tokio::io::duplex(1 << 16);
    let serving = {
        let circle = circle.clone();
        tokio::spawn(async move { circle.serve(far, PEER, &headers(&[(header::HOST, HOST)])).await })
    };
    let mut socket = WebSocketStream::from_raw_socket(near, Role::Client, None).await;
    assert_eq!(play(&mut socket, "CIRCLE_NAME").await["result"]["value"], "team");
    assert_eq!(play(&mut socket, "let kept = 7;").await["result"]["type"], "()");
    assert_eq!(play(&mut socket, "kept").await["result"]["value"], 7);
    assert_eq!(circle.circle().observer().snapshot().connections, 1);
    drop(socket);
    serving.await.expect("it ends with its client");
    assert_eq!(circle.circle().observer().snapshot().connections, 0);
}

#[tokio::test]
async fn refused_stream_gets_the_reason() {
    let circle = start(builder("team")).await;
    let cases = [
        (headers(&[]), "does not answer to the host ''"),
        (headers(&[(header::HOST, "127.0.0.1:9001")]), "does not answer to the host '127.0.0.1:9001'"),
        (headers(&[(header::HOST, HOST), (header::ORIGIN, "https://evil.example")]), "the origin https://evil.example"),
    ];
    for (headers, why) in cases {
        let mut socket = serve(&circle, PEER, headers).await;
        let (code, reason) = closed(&mut socket).await;
        assert!(code == 1008 && reason.contains(why), "{code} {reason}");
    }
    // A page of the host itself.
    let own = headers(&[(header::HOST, HOST), (header::ORIGIN, "https://team.example")]);
    assert_eq!(play(&mut serve(&circle, PEER, own).await, "1").await["result"]["value"], 1);
}

#[tokio::test]
async fn peer_beyond_loopback_needs_explicit_choices() {
    let peer = IpAddr::from([192, 0, 2, 7]);
    let host = || headers(&[(header::HOST, HOST)]);
    let circle = start(builder("team")).await;
    let rejection = circle.accept(peer, &host()).await.expect_err("an open circle without a choice");
    assert_eq!(rejection.status(), 503);
    let circle = start(builder("team").allow_open(true).sandbox(server_ws::Sandbox::BestEffort)).await;
    assert!(circle.accept(peer, &host()).await.is_ok());
}

#[tokio::test]
async fn places_are_bounded_and_free_again_when_dropped() {
    let limits = server_ws::Limits { connections: 1, ..server_ws::Limits::default() };
    let circle = start(builder("team").limits(limits)).await;
    let host = headers(&[(header::HOST, HOST)]);
    let held = circle.accept(PEER, &host).await.expect("room");
    let rejection = circle.accept(PEER, &host).await.expect_err("no room");
    assert!(rejection.status() == 503 && rejection.reason().contains("its limit"), "{rejection:?}");
    drop(held);
    let held = circle.accept(PEER, &host).await.expect("room again");
    drop(held);
    // A dropped future closes its connection.
    let (near, far) = tokio::io::duplex(1 << 16);
    let mut socket = WebSocketStream::from_raw_socket(near, Role::Client, None).await;
    {
        let serving = circle.serve(far, PEER, &host);
        tokio::pin!(serving);
        tokio::select! {
            () = &mut serving => panic!("it has a client"),
            played = play(&mut socket, "6 * 7") => assert_eq!(played["result"]["value"], 42),
        }
    }
    assert!(!matches!(socket.next().await, Some(Ok(_))), "the connection has ended");
}

#[tokio::test]
async fn http_is_served_on_any_stream() {
    let circle = start(builder("team")).await;
    let (mut near, far) = UnixStream::pair().expect("sockets");
    circle.serve_http(far, PEER);
    let request = format!("GET / HTTP/1.1\r\nhost: {HOST}\r\naccept: text/html\r\nconnection: close\r\n\r\n");
    near.write_all(request.as_bytes()).await.expect("sent");
    let mut response = String::new();
    near.read_to_string(&mut response).await.expect("UTF-8");
    assert!(response.starts_with("HTTP/1.1 200 OK") && response.contains("<!doctype html>"), "{response}");

    let (near, far) = UnixStream::pair().expect("sockets");
    circle.serve_http(far, PEER);
    let (mut socket, _) = client_async(format!("ws://{HOST}/"), near).await.expect("upgraded");
    assert_eq!(play(&mut socket, "6 * 7").await["result"]["value"], 42);

    let (near, far) = UnixStream::pair().expect("sockets");
    circle.serve_http(far, PEER);
    let Err(Error::Http(refused)) = client_async("ws://other.example/", near).await else { panic!("refused") };
    assert_eq!(refused.status(), 421);
}

#[tokio::test]
async fn program_decides_on_connections() {
    let circle = start(builder("team").admit(|request| async move {
        match request.headers.get("cookie") {
            Some(cookie) if cookie == "session=good" && request.authority.as_str() == HOST => Ok(()),
            _ => Err(format!("{} has to log in first\r\nx: y", request.address)),
        }
    }))
    .await;
    let refused = circle.accept(PEER, &headers(&[(header::HOST, HOST)])).await.expect_err("no cookie");
    assert_eq!((refused.status(), refused.reason()), (403, "127.0.0.1 has to log in first  x: y"));
    let good = headers(&[(header::HOST, HOST), (header::COOKIE, "session=good")]);
    assert!(circle.accept(PEER, &good).await.is_ok());
    // The same holds for HTTP.
    let (near, far) = UnixStream::pair().expect("sockets");
    circle.serve_http(far, PEER);
    let Err(Error::Http(refused)) = client_async(format!("ws://{HOST}/"), near).await else { panic!("refused") };
    assert_eq!(refused.status(), 403);
    // Sessions within the program are the program's own.
    assert!(circle.session(PlayCaller::Anonymous(PEER)).is_ok());
}

#[tokio::test]
async fn circle_starts_only_once() {
    let circle = std::sync::Arc::new(builder("team").build().expect("a circle"));
    let running = server_ws::start(circle.clone()).await.expect("started");
    let again = server_ws::start(circle.clone()).await.expect_err("started before");
    assert!(again.to_string().contains("has been started before: build another one"), "{again}");
    running.drain().await;
    drop(running);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let ended = server_ws::run(listener, circle, std::future::pending()).await.expect_err("it has ended");
    assert!(ended.to_string().contains("has been started before"), "{ended}");
}

#[tokio::test]
async fn failed_start_can_be_repeated() {
    let circle = std::sync::Arc::new(builder("team").init("nowhere").build().expect("a circle"));
    for _ in 0..2 {
        let error = server_ws::start(circle.clone()).await.expect_err("its init script fails");
        assert!(error.to_string().contains("nowhere"), "{error}");
    }
}

#[tokio::test]
async fn drain_and_drop_close_connections() {
    let circle = start(builder("team")).await;
    let mut socket = serve(&circle, PEER, headers(&[(header::HOST, HOST)])).await;
    assert_eq!(play(&mut socket, "1").await["result"]["value"], 1);
    let (drained, closed) = tokio::join!(circle.drain(), closed(&mut socket));
    assert_eq!((drained, closed.0), ((), 1001));
    let refused = circle.accept(PEER, &headers(&[(header::HOST, HOST)])).await.expect_err("it is draining");
    assert_eq!(refused.status(), 503);

    let circle = start(builder("team")).await;
    let (near, far) = UnixStream::pair().expect("sockets");
    circle.serve_http(far, PEER);
    let (mut socket, _) = client_async(format!("ws://{HOST}/"), near).await.expect("upgraded");
    let accepted = circle.accept(PEER, &headers(&[(header::HOST, HOST)])).await.expect("room");
    let (near, far) = tokio::io::duplex(1 << 16);
    tokio::spawn(accepted.serve(far));
    let mut other = WebSocketStream::from_raw_socket(near, Role::Client, None).await;
    assert_eq!(play(&mut other, "1").await["result"]["value"], 1);
    drop(circle);
    assert_eq!(super::closed(&mut socket).await.0, 1001);
    assert_eq!(super::closed(&mut other).await.0, 1001);
}

#[tokio::test]
async fn drain_closes_connections_whose_clients_do_not_read() {
    let circle = start(builder("team").grace_period(std::time::Duration::from_millis(10))).await;
    // A stream that takes a few bytes, and then no more.
    let (near, far) = tokio::io::duplex(64);
    let serving = {
        let circle = circle.clone();
        tokio::spawn(async move { circle.serve(far, PEER, &headers(&[(header::HOST, HOST)])).await })
    };
    let mut socket = WebSocketStream::from_raw_socket(near, Role::Client, None).await;
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "describe" });
    socket.send(Message::text(request.to_string())).await.expect("sent");
    circle.drain().await;
    serving.await.expect("it has ended");
    assert_eq!(circle.circle().observer().snapshot().connections, 0);
}

#[tokio::test]
async fn set_members_closes_sessions_of_others() {
    let key = server_ws::KeyPair::generate().expect("a key").public_key();
    let circle = start(builder("team").members([key])).await;
    let session = circle.session(PlayCaller::Key(key)).expect("a member");
    assert_eq!(session.play("1").await.expect("played").get::<i64>().expect("a number"), 1);
    circle.circle().set_members([]).expect("a circle without roles");
    let error = loop {
        // The session learns of the change before its next play begins.
        if let Err(error) = session.play("1").await {
            break error.to_string();
        }
    };
    assert!(error.contains("no longer a member"), "{error}");
    assert!(circle.session(PlayCaller::Key(key)).is_err());
}
