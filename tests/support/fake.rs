//! Fake servers: no circles, or dishonest ones.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    thread,
};

use keys::{Authority, IdentityStatement, KeyPair};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Message, accept};

/// Starts a server that answers each connection with these bytes; returns its authority.
pub(crate) fn serve_bytes(bytes: &'static [u8]) -> String {
    serve_streams(move |mut stream| {
        let mut request = [0; 4096];
        if stream.read(&mut request).is_ok() && stream.write_all(bytes).is_ok() {
            // Until the client closes the connection.
            while stream.read(&mut request).is_ok_and(|bytes| bytes > 0) {}
        }
    })
}

/// Description of an open circle with this name.
pub(crate) fn description(name: &str) -> Value {
    json!({
        "name": name, "version": "1", "protocol": 1, "access": "open", "modules": [], "sandbox": [],
        "you": { "public_key": null, "admitted": true }, "limits": protocol::Limits::default(),
    })
}

/// Starts a WebSocket server that identifies itself and answers all other messages by `answer`; returns its authority.
pub(crate) fn serve_websocket(answer: impl Fn(&str) -> String + Clone + Send + 'static) -> String {
    serve_conversation(move |text| Some(answer(text)))
}

/// Identity of the fake circles.
pub(crate) fn identity() -> KeyPair {
    KeyPair::from_secret_hex(&"07".repeat(32)).expect("a key")
}

/// Answer to a request of `identify`; `None` for other messages.
fn identify_response(text: &str, dialled: &Authority, is_persistent: bool) -> Option<String> {
    let call: Value = serde_json::from_str(text).ok().filter(|call: &Value| call["method"] == "identify")?;
    let challenge = call["params"]["challenge"].as_str()?.parse().ok()?;
    let signature = identity().sign_identity(&IdentityStatement::new(dialled, challenge, is_persistent)).to_string();
    let result =
        json!({ "pubkey": identity().public_key().to_hex(), "persistent": is_persistent, "signature": signature });
    Some(json!({ "jsonrpc": "2.0", "id": call["id"], "result": result }).to_string())
}

/// As [`serve_websocket`], but closes the connection if there is no answer.
pub(crate) fn serve_conversation(answer: impl Fn(&str) -> Option<String> + Clone + Send + 'static) -> String {
    serve_conversation_on(TcpListener::bind("127.0.0.1:0").expect("a port"), false, answer)
}

/// Starts an open circle with this name and an allegedly persistent identity. Calls `on_method` with the method of each
/// request except `identify`.
pub(crate) fn impostor(listener: TcpListener, name: &str, on_method: impl Fn(&str) + Clone + Send + 'static) -> String {
    let description = description(name);
    serve_conversation_on(listener, true, move |text| {
        let call: Value = serde_json::from_str(text).expect("JSON");
        on_method(call["method"].as_str().expect("a method"));
        Some(json!({ "jsonrpc": "2.0", "id": call["id"], "result": description }).to_string())
    })
}

fn serve_conversation_on(
    listener: TcpListener,
    is_persistent: bool,
    answer: impl Fn(&str) -> Option<String> + Clone + Send + 'static,
) -> String {
    serve_streams_on(listener, move |stream| {
        let dialled = Authority::from_socket_addr(stream.local_addr().expect("bound"), 80);
        let Ok(mut socket) = accept(stream) else { return };
        while let Ok(message) = socket.read() {
            let Message::Text(text) = message else { continue };
            let answer = identify_response(&text, &dialled, is_persistent).or_else(|| answer(&text));
            let Some(answer) = answer else { return };
            if socket.send(Message::text(answer)).is_err() {
                return;
            }
        }
    })
}

fn serve_streams(serve: impl Fn(TcpStream) + Clone + Send + 'static) -> String {
    serve_streams_on(TcpListener::bind("127.0.0.1:0").expect("a port"), serve)
}

fn serve_streams_on(listener: TcpListener, serve: impl Fn(TcpStream) + Clone + Send + 'static) -> String {
    let authority = listener.local_addr().expect("bound").to_string();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = serve.clone();
            thread::spawn(move || serve(stream));
        }
    });
    authority
}
