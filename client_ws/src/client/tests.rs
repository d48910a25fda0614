//! The client beside a circle that a test plays.

use tokio::io::AsyncWriteExt;

use super::*;

/// A circle that takes a connection, and ends it when the test does.
async fn connected() -> (CircleWsClient, tokio_tungstenite::WebSocketStream<tokio::net::TcpStream>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("ws://{}", listener.local_addr().expect("bound"));
    let client = CircleWsClient::builder(url).build().expect("a URL");
    let (connected, accepted) = tokio::join!(client.connect(), async {
        let (socket, _) = listener.accept().await.expect("it dials");
        tokio_tungstenite::accept_async(socket).await.expect("a WebSocket")
    });
    connected.expect("it connects");
    (client, accepted)
}

#[tokio::test]
async fn localhost_is_dialled_and_named_by_its_literal_address() {
    use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let client = CircleWsClient::builder(format!("ws://localhost:{port}")).build().expect("a URL");
    let mut host = String::new();
    // The library's type of a callback has a large error.
    #[expect(clippy::result_large_err)]
    let record = |request: &Request, response: Response| {
        host = request.headers()["host"].to_str().expect("text").to_owned();
        Ok(response)
    };
    let (connected, _accepted) = tokio::join!(client.connect(), async {
        let (socket, _) = listener.accept().await.expect("it dials");
        tokio_tungstenite::accept_hdr_async(socket, record).await.expect("a WebSocket")
    });
    connected.expect("it connects");
    assert_eq!(host, format!("127.0.0.1:{port}"));
}

#[tokio::test]
async fn who_waits_for_a_notice_hears_of_it_and_of_the_end() {
    let (client, mut circle) = connected().await;
    let lost = r#"{"jsonrpc":"2.0","method":"session.reset","params":{"reason":"idle"}}"#;
    circle.send(lost.into()).await.expect("it is sent");
    assert!(matches!(client.next_notice().await, Ok(Notice::EnvironmentLost { .. })));
    drop(circle);
    assert!(matches!(client.next_notice().await, Err(ClientError::ConnectionLost { .. })));
    assert!(matches!(client.next_notice().await, Err(ClientError::NotConnected)));
}

#[tokio::test]
async fn who_waits_for_a_notice_does_not_outwait_the_connection() {
    let (client, _circle) = connected().await;
    let (told, ()) = future::join(client.next_notice(), async { client.disconnect() }).await;
    assert!(matches!(told, Err(ClientError::NotConnected)), "{told:?}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_no_circle() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("ws://{}", listener.local_addr().expect("bound"));
    let timeout = Duration::from_millis(20);
    let client = CircleWsClient::builder(url).timeout(timeout).build().expect("a URL");
    let error = client.connect().await.expect_err("nothing answers");
    assert!(matches!(error, ClientError::NotACircle { .. }), "{error}");
    assert!(!client.is_connected());
    assert!(matches!(client.describe().await, Err(ClientError::NotConnected)));
}

/// Why a client's connection ends, once its circle is gone.
async fn end_of(client: CircleWsClient, circle: tokio_tungstenite::WebSocketStream<tokio::net::TcpStream>) -> String {
    drop(circle);
    match client.next_notice().await {
        Err(ClientError::ConnectionLost { code: None, reason }) => reason,
        other => panic!("the connection is not lost: {other:?}"),
    }
}

#[tokio::test]
async fn a_message_of_more_than_32_mib_ends_the_connection_at_its_first_bytes() {
    let (client, mut circle) = connected().await;
    // A text frame without a mask (RFC 6455 §5.2), of which nothing but the header comes.
    let header = [&[0x81, 127][..], &(250_u64 << 20).to_be_bytes()].concat();
    circle.get_mut().write_all(&header).await.expect("it is sent");
    let expected = "the circle sent a message of 256000 KiB, and this client takes 32768 KiB from the circle";
    assert_eq!(end_of(client, circle).await, expected);
}

#[tokio::test]
async fn fragments_of_more_than_32_mib_end_the_connection() {
    let (client, mut circle) = connected().await;
    let fragment = vec![b' '; 1 << 20];
    // The client stops reading before the last of them.
    let mut is_first = true;
    for _ in 0..40 {
        let header = [&[u8::from(is_first), 127][..], &(1_u64 << 20).to_be_bytes()].concat();
        is_first = false;
        if circle.get_mut().write_all(&[header, fragment.clone()].concat()).await.is_err() {
            break;
        }
    }
    assert!(end_of(client, circle).await.contains("and this client takes 32768 KiB from the circle"));
}

#[tokio::test]
async fn a_message_beyond_what_the_circle_states_ends_the_connection() {
    let (client, mut circle) = connected().await;
    let description = r#"{"name":"team","version":"0","protocol":1,"access":"open","you":{"public_key":null,"admitted":true},"modules":[],"sandbox":[],"limits":{"output_kib":1}}"#;
    let (described, ()) = future::join(client.describe(), async {
        circle.next().await.expect("a request").expect("it is read");
        let answer = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{description}}}"#);
        circle.send(answer.into()).await.expect("it is sent");
    })
    .await;
    described.expect("a description");
    let notification = |size: usize| {
        format!(r#"{{"jsonrpc":"2.0","method":"event","params":{{"text":"{}"}}}}"#, "x".repeat(size << 10))
    };
    circle.send(notification(1000).into()).await.expect("it is sent");
    circle.send(notification(1200).into()).await.expect("it is sent");
    let expected = "the circle sent a message of 1201 KiB, and this client takes 1031 KiB from the circle";
    assert_eq!(end_of(client, circle).await, expected);
}
