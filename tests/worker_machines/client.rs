//! A client that keeps all that it receives, until its connection ends.

use std::{collections::HashMap, io, time::Instant};

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::support::{WAIT_TIMEOUT, wire::WireClient};

/// A play that was sent.
#[derive(Debug)]
pub(super) struct SentPlay {
    id: String,
    /// The key under which the play counts itself in the store.
    pub(super) key: String,
    /// The number of prints of a play that succeeds.
    prints: usize,
    answers: Vec<Value>,
    printed: Vec<String>,
}

impl SentPlay {
    pub(super) fn answer(&self) -> Option<&Value> {
        self.answers.first()
    }

    pub(super) fn has_succeeded(&self) -> bool {
        self.answer().is_some_and(|answer| answer.get("result").is_some())
    }

    /// Checks that the play has at most one answer, and no gaps and no doubles in its prints.
    pub(super) fn check(&self) -> Result<(), String> {
        let is_in_order = self.printed.iter().enumerate().all(|(at, text)| *text == at.to_string());
        let is_complete = !self.has_succeeded() || self.printed.len() == self.prints;
        if self.answers.len() > 1 || !is_in_order || !is_complete {
            return Err(format!(
                "{} prints, {} expected, in order: {is_in_order}; {:?}",
                self.printed.len(),
                self.prints,
                self.answers
            ));
        }
        Ok(())
    }
}

/// The client.
pub(super) struct Client {
    wire: WireClient,
    pub(super) plays: Vec<SentPlay>,
    /// The other answers, by the text of their id.
    answers: HashMap<String, Value>,
    pub(super) resets: Vec<Value>,
    pub(super) has_ended: bool,
}

impl Client {
    pub(super) fn new(wire: WireClient) -> Self {
        Self { wire, plays: Vec::new(), answers: HashMap::new(), resets: Vec::new(), has_ended: false }
    }

    /// Sends a play that counts itself in the store under a key, and whose script prints this many numbers from 0 on.
    pub(super) fn send(&mut self, key: &str, prints: usize, script: &str) {
        let script = format!("store::add(\"n/{key}\", 1); {script}");
        let id = self.plays.len();
        let request = json!({ "jsonrpc": "2.0", "id": id, "method": "play", "params": { "script": script } });
        self.send_text(&request);
        let id = id.to_string();
        self.plays.push(SentPlay { id, key: key.into(), prints, answers: Vec::new(), printed: Vec::new() });
    }

    /// Cancels the first play.
    pub(super) fn cancel(&mut self) {
        self.send_text(&json!({ "jsonrpc": "2.0", "id": "cancel", "method": "cancel", "params": [0] }));
    }

    fn send_text(&mut self, request: &Value) {
        // The circle may have ended.
        self.has_ended |= self.wire.socket.send(Message::text(request.to_string())).is_err();
    }

    /// Reads until a condition is met or the connection ends.
    pub(super) fn read_until(&mut self, is_met: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !self.has_ended && !is_met(self) {
            // Reports of progress arrive all the time.
            assert!(begun.elapsed() < WAIT_TIMEOUT, "the plays do not end: {:?}", self.plays);
            match self.wire.socket.read() {
                Ok(Message::Text(text)) => self.keep(&serde_json::from_str(&text).expect("JSON")),
                Ok(Message::Close(_)) | Err(Error::ConnectionClosed | Error::AlreadyClosed | Error::Protocol(_)) => {
                    self.has_ended = true;
                }
                Err(Error::Io(error))
                    if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) =>
                {
                    panic!("no message; plays: {:?}", self.plays);
                }
                Err(Error::Io(_)) => self.has_ended = true,
                Ok(_) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    pub(super) fn read_answers(&mut self) {
        self.read_until(|client| client.plays.iter().all(|play| play.answer().is_some()));
    }

    pub(super) fn read_first_print(&mut self) {
        self.read_until(|client| client.plays.iter().any(|play| !play.printed.is_empty() || play.answer().is_some()));
    }

    fn keep(&mut self, message: &Value) {
        let id = if message["method"] == "play.output" { &message["params"]["play"] } else { &message["id"] };
        let id = id.to_string();
        let play = self.plays.iter_mut().find(|play| play.id == id);
        match (message["method"].as_str(), play) {
            (Some("play.output"), Some(play)) => {
                // The number, without what makes the print long.
                let text = message["params"]["text"].as_str().expect("a text");
                play.printed.push(text.split(' ').next().unwrap_or_default().into());
            }
            (Some("session.reset"), _) => self.resets.push(message["params"].clone()),
            (None, Some(play)) => play.answers.push(message.clone()),
            (None, None) => assert!(self.answers.insert(id, message.clone()).is_none(), "{message}"),
            _ => {}
        }
    }

    /// The connection, for further requests.
    pub(super) fn into_wire(self) -> WireClient {
        self.wire
    }
}
