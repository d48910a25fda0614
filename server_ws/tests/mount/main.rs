//! Circles without a listener of their own: behind a path of another server, on other streams, and in process.

mod local;
mod servers;
mod streams;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use server_ws::{Circle, CircleBuilder, RunningCircle, Workers};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};

const HOST: &str = "team.example";

/// A builder of a circle that answers to [`HOST`], and whose scripts run in threads.
fn builder(name: &str) -> CircleBuilder {
    Circle::builder(name).workers(Workers::TrustedThreads).hosts([HOST.parse().expect("an authority")])
}

async fn start(builder: CircleBuilder) -> RunningCircle {
    server_ws::start(builder.build().expect("a circle")).await.expect("started")
}

/// Plays a script over a WebSocket, and returns its response.
async fn play<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocketStream<S>, script: &str) -> Value {
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "play", "params": { "script": script } });
    socket.send(Message::text(request.to_string())).await.expect("sent");
    loop {
        let text = match socket.next().await.expect("open").expect("a message") {
            Message::Text(text) => text,
            Message::Ping(_) => continue,
            other => panic!("{other:?}"),
        };
        let message: Value = serde_json::from_str(&text).expect("JSON");
        if message["id"] == 1 {
            return message;
        }
    }
}

/// Returns the code and the reason of the close frame.
async fn closed<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocketStream<S>) -> (u16, String) {
    match socket.next().await.expect("open").expect("a message") {
        Message::Close(Some(frame)) => (frame.code.into(), frame.reason.to_string()),
        other => panic!("{other:?}"),
    }
}
