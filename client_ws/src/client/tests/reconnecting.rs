//! Automatic reconnection.

use futures_util::{FutureExt, future};

use super::*;

/// Returns a client that reconnects at once, and the listener of its circle.
async fn reconnecting_client(keypair: Option<KeyPair>) -> (CircleWsClient, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("ws://{}", listener.local_addr().expect("bound"));
    let policy = ReconnectPolicy::default().min_delay(Duration::ZERO).max_delay(Duration::ZERO);
    let mut builder = CircleWsClient::builder(url).reconnect(policy);
    if let Some(keypair) = keypair {
        builder = builder.keypair(keypair);
    }
    (builder.build().expect("a URL"), listener)
}

/// Answers an authentication, whose first request has this id.
async fn admit(socket: &mut CircleSocket, client: &CircleWsClient, circle: &KeyPair, first_id: u64) {
    let key = client.public_key().expect("a key").to_hex();
    assert_eq!(next_params(socket, "fetch_nonce").await["pubkey"], key);
    let nonce = Nonce::new(client.url().authority(), circle.public_key(), platform::now_unix() + 60, [0; 32]);
    answer(socket, first_id, &json!({ "nonce": nonce.as_str() })).await;
    assert_eq!(next_params(socket, "authenticate").await["pubkey"], key);
    answer(socket, first_id + 1, &json!({ "authenticated": true })).await;
}

#[tokio::test]
async fn client_reconnects_and_authenticates_and_sends_nothing_again() {
    let circle = KeyPair::generate().expect("random bytes");
    let (client, listener) = reconnecting_client(Some(KeyPair::generate().expect("random bytes"))).await;
    let (connected, mut socket) = future::join(client.connect(), accept_as(&listener, &circle, true)).await;
    connected.expect("it connects");
    let (authenticated, ()) = future::join(client.authenticate(), admit(&mut socket, &client, &circle, 2)).await;
    authenticated.expect("it is admitted");
    let play = client.play("launch()").start().await.expect("it is sent");
    next_params(&mut socket, "play").await;
    drop(socket);

    let lost = play.result().await;
    assert!(matches!(lost, Err(ClientError::ConnectionLost { .. })), "{lost:?}");
    // A call waits for the new session; the first request of that session after the authentication is this call.
    let (discovered, _socket) = future::join(client.discover(), async {
        let mut socket = accept_as(&listener, &circle, true).await;
        admit(&mut socket, &client, &circle, 2).await;
        next_params(&mut socket, "rpc.discover").await;
        answer(&mut socket, 4, &json!({})).await;
        socket
    })
    .await;
    discovered.expect("it is answered");
    let notice = client.next_notice().await.expect("a notice");
    assert!(matches!(notice, Notice::ConnectionLost { unanswered: 1, .. }), "{notice:?}");
    assert_eq!(client.next_notice().await.expect("a notice"), Notice::Reconnected { attempts: 1 });
    assert!(client.next_notice().now_or_never().is_none());
}

#[tokio::test]
async fn client_does_not_reconnect_to_other_circle() {
    let (client, listener) = reconnecting_client(None).await;
    let [circle, other] = [(), ()].map(|()| KeyPair::generate().expect("random bytes"));
    let (connected, socket) = future::join(client.connect(), accept_as(&listener, &circle, true)).await;
    connected.expect("it connects");
    drop(socket);
    let mut socket = accept_as(&listener, &other, true).await;
    assert!(matches!(client.next_notice().await, Ok(Notice::ConnectionLost { .. })));
    let notice = client.next_notice().await.expect("a notice");
    assert!(matches!(&notice, Notice::ReconnectFailed { reason } if reason.contains("another circle")), "{notice:?}");
    assert!(socket.next().await.is_none_or(|next| next.is_ok_and(|next| next.is_close())));
    let error = client.describe().await.expect_err("it has given up");
    assert!(matches!(error, ClientError::ConnectionLost { .. }), "{error}");
    assert!(client.next_notice().await.is_err());
}

#[tokio::test]
async fn client_gives_up_after_the_attempts_of_the_policy() {
    let (_, listener) = reconnecting_client(None).await;
    let url = format!("ws://{}", listener.local_addr().expect("bound"));
    let policy = ReconnectPolicy::default().min_delay(Duration::ZERO).max_delay(Duration::ZERO).max_attempts(2);
    let client = CircleWsClient::builder(url).reconnect(policy).build().expect("a URL");
    let (connected, socket) = future::join(client.connect(), accept(&listener)).await;
    connected.expect("it connects");
    drop((listener, socket));
    assert!(matches!(client.next_notice().await, Ok(Notice::ConnectionLost { .. })));
    let notice = client.next_notice().await.expect("a notice");
    assert!(matches!(&notice, Notice::ReconnectFailed { reason } if reason.starts_with("cannot reach")), "{notice:?}");
}

#[tokio::test]
async fn client_that_disconnects_does_not_reconnect() {
    let (client, listener) = reconnecting_client(None).await;
    let (connected, mut socket) = future::join(client.connect(), accept(&listener)).await;
    connected.expect("it connects");
    client.disconnect();
    assert!(matches!(client.next_notice().await, Err(ClientError::NotConnected)));
    while socket.next().await.is_some_and(|next| next.is_ok_and(|next| !next.is_close())) {}
    assert!(matches!(client.describe().await, Err(ClientError::NotConnected)));
    assert_eq!(client.take_notice(), None);
}
