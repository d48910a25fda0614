//! A client that knows the protocol only from its page: text frames and JSON, nothing of `client_ws`.

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
    /// Notifications that came while an answer was waited for.
    pub notifications: VecDeque<Value>,
    /// Answers to something else than was waited for.
    answers: Vec<Value>,
    ids: u64,
}

/// A socket whose reads go on when a signal comes: with a timeout they would not, and children of other tests end all the
/// time.
pub(crate) struct RetryingStream(TcpStream);

impl RetryingStream {
    /// The same socket, for someone else to write to.
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
        let stream = TcpStream::connect(authority).expect("it listens");
        stream.set_read_timeout(Some(WAIT_TIMEOUT)).expect("a timeout");
        // What follows a request is to arrive while it is carried out.
        stream.set_nodelay(true).expect("a TCP socket");
        let request = format!("ws://{authority}/").into_client_request().expect("a URL");
        let (socket, _) = tokio_tungstenite::tungstenite::client(request, RetryingStream(stream)).expect("it upgrades");
        Self { socket, notifications: VecDeque::new(), answers: Vec::new(), ids: 1000 }
    }

    pub(crate) fn send(&mut self, text: impl Into<String>) {
        self.socket.send(Message::text(text.into())).expect("it takes text");
    }

    /// The next text message.
    pub(crate) fn next(&mut self) -> Value {
        loop {
            match self.socket.read().expect("a message") {
                Message::Text(text) => return serde_json::from_str(&text).expect("JSON"),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The close frame, after whatever is still on its way. It is answered, so that the server need not wait (RFC 6455 §5.5.1).
    pub(crate) fn closed(&mut self) -> Option<CloseFrame> {
        loop {
            match self.socket.read() {
                Ok(Message::Close(frame)) => {
                    // A server that is gone already needs no answer.
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

    /// Sends text and takes the next message.
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

    /// The answer to a request; what else comes before it is kept.
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

    /// Answers that came while another was waited for.
    pub(crate) fn take_answers(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.answers)
    }

    /// The next notification of that method; others before it are dropped.
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

    /// The value of a play that must succeed.
    pub(crate) fn value(&mut self, script: &str) -> Value {
        let answer = self.play(script);
        answer.get("result").unwrap_or_else(|| panic!("{script}: {answer}"))["value"].clone()
    }

    /// The error code of a play that must fail.
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

    /// Waits until the play prints that.
    pub(crate) fn expect_print(&mut self, text: &str) {
        while self.notification("play.output")["text"] != text {}
    }
}
