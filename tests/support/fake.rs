//! Servers that are no circles, or not honest ones.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    thread,
};

use tokio_tungstenite::tungstenite::{Message, accept};

/// Answers each connection with those bytes, whatever it says; returns its authority.
pub(crate) fn answering(bytes: &'static [u8]) -> String {
    serving(move |mut stream| {
        let mut request = [0; 4096];
        if stream.read(&mut request).is_ok() && stream.write_all(bytes).is_ok() {
            // Until the client has had enough.
            while stream.read(&mut request).is_ok_and(|bytes| bytes > 0) {}
        }
    })
}

/// What an open circle of that name says of itself.
pub(crate) fn description(name: &str) -> serde_json::Value {
    serde_json::json!({
        "name": name, "version": "1", "protocol": 1, "access": "open", "modules": [], "sandbox": [],
        "you": { "public_key": null, "admitted": true }, "limits": protocol::Limits::default(),
    })
}

/// Accepts `WebSockets` and answers each text with what `answer` makes of it.
pub(crate) fn websocket(answer: impl Fn(&str) -> String + Clone + Send + 'static) -> String {
    conversing(move |text| Some(answer(text)))
}

/// The same, and ends the connection where there is no answer.
pub(crate) fn conversing(answer: impl Fn(&str) -> Option<String> + Clone + Send + 'static) -> String {
    serving(move |stream| {
        let Ok(mut socket) = accept(stream) else { return };
        while let Ok(message) = socket.read() {
            let Message::Text(text) = message else { continue };
            let Some(answer) = answer(&text) else { return };
            if socket.send(Message::text(answer)).is_err() {
                return;
            }
        }
    })
}

fn serving(serve: impl Fn(TcpStream) + Clone + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let authority = listener.local_addr().expect("bound").to_string();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = serve.clone();
            thread::spawn(move || serve(stream));
        }
    });
    authority
}
