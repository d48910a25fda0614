//! Requests of parts of setups from the server that has them.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_nats::Client;
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::{sync::oneshot, time::timeout};

use super::setups::PartSource;
use crate::{
    content::{ContentHash, PartReference},
    messages::{self, MAX_PART, PartRequest},
    subjects::{SubjectName, Subjects},
};

/// Number of requests at a time.
const CONCURRENT: usize = 8;

/// Number of attempts of a request.
const ATTEMPTS: u32 = 5;

/// The requests that wait for an answer, by their tokens.
#[derive(Debug)]
pub(super) struct Requests {
    client: Client,
    machine: SubjectName,
    /// Time to wait for an answer.
    timeout: Duration,
    pending: Mutex<HashMap<String, Pending>>,
}

/// A request that waits for an answer.
#[derive(Debug)]
struct Pending {
    /// The circle of the server.
    subjects: Subjects,
    offset: u64,
    /// The number of bytes that the server has to send.
    bytes: u64,
    /// `None` is the answer of a server without the part.
    answer: oneshot::Sender<Option<Bytes>>,
}

/// Removes a request whose future ends or is dropped.
struct PendingGuard<'a> {
    requests: &'a Requests,
    token: String,
}

impl Drop for PendingGuard<'_> {
    fn drop(&mut self) {
        self.requests.lock().remove(&self.token);
    }
}

impl Requests {
    pub(super) fn new(client: Client, machine: SubjectName, timeout: Duration) -> Self {
        Self { client, machine, timeout, pending: Mutex::default() }
    }

    /// Handles an answer from a circle; `token` is the rest of its subject. Returns false if it is no answer to the request
    /// with this token, which waits on.
    pub(super) fn answer(&self, subjects: &Subjects, token: &str, payload: &Bytes) -> bool {
        let mut pending = self.lock();
        // An unknown request may have had its answer already.
        let Some(request) = pending.get(token) else { return true };
        let piece = if payload.is_empty() { None } else { messages::decode_part(payload.clone(), request.offset) };
        let is_piece = piece.as_ref().is_some_and(|piece| piece.len() as u64 == request.bytes);
        if request.subjects != *subjects || !(is_piece || payload.is_empty()) {
            return false;
        }
        if let Some(request) = pending.remove(token) {
            // The future of the request may be dropped.
            let _receiver_dropped = request.answer.send(piece);
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Pending>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Generates the token of a request: 128 random bits, so that only the server that has read the request can answer.
fn generate_token() -> std::io::Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(hex::encode(bytes))
}

/// A server that has a setup.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) requests: &'a Requests,
    pub(super) subjects: &'a Subjects,
    pub(super) server: &'a SubjectName,
    /// The setup.
    pub(super) setup: ContentHash,
}

impl PartSource for Source<'_> {
    async fn fetch(&self, part: PartReference) -> Result<Bytes, String> {
        let offsets = (0..part.bytes).step_by(MAX_PART);
        let pieces: Vec<Bytes> =
            stream::iter(offsets.map(|offset| self.piece(part, offset))).buffered(CONCURRENT).try_collect().await?;
        let bytes = match <[Bytes; 1]>::try_from(pieces) {
            Ok([piece]) => piece,
            Err(pieces) => {
                let mut bytes = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum());
                for piece in &pieces {
                    bytes.extend_from_slice(piece);
                }
                bytes.freeze()
            }
        };
        if ContentHash::of(&bytes) != part.hash {
            return Err(format!("the part {} of the setup has another content than its hash says", part.hash));
        }
        Ok(bytes)
    }
}

impl Source<'_> {
    async fn piece(&self, part: PartReference, offset: u64) -> Result<Bytes, String> {
        let Self { requests, subjects, server, setup } = *self;
        let request = PartRequest { setup, part: part.hash, offset };
        let token = generate_token().map_err(|error| error.to_string())?;
        let (sender, mut answer) = oneshot::channel();
        let bytes = (part.bytes - offset).min(MAX_PART as u64);
        let pending = Pending { subjects: subjects.clone(), offset, bytes, answer: sender };
        requests.lock().insert(token.clone(), pending);
        let reply = subjects.part_answer(&requests.machine, &token);
        let _guard = PendingGuard { requests, token };
        let request = messages::encode(request);
        for _ in 0..ATTEMPTS {
            let exchange = async {
                let subject = subjects.server_blob(server);
                requests.client.publish_with_reply(subject, reply.clone(), request.clone()).await.ok()?;
                (&mut answer).await.ok()
            };
            // A piece without an answer may have been lost.
            if let Ok(Some(piece)) = timeout(requests.timeout, exchange).await {
                return piece.ok_or_else(|| format!("the server does not have the part {} of the setup", part.hash));
            }
        }
        Err("the server did not answer requests of the setup in time".into())
    }
}
