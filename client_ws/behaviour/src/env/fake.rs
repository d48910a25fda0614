//! A fake circle: the test answers in its place.

use client_ws::{Authority, CircleWsClient, CircleWsClientBuilder, KeyPair};
use futures_util::future;
use keys::{IdentityStatement, Nonce};
use protocol::methods::IdentifyResult;
use serde::Deserialize;
use serde_json::{Value, json};
use web_time::{SystemTime, UNIX_EPOCH};

use super::{Env, key};
use crate::{
    Failure,
    control::{Frame, Request},
    failure::{ensure, ensure_eq},
};

/// A fake circle, which has an identity.
pub(crate) struct FakeCircle {
    env: Env,
    pub(crate) port: u16,
    key: KeyPair,
    pub(crate) is_persistent: bool,
}

impl FakeCircle {
    pub(super) async fn start(env: &Env) -> Result<Self, Failure> {
        let port = env.call(Request::Listen).await?.port;
        Ok(Self { env: env.clone(), port, key: key()?, is_persistent: false })
    }

    pub(crate) fn builder(&self) -> CircleWsClientBuilder {
        CircleWsClient::builder(format!("ws://{}", self.authority()))
    }

    pub(crate) fn authority(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Accepts a connection of a client, which the client begins by now.
    pub(crate) async fn connect(&self, client: &CircleWsClient) -> Result<FakeConnection, Failure> {
        let (connected, connection) = future::join(client.connect(), self.accept()).await;
        connected?;
        connection
    }

    /// Accepts a connection and shows the identity of the fake circle.
    pub(crate) async fn accept(&self) -> Result<FakeConnection, Failure> {
        let connection = self.accept_unidentified().await?;
        let request = connection.receive("identify").await?;
        let identity = self.identity(&request)?;
        connection.answer(&request, &json!(identity)).await?;
        Ok(connection)
    }

    /// Accepts a connection.
    pub(crate) async fn accept_unidentified(&self) -> Result<FakeConnection, Failure> {
        let accepted = self.env.call(Request::Accept { port: self.port }).await?;
        Ok(FakeConnection { env: self.env.clone(), number: accepted.connection, host: accepted.host })
    }

    fn identity(&self, request: &ReceivedRequest) -> Result<IdentifyResult, Failure> {
        let authority = Authority::from_host_header(&self.authority())?;
        let challenge = request.params["challenge"].as_str().unwrap_or_default().parse()?;
        let statement = IdentityStatement::new(&authority, challenge, self.is_persistent);
        let signature = self.key.sign_identity(&statement).to_string();
        Ok(IdentifyResult { pubkey: self.key.public_key().to_hex(), persistent: self.is_persistent, signature })
    }

    /// Returns a nonce of this circle, which is valid for a minute.
    pub(crate) fn nonce(&self) -> Result<Nonce, Failure> {
        let authority = Authority::from_host_header(&self.authority())?;
        Ok(Nonce::new(&authority, self.key.public_key(), now_unix()? + 60, [0; 32]))
    }

    /// Answers an authentication of a client with a key that the circle admits.
    pub(crate) async fn admit(&self, connection: &FakeConnection, client: &CircleWsClient) -> Result<(), Failure> {
        let key = client.public_key().map(|key| key.to_hex());
        let request = connection.receive("fetch_nonce").await?;
        ensure_eq!(request.params["pubkey"].as_str().map(str::to_owned), key);
        connection.answer(&request, &json!({ "nonce": self.nonce()?.as_str() })).await?;
        let request = connection.receive("authenticate").await?;
        ensure_eq!(request.params["pubkey"].as_str().map(str::to_owned), key);
        connection.answer(&request, &json!({ "authenticated": true })).await
    }

    /// Ends the fake circle, so that nobody listens on its port. Its connections stay.
    pub(crate) async fn unlisten(&self) -> Result<(), Failure> {
        self.env.call(Request::Unlisten { port: self.port }).await.map(drop)
    }
}

/// Seconds since 1970.
pub(crate) fn now_unix() -> Result<u64, Failure> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())
}

/// The fake circle's end of a connection.
pub(crate) struct FakeConnection {
    env: Env,
    number: usize,
    /// The header `Host` of the client.
    pub(crate) host: String,
}

/// A request that a fake circle has received.
#[derive(Debug, Deserialize)]
pub(crate) struct ReceivedRequest {
    pub(crate) id: u64,
    pub(crate) method: String,
    #[serde(default)]
    pub(crate) params: Value,
}

impl FakeConnection {
    /// Waits for the next frame.
    pub(crate) async fn frame(&self) -> Result<Frame, Failure> {
        Ok(self.env.call(Request::Receive { connection: self.number }).await?.frame)
    }

    /// Waits for the next request.
    pub(crate) async fn next_request(&self) -> Result<ReceivedRequest, Failure> {
        let frame = self.frame().await?;
        let Frame::Text(text) = &frame else {
            return Err(Failure::new(format!("a request was expected, not {frame:?}")));
        };
        Ok(serde_json::from_str(text)?)
    }

    /// Waits for the next request, which has to be of this method.
    pub(crate) async fn receive(&self, method: &str) -> Result<ReceivedRequest, Failure> {
        let request = self.next_request().await?;
        ensure_eq!(request.method, method);
        Ok(request)
    }

    /// Waits for the end of the connection, before which nothing else may arrive.
    pub(crate) async fn ended(&self) -> Result<(), Failure> {
        let frame = self.frame().await?;
        ensure!(frame == Frame::End, "{frame:?}");
        Ok(())
    }

    pub(crate) async fn send(&self, text: &str) -> Result<(), Failure> {
        self.env.call(Request::Send { connection: self.number, text: text.into() }).await.map(drop)
    }

    pub(crate) async fn answer(&self, request: &ReceivedRequest, result: &Value) -> Result<(), Failure> {
        self.send(&json!({ "jsonrpc": "2.0", "id": request.id, "result": result }).to_string()).await
    }

    /// Answers a play with a map.
    pub(crate) async fn answer_play(&self, request: &ReceivedRequest, value: &Value) -> Result<(), Failure> {
        let result = json!({ "output": "", "type": "map", "value": value, "elapsed_us": 1, "operations": 1 });
        self.answer(request, &result).await
    }

    pub(crate) async fn notify(&self, method: &str, params: &Value) -> Result<(), Failure> {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }).to_string()).await
    }

    /// Sends a notification of this size.
    pub(crate) async fn send_large(&self, kib: usize) -> Result<(), Failure> {
        self.env.call(Request::SendLarge { connection: self.number, kib }).await.map(drop)
    }

    pub(crate) async fn send_binary(&self) -> Result<(), Failure> {
        self.env.call(Request::SendBinary { connection: self.number }).await.map(drop)
    }

    pub(crate) async fn close(&self, code: u16, reason: &str) -> Result<(), Failure> {
        self.env.call(Request::Close { connection: self.number, code, reason: reason.into() }).await.map(drop)
    }

    /// Ends the connection without a close frame.
    pub(crate) async fn abort(&self) -> Result<(), Failure> {
        self.env.call(Request::Abort { connection: self.number }).await.map(drop)
    }
}
