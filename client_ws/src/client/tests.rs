//! Messages over the limit, which a native client refuses at their first bytes. `client_ws/behaviour` has the other
//! tests of the client, which run natively and in a browser.

use futures_util::{SinkExt, StreamExt};
use keys::IdentityStatement;
use protocol::methods::IdentifyResult;
use serde_json::{Value, json};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
};
use tokio_tungstenite::{WebSocketStream, accept_async};

use super::*;
use crate::SubscribeRequest;

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
    let (stream, _) = listener.accept().await.expect("a connection");
    let mut socket = accept_async(stream).await.expect("a WebSocket");
    let request = socket.next().await.expect("a request").expect("it is read");
    let request: Value = serde_json::from_str(request.to_text().expect("text")).expect("JSON");
    let challenge = request["params"]["challenge"].as_str().expect("text").parse().expect("hex");
    let target = Authority::from_socket_addr(listener.local_addr().expect("bound"), 80);
    let circle = KeyPair::generate().expect("random bytes");
    let signature = circle.sign_identity(&IdentityStatement::new(&target, challenge, false)).to_string();
    let identity = IdentifyResult { pubkey: circle.public_key().to_hex(), persistent: false, signature };
    let answer = json!({ "jsonrpc": "2.0", "id": request["id"], "result": identity });
    socket.send(answer.to_string().into()).await.expect("it is sent");
    socket
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

/// Accepts a connection, answers a `subscribe`, and sends the header of an event over the limit.
async fn send_event_over_limit(listener: &TcpListener) -> CircleSocket {
    let mut circle = accept(listener).await;
    let request = circle.next().await.expect("a request").expect("it is read");
    let request: Value = serde_json::from_str(request.to_text().expect("text")).expect("JSON");
    let result = json!({ "subscription": 1, "gap": false });
    let answer = json!({ "jsonrpc": "2.0", "id": request["id"], "result": result });
    circle.send(answer.to_string().into()).await.expect("it is sent");
    let header = [&[0x81, 127][..], &(250_u64 << 20).to_be_bytes()].concat();
    circle.get_mut().write_all(&header).await.expect("it is sent");
    circle
}

#[tokio::test]
async fn event_over_limit_ends_subscription_the_second_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("ws://{}", listener.local_addr().expect("bound"));
    let policy = ReconnectPolicy::default().min_delay(Duration::from_millis(1));
    let client = CircleWsClient::builder(url).reconnect(policy).build().expect("a URL");
    let circle = async {
        let first = send_event_over_limit(&listener).await;
        (first, send_event_over_limit(&listener).await)
    };
    let follow = async {
        client.connect().await.expect("it connects");
        let mut subscription = client.subscribe(SubscribeRequest::keys("stock/")).await.expect("it opens");
        (subscription.next().await, subscription.next().await)
    };
    let ((last, after), _circle) = tokio::join!(follow, circle);
    match last {
        Some(Err(ClientError::ConnectionLost { code: None, reason })) => {
            assert!(reason.contains("this client accepts at most 32768 KiB"), "{reason}");
        }
        other => panic!("the subscription goes on: {other:?}"),
    }
    assert!(after.is_none());
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
