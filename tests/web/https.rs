//! The console through nginx, which terminates TLS.

use std::io::Write;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{self, Message, client::IntoClientRequest};

use super::{BROWSER, file_paths, text};
use crate::support::{
    free_port,
    http::{Response, read_response},
    nginx::{NAME, Nginx, PATH, TlsStream},
    process::ServeProcess,
    skip,
};

/// Starts a circle behind nginx. Without nginx, the test skips.
fn start() -> Option<(ServeProcess, Nginx)> {
    let port = free_port();
    let circle = ServeProcess::start(&["--hosts", &format!("{NAME}:{port}"), "--trusted-proxies", "127.0.0.1"]);
    let nginx = Nginx::start(port, circle.authority());
    if nginx.is_none() {
        skip("no nginx and openssl here: tests/run installs them");
    }
    Some((circle, nginx?))
}

fn browse(nginx: &Nginx, path: &str) -> Response {
    let mut stream = nginx.connect();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {}\r\n{BROWSER}connection: close\r\n\r\n", nginx.authority())
        .expect("it takes requests");
    read_response(&mut stream)
}

#[test]
fn page_and_files_load_through_a_proxy_with_tls() {
    let Some((_circle, nginx)) = start() else { return };
    for below in ["/", PATH] {
        let page = browse(&nginx, below);
        assert!(page.status == 200 && text(&page).starts_with("<!doctype html>"), "{page:?}");
        let policy = page.header("content-security-policy").expect("a policy");
        assert!(policy.contains(&format!("connect-src 'self' ws://{0} wss://{0};", nginx.authority())), "{policy}");
        for path in file_paths(text(&page)) {
            let path = format!("{below}{}", path.strip_prefix('/').expect("a path"));
            let file = browse(&nginx, &path);
            assert_eq!((file.status, file.header("content-encoding")), (200, Some("gzip")), "{path}");
            assert_eq!(file.header("content-length"), Some(&*file.body.len().to_string()));
        }
    }
    let redirected = browse(&nginx, PATH.strip_suffix('/').expect("a slash"));
    let location = format!("https://{}{PATH}", nginx.authority());
    assert_eq!((redirected.status, redirected.header("location")), (301, Some(&*location)));
}

#[test]
fn websocket_of_the_page_passes_a_proxy_with_tls() {
    let Some((_circle, nginx)) = start() else { return };
    let connect = |path: &str, origin: &str| {
        let mut request = format!("wss://{}{path}", nginx.authority()).into_client_request().expect("a URL");
        request.headers_mut().insert("origin", origin.parse().expect("a value"));
        let connected = tungstenite::client::<TlsStream, _>(request, nginx.connect());
        connected.map(|(socket, _)| socket).map_err(|error| error.to_string())
    };
    for path in ["/", PATH] {
        let mut socket = connect(path, &format!("https://{}", nginx.authority())).expect("it upgrades");
        let play = json!({ "jsonrpc": "2.0", "id": 1, "method": "play", "params": ["40 + 2"] });
        socket.send(Message::text(play.to_string())).expect("it takes text");
        let Message::Text(answer) = socket.read().expect("an answer") else { panic!("no text") };
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        assert_eq!(answer["result"]["value"], 42, "{answer}");
        let refused = connect(path, "https://evil.example").expect_err("a foreign page");
        assert!(refused.contains("403"), "{refused}");
    }
}
