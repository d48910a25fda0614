//! Connection to a circle whose address may change: on a free port, a circle has another address after each start.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use client_ws::{CircleWsClient, ClientError, CompleteResult, Description, FunctionInfo, Notice};
use console::{
    commands::ReplCommand,
    session::{FunctionCall, PlayUpdate, Remote, RemoteFuture, RunningRequest, Script, WatchEvents, failed_watch},
    watch::WatchSubject,
};
use frontend::{connect::ConnectOptions, known_circles::check::IdentityCheck, text::StyledLine};
use keys::KeyPair;

/// Creates a client when it is needed, and another one when the circle has moved.
pub(crate) struct Connector {
    choice: ConnectOptions,
    check: IdentityCheck,
    endpoint: Mutex<Endpoint>,
}

struct Endpoint {
    url: String,
    client: Option<Arc<CircleWsClient>>,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}

impl Connector {
    pub(crate) fn new(url: &str, choice: ConnectOptions, check: IdentityCheck) -> Self {
        Self { choice, check, endpoint: Mutex::new(Endpoint { url: url.to_owned(), client: None }) }
    }

    /// Sets the circle's URL. Returns whether it has changed. An existing connection is kept.
    pub(crate) fn set_url(&self, url: &str) -> bool {
        let mut endpoint = self.endpoint();
        let has_changed = endpoint.url != url;
        url.clone_into(&mut endpoint.url);
        has_changed
    }

    /// Accepts an ephemeral identity from now on.
    pub(crate) fn accept_ephemeral(&self) {
        self.check.accept_ephemeral();
    }

    fn endpoint(&self) -> MutexGuard<'_, Endpoint> {
        // No code that can panic runs under the lock.
        self.endpoint.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Creates the client for the next connection.
    fn new_client(&self) -> Result<Arc<CircleWsClient>, ClientError> {
        let mut endpoint = self.endpoint();
        let client = Arc::new(self.choice.client_builder(&endpoint.url, self.check.clone()).build()?);
        if let Some(before) = endpoint.client.replace(client.clone()) {
            before.disconnect();
        }
        Ok(client)
    }

    fn client(&self) -> Result<Arc<CircleWsClient>, ClientError> {
        self.endpoint().client.clone().ok_or(ClientError::NotConnected)
    }
}

fn failed<T: Send + 'static>(error: ClientError) -> RemoteFuture<T> {
    Box::pin(std::future::ready(Err(error)))
}

fn failed_play(error: ClientError) -> RunningRequest {
    RunningRequest::spawn(|reporter| async move { reporter.report(PlayUpdate::Ended(Err(error))).await })
}

impl Remote for Connector {
    fn connect(self: Arc<Self>) -> RemoteFuture<Description> {
        match self.new_client() {
            Ok(client) => Remote::connect(client),
            Err(error) => failed(error),
        }
    }

    fn authenticate(self: Arc<Self>, keypair: Arc<KeyPair>) -> RemoteFuture<()> {
        match self.client() {
            Ok(client) => Remote::authenticate(client, keypair),
            Err(error) => failed(error),
        }
    }

    fn check_encryption(&self) -> Result<(), ClientError> {
        self.client().map_or(Ok(()), |client| client.check_encryption())
    }

    fn play(self: Arc<Self>, script: Script) -> RunningRequest {
        match self.client() {
            Ok(client) => Remote::play(client, script),
            Err(error) => failed_play(error),
        }
    }

    fn call(self: Arc<Self>, call: FunctionCall) -> RunningRequest {
        match self.client() {
            Ok(client) => Remote::call(client, call),
            Err(error) => failed_play(error),
        }
    }

    fn describe(self: Arc<Self>) -> RemoteFuture<Description> {
        match self.client() {
            Ok(client) => Remote::describe(client),
            Err(error) => failed(error),
        }
    }

    fn functions(self: Arc<Self>) -> RemoteFuture<Vec<FunctionInfo>> {
        match self.client() {
            Ok(client) => Remote::functions(client),
            Err(error) => failed(error),
        }
    }

    fn query(self: Arc<Self>, command: ReplCommand) -> RemoteFuture<Vec<StyledLine>> {
        match self.client() {
            Ok(client) => Remote::query(client, command),
            Err(error) => failed(error),
        }
    }

    fn complete(self: Arc<Self>, script: String, cursor: u64) -> RemoteFuture<CompleteResult> {
        match self.client() {
            Ok(client) => Remote::complete(client, script, cursor),
            Err(error) => failed(error),
        }
    }

    fn watch(self: Arc<Self>, subject: WatchSubject) -> WatchEvents {
        match self.client() {
            Ok(client) => Remote::watch(client, subject),
            Err(error) => failed_watch(error),
        }
    }

    fn next_notice(self: Arc<Self>) -> RemoteFuture<Notice> {
        match self.client() {
            Ok(client) => Remote::next_notice(client),
            Err(error) => failed(error),
        }
    }

    fn is_connected(&self) -> bool {
        self.client().is_ok_and(|client| client.is_connected())
    }

    fn disconnect(&self) {
        if let Ok(client) = self.client() {
            client.disconnect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn invalid_url_fails_to_connect() {
        let connector =
            Arc::new(Connector::new("http://nowhere", ConnectOptions::default(), IdentityCheck::for_scratch_circle()));
        assert!(matches!(Remote::connect(connector).await, Err(ClientError::BadUrl { .. })));
    }

    #[test]
    fn connector_notices_that_its_circle_has_moved() {
        let connector =
            Connector::new("ws://127.0.0.1:0", ConnectOptions::default(), IdentityCheck::for_scratch_circle());
        assert!(!connector.set_url("ws://127.0.0.1:0"));
        assert!(connector.set_url("ws://127.0.0.1:9001"));
        assert!(!connector.is_connected());
    }
}
