//! Tests of the client against a circle that the test simulates.

mod plays;
mod reconnecting;
mod tolerance;

use futures_util::{SinkExt, StreamExt};
use keys::{IdentityStatement, Nonce};
use protocol::methods::IdentifyResult;
use serde_json::{Value, json};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
};
use tokio_tungstenite::{WebSocketStream, accept_async};

use super::*;

/// The simulated circle's end of a connection.
type CircleSocket = WebSocketStream<TcpStream>;

/// Returns a connected client and the simulated circle's end of the connection.
async fn connect_identified() -> (CircleWsClient, CircleSocket) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("ws://{}", listener.local_addr().expect("bound"));
    let client = CircleWsClient::builder(url).build().expect("a URL");
    let (connected, accepted) = tokio::join!(client.connect(), accept(&listener));
    connected.expect("it connects");
    (client, accepted)
}

/// Accepts a connection and identifies the circle with an ephemeral key.
async fn accept(listener: &TcpListener) -> CircleSocket {
    accept_as(listener, &KeyPair::generate().expect("random bytes"), false).await
}

/// Accepts a connection and identifies the circle.
async fn accept_as(listener: &TcpListener, circle: &KeyPair, persistent: bool) -> CircleSocket {
    let (stream, _) = listener.accept().await.expect("a connection");
    let mut socket = accept_async(stream).await.expect("a WebSocket");
    identify_as(&mut socket, listener, circle, persistent).await;
    socket
}

async fn identify(socket: &mut CircleSocket, listener: &TcpListener) {
    identify_as(socket, listener, &KeyPair::generate().expect("random bytes"), false).await;
}

async fn identify_as(socket: &mut CircleSocket, listener: &TcpListener, circle: &KeyPair, persistent: bool) {
    let target = Authority::from_socket_addr(listener.local_addr().expect("bound"), 80);
    let challenge = next_params(socket, "identify").await["challenge"].as_str().expect("text").parse().expect("hex");
    let signature = circle.sign_identity(&IdentityStatement::new(&target, challenge, persistent)).to_string();
    let identity = IdentifyResult { pubkey: circle.public_key().to_hex(), persistent, signature };
    answer(socket, 1, &json!(identity)).await;
}

/// Receives the next request, checks its method and returns its parameters.
async fn next_params(socket: &mut CircleSocket, method: &str) -> Value {
    let request = socket.next().await.expect("a request").expect("it is read");
    let request: Value = serde_json::from_str(request.to_text().expect("text")).expect("JSON");
    assert_eq!(request["method"], method);
    request["params"].clone()
}

async fn answer(socket: &mut CircleSocket, id: u64, result: &Value) {
    let answer = json!({ "jsonrpc": "2.0", "id": id, "result": result });
    socket.send(answer.to_string().into()).await.expect("it is sent");
}

#[tokio::test]
async fn circle_without_valid_identity_is_not_a_circle() {
    for result in [
        json!({ "pubkey": "02", "persistent": true, "signature": "" }),
        json!({ "pubkey": KeyPair::generate().expect("random bytes").public_key().to_hex() }),
        json!(1),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("ws://{}", listener.local_addr().expect("bound"));
        let client = CircleWsClient::builder(url).build().expect("a URL");
        let (connected, _socket) = tokio::join!(client.connect(), async {
            let (stream, _) = listener.accept().await.expect("a connection");
            let mut socket = accept_async(stream).await.expect("a WebSocket");
            next_params(&mut socket, "identify").await;
            answer(&mut socket, 1, &result).await;
            socket
        });
        let error = connected.expect_err("no valid identity");
        assert!(matches!(error, ClientError::NotACircle { .. }), "{error}");
        assert!(!client.is_connected() && client.identity().is_none());
    }
}

#[tokio::test]
async fn client_sends_nothing_to_refused_circle() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("ws://{}", listener.local_addr().expect("bound"));
    let expected = KeyPair::generate().expect("random bytes").public_key();
    let client = CircleWsClient::builder(url).expect_identity(expected).build().expect("a URL");
    let (connected, mut socket) = tokio::join!(client.connect(), accept(&listener));
    assert!(matches!(connected, Err(ClientError::OtherIdentity { .. })), "{connected:?}");
    assert!(matches!(client.describe().await, Err(ClientError::NotConnected)));
    let next = socket.next().await;
    assert!(
        next.as_ref().is_none_or(|next| next.as_ref().is_ok_and(tokio_tungstenite::tungstenite::Message::is_close)),
        "{next:?}"
    );
}

#[tokio::test]
async fn client_does_not_sign_nonce_for_other_circle() {
    let (client, mut socket) = connect_identified().await;
    client.set_keypair(KeyPair::generate().expect("random bytes"));
    let target = client.url().authority().clone();
    let other = KeyPair::generate().expect("random bytes").public_key();
    let nonce = Nonce::new(&target, other, platform::now_unix() + 60, [0; 32]);
    let (refused, ()) = tokio::join!(client.authenticate(), async {
        next_params(&mut socket, "fetch_nonce").await;
        answer(&mut socket, 2, &json!({ "nonce": nonce.as_str() })).await;
    });
    let error = refused.expect_err("it is not signed");
    assert!(matches!(error, ClientError::NonceRejected(keys::NonceRejection::Circle { .. })), "{error}");
}

#[tokio::test]
async fn client_connects_to_localhost_by_literal_address() {
    use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let client = CircleWsClient::builder(format!("ws://localhost:{port}")).build().expect("a URL");
    let mut host = String::new();
    // The library's callback type has a large error.
    #[expect(clippy::result_large_err)]
    let record = |request: &Request, response: Response| {
        host = request.headers()["host"].to_str().expect("text").to_owned();
        Ok(response)
    };
    let (connected, _accepted) = tokio::join!(client.connect(), async {
        let (stream, _) = listener.accept().await.expect("a connection");
        let mut socket = tokio_tungstenite::accept_hdr_async(stream, record).await.expect("a WebSocket");
        identify(&mut socket, &listener).await;
        socket
    });
    connected.expect("it connects");
    assert_eq!(host, format!("127.0.0.1:{port}"));
}

#[tokio::test]
async fn next_notice_returns_notice_and_connection_loss() {
    let (client, mut circle) = connect_identified().await;
    let lost = r#"{"jsonrpc":"2.0","method":"session.reset","params":{"reason":"idle"}}"#;
    circle.send(lost.into()).await.expect("it is sent");
    assert!(matches!(client.next_notice().await, Ok(Notice::EnvironmentLost { .. })));
    drop(circle);
    assert!(matches!(client.next_notice().await, Err(ClientError::ConnectionLost { .. })));
    client.disconnect();
    assert!(matches!(client.next_notice().await, Err(ClientError::NotConnected)));
}

#[tokio::test]
async fn reason_for_the_end_is_never_lost() {
    use tokio_tungstenite::tungstenite::{Message, protocol::CloseFrame};

    let (client, mut circle) = connect_identified().await;
    let frame = CloseFrame { code: 1008.into(), reason: "the key is no longer a member".into() };
    circle.send(Message::Close(Some(frame))).await.expect("it is sent");
    let expected = "connection lost: the key is no longer a member (1008)";
    for _ in 0..2 {
        assert_eq!(client.next_notice().await.expect_err("it has ended").to_string(), expected);
        assert_eq!(client.describe().await.expect_err("it has ended").to_string(), expected);
        assert_eq!(client.play("1").await.expect_err("it has ended").to_string(), expected);
        assert_eq!(client.play("1").start().await.expect_err("it has ended").to_string(), expected);
    }
    assert!(!client.is_connected());
}

#[tokio::test]
async fn next_notice_ends_with_connection() {
    let (client, _circle) = connect_identified().await;
    let (notice, ()) = future::join(client.next_notice(), async { client.disconnect() }).await;
    assert!(matches!(notice, Err(ClientError::NotConnected)), "{notice:?}");
}

#[tokio::test]
async fn silent_server_is_not_a_circle() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("ws://{}", listener.local_addr().expect("bound"));
    let timeout = Duration::from_millis(20);
    let client = CircleWsClient::builder(url).timeout(timeout).build().expect("a URL");
    let error = client.connect().await.expect_err("nothing answers");
    assert!(matches!(error, ClientError::NotACircle { .. }), "{error}");
    assert!(!client.is_connected());
    assert!(matches!(client.describe().await, Err(ClientError::NotConnected)));
}

/// The reason that the client reports for the end of its connection.
async fn close_reason(client: CircleWsClient, circle: CircleSocket) -> String {
    drop(circle);
    match client.next_notice().await {
        Err(ClientError::ConnectionLost { code: None, reason }) => reason,
        other => panic!("the connection is not lost: {other:?}"),
    }
}

#[tokio::test]
async fn message_over_32_mib_closes_connection_early() {
    let (client, mut circle) = connect_identified().await;
    // The header of an unmasked text frame (RFC 6455 §5.2) without its payload.
    let header = [&[0x81, 127][..], &(250_u64 << 20).to_be_bytes()].concat();
    circle.get_mut().write_all(&header).await.expect("it is sent");
    let expected = "the circle sent a message of 256000 KiB; this client accepts at most 32768 KiB";
    assert_eq!(close_reason(client, circle).await, expected);
}

#[tokio::test]
async fn fragments_over_32_mib_close_connection() {
    let (client, mut circle) = connect_identified().await;
    let fragment = vec![b' '; 1 << 20];
    // The client stops reading before the last fragment.
    let mut is_first = true;
    for _ in 0..40 {
        let header = [&[u8::from(is_first), 127][..], &(1_u64 << 20).to_be_bytes()].concat();
        is_first = false;
        if circle.get_mut().write_all(&[header, fragment.clone()].concat()).await.is_err() {
            break;
        }
    }
    assert!(close_reason(client, circle).await.contains("this client accepts at most 32768 KiB"));
}

#[tokio::test]
async fn message_over_stated_limit_closes_connection() {
    let (client, mut circle) = connect_identified().await;
    let description = r#"{"name":"team","version":"0","protocol":1,"access":"open","you":{"public_key":null,"admitted":true},"modules":[],"sandbox":[],"limits":{"output_kib":1}}"#;
    let (described, ()) = future::join(client.describe(), async {
        next_params(&mut circle, "describe").await;
        answer(&mut circle, 2, &serde_json::from_str(description).expect("JSON")).await;
    })
    .await;
    described.expect("a description");
    let notification = |size: usize| {
        format!(r#"{{"jsonrpc":"2.0","method":"event","params":{{"text":"{}"}}}}"#, "x".repeat(size << 10))
    };
    circle.send(notification(1000).into()).await.expect("it is sent");
    circle.send(notification(1200).into()).await.expect("it is sent");
    let expected = "the circle sent a message of 1201 KiB; this client accepts at most 1031 KiB";
    assert_eq!(close_reason(client, circle).await, expected);
}
