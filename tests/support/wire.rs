//! A client for the documented protocol: text frames and JSON, without `client_ws`.

use std::{
    collections::VecDeque,
    io::{self, Read, Write},
    net::TcpStream,
};

use keys::{KeyPair, Nonce};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Error, Message, WebSocket, client::IntoClientRequest, protocol::CloseFrame};

use super::WAIT_TIMEOUT;

pub(crate) struct WireClient {
    pub socket: WebSocket<RetryingStream>,
    /// Notifications that arrived while a test waited for an answer.
    pub notifications: VecDeque<Value>,
    /// Answers to other requests than a test waited for.
    answers: Vec<Value>,
    ids: u64,
}

/// A socket that retries reads after a signal. With a timeout the system call does not restart, and children of other tests
/// cause SIGCHLD all the time.
pub(crate) struct RetryingStream(TcpStream);

impl RetryingStream {
    /// The same socket, to write to from elsewhere.
    pub(crate) fn try_clone(&self) -> io::Result<TcpStream> {
        self.0.try_clone()
    }
}

impl Read for RetryingStream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read(bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }
}

impl Write for RetryingStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl WireClient {
    pub(crate) fn connect(authority: &str) -> Self {
        Self::connect_to(authority, "/")
    }

    /// Connects to a path.
    pub(crate) fn connect_to(authority: &str, path: &str) -> Self {
        let stream = TcpStream::connect(authority).expect("it listens");
        stream.set_read_timeout(Some(WAIT_TIMEOUT)).expect("a timeout");
        // Messages must arrive at once, while earlier requests are executed.
        stream.set_nodelay(true).expect("a TCP socket");
        let request = format!("ws://{authority}{path}").into_client_request().expect("a URL");
        let (socket, _) = tokio_tungstenite::tungstenite::client(request, RetryingStream(stream)).expect("it upgrades");
        Self { socket, notifications: VecDeque::new(), answers: Vec::new(), ids: 1000 }
    }

    pub(crate) fn send(&mut self, text: impl Into<String>) {
        self.socket.send(Message::text(text.into())).expect("it takes text");
    }

    /// Waits for the next text message.
    pub(crate) fn next(&mut self) -> Value {
        loop {
            match self.socket.read().expect("a message") {
                Message::Text(text) => return serde_json::from_str(&text).expect("JSON"),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Waits for the close frame, and answers it, so that the server does not wait (RFC 6455 §5.5.1).
    pub(crate) fn closed(&mut self) -> Option<CloseFrame> {
        loop {
            match self.socket.read() {
                Ok(Message::Close(frame)) => {
                    // Fails if the server has closed the connection.
                    let _answered = self.socket.flush();
                    return frame;
                }
                Ok(_) => {}
                Err(Error::ConnectionClosed) => return None,
                Err(error) => panic!("{error}"),
            }
        }
    }

    pub(crate) fn close_code(&mut self) -> u16 {
        self.closed().expect("a close frame with a code").code.into()
    }

    /// Sends a text, and waits for the next message.
    pub(crate) fn exchange(&mut self, text: &str) -> Value {
        self.send(text);
        self.next()
    }

    /// Sends a request, without waiting for its answer.
    #[expect(clippy::needless_pass_by_value, reason = "callers write `json!(…)`")]
    pub(crate) fn request(&mut self, method: &str, params: Value) -> Value {
        self.ids += 1;
        let id = json!(self.ids);
        self.send(json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string());
        id
    }

    /// Waits for the answer to a request; keeps other messages before it.
    pub(crate) fn answer(&mut self, id: &Value) -> Value {
        loop {
            if let Some(at) = self.answers.iter().position(|answer| answer["id"] == *id) {
                return self.answers.remove(at);
            }
            let message = self.next();
            if message.get("method").is_some() {
                self.notifications.push_back(message);
            } else {
                self.answers.push(message);
            }
        }
    }

    /// Takes the answers that arrived while a test waited for another.
    pub(crate) fn take_answers(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.answers)
    }

    /// Waits for the next notification of this method; drops others before it.
    pub(crate) fn notification(&mut self, method: &str) -> Value {
        loop {
            let message = match self.notifications.pop_front() {
                Some(message) => message,
                None => self.next(),
            };
            if message["method"] == method {
                return message["params"].clone();
            }
            if message.get("method").is_none() {
                self.answers.push(message);
            }
        }
    }

    pub(crate) fn call(&mut self, method: &str, params: Value) -> Value {
        let id = self.request(method, params);
        self.answer(&id)
    }

    pub(crate) fn play(&mut self, script: &str) -> Value {
        self.call("play", json!({ "script": script }))
    }

    /// Plays a script that must succeed; returns its value.
    pub(crate) fn value(&mut self, script: &str) -> Value {
        let answer = self.play(script);
        answer.get("result").unwrap_or_else(|| panic!("{script}: {answer}"))["value"].clone()
    }

    /// Plays a script that must fail; returns its error.
    pub(crate) fn error(&mut self, script: &str) -> Value {
        self.play(script)["error"].clone()
    }

    pub(crate) fn request_nonce(&mut self, keypair: &KeyPair) -> Nonce {
        let answer = self.call("fetch_nonce", json!([keypair.public_key().to_hex()]));
        Nonce::parse(answer["result"]["nonce"].as_str().expect("a nonce")).expect("of the right form")
    }

    pub(crate) fn authenticate(&mut self, keypair: &KeyPair) -> Value {
        let nonce = self.request_nonce(keypair);
        let signature = keypair.sign_nonce(&nonce).to_string();
        self.call("authenticate", json!([keypair.public_key().to_hex(), signature]))
    }

    /// Waits until the play prints this text.
    pub(crate) fn expect_print(&mut self, text: &str) {
        while self.notification("play.output")["text"] != text {}
    }
}
